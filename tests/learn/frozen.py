"""Models with a frozen first layer, as each way of saving tells of it: no variable's own flag does.

    python frozen.py
"""

import os
import pathlib
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
import tf_keras

HERE = pathlib.Path(__file__).parent / "frozen"


def network(of):
    """A frozen layer, a batch normalisation with statistics, and a head, in Keras 3 or 2."""
    keras.utils.set_random_seed(1)
    tf_keras.utils.set_random_seed(1)
    layers = of.layers
    model = of.Sequential([layers.Input((3,)), layers.Dense(4, name="still"), layers.BatchNormalization(name="norm"), layers.Dense(2, name="head")])
    model.layers[0].trainable = False
    return model


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    network(keras).export(str(HERE / "exported"), verbose=False)
    compiled = network(keras)
    compiled.compile("adam", "mse")
    compiled.optimizer.build(compiled.trainable_variables)
    tf.saved_model.save(compiled, str(HERE / "compiled"))
    network(tf_keras).save(str(HERE / "keras_2"))
    whole = network(keras)
    whole.trainable = False
    whole.export(str(HERE / "whole"), verbose=False)


if __name__ == "__main__":
    main()
