"""Makes the model of this example and the answers of TensorFlow: builds the operators for TensorFlow, as its users do, and
calls them in a Keras layer and in functions.

python make.py (with TensorFlow, Keras 3 and a C++ compiler)
"""

import pathlib
import shutil
import subprocess
import tempfile

import keras
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent


def operators():
    """The operators of tensorflow_op.cc, in this process."""
    library = pathlib.Path(tempfile.mkdtemp()) / "operators.so"
    flags = tf.sysconfig.get_compile_flags() + tf.sysconfig.get_link_flags()
    source = str(HERE / "tensorflow_op.cc")
    subprocess.run(["g++", "-w", "-O1", "-shared", "-fPIC", source, "-o", str(library), *flags], check=True)
    return tf.load_op_library(str(library))


OPERATORS = operators()


class LeakyClip(keras.layers.Layer):
    """A layer of a custom operator."""

    def __init__(self, limit, **others):
        super().__init__(**others)
        self.limit = limit

    def call(self, x):
        return OPERATORS.example_leaky_clip(x, limit=self.limit)


def model():
    keras.utils.set_random_seed(0)
    x = keras.Input((4,), name="x")
    hidden = LeakyClip(1.5, name="clip")(keras.layers.Dense(8, name="first")(x))
    return keras.Model(x, keras.layers.Dense(3, name="last")(hidden))


def main():
    exported = keras.export.ExportArchive()
    network = model()
    exported.track(network)
    vector = tf.TensorSpec([None], tf.int32, name="x")
    rows = tf.TensorSpec([None, 4], tf.float32, name="x")

    def runs(x):
        values, lengths = OPERATORS.example_runs(x)
        return {"values": values, "lengths": lengths, "doubled": 2 * values}

    def noted(x):
        OPERATORS.example_note(x, tag="first")
        y = OPERATORS.example_leaky_clip(x, limit=1.0, slope=0.5)
        OPERATORS.example_note(y, tag="second")
        return {"y": y}

    exported.add_endpoint("serve", lambda x: {"y": network(x)}, input_signature=[rows])
    exported.add_endpoint("runs", runs, input_signature=[vector])
    exported.add_endpoint("noted", noted, input_signature=[rows])
    shutil.rmtree(HERE / "model", ignore_errors=True)
    exported.write_out(str(HERE / "model"), verbose=False)
    loaded = tf.saved_model.load(str(HERE / "model"))
    drawn = np.random.default_rng(0)
    given = {
        "serve": drawn.normal(0, 3, (5, 4)).astype(np.float32),
        "runs": np.array([3, 3, 3, 0, 7, 7, 3], np.int32),
        "noted": np.array([[-4, -1, 0, 0.5]], np.float32),
    }
    for name, x in given.items():
        y = loaded.signatures[name](x=tf.constant(x))
        arrays = {f"in:x": x, **{f"out:{key}": value.numpy() for key, value in y.items()}}
        np.savez(HERE / f"{name}.npz", **arrays)


main()
