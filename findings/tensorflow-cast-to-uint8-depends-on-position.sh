#!/bin/bash
# A float that does not fit uint8 is cast to different values, depending on where in the tensor it stands.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64 (vectors of AVX2 or AVX-512; the sizes below are those of the packet
#            code of that build).
# Expected:  300.7 to uint8 is out of range and so undefined; one would still expect one value for one operand, and image
#            code (`tf.cast(image * 1.2, tf.uint8)` without clipping) relies on it.
# Seen:      elements in whole packets of 32 saturate to 255, the rest of the tensor wraps to 44 (300 modulo 256). So a
#            pixel's value depends on the size of the image and on its place, and no compiler can agree with all of it.
# Output:    5 elements: {44: 5}
#            33 elements: {255: 32, 44: 1}
#            64 elements: {255: 64}
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import collections
import tensorflow as tf

print("tensorflow", tf.__version__)
seen = {}
for n in (5, 33, 64):
    out = tf.cast(tf.fill([n], tf.constant(300.7)), tf.uint8).numpy().tolist()
    seen[n] = dict(collections.Counter(out))
    print(n, "elements:", seen[n])
assert seen == {5: {44: 5}, 33: {255: 32, 44: 1}, 64: {255: 64}}, "the behaviour has changed"
PY
