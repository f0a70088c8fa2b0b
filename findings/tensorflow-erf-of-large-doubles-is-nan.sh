#!/bin/bash
# The error function of large doubles is NaN.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  erf(x) is 1 for every x above 6 (C99's erf, numpy, scipy).
# Seen:      1 at 1e150 and NaN at 1e200, as if the square overflowed. f32 is right up to its greatest number.
# Output:    erf f64 [1.0, 1.0, nan, nan]
#            erf f32 [1.0, 1.0]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import math
import tensorflow as tf

print("tensorflow", tf.__version__)
double = tf.math.erf(tf.constant([6.0, 1e150, 1e200, 1.7976931348623157e308], tf.float64)).numpy().tolist()
single = tf.math.erf(tf.constant([6.0, 3.4e38], tf.float32)).numpy().tolist()
print("erf f64", double)
print("erf f32", single)
as_seen = double[:2] == [1.0, 1.0] and all(map(math.isnan, double[2:])) and single == [1.0, 1.0]
assert as_seen, "the behaviour has changed"
PY
