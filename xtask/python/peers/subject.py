"""What a subject of the benchmarks is, and how Keras models become some.

Weights are random but sensible: batch normalisation has the statistics of its own inputs, so that activations neither die
nor explode, and outputs say something about the computation before them.
"""

import dataclasses
import os
import typing

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


@dataclasses.dataclass
class Subject:
    """`make(folder)` writes a SavedModel whose signature `serving_default` has one input and one output. `shape` is the input's
    without the batch for networks, whole for operations; its values are uniform in `range`. `work` gives the floating-point
    operations and the bytes that one call has to move at least, of operations alone. `family` is what its ratios are averaged with,
    beside all networks. `node(weights, batch)` makes an ONNX model by hand, in place of what a converter makes. A step of training has
    a batch of its own, classes, and options of `smc compile --train`; the others leave these alone."""

    name: str
    kind: str
    title: str
    shape: tuple
    range: tuple
    make: typing.Callable
    work: dict | None = None
    family: str = ""
    dtype: str = "float32"
    node: typing.Callable | None = None
    batch: int = 1
    classes: int = 0
    train_options: list = dataclasses.field(default_factory=list)

    def input_shape(self, batch):
        return self.shape if self.kind == "operation" else (batch, *self.shape)

    def batches(self, asked):
        """Those that it is measured with."""
        return asked if self.kind == "network" else (self.batch,)


SUBJECTS: list[Subject] = []


def keras_model(name, title, shape, range, build, **more):
    """Declare what `build` returns. Of a member of a family the model is kept as Keras keeps it too, and its weights by their
    paths: converters and ONNX graphs are made of them."""

    def make(folder):
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(3)
        model = settle(build(), shape, range)
        tf.saved_model.save(model, str(folder))
        if more.get("family"):
            model.save(folder.parent / "model.keras")
            np.savez(folder.parent / "weights.npz", **{w.path: w.numpy() for w in model.weights})

    SUBJECTS.append(Subject(name, "network", title, shape, range, make, **more))


def network(title, shape, range=(0.0, 1.0), **more):
    """Declare a network by a function that returns a Keras model."""

    def declare(build):
        keras_model(build.__name__, title, shape, range, build, **more)
        return build

    return declare


def settle(model, shape, bounds):
    """Give scales, offsets and biases values that matter, and batch normalisation the statistics of random inputs."""
    import keras

    rng = np.random.default_rng(5)
    for weight in model.weights:
        kind = weight.path.split("/")[-1]
        if kind == "gamma":
            weight.assign(rng.uniform(0.8, 1.2, weight.shape).astype(np.float32))
        elif kind in ("beta", "bias"):
            weight.assign(rng.normal(0, 0.1, weight.shape).astype(np.float32))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if norms:
        momenta = [layer.momentum for layer in norms]
        for layer in norms:
            layer.momentum = 0.0
        model(rng.uniform(*bounds, (4, *shape)).astype(np.float32), training=True)
        for layer, momentum in zip(norms, momenta):
            layer.momentum = momentum
    return model
