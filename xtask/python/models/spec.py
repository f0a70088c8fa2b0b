"""How a parity model is declared: a builder, the routes by which it is saved, and what its inputs hold."""

import dataclasses
import os
import typing

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


@dataclasses.dataclass
class Model:
    """`build` returns what the route saves. `feeds` gives the range of an input whose name contains the key; `free` is the size of
    the unknown dimensions beyond the first."""

    name: str
    route: str
    build: typing.Callable
    file: str
    feeds: dict
    free: int
    batches: tuple


MODELS: list[Model] = []


def model(name, *routes, feeds=None, free=6, batches=(1, 3, 17)):
    """Declare a model, saved by each of the routes:

    - `saved_model`: `tf.saved_model.save(keras_model, path)`
    - `export`: `keras_model.export(path)`
    - `legacy`: `tf_keras_model.save(path, save_format="tf")`
    - `frozen`: variables turned into constants, one signature, written by the TF1 builder
    - `module`: the builder returns a `tf.Module` and its signatures
    - `tf1`: the builder writes the SavedModel itself, from a TF1 session
    """

    def declare(build):
        for route in routes:
            MODELS.append(Model(name, route, build, build.__code__.co_filename, feeds or {}, free, batches))
        return build

    return declare


def randomise(keras_model, seed=7):
    """Give biases and batch-norm statistics values that matter; fresh ones are zeros and ones, which hide mistakes."""
    rng = np.random.default_rng(seed)
    for weight in keras_model.weights:
        kind = getattr(weight, "path", weight.name).split("/")[-1].split(":")[0]
        if kind in ("gamma", "moving_variance", "variance", "scale"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape).astype(np.float32))
        elif kind in ("beta", "bias", "moving_mean", "mean"):
            weight.assign(rng.normal(0, 0.2, weight.shape).astype(np.float32))
    return keras_model


def freeze(function):
    """A concrete function's graph with its variables as constants and its calls inlined; branches and loops stay functions."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # As frames, loops could not be evaluated node by node.
    return convert_variables_to_constants_v2(function, lower_control_flow=False)


def save_frozen(keras_model, path):
    import tensorflow as tf

    specs = [tf.TensorSpec(i.shape, i.dtype, name=i.name) for i in keras_model.inputs]
    frozen = freeze(tf.function(lambda *inputs: keras_model(list(inputs), training=False)).get_concrete_function(*specs))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        info = tf.compat.v1.saved_model.utils.build_tensor_info
        tensors = graph.get_tensor_by_name
        signature = tf.compat.v1.saved_model.signature_def_utils.build_signature_def(
            {t.op.name: info(tensors(t.name)) for t in frozen.inputs},
            {f"output_{i}": info(tensors(t.name)) for i, t in enumerate(frozen.outputs)},
            "tensorflow/serving/predict",
        )
        builder = tf.compat.v1.saved_model.Builder(path)
        with tf.compat.v1.Session(graph=graph) as session:
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def save(entry, path):
    """Build the model and write its SavedModel."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(11)
    if entry.route == "tf1":
        return entry.build(path)
    built = entry.build()
    if entry.route == "module":
        return tf.saved_model.save(built[0], path, signatures=built[1])
    randomise(built)
    if entry.route == "saved_model":
        return tf.saved_model.save(built, path)
    if entry.route == "export":
        return built.export(path, verbose=False)
    if entry.route == "legacy":
        return built.save(path, save_format="tf")
    return save_frozen(built, path)
