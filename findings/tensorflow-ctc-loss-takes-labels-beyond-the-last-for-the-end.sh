#!/bin/bash
# The last labels of CTCLoss may name classes that do not exist: they end the sequence without a word.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  a label that is the blank, or beyond all classes, is refused, as it is in front of another label and as every
#            other label out of range is.
# Seen:      at the end of a sequence such labels are dropped, so that a vocabulary which is one word too small trains on cut
#            labels. The loss is that of the labels before them.
# Output:    [0] 5.3820
#            [0, 3] 5.3820
#            [0, 900] 5.3820
#            [0, 3, 1] refused
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)
# Four classes, the last of which is the blank.
logits = np.random.default_rng(2).normal(size=(6, 1, 4)).astype(np.float32)


def loss(labels):
    indices = np.array([[0, i] for i in range(len(labels))], np.int64)
    given = dict(labels_indices=indices, labels_values=np.array(labels, np.int32), sequence_length=[6])
    try:
        return "%.4f" % float(tf.raw_ops.CTCLoss(inputs=logits, **given).loss[0])
    except tf.errors.InvalidArgumentError:
        return "refused"


seen = {}
for labels in ([0], [0, 3], [0, 900], [0, 3, 1]):
    seen[str(labels)] = loss(labels)
    print(labels, seen[str(labels)])
first, blank, beyond, inside = seen.values()
assert first == blank == beyond != "refused" and inside == "refused", "the behaviour has changed"
PY
