"""How programs of a test are declared, saved as the signatures of one SavedModel, and recorded."""

import json
import os
import pathlib
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
F16, F32, F64, I32, I64, BOOL = tf.float16, tf.float32, tf.float64, tf.int32, tf.int64, tf.bool
PROGRAMS = {}


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).normal(size=shape).round(3).astype(dtype)


def ints(*shape, low=-5, high=6, seed=0, dtype=np.int32):
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def program(*calls, **specs):
    """A function of the inputs `specs`, each a type and a shape, and calls of it."""

    def add(function):
        names = [tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in specs.items()]
        PROGRAMS[function.__name__] = (function, names, calls)
        return function

    return add


def text(value):
    """A string as cases have it."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}


def tensor(value):
    array = np.asarray(value)
    if array.dtype.kind in "OS":
        return {"dtype": "str", "shape": list(array.shape), "data": [text(value) for value in array.flatten().tolist()]}
    name = {"bool": "bool", "float16": "f16", "float32": "f32", "float64": "f64"}.get(array.dtype.name) or array.dtype.name.replace("uint", "u").replace("int", "i")
    element = lambda v: "NaN" if v != v else "Infinity" if v == np.inf else "-Infinity" if v == -np.inf else v
    data = [element(v) for v in (array.astype(np.float64) if array.dtype.kind == "f" else array).flatten().tolist()]
    return {"dtype": name, "shape": list(array.shape), "data": data}


def tensors(named):
    return {name: tensor(value) for name, value in named.items()}


def answer(function, inputs):
    """A call of a function with inputs by name, and what it gives or raises."""
    try:
        what = {"outputs": tensors(function(**{name: tf.constant(value) for name, value in inputs.items()}))}
    except (tf.errors.OpError, ValueError) as error:
        what = {"error": str(error).splitlines()[0][:120]}
    return {"inputs": tensors(inputs), **what}


def save(model, module, functions):
    path = HERE / model
    shutil.rmtree(path, ignore_errors=True)
    tf.saved_model.save(module, str(path), signatures=functions)
    shutil.rmtree(path / "assets", ignore_errors=True)
    (path / "fingerprint.pb").unlink(missing_ok=True)


def write(model, answers, folder=HERE):
    """What is recorded of a model, a program on a line."""
    lines = [f"{json.dumps(name)}: {json.dumps(answers[name])}" for name in answers]
    (folder / f"{model}.json").write_text("{" + ",\n".join(lines) + "}\n")


def make(model, names=(), keep=lambda module: None, entry=lambda name, calls: calls):
    """Saves the programs of these names, all for none, as a model and their calls beside it. `keep` hangs on a module what they use,
    `entry` makes of a program's name and calls what is written."""
    module, functions, answers = tf.Module(), {}, {}
    for name in names or PROGRAMS:
        function, specs, calls = PROGRAMS[name]
        functions[name] = tf.function(function, input_signature=specs)
        if not calls:
            continue
        made = [answer(functions[name], {spec.name: value for spec, value in zip(specs, call)}) for call in calls]
        answers[name] = entry(name, made)
        print(name, [list(a["outputs"]) if "outputs" in a else a["error"] for a in made][:2])
    keep(module)
    save(model, module, functions)
    write(model, answers)
