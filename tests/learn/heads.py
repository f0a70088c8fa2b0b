"""Saves small classifiers by every route of TensorFlow, each in a folder of `heads`: what `--head` has to change in a model
depends on how it was saved. `python heads.py` makes all of it again."""

import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent / "heads"
v1 = tf.compat.v1


def classifier(library, activation="softmax", bias=True):
    library.utils.set_random_seed(11)
    L = library.layers
    x = library.Input((6,), name="x")
    y = L.Dense(5, activation="relu", name="first")(x)
    return library.Model(x, L.Dense(4, activation=activation, use_bias=bias, name="last")(y))


def separate(library):
    """An activation that is a layer of its own, behind a layer that does nothing, and a penalty of the kernel."""
    library.utils.set_random_seed(12)
    L = library.layers
    layers = [
        library.Input((6,), name="x"),
        L.Dense(5, activation="tanh", name="first", kernel_regularizer="l2"),
        L.Dropout(0.5),
        L.Dense(4, name="last", kernel_regularizer="l2"),
        L.Activation("softmax", name="shares"),
    ]
    return library.Sequential(layers)


def version_1(folder, resource):
    """A graph with its training beside it, whose step and slots nobody serves."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(13)
        x = v1.placeholder(tf.float32, [None, 6], "x")
        labels = v1.placeholder(tf.int64, [None], "labels")

        def dense(value, units, name):
            with v1.variable_scope(name, use_resource=resource):
                kernel = v1.get_variable("kernel", [value.shape[-1], units], initializer=v1.glorot_uniform_initializer())
                bias = v1.get_variable("bias", [units], initializer=v1.zeros_initializer())
                return tf.matmul(value, kernel) + bias

        logits = dense(tf.nn.relu(dense(x, 5, "first")), 4, "last")
        shares = tf.nn.softmax(logits, name="shares")
        loss = v1.losses.sparse_softmax_cross_entropy(labels, logits)
        step = v1.train.AdamOptimizer(0.1).minimize(loss, v1.train.get_or_create_global_step())
        session.run(v1.global_variables_initializer())
        rng = np.random.default_rng(14)
        session.run(step, {x: rng.normal(size=(8, 6)), labels: rng.integers(0, 4, 8)})
        v1.saved_model.simple_save(session, str(folder), {"x": x}, {"shares": shares, "classes": tf.argmax(shares, 1)})


class Plain(tf.Module):
    """A module that is no Keras model: a function, with the step that trained it beside it."""

    def __init__(self):
        rng = np.random.default_rng(15)
        self.layers = [
            [tf.Variable(rng.normal(size=shape).astype(np.float32)), tf.Variable(rng.normal(size=shape[1:]).astype(np.float32))]
            for shape in [(6, 5), (5, 4)]
        ]

    @tf.function(input_signature=[tf.TensorSpec([None, 6], name="x")])
    def __call__(self, x):
        (a, b), (c, d) = self.layers
        return {"logits": tf.nn.relu(x @ a + b) @ c + d}


class Odd(tf.Module):
    """Signatures whose last layer cannot have other units, and why."""

    def __init__(self):
        self.kernel = tf.Variable(np.ones((6, 4), np.float32), name="kernel")
        self.square = tf.Variable(np.ones((6, 6), np.float32), name="square")
        self.names = tf.constant(["a", "b", "c", "d"])

    def signatures(self):
        def shared(x):
            return {"y": tf.nn.relu(x @ self.square) @ self.square}

        def nothing(x):
            return {"y": tf.reduce_sum(x, 1)}

        def reshaped(x):
            return {"y": tf.reshape(x @ self.kernel, [-1, 2, 2])}

        def named(x):
            return {"y": x @ self.kernel, "name": tf.gather(self.names, tf.argmax(x @ self.kernel, 1))}

        def weighed(x):
            return {"y": x @ self.kernel * tf.constant([1.0, 2.0, 3.0, 4.0])}

        def transposed(x):
            return {"y": tf.matmul(x, self.square, transpose_b=True)}

        def twice(x):
            return {"y": x @ self.kernel, "z": tf.reduce_sum(x[:, ::-1] @ self.kernel, 1)}

        def outputs(x):
            return {"y": x @ self.kernel, "z": x @ self.square}

        def two(x):
            return {"y": x @ self.kernel + x[:, ::-1] @ self.kernel}

        spec = [tf.TensorSpec([None, 6], name="x")]
        return {f.__name__: tf.function(f, input_signature=spec).get_concrete_function() for f in
                [shared, nothing, reshaped, named, weighed, transposed, twice, outputs, two]}


def main():
    if HERE.exists():
        shutil.rmtree(HERE)
    classifier(keras).export(str(HERE / "export"), verbose=False)
    classifier(keras, None, bias=False).export(str(HERE / "linear"), verbose=False)
    separate(keras).export(str(HERE / "separate"), verbose=False)
    tf.saved_model.save(classifier(keras), str(HERE / "save"))
    classifier(keras, "gelu").export(str(HERE / "gelu"), verbose=False)
    classifier(keras, "silu").export(str(HERE / "odd_silu"), verbose=False)
    version_1(HERE / "version_1", resource=True)
    version_1(HERE / "references", resource=False)
    module = Plain()
    tf.saved_model.save(module, str(HERE / "module"), signatures=module.__call__)
    odd = Odd()
    for name, function in odd.signatures().items():
        tf.saved_model.save(odd, str(HERE / f"odd_{name}"), signatures=function)
    try:
        import tf_keras
    except ImportError:
        print("without tf_keras")
        return
    net = classifier(tf_keras)
    # Its older form keeps slots, which objects and keys tie to their variables.
    net.compile(tf_keras.optimizers.legacy.Adam(), "sparse_categorical_crossentropy")
    net.fit(np.zeros((4, 6), np.float32), np.zeros(4), verbose=0)
    net.save(str(HERE / "keras_2"), save_format="tf")
    separate(tf_keras).save(str(HERE / "keras_2_separate"), save_format="tf")


if __name__ == "__main__":
    main()
