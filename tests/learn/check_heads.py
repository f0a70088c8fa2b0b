"""Loads in TensorFlow the models with new heads that `SMC_HEADS_TO=DIR cargo test -p smc-tests --test heads` writes, and compares
what they infer, restore and save with what numpy says of their checkpoints: `python check_heads.py DIR`. By name of a model's
folder, such as `export@7:softmax`, what it was made of."""

import math
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

LAST = {"linear": "linear", "gelu": "gelu", "module": "linear"}
X = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


def stored(folder):
    """The tensors of a checkpoint that an inference reads, by shape."""
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    found = {}
    for key, shape in reader.get_variable_to_shape_map().items():
        if "Adam" not in key and "optimizer" not in key and shape and len(shape) <= 2:
            value = reader.get_tensor(key)
            if value.dtype == np.float32:
                old = found.setdefault(tuple(shape), value)
                assert np.array_equal(old, value) or len(shape) == 1, (folder, key)
    return found


def expected(folder, units, activation):
    by_shape = stored(folder)
    first = "tanh" if "separate" in folder.name else "relu"
    y = ACTIVATIONS[first](X.astype(np.float64) @ by_shape[6, 5] + by_shape.get((5,), 0))
    y = y @ by_shape[5, units] + (0 if "linear@" in folder.name and folder.name.startswith("linear") else by_shape[units,])
    return ACTIVATIONS[activation](y)


def compare(what, ours, theirs):
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape, f"{what}: {ours.shape} is not {theirs.shape}"
    assert np.allclose(ours, theirs, 1e-5, 1e-6), f"{what}: {ours} is not {theirs}"


def check(folder):
    name, head = folder.name.split("@")
    units, _, activation = head.partition(":")
    units, activation = int(units), activation or LAST.get(name, "softmax")
    theirs = expected(folder, units, activation)
    model = tf.saved_model.load(str(folder))
    for key, signature in model.signatures.items():
        if key == "__saved_model_init_op":
            continue
        outputs = {k: v for k, v in signature(tf.constant(X)).items() if k != "classes"}
        (output,) = outputs.values()
        compare(f"{folder.name} {key}", output, theirs)
        (declared,) = [s for k, s in signature.structured_outputs.items() if k != "classes"]
        assert declared.shape[-1] == units, f"{folder.name} {key}: {declared}"
    if callable(model):
        result = model(tf.constant(X)) if name != "keras_2_separate" else model(tf.constant(X), training=False)
        compare(f"{folder.name} called", tf.nest.flatten(result)[0], theirs)
    # Functions that no signature calls load too, and keep their shapes apart.
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint="serving_default")
    compare(f"{folder.name} TFSMLayer", {k: v for k, v in layer(X).items() if k != "classes"}.popitem()[1], theirs)
    # As TensorFlow Serving loads it.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serving_default"]
        (source,), outputs = signature.inputs.values(), {k: v for k, v in signature.outputs.items() if k != "classes"}
        (output,) = outputs.values()
        if name != "save":
            compare(f"{folder.name} in a session", session.run(output.name, {source.name: X}), theirs)
        if loaded.saver_def.save_tensor_name:
            with tempfile.TemporaryDirectory() as there:
                saver = tf.compat.v1.train.Saver(saver_def=loaded.saver_def)
                session.run(loaded.saver_def.save_tensor_name, {loaded.saver_def.filename_tensor_name: there + "/again"})
                again = tf.train.load_checkpoint(there + "/again").get_variable_to_shape_map()
                assert [5, units] in again.values(), again
    # What TensorFlow saves of it has the new head too.
    if not name.startswith(("version_1", "references")):
        with tempfile.TemporaryDirectory() as there:
            tf.saved_model.save(model, there, signatures=model.signatures["serving_default"])
            again = tf.saved_model.load(there).signatures["serving_default"](tf.constant(X))
            compare(f"{folder.name} saved again", list(again.values())[0], theirs)


def verdict(folders, check):
    """Prints a line for each folder, and ends the process with what they come to."""
    wrong, folders = [], sorted(folders)
    for folder in folders:
        try:
            check(folder)
            print(f"{folder.name}: ok", flush=True)
        except Exception as problem:
            wrong.append(folder.name)
            print(f"{folder.name}: {type(problem).__name__}: {str(problem)[:1500]}", flush=True)
    print(f"{len(folders)} models, {len(wrong)} wrong: {' '.join(wrong)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    verdict((folder for folder in pathlib.Path(sys.argv[1]).iterdir() if not folder.name.startswith("odd")), check)
