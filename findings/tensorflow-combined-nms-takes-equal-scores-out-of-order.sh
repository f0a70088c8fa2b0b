#!/bin/bash
# CombinedNonMaxSuppression of boxes with equal scores takes them out of order, where NonMaxSuppression takes them in order.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  of boxes that do not overlap and have one score, the one that comes first is chosen first, as
#            tf.image.non_max_suppression does; an export or a reimplementation of either gives the same boxes.
# Seen:      four such boxes of a class come as 0 2 1 3, five as 0 2 4 1 3: candidates are taken from a heap, which keeps
#            no order among equals. With a limit, other boxes are left out. Scores of quantised detectors are often equal.
# Output:    the order of the combined operator for 3 to 6 boxes, that of the plain one for 6, and which two of four
#            boxes the combined one keeps when there is room for two
#            0 1 2
#            0 2 1 3
#            0 2 4 1 3
#            0 2 5 4 1 3
#            0 1 2 3 4 5
#            0 2
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)


def boxes(n):
    """`n` boxes beside each other, which do not overlap; the first corner says which one it is."""
    return np.array([[2 * i, 0, 2 * i + 1, 1] for i in range(n)], np.float32)


def combined(n, room):
    scores = np.full([1, n, 1], 0.5, np.float32)
    found = tf.image.combined_non_max_suppression(boxes(n)[None, :, None], scores, room, room, 0.5, 0.1, clip_boxes=False)
    return [round(box[0] / 2) for box in found.nmsed_boxes[0].numpy().tolist()]


plain = tf.image.non_max_suppression(boxes(6), np.full([6], 0.5, np.float32), 6, 0.5, 0.1).numpy().tolist()
seen = [combined(n, n) for n in (3, 4, 5, 6)] + [plain, combined(4, 2)]
for line in seen:
    print(*line)
expected = [[0, 1, 2], [0, 2, 1, 3], [0, 2, 4, 1, 3], [0, 2, 5, 4, 1, 3], [0, 1, 2, 3, 4, 5], [0, 2]]
assert seen == expected, "the behaviour has changed"
PY
