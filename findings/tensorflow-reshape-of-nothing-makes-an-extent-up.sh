#!/bin/bash
# Reshape of an empty tensor takes -1 for what the other operand did not have.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  with an extent of 0 on both sides, -1 is ambiguous: numpy refuses it.
# Seen:      TensorFlow takes the product of the extents that are not 0 on one side over that of the other side: [0, 0] to
#            [0, -1] is [0, 1], [4, 0] to [-1, 0] is [4, 0], and [0, 3] to [0, -1] is [0, 3]. A compiler that divides the
#            numbers of elements gets 0, or divides by it.
# Output:    [0, 0] to [0, -1]: [0, 1]; numpy: refuses
#            [4, 0] to [-1, 0]: [4, 0]; numpy: refuses
#            [0, 3] to [0, -1]: [0, 3]; numpy: refuses
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


def by_numpy(shape, to):
    try:
        return list(np.zeros(shape).reshape(to).shape)
    except ValueError:
        return "refuses"


seen = []
for shape, to in (([0, 0], [0, -1]), ([4, 0], [-1, 0]), ([0, 3], [0, -1])):
    ours = tf.reshape(tf.zeros(shape), to).shape.as_list()
    seen.append((ours, by_numpy(shape, to)))
    print(f"{shape} to {to}: {ours}; numpy: {seen[-1][1]}")
assert seen == [([0, 1], "refuses"), ([4, 0], "refuses"), ([0, 3], "refuses")], "the behaviour has changed"
PY
