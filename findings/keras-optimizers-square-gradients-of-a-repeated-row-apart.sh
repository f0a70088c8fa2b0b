#!/bin/bash
# Where a batch looks up a row of an Embedding twice, Adam squares the two gradients apart, and not the row's gradient.
#
# Version:   keras 3.15.1 with tensorflow-cpu 2.21.0.
# Expected:  one step for one gradient: what two lookups give a row is the sum of both, as it is for a product with one-hot
#            rows, and as tf.convert_to_tensor has it.
# Seen:      the gradient of lookups is IndexedSlices, whose indices may repeat. Keras squares the values, which are added only
#            afterwards: the second moment has 3^2 + (-1)^2 = 10 for 2^2 = 4, and the step is shorter or longer. All optimizers
#            but SGD and Lion do so (Adamax with magnitudes), and clipping too: with clipvalue, this row does not move at all.
# Output:    Adam, lookups:   row -0.0632, second moment 0.0100
#            Adam, converted: row -0.1000, second moment 0.0040
#            Adam, one-hot:   row -0.1000, second moment 0.0040
#            same:   Lion, SGD
#            differ: Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Muon, Nadam, RMSprop, ScheduleFreeAdamW,
#            SGD with clipnorm, SGD with clipvalue, SGD with global_clipnorm
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
ids, weights = np.array([[1, 1]]), np.array([[[3.0], [-1.0]]], np.float32)


def step(optimizer, kind):
    layer = keras.layers.Embedding(2, 1, embeddings_initializer="zeros")
    layer.build()
    table = layer.trainable_variables[0]
    with tf.GradientTape() as tape:
        rows = tf.one_hot(ids, 2) @ table.value if kind == "one-hot" else layer(ids)
        loss = tf.reduce_sum(rows * weights)
    gradient = tape.gradient(loss, table.value)
    optimizer.apply([tf.convert_to_tensor(gradient) if kind == "converted" else gradient], [table])
    return float(table.numpy()[1, 0])


for kind, moment in [("lookups", 0.01), ("converted", 0.004), ("one-hot", 0.004)]:
    adam = keras.optimizers.Adam(0.1)
    row = step(adam, kind)
    seen = next(v for v in adam.variables if v.path.endswith("velocity")).numpy()[1, 0]
    print(f"Adam, {kind + ':':10} row {row:.4f}, second moment {seen:.4f}")
    assert np.isclose(seen, moment), "the behaviour has changed"
names = "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion Muon Nadam RMSprop SGD ScheduleFreeAdamW".split()
makers = {name: lambda name=name: getattr(keras.optimizers, name)(0.1) for name in names}
for clip in ["clipnorm", "clipvalue", "global_clipnorm"]:
    makers[f"SGD with {clip}"] = lambda clip=clip: keras.optimizers.SGD(0.1, **{clip: 1.0})
same, differ = [], []
for name, make in makers.items():
    lookups, converted, onehot = (step(make(), kind) for kind in ["lookups", "converted", "one-hot"])
    assert converted == onehot, "the behaviour has changed"
    (same if np.isclose(lookups, converted, rtol=1e-3, atol=0) else differ).append(name)
print("same:  ", ", ".join(same))
print("differ:", ", ".join(differ))
assert same == ["Lion", "SGD"], "the behaviour has changed"
PY
