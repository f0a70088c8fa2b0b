#!/bin/bash
# ScatterNdNonAliasingAdd takes a vector of indices, and leaves out all updates but the first.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  the last axis of indices is an index, so a vector of two numbers is one index into two axes; of a tensor with
#            one axis it is an error, as TensorScatterAdd says.
# Seen:      no error: the vector [0, 2] is taken for indices of rows, of which the first is updated and the second is not.
#            Written as [[0], [2]] both are.
# Output:    [[0], [2]]: [11.0, 20.0, 32.0, 40.0]
#            [0, 2]: [11.0, 20.0, 30.0, 40.0]
#            TensorScatterAdd of [0, 2]: InvalidArgumentError
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
x, updates = tf.constant([10.0, 20.0, 30.0, 40.0]), tf.constant([1.0, 2.0])
add = tf.raw_ops.ScatterNdNonAliasingAdd
rows = add(input=x, indices=[[0], [2]], updates=updates).numpy().tolist()
vector = add(input=x, indices=[0, 2], updates=updates).numpy().tolist()
try:
    other = tf.raw_ops.TensorScatterAdd(tensor=x, indices=[0, 2], updates=updates).numpy().tolist()
except tf.errors.InvalidArgumentError as error:
    other = type(error).__name__
print("[[0], [2]]:", rows)
print("[0, 2]:", vector)
print("TensorScatterAdd of [0, 2]:", other)
as_seen = rows == [11.0, 20.0, 32.0, 40.0] and vector == [11.0, 20.0, 30.0, 40.0]
assert as_seen and other == "InvalidArgumentError", "the behaviour has changed"
PY
