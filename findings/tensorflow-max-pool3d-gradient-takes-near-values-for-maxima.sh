#!/bin/bash
# The gradient of a 3-D maximum goes to every value that is less than 1e-5 from it.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  the maximum of a window has the gradient, as in max_pool2d; of several equal ones the first, or each.
# Seen:      elements are compared with the maximum by a distance of 1e-5, whatever their size. Where activations are as
#            small as that, every element of a window has the whole gradient, so that it counts many times over.
# Output:    max_pool3d of 1e-6, 2e-6, 3e-6: [1.0, 1.0, 1.0]
#            max_pool2d of the same:        [0.0, 0.0, 1.0]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import os

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import tensorflow as tf

print("tensorflow", tf.__version__)


def gradient(pool, shape, window):
    x = tf.reshape(tf.constant([1e-6, 2e-6, 3e-6]), shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = pool(x, window, window, "VALID")
    return tape.gradient(y, x).numpy().ravel().tolist()


three = gradient(tf.nn.max_pool3d, [1, 1, 1, 3, 1], [1, 1, 3])
two = gradient(tf.nn.max_pool2d, [1, 1, 3, 1], [1, 3])
print("max_pool3d of 1e-6, 2e-6, 3e-6:", three)
print("max_pool2d of the same:        ", two)
assert three == [1, 1, 1] and two == [0, 0, 1], "the behaviour has changed"
PY
