#!/bin/bash
# TensorFlow 2 does not load a model of which TensorFlow 1 serves the new value of a variable.
#
# Version:   tensorflow-cpu 2.21.0.
# Expected:  `tf.saved_model.load` loads what `tf.compat.v1.saved_model.load` loads and runs.
# Seen:      a signature whose output is what `assign_add` gives for a variable of the old kind, as counters of TensorFlow 1
#            have it, runs in a session; `load` raises InvalidArgumentError, since no function returns a reference.
# Output:    session: [1.0, 2.0]
#            load: InvalidArgumentError Output 0 of node 'AssignAdd' has a reference type float_ref
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
v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder(tf.float32, [], name="x")
    count = v1.get_variable("count", initializer=0.0, use_resource=False)
    session.run(v1.global_variables_initializer())
    v1.saved_model.simple_save(session, "model", {"x": x}, {"count": v1.assign_add(count, x)})
with tf.Graph().as_default(), v1.Session() as session:
    signature = v1.saved_model.load(session, ["serve"], "model").signature_def["serving_default"]
    output, given = signature.outputs["count"].name, {signature.inputs["x"].name: 1.0}
    counts = [float(session.run(output, given)) for _ in range(2)]
print("session:", counts)
assert counts == [1.0, 2.0], "the behaviour has changed"
try:
    tf.saved_model.load("model")
    said = "loaded"
except tf.errors.InvalidArgumentError as error:
    said = f"InvalidArgumentError {str(error).splitlines()[0]}"
print("load:", said)
assert "has a reference type" in said, "the behaviour has changed"
PY
