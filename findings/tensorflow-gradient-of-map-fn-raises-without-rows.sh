#!/bin/bash
# In graphs of TensorFlow 1, map_fn and scan take a batch without rows, and their gradient does not, although the array was
# told the shape of its elements.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64, control flow of version 1.
# Expected:  the gradient of a sum over no rows has no rows: shape (0, 3).
# Seen:      the value is computed. The gradient raises UnimplementedError: it unstacks the rows of the array's gradient by an
#            operator that TensorFlow writes without a shape, and does not look at the array's own `element_shape`.
#            A training step on the last, empty part of a data set fails so, where an evaluation does not.
# Output:    by function and number of rows, the shape of the gradient, or what is raised
#            unstack 1 (1, 3)
#            unstack 0 UnimplementedError
#            map_fn 1 (1, 3)
#            map_fn 0 UnimplementedError
#            scan 1 (1, 3)
#            scan 0 UnimplementedError
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
tf1 = tf.compat.v1
tf1.disable_eager_execution()
tf1.disable_control_flow_v2()
FUNCTIONS = {
    "unstack": lambda x: tf.TensorArray(tf.float32, tf.shape(x)[0], element_shape=[3]).unstack(x).stack() ** 2,
    "map_fn": lambda x: tf.map_fn(lambda row: row * row, x),
    "scan": lambda x: tf.scan(lambda sums, row: sums + row * row, x, initializer=tf.zeros(3)),
}


def gradient(function, rows):
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3])
        total = tf.reduce_sum(function(x))
        (slope,) = tf1.gradients(total, x)
        feed = {x: np.ones([rows, 3], np.float32)}
        session.run(total, feed)
        try:
            return str(session.run(slope, feed).shape)
        except tf.errors.UnimplementedError:
            return "UnimplementedError"


seen = {(name, rows): gradient(function, rows) for name, function in FUNCTIONS.items() for rows in (1, 0)}
for (name, rows), what in seen.items():
    print(name, rows, what)
expected = {(name, rows): "(1, 3)" if rows else "UnimplementedError" for name in FUNCTIONS for rows in (1, 0)}
assert seen == expected, "the behaviour has changed"
PY
