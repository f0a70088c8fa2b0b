"""Eleven small models that probe a compiler of SavedModels; README's table says who passes which. `smc` refuses three by name."""

import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from .programs import F32, I32, I64, numbers
from .spec import model

v1 = tf.compat.v1


def served(*calls):
    """Calls of `serving_default`, each with its inputs by name."""
    return tuple(("serving_default", {key: np.asarray(value) for key, value in feeds.items()}) for feeds in calls)


def variable(*shape, seed=1):
    return tf.Variable(np.random.default_rng([seed, *shape]).normal(0, 0.3, shape).astype(np.float32))


def spec(shape, dtype=F32, name="x"):
    return tf.TensorSpec(shape, dtype, name)


def perceptron(batch):
    module = tf.Module()
    module.w, module.b, module.v = variable(8, 16), variable(16), variable(16, 4)

    @tf.function(input_signature=[spec([batch, 8])])
    def serve(x):
        return {"y": tf.nn.softmax(tf.nn.relu(x @ module.w + module.b) @ module.v)}

    return module, serve


model("probe_mlp_static", "module", calls=served(*({"x": numbers(1, 8, seed=s)} for s in range(3))))(lambda: perceptron(1))
model("probe_mlp_open_batch", "module", calls=served(*({"x": numbers(n, 8)} for n in (1, 5, 0))))(lambda: perceptron(None))


@model("probe_cnn", "module", calls=served(*({"x": numbers(1, 28, 28, 1, seed=s)} for s in range(3))))
def probe_cnn():
    module = tf.Module()
    module.first, module.second, module.head = variable(3, 3, 1, 16), variable(3, 3, 16, 32), variable(1568, 10)

    @tf.function(input_signature=[spec([1, 28, 28, 1])])
    def serve(x):
        x = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, module.first, 1, "SAME")), 2, 2, "SAME")
        x = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, module.second, 1, "SAME")), 2, 2, "SAME")
        return {"y": tf.nn.softmax(tf.reshape(x, [1, 1568]) @ module.head)}

    return module, serve


@model("probe_counter", "module", calls=served(*({"x": np.float32(4)},) * 3), state=True)
def probe_counter():
    """Called three times it says 4, 8 and 12."""
    module = tf.Module()
    module.total = tf.Variable(0.0)

    @tf.function(input_signature=[spec([])])
    def serve(x):
        return {"y": module.total.assign_add(x)}

    return module, serve


@model("probe_hash_table", "module", calls=served({"word": ["one", "three"]}), finer=False)
def probe_hash_table():
    module = tf.Module()
    pairs = tf.lookup.KeyValueTensorInitializer(["one", "two"], [1.0, 2.0])
    module.table = tf.lookup.StaticHashTable(pairs, -1.0)

    @tf.function(input_signature=[spec([None], tf.string, "word")])
    def serve(word):
        return {"y": module.table.lookup(word)}

    return module, serve


@model("probe_while", "module", calls=served(*({"x": numbers(4, seed=n), "n": np.int32(n)} for n in (0, 1, 6))))
def probe_while():
    module = tf.Module()
    module.w = variable(4, 4)

    @tf.function(input_signature=[spec([4]), spec([], I32, "n")])
    def serve(x, n):
        step = lambda i, x: (i + 1, tf.tanh(tf.linalg.matvec(module.w, x)))
        return {"y": tf.while_loop(lambda i, x: i < n, step, (0, x))[1]}

    return module, serve


@model("probe_tf1_partitioned", "builder", calls=served(*({"x": numbers(n, 6)} for n in (2, 1, 0))))
def probe_tf1_partitioned():
    x = v1.placeholder(F32, [None, 6], "x")
    with v1.variable_scope("model", partitioner=v1.fixed_size_partitioner(3)):
        w = v1.get_variable("w", shape=[6, 6], initializer=v1.random_normal_initializer(stddev=0.4, seed=1), use_resource=False)
    w = tf.convert_to_tensor(w)
    _, y = v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(tf.matmul(y, w))), [0, x])
    return {"serving_default": ({"x": x}, {"y": y})}


def layers(*chosen, shape):
    import keras

    x = keras.Input(shape, name="x")
    y = x
    for layer in chosen:
        y = layer(keras.layers)(y)
    return keras.Model(x, {"y": y})


BATCHES = served(*({"x": numbers(n, 6)} for n in (1, 3, 17)))
model("probe_keras_batch_norm", "export", file=__file__, calls=BATCHES)(
    lambda: layers(lambda L: L.Dense(8, "relu"), lambda L: L.BatchNormalization(), lambda L: L.Dense(3), shape=(6,))
)
SEQUENCES = served(*({"x": numbers(n, 5, 6)} for n in (1, 3, 2)))
model("probe_keras_lstm", "export", file=__file__, calls=SEQUENCES)(lambda: layers(lambda L: L.LSTM(8), lambda L: L.Dense(3), shape=(5, 6)))


@model("probe_vocabulary", "module", calls=served({"word": ["cat", "cow"]}, {"word": ["bird"]}), finer=False)
def probe_vocabulary():
    """Words are looked up in a file, unknown ones hashed; rows of a table follow."""
    module = tf.Module()
    file = pathlib.Path(tempfile.mkdtemp()) / "words.txt"
    file.write_text("cat\ndog\nbird\n")
    words = tf.lookup.TextFileInitializer(str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, I64, tf.lookup.TextFileIndex.LINE_NUMBER)
    module.table, module.rows = tf.lookup.StaticVocabularyTable(words, 2), variable(5, 3)

    @tf.function(input_signature=[spec([None], tf.string, "word")])
    def serve(word):
        return {"y": tf.gather(module.rows, module.table.lookup(word))}

    return module, serve


LESSONS = (*(("train", {"x": numbers(4, 3, seed=s), "y": numbers(4, 1, seed=s)}) for s in range(3)), ("infer", {"x": numbers(2, 3)}))


@model("probe_train_and_infer", "module", calls=(("infer", {"x": numbers(2, 3)}), *LESSONS), state=True)
def probe_train_and_infer():
    """A signature that trains by a tape and an optimiser's update, and one that infers with the same variables."""
    module = tf.Module()
    module.w, module.v = variable(3, 8), variable(8, 1)

    @tf.function(input_signature=[spec([None, 3])])
    def infer(x):
        return {"y": tf.nn.relu(x @ module.w) @ module.v}

    @tf.function(input_signature=[spec([None, 3]), spec([None, 1], name="y")])
    def train(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.math.squared_difference(infer(x)["y"], y))
        for v, gradient in zip((module.w, module.v), tape.gradient(loss, [module.w, module.v])):
            tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=0.1, delta=gradient)
        return {"loss": loss}

    return module, {"train": train, "infer": infer}
