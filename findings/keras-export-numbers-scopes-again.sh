#!/bin/bash
# The operators of an exported Keras 3 model lie in other scopes than its variables.
#
# Version:   keras 3.15.1 with tensorflow-cpu 2.21.0.
# Expected:  the layer `hidden` of the model `net` is `net/hidden` everywhere in the SavedModel, as its variables say.
# Seen:      `export` traces the model once more, and the operators of that trace lie in `net_1/hidden_1`. Who names layers
#            after operators, as profilers and converters do, shows names that no layer has.
# Output:    variables: ['net/hidden', 'net/last']
#            products:  ['net_1/hidden_1', 'net_1/last_1']
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 keras==3.15.1
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import keras
import tensorflow as tf

print("tensorflow", tf.__version__, "keras", keras.__version__)
layers = [keras.Input((3,)), keras.layers.Dense(2, name="hidden"), keras.layers.Dense(1, name="last")]
keras.Sequential(layers, name="net").export("model", verbose=False)
loaded = tf.saved_model.load("model")
scope = lambda name: name.rsplit("/", 1)[0]
functions = loaded.signatures["serving_default"].graph.as_graph_def().library.function
products = sorted({scope(node.name) for f in functions for node in f.node_def if node.op == "MatMul"})
variables = sorted({scope(v.name) for v in loaded.variables})
print("variables:", variables)
print("products: ", products)
assert variables == ["net/hidden", "net/last"], "the behaviour has changed"
assert products == ["net_1/hidden_1", "net_1/last_1"], "the behaviour has changed"
PY
