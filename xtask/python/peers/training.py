"""Steps of training that are measured: Keras models saved for inference, with inputs and targets that stay the same.

A step is forward, backward and Adam with Keras' defaults, by sparse categorical cross-entropy. What Keras' own eager training
finds as losses of the first steps is the reference for every engine.
"""

import zlib

import numpy as np

from sequences import attention
from subject import SUBJECTS, Subject, settle

# The losses of so many steps are compared before anything is measured.
STEPS = 5
# The layer that holds what is frozen.
FEATURES = "features"


def step(title, batch, shape, range=(-1.0, 1.0), classes=10, options=()):
    """Declare a step by a function that returns a Keras model, which ends in probabilities. `options` are for `smc compile --train`."""

    def declare(build):
        def make(folder):
            import keras
            import tensorflow as tf

            keras.utils.set_random_seed(3)
            model = settle(build(), shape, range)
            # Saved before it is compiled: for inference alone.
            tf.saved_model.save(model, str(folder))
            model.save(folder.parent / "model.keras")
            np.savez(folder.parent / "weights.npz", **{w.path: w.numpy() for w in model.weights})

        name = build.__name__
        subject = Subject(name, "training", title, shape, range, make, batch=batch, classes=classes, train_options=list(options))
        SUBJECTS.append(subject)
        return build

    return declare


def targets(subject):
    """The class of each example."""
    rng = np.random.default_rng([zlib.crc32(subject.name.encode()), 7])
    return rng.integers(0, subject.classes, subject.batch, np.int64)


def reference(file, x, y):
    """The losses of the first steps in Keras, one operation at a time."""
    import keras

    model = keras.models.load_model(file)
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    losses = []
    for _ in range(STEPS):
        # What it returns is a mean since then.
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y)))
    return np.array(losses, np.float32)


def parts(model, x):
    """A Keras model as a function, and the variables that learn. A layer of frozen features is a function with its variables as
    constants, for inputs as `x` is."""
    learned = model.trainable_variables
    if FEATURES not in (layer.name for layer in model.layers):
        return lambda x: model(x, training=False), learned
    from build import frozen

    features, head = frozen(model.get_layer(FEATURES), x), model.layers[-1]
    return lambda x: head(features(x)[0]), learned


def mlp():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((784,))
    x = L.Dense(128, activation="relu", name="hidden")(x)
    return keras.Model(inputs, L.Dense(10, activation="softmax", name="classes")(x))


@step("MNIST MLP 784-128-10, batch 1", 1, (784,), (0.0, 1.0))
def train_mlp_1():
    return mlp()


@step("MNIST MLP 784-128-10, batch 32", 32, (784,), (0.0, 1.0))
def train_mlp_32():
    return mlp()


@step("MNIST CNN without batch norm and dropout, batch 32", 32, (28, 28, 1), (0.0, 1.0))
def train_cnn_32():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((28, 28, 1))
    for n, filters in enumerate((16, 32)):
        x = L.MaxPooling2D(2)(L.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{n}")(x))
    x = L.Dense(128, activation="relu", name="hidden")(L.Flatten()(x))
    return keras.Model(inputs, L.Dense(10, activation="softmax", name="classes")(x))


@step("head of MobileNetV2, 96x96, features frozen, batch 16", 16, (96, 96, 3), classes=5, options=["--only", "classes"])
def train_mobilenet_head_16():
    import keras

    inputs = keras.Input((96, 96, 3))
    features = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None, pooling="avg", name=FEATURES)
    settle(features, (96, 96, 3), (-1.0, 1.0))
    features.trainable = False
    x = features(inputs, training=False)
    return keras.Model(inputs, keras.layers.Dense(5, activation="softmax", name="classes")(x))


def recurrent(kind, length, features):
    import keras
    from keras import layers as L

    inputs = keras.Input((length, features))
    x = {"lstm": L.LSTM, "gru": L.GRU}[kind](64, name="sequence")(inputs)
    return keras.Model(inputs, L.Dense(10, activation="softmax", name="classes")(x))


@step("LSTM 64 over 40 steps of 16, batch 32", 32, (40, 16))
def train_lstm_32():
    return recurrent("lstm", 40, 16)


@step("GRU 64 over 64 steps of 16, batch 32", 32, (64, 16))
def train_gru_32():
    return recurrent("gru", 64, 16)


@step("transformer encoder, 2 layers of 128, length 64, batch 8", 8, (64, 128), classes=2)
def train_transformer_8():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((64, 128))
    for _ in range(2):
        x = attention(x, 4)
    return keras.Model(inputs, L.Dense(2, activation="softmax", name="classes")(L.GlobalAveragePooling1D()(x)))
