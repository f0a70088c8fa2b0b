#!/bin/bash
# In training, dropout drops inside of a model that was called with `training=False`, and that is frozen.
#
# Version:   keras 3.15.1, tensorflow-cpu 2.21.0.
# Expected:  `features(x, training=False)` within a functional model means that these layers infer, whatever the model around
#            does: so the guide to transfer learning has it, and so it was in Keras 2.
# Seen:      what `fit` passes on takes the argument's place. Batch norms infer, since they are frozen, but dropout drops:
#            frozen features are not the same from step to step (EfficientNet, for one, has dropout in its features).
# Output:    training=False of the whole: [[1. 1. 1. 1. 1. 1. 1. 1.]]
#            training=True of the whole:  some of [0. 2.]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python - 2> log <<'PYTHON' || { cat log >&2; exit 1; }
import keras
import numpy as np

keras.utils.set_random_seed(1)
x = keras.Input((8,))
features = keras.Model(x, keras.layers.Dropout(0.5)(x))
features.trainable = False
inputs = keras.Input((8,))
model = keras.Model(inputs, features(inputs, training=False))
ones = np.ones((1, 8), np.float32)
print("training=False of the whole:", np.array(model(ones, training=False)))
dropped = np.array(model(ones, training=True))
print("training=True of the whole:  some of", np.unique(dropped))
assert set(np.unique(dropped)) == {0.0, 2.0}, "the behaviour has changed"
PYTHON
