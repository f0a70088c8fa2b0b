#!/bin/bash
# Counting numbers raises where one is negative, but in a sparse matrix such numbers are dropped without a word.
#
# Version:   tensorflow-cpu 2.21.0.
# Expected:  `tf.math.bincount(x, axis=-1)` says that a number is negative, whatever kind of tensor `x` is.
# Seen:      dense and ragged ones raise; a sparse matrix gives the counts of its other numbers. An id of -1, which
#            many look-ups give for what they do not know, is noticed in one layout of a model's features and not in another.
# Output:    {'dense matrix': 'raises', 'ragged': 'raises', 'sparse matrix': [[0, 1, 0]]}
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import tensorflow as tf

print("tensorflow", tf.__version__)
rows = tf.constant([[-3, 1]])
kinds = {
    "dense matrix": rows,
    "ragged": tf.RaggedTensor.from_tensor(rows),
    "sparse matrix": tf.sparse.from_dense(rows),
}
found = {}
for kind, numbers in kinds.items():
    try:
        found[kind] = tf.math.bincount(numbers, axis=-1, minlength=3, maxlength=3).numpy().tolist()
    except tf.errors.InvalidArgumentError:
        found[kind] = "raises"
print(found)
assert found["dense matrix"] == found["ragged"] == "raises", "the behaviour has changed"
assert found["sparse matrix"] == [[0, 1, 0]], "the behaviour has changed"
PY
