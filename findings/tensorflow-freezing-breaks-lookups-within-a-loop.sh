#!/bin/bash
# A function whose loop looks up rows of a variable cannot be frozen: what comes out does not run.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  convert_variables_to_constants_v2 gives a function of the same results, as it does for a lookup outside of a
#            loop or within a branch, and for a loop that reads the whole variable first.
# Seen:      where the body of a tf.while_loop gathers from the variable itself, the call of the frozen function raises
#            InvalidArgumentError: the axis of the Gather that takes the place of ResourceGather is in no frame of the
#            loop. The function that was frozen runs. An embedding within a decoding loop is such a lookup.
# Output:    no loop: as before
#            branch: as before
#            loop, variable read first: as before
#            loop: InvalidArgumentError
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
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

print("tensorflow", tf.__version__)
table = tf.Variable(tf.reshape(tf.range(12.0), [4, 3]))
ids = tf.constant([1, 2])


def summed(rows):
    """The sum of rows, one for each iteration."""
    return tf.while_loop(lambda i, s: i < 2, lambda i, s: (i + 1, s + rows(i)), [0, tf.zeros(3)])[1]


FUNCTIONS = {
    "no loop": lambda ids: tf.reduce_sum(tf.gather(table, ids), 0),
    "branch": lambda ids: tf.cond(ids[0] > 0, lambda: tf.gather(table, ids[0]), lambda: tf.zeros(3)),
    "loop, variable read first": lambda ids: summed(lambda i: tf.gather(table.read_value(), ids[i])),
    "loop": lambda ids: summed(lambda i: tf.gather(table, ids[i])),
}


def frozen(function):
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec([2], tf.int32))
    expected = concrete(ids).numpy()
    constant = convert_variables_to_constants_v2(concrete)
    try:
        found = constant(ids)[0].numpy()
    except tf.errors.InvalidArgumentError:
        return "InvalidArgumentError"
    return "as before" if np.array_equal(found, expected) else "other numbers"


seen = {name: frozen(function) for name, function in FUNCTIONS.items()}
for name, result in seen.items():
    print(f"{name}: {result}")
assert list(seen.values()) == ["as before"] * 3 + ["InvalidArgumentError"], "the behaviour has changed"
PY
