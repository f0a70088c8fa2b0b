#!/bin/bash
# The operator ClipByValue takes a bound that is NaN for no bound; the function of that name does not.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  clipping is the minimum of a maximum, which hand NaN on: so numpy's clip, and so tf.clip_by_value.
# Seen:      the operator, which converters write into graphs, leaves elements as they are on the side whose bound is NaN.
#            A compiler that writes it as a minimum and a maximum gives NaN instead. Nor does it broadcast its bounds.
# Output:    ClipByValue(nan, 2) [-3.0, 1.0, 2.0]
#            ClipByValue(-1, nan) [-1.0, 1.0, 5.0]
#            tf.clip_by_value(nan, 2) [nan, nan, nan]
#            bounds of one row: InvalidArgumentError
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import math

import tensorflow as tf

print("tensorflow", tf.__version__)
nan = float("nan")
x = tf.constant([-3.0, 1.0, 5.0])
clip = tf.raw_ops.ClipByValue
low = clip(t=x, clip_value_min=nan, clip_value_max=2.0).numpy().tolist()
high = clip(t=x, clip_value_min=-1.0, clip_value_max=nan).numpy().tolist()
function = tf.clip_by_value(x, nan, 2.0).numpy().tolist()
try:
    clip(t=tf.zeros([2, 3]), clip_value_min=tf.zeros([3]), clip_value_max=tf.ones([3]))
    rows = "broadcast"
except tf.errors.InvalidArgumentError as error:
    rows = type(error).__name__
print("ClipByValue(nan, 2)", low)
print("ClipByValue(-1, nan)", high)
print("tf.clip_by_value(nan, 2)", function)
print("bounds of one row:", rows)
as_seen = low == [-3.0, 1.0, 2.0] and high == [-1.0, 1.0, 5.0] and all(map(math.isnan, function))
assert as_seen and rows == "InvalidArgumentError", "the behaviour has changed"
PY
