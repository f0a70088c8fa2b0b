#!/bin/bash
# A Keras 3 model with TimeDistributed over an open length, exported, serves only batches that are no larger than the sequence
# is long.
#
# Version:   keras 3.15.1 with tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  the layer applies a layer to every step; the exported signature takes [batch, length, 5] with both extents open,
#            and serves what `model.predict` serves.
# Seen:      the loop over steps that is exported walks as far as there are samples: with more samples than steps the signature
#            raises "slice index ... of dimension 0 out of bounds". The model itself computes the same input without complaint.
#            A model tested with one sample fails in production as soon as requests are batched.
# Output:    2 samples of 6 steps: served
#            6 samples of 6 steps: served
#            7 samples of 6 steps: InvalidArgumentError
#            7 samples of 6 steps by predict: computed
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
from keras import layers

inputs = keras.Input((None, 5), name="x")
model = keras.Model(inputs, layers.TimeDistributed(layers.Dense(3))(inputs))
model.export("exported", verbose=False)
serve = tf.saved_model.load("exported").signatures["serving_default"]
(key,) = serve.structured_input_signature[1]
assert serve.structured_input_signature[1][key].shape.as_list() == [None, None, 5]
seen = {}
for samples in (2, 6, 7):
    try:
        serve(**{key: tf.ones([samples, 6, 5])})
        seen[samples] = "served"
    except tf.errors.InvalidArgumentError as error:
        assert "out of bounds" in str(error)
        seen[samples] = "InvalidArgumentError"
    print(f"{samples} samples of 6 steps: {seen[samples]}")
shape = model.predict(np.ones([7, 6, 5], np.float32), verbose=0).shape
print("7 samples of 6 steps by predict:", "computed" if shape == (7, 6, 3) else shape)
assert seen == {2: "served", 6: "served", 7: "InvalidArgumentError"} and shape == (7, 6, 3), "the behaviour has changed"
PY
