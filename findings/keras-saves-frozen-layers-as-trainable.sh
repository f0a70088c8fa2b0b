#!/bin/bash
# A layer that is frozen in Keras 3 is trainable again in the SavedModel.
#
# Version:   keras 3.15.1 with tensorflow-cpu 2.21.0.
# Expected:  `layer.trainable = False` is kept: the layer's variables say so in the file and in what is loaded, as those of
#            `tf.Variable(..., trainable=False)` do.
# Seen:      every kernel and bias is saved and loaded as trainable. A signature's `trainable_variables` has the frozen ones;
#            the object that `export` writes lists them apart, that of `tf.saved_model.save` has no such list. Who trains what
#            is marked as trainable trains the frozen layers too.
# Output:    in Keras:      ['head/bias', 'head/kernel']
#            exported, loaded: ['frozen/bias', 'frozen/kernel', 'head/bias', 'head/kernel']
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
dense = keras.layers.Dense
model = keras.Sequential([keras.Input((3,)), dense(4, name="frozen"), dense(1, name="head")], name="net")
model.layers[0].trainable = False
short = lambda names: sorted("/".join(name.split(":")[0].split("/")[-2:]) for name in names)
inside = short(v.path for v in model.trainable_variables)
print("in Keras:     ", inside)
assert inside == ["head/bias", "head/kernel"], "the behaviour has changed"
model.export("exported", verbose=False)
tf.saved_model.save(model, "saved")
for folder in ["exported", "saved"]:
    loaded = tf.saved_model.load(folder)
    outside = short(v.name for v in loaded.signatures["serving_default"].trainable_variables)
    print(f"{folder}, loaded:", outside)
    assert outside == ["frozen/bias", "frozen/kernel", "head/bias", "head/kernel"], "the behaviour has changed"
PY
