#!/bin/bash
# The same number out of range is cast to uint8 differently, depending on the float type it comes from.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  256.0 is 256.0 in float32 and in float8_e5m2; casting it to uint8 is out of range, but one would expect the two
#            kernels of one operator to agree.
# Seen:      vectors of float32 saturate to 255; float8 wraps to 0, since it goes by way of int32. A quantised model whose
#            values pass through float8 storage changes its bytes.
# Output:    float32 [255]
#            float8_e5m2 [0]
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
x = tf.fill([64], tf.constant(256.0))
seen = {}
for dtype in (tf.float32, tf.dtypes.experimental.float8_e5m2):
    stored = tf.cast(x, dtype)
    assert tf.reduce_all(tf.cast(stored, tf.float32) == x)
    seen[dtype.name] = sorted(set(tf.cast(stored, tf.uint8).numpy().tolist()))
    print(dtype.name, seen[dtype.name])
assert seen == {"float32": [255], "float8_e5m2": [0]}, "the behaviour has changed"
PY
