"""Heads of Keras's applications, trained by smc and by Keras.

    python heads.py --smc target/release/smc [--only PATTERN]

Ten networks of keras.applications with random weights get a dense layer on features that are frozen. Keras's loss and optimizer train
it for ten steps, in which all layers do what they do when they infer; `fit` would let dropout of frozen features drop. `smc train`
trains what Keras exported before with the same examples in the same order, and finds out itself what is frozen. The layer that
TensorFlow reads in what smc wrote is as near to the one that the same steps in double precision leave as Keras's own, or nearly so,
the mean of the losses is the same, and all other variables are what they were, bit for bit.
"""

import json
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import pages
from pages import Wrong

STEPS, BATCH, CLASSES = 10, 4, 5
# By name the extent of the square pictures, and the rule by which the head learns, as users of smc and as Keras write it.
APPLICATIONS = {
    "MobileNet": (48, "adam"),
    "MobileNetV2": (64, "adam"),
    "MobileNetV3Small": (64, "momentum"),
    "EfficientNetB0": (48, "rmsprop"),
    "EfficientNetV2B0": (48, "adam"),
    "ResNet50": (48, "momentum"),
    "ResNet50V2": (48, "adam"),
    "DenseNet121": (32, "adam"),
    "VGG16": (32, "adamw"),
    "Xception": (71, "adam"),
}
# How many times as far as Keras's the layer's weights may be from those of double precision, and how far in any case, as a part
# of the way that they went. Both distances are of roundings, which differ between processors.
FACTOR, LEAST = 8, 1e-4


def rule(name):
    import keras

    rules = keras.optimizers
    make = {
        "adam": rules.Adam,
        "adamw": rules.AdamW,
        "rmsprop": rules.RMSprop,
        "momentum": lambda: rules.SGD(momentum=0.9),
    }
    return make[name]()


def network(name, size, seed):
    """The model and its features. Batch norms have statistics of their own inputs: without these, features of random weights
    vanish or grow beyond all bounds."""
    import keras

    keras.utils.set_random_seed(seed)
    shape = (size, size, 3)
    features = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=shape, pooling="avg")
    drawn = np.random.default_rng(seed).uniform(-1, 1, (8, *shape)).astype(keras.backend.floatx())
    for layer in features.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    features(drawn, training=True)
    features.trainable = False
    inputs = keras.Input(shape, name="x")
    head = keras.layers.Dense(CLASSES, activation="softmax", name="classes")
    return keras.Model(inputs, head(features(inputs, training=False))), head


def trained(model, optimizer, x, y):
    """The losses of the steps that an optimizer of Keras makes."""
    import keras
    import tensorflow as tf

    loss_of = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=False))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    optimizer.build(model.trainable_variables)
    return [float(step(x[at : at + BATCH], y[at : at + BATCH])) for at in range(0, len(x), BATCH)]


def in_double(name, size, weights, how, x, y):
    """The head that the same steps in double precision leave."""
    import keras

    double, single = "float64", "float32"
    keras.backend.set_floatx(double)
    keras.config.set_dtype_policy(double)
    try:
        model, head = network(name, size, 11)
        model.set_weights(weights)
        trained(model, rule(how), x.astype(np.float64), y)
        return [v.numpy() for v in head.variables]
    finally:
        keras.backend.set_floatx(single)
        keras.config.set_dtype_policy(single)


def variables(folder):
    """By key what a SavedModel stores."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    numbers = {key for key, dtype in reader.get_variable_to_dtype_map().items() if dtype.is_floating}
    return {key: reader.get_tensor(key) for key in numbers}


def check(smc, name, folder):
    size, how = APPLICATIONS[name]
    rng = np.random.default_rng(len(name))
    x = rng.uniform(-1, 1, (STEPS * BATCH, size, size, 3)).astype(np.float32)
    y = rng.integers(0, CLASSES, STEPS * BATCH)
    model, head = network(name, size, 11)
    before, weights = [v.numpy() for v in head.variables], model.get_weights()
    model.export(str(folder / "model"), verbose=False)
    losses = trained(model, rule(how), x, y)
    after = [v.numpy() for v in head.variables]
    exact = in_double(name, size, weights, how, x, y)

    np.savez(folder / "data.npz", x=x, target=y)
    command = [smc, "train", folder / "model", "--data", folder / "data.npz", "--loss", "sparse_categorical_crossentropy"]
    command += ["--optimizer", how, "--batch", BATCH, "--no-shuffle", "--json", "--quiet", "-o", folder / "tuned"]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode:
        raise Wrong(ran.stderr.strip())
    loss = json.loads(ran.stdout.splitlines()[0])["loss"]
    if abs(loss - np.mean(losses)) > 1e-4 * abs(np.mean(losses)):
        raise Wrong(f"the loss is {loss}, that of Keras {np.mean(losses)}")

    old, new = variables(folder / "model"), variables(folder / "tuned")
    learned = [key for key in old if not np.array_equal(old[key], new[key], equal_nan=True)]
    # Exports store some variables under two keys.
    if sorted({new[key].shape for key in learned}) != sorted(v.shape for v in after) or old.keys() != new.keys():
        raise Wrong(f"{len(learned)} variables changed: {', '.join(sorted(learned)[:4])}")
    worst = []
    for key in learned:
        began, theirs, right = next(of for of in zip(before, after, exact) if of[0].shape == new[key].shape)
        part = lambda values: float(np.linalg.norm(values - right) / np.linalg.norm(right - began))
        worst.append((part(new[key]), part(theirs)))
        if not worst[-1][0] <= max(FACTOR * worst[-1][1], LEAST):
            raise Wrong(f"the head is {worst[-1][0]:.1e} of its way from the right one, Keras's {worst[-1][1]:.1e}")
    ours, theirs = max(worst)
    stayed = len(old) - len(learned)
    return f"{how}, {stayed} stored variables stayed, the head is {ours:.1e} of its way from the right one, Keras's {theirs:.1e}"


if __name__ == "__main__":
    sys.exit(pages.run(__doc__, "head", APPLICATIONS, check))
