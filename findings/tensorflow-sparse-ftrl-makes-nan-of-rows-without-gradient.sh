#!/bin/bash
# A step of Ftrl by rows makes NaN of a row whose accumulator and gradient are 0; the dense step makes 0 of it.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  both operators do the same to a row, so that an embedding trains as its dense form does.
# Seen:      ResourceSparseApplyFtrl divides 0 by 0 where l1 and l2 are 0 too. An accumulator may begin at 0
#            (`initial_accumulator_value=0`), and a row whose gradient is 0 in the first step, such as one behind a relu that
#            is off, is lost for good.
# Output:    dense  [[0.0, 0.0]]
#            sparse [[nan, nan]]
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


def step(sparse):
    variable = tf.Variable([[1.0, 2.0]])
    accum, linear = tf.Variable([[0.0, 0.0]]), tf.Variable([[0.0, 0.0]])
    given = dict(var=variable.handle, accum=accum.handle, linear=linear.handle, lr=0.1, l1=0.0, l2=0.0, lr_power=-0.5)
    nothing = tf.zeros([1, 2])
    if sparse:
        tf.raw_ops.ResourceSparseApplyFtrl(grad=nothing, indices=[0], **given)
    else:
        tf.raw_ops.ResourceApplyFtrl(grad=nothing, **given)
    return variable.numpy()


dense, sparse = step(False), step(True)
print("dense ", dense.tolist())
print("sparse", sparse.tolist())
assert not dense.any() and np.isnan(sparse).all(), "the behaviour has changed"
PY
