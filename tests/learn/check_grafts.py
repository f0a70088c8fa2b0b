"""Loads in TensorFlow the models with new layers that `SMC_GRAFTS_TO=DIR cargo test -p smc-tests --test grafts` writes, and compares
what they infer, restore and save with the model that they were made of and what numpy says of their checkpoints:
`python check_grafts.py DIR`. By name of a model's folder, such as `heads+export@from=first,dense:4:tanh,head=3`, what it was made of."""

import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from check_heads import ACTIVATIONS, compare, verdict

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(0)
NUMBERS = {6: RNG.normal(size=(9, 6)).astype(np.float32), 3: RNG.normal(size=(9, 3)).astype(np.float32)}
WORDS = RNG.integers(0, 11, (9, 5)).astype(np.int32)
# What becomes of the cut value in the original, by model: the shapes of a kernel and a bias, and the activation. The first layer of the
# classifiers ends in its activation; in graphs of TensorFlow 1 that is not the layer's.
TAILS = {"linear": "linear", "module": "linear", "gelu": None}


def signature_of(folder):
    """The first signature and what loads it; models have to live as long as their functions."""
    model = tf.saved_model.load(str(folder))
    return model, model.signatures["serving_default"]


def original_outputs(name, x):
    model, signature = signature_of(HERE / name.replace("+", "/"))
    outputs = signature(tf.constant(x))
    return np.asarray(outputs["shares"] if "shares" in outputs and len(outputs) > 1 else [*outputs.values()][0])


def tensors(folder):
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def of_shape(all, shape):
    """A variable that no optimizer keeps."""
    own = (value for key, value in all.items() if not any(word in key for word in ("Adam", "optimizer", "SLOT")))
    return next(value for value in own if getattr(value, "shape", None) == shape and value.dtype == np.float32)


def inputs(signature):
    (spec,) = signature.structured_input_signature[1].values()
    return WORDS if spec.dtype == tf.int32 else NUMBERS[spec.shape[-1]]


def tail(name, value):
    """What the original gives for the value it was cut at; None where that is not one dense layer."""
    all = tensors(HERE / name.replace("+", "/"))
    if name == "recurrent":
        kernel, bias, activation = of_shape(all, (4, 3)), of_shape(all, (3,)), "softmax"
    else:
        base = name.removeprefix("heads+")
        activation = TAILS.get(base, "softmax")
        kernel, bias = of_shape(all, (5, 4)), 0 if base == "linear" else of_shape(all, (4,))
        value = ACTIVATIONS["relu"](value) if base == "references" else value
    return None if activation is None else ACTIVATIONS[activation](value.astype(np.float64) @ kernel + bias)


def layers(words):
    """The new layers: scope, units and activation. None stands for the replaced layer's."""
    found, appended = [], 0
    for word in words:
        if word.startswith("from="):
            continue
        is_head = word.startswith("head=")
        units, _, activation = word.split("=" if is_head else ":", 1)[1].partition(":")
        appended += not is_head
        found.append(("head" if is_head else f"appended_{appended}", int(units), activation or None))
    return found


def check(folder, root):
    name, _, text = folder.name.partition("@")
    words = text.split(",")
    cut = [word for word in words if word.startswith("from=")]
    new = layers(words)
    model, signature = signature_of(folder)
    x = inputs(signature)
    (ours,) = signature(tf.constant(x)).values()
    stored = tensors(folder)
    if new:
        if cut:
            value = [*signature_of(root / f"{name}@{cut[0]}")[1](tf.constant(x)).values()][0].numpy().astype(np.float64)
            old = "linear"
        elif new[-1][0] == "head":
            # Before the last layer.
            value = [*signature_of(root / f"{name}@from={'Relu' if name.endswith(('module', 'version_1')) else 'first'}")[1](tf.constant(x)).values()][0].numpy()
            old = TAILS.get(name.removeprefix("heads+"), "softmax")
        else:
            value, old = original_outputs(name, x), "linear"
        for scope, units, activation in new:
            kernel, bias = stored[f"{scope}/kernel"], stored[f"{scope}/bias"]
            assert kernel.shape[1] == units and np.abs(kernel).max() <= (6 / sum(kernel.shape)) ** 0.5 and not bias.any(), scope
            last = old if scope == "head" else "linear"
            value = ACTIVATIONS[activation or last](value @ kernel + bias)
        compare(folder.name, ours, value)
    elif name.startswith("heads") or text == "from=gru_1":
        theirs = tail(name, ours.numpy())
        if theirs is not None:
            compare(folder.name, theirs, original_outputs(name, x))
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint="serving_default")
    compare(f"{folder.name} TFSMLayer", [*layer(x).values()][0], ours.numpy())
    # As TensorFlow Serving loads it, and a saver of TensorFlow 1 saves it.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        definition = loaded.signature_def["serving_default"]
        (source,), (output,) = definition.inputs.values(), definition.outputs.values()
        compare(f"{folder.name} in a session", session.run(output.name, {source.name: x}), ours.numpy())
        variables = tf.compat.v1.global_variables()
        assert len(variables) == len(stored), (variables, [*stored])
        with tempfile.TemporaryDirectory() as there:
            session.run(loaded.saver_def.save_tensor_name, {loaded.saver_def.filename_tensor_name: there + "/again"})
            again = tf.train.load_checkpoint(there + "/again")
            for key, value in stored.items():
                assert np.array_equal(again.get_tensor(key), value), key
        # Without a checkpoint variables begin with zeros.
        session.run(tf.compat.v1.global_variables_initializer())
        assert not any(np.any(value) for value in session.run(variables))
    # What TensorFlow saves of it is the same. It does not save variables of references.
    if not name.endswith("references"):
        with tempfile.TemporaryDirectory() as there:
            tf.saved_model.save(model, there, signatures=signature)
            again = tf.saved_model.load(there).signatures["serving_default"](tf.constant(x))
            compare(f"{folder.name} saved again", [*again.values()][0], ours.numpy())


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1])
    verdict(root.iterdir(), lambda folder: check(folder, root))
