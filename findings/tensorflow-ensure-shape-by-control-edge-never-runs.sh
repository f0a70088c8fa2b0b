#!/bin/bash
# A shape check that only a control dependency asks for is never executed.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  tf.ensure_shape raises when the shape differs, like the assertions of tf.debugging, which a control dependency
#            executes.
# Seen:      as an operand it raises; under `tf.control_dependencies` the graph optimiser drops it, and the call succeeds.
#            An assertion in the same place raises. So a guard written this way guards nothing.
# Output:    as an operand: raises
#            by a control dependency: no error
#            an assertion by a control dependency: raises
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


@tf.function(input_signature=[tf.TensorSpec(None)])
def operand(x):
    return tf.ensure_shape(x, [2]) + 1.0


@tf.function(input_signature=[tf.TensorSpec(None)])
def control(x):
    with tf.control_dependencies([tf.ensure_shape(x, [2])]):
        return x + 1.0


@tf.function(input_signature=[tf.TensorSpec(None)])
def assertion(x):
    with tf.control_dependencies([tf.debugging.assert_equal(tf.size(x), 2)]):
        return x + 1.0


def outcome(f):
    try:
        f(tf.zeros([3]))
        return "no error"
    except tf.errors.InvalidArgumentError:
        return "raises"


seen = [outcome(f) for f in (operand, control, assertion)]
for what, result in zip(("as an operand", "by a control dependency", "an assertion by a control dependency"), seen):
    print(f"{what}: {result}")
assert seen == ["raises", "no error", "raises"], "the behaviour has changed"
PY
