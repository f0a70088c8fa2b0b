#!/bin/bash
# A SavedModel in a TFSMLayer can be trained by SGD, but not by Adam.
#
# Version:   keras 3.15.1 with tensorflow-cpu 2.21.0.
# Expected:  the layer lists its weights as trainable, so that any optimizer trains them.
# Seen:      `fit` with SGD changes them; with momentum or Adam it raises ValueError: a slot is named after the variable, whose
#            name in the file ends with `:0`, and a colon is not allowed in the name of a scope.
# Output:    sgd: trained
#            adam: ValueError 'net_hidden_kernel:0_momentum' is not a valid scope name ...
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
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__, "keras", keras.__version__)
keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="hidden")], name="net").export("model", verbose=False)
x, y = np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)
seen = {}
for optimizer in ["sgd", "adam"]:
    layer = keras.layers.TFSMLayer("model", call_endpoint="serve")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(optimizer, "mse")
    before = [w.numpy().copy() for w in layer.trainable_weights]
    try:
        model.fit(x, y, verbose=0)
        moved = any((a != b.numpy()).any() for a, b in zip(before, layer.trainable_weights))
        seen[optimizer] = "trained" if moved else "unchanged"
    except ValueError as error:
        seen[optimizer] = f"ValueError {str(error)[:60]} ..."
    print(f"{optimizer}: {seen[optimizer]}")
assert seen["sgd"] == "trained", "the behaviour has changed"
assert "is not a valid scope name" in seen["adam"], "the behaviour has changed"
PY
