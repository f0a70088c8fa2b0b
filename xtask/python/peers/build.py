"""Build what the engines load: for each subject a SavedModel, and for each batch its input, TensorFlow's answer, and the model as
LiteRT, ONNX and IREE take it; of a step of training, whose answer are losses, as LiteRT does. What is there and was made from the
same sources is kept.

    python build.py --cache DIR [--batches 1,8] [--iree] NAME...
"""

import argparse
import hashlib
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import models
import signature
import training

for chatty in ("tensorflow", "tf2onnx", "absl"):
    logging.getLogger(chatty).setLevel(logging.ERROR)
HERE = pathlib.Path(__file__).resolve().parent


def stamp(subject):
    """What a subject in the cache depends on."""
    digest = hashlib.sha256()
    of_training = ("training.py", "signature.py") if subject.kind == "training" else ()
    for name in ("subject.py", "models.py", "sequences.py", "build.py", "requirements.txt", *of_training):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def feed(subject, batch):
    rng = np.random.default_rng([zlib.crc32(subject.name.encode()), batch])
    if subject.dtype == "int32":
        return rng.integers(*subject.range, subject.input_shape(batch), np.int32)
    return rng.uniform(*subject.range, subject.input_shape(batch)).astype(np.float32)


def fixed(folder, x):
    """The model's signature as a function of one tensor of the shape and type of `x`, with its variables as constants."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]
    (key,) = signature.structured_input_signature[1]
    (output,) = signature.structured_outputs
    return frozen(lambda x: signature(**{key: x})[output], x)


def traced(file, x):
    """The same of a Keras model that is traced anew: the lists of its loops have that shape too, which LiteRT asks for."""
    import keras

    return frozen(keras.models.load_model(file), x)


def frozen(compute, x):
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    @tf.function(input_signature=[tf.TensorSpec(x.shape, x.dtype, name="x")])
    def call(x):
        return tf.identity(compute(x), name="y")

    # Loops stay functions, which the converters know; as frames they would be opaque to them.
    return convert_variables_to_constants_v2(call.get_concrete_function(), lower_control_flow=False)


def without_erfc(onnx_model):
    """ONNX has Erf, but no Erfc: 1 - erf(x) takes its place."""
    import onnx

    graph, nodes = onnx_model.graph, []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf, one = f"{node.output[0]}/erf", f"{node.output[0]}/one"
        graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1), one))
        nodes.append(onnx.helper.make_node("Erf", node.input, [erf]))
        nodes.append(onnx.helper.make_node("Sub", [one, erf], node.output))
    del graph.node[:]
    graph.node.extend(nodes)
    return onnx_model


def to_litert(function, path):
    import tensorflow as tf

    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())


def by_hand(subject, folder, batch, path):
    import onnx

    with np.load(folder / "weights.npz") as weights:
        onnx.save(subject.node(dict(weights), batch), str(path))


def to_onnx(function, path):
    import onnx
    import tf2onnx

    graph = function.graph.as_graph_def()
    names = [t.name for t in function.inputs], [t.name for t in function.outputs]
    # ONNX lacks Erfc; an operator of a domain of its own stands for it until it is replaced.
    keep = {"Erfc": (lambda context, node, name, args: node, [])}
    model, _ = tf2onnx.convert.from_graph_def(graph, input_names=names[0], output_names=names[1], opset=17, custom_op_handlers=keep)
    onnx.save(without_erfc(model), str(path))


def to_iree(source, path):
    bin = pathlib.Path(sys.executable).parent
    mlir = path.with_suffix(".mlir")
    for command in (
        [bin / "iree-import-onnx", source, "-o", mlir, "--opset-version", "17"],
        [bin / "iree-compile", mlir, "-o", path, "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu"]
        + ["--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise RuntimeError(f"{command[0].name}: {lines[-1] if len(lines) == 1 else lines[0]}"[:300])
    mlir.unlink()


def attempt(problems, path, make, *arguments):
    """Makes a file; what goes wrong is that engine's problem, not the comparison's."""
    try:
        make(*arguments, path)
    except Exception as error:
        problems[path.name] = " ".join(f"{type(error).__name__}: {error}".split())[:160]


def for_inference(subject, folder, batch, problems):
    import tensorflow as tf

    prefix, file, x = folder / f"b{batch}", folder / "model.keras", feed(subject, batch)
    function = fixed(folder / "model", x)
    np.save(f"{prefix}.in.npy", x)
    np.save(f"{prefix}.out.npy", np.asarray(function(tf.constant(x))[0]))
    attempt(problems, prefix.with_suffix(".tflite"), to_litert, traced(file, x) if file.exists() else function)
    to = (by_hand, subject, folder, batch) if subject.node else (to_onnx, function)
    attempt(problems, prefix.with_suffix(".onnx"), *to)


def for_training(subject, folder, batch, problems):
    prefix, file, x, y = folder / f"b{batch}", folder / "model.keras", feed(subject, batch), training.targets(subject)
    np.save(f"{prefix}.in.npy", x)
    np.save(f"{prefix}.target.npy", y)
    np.save(f"{prefix}.out.npy", training.reference(file, x, y))
    attempt(problems, prefix.with_suffix(".tflite"), signature.to_litert, file, x, y)


def build(subject, folder, batches, with_iree):
    made = json.loads((folder / "facts.json").read_text()) if (folder / "facts.json").exists() else {}
    if made.get("stamp") != stamp(subject):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subject.make(folder / "model")
        made = {"stamp": stamp(subject), "kind": subject.kind, "family": subject.family, "title": subject.title, "work": subject.work}
        made |= {"batch": subject.batch, "train_options": subject.train_options, "batches": [], "problems": {}}
    for batch in subject.batches(batches):
        if batch not in made["batches"]:
            (for_training if subject.kind == "training" else for_inference)(subject, folder, batch, made["problems"])
            made["batches"].append(batch)
        iree = folder / f"b{batch}.vmfb"
        # Its compiler takes half a minute for each of the large networks.
        if with_iree and batch == 1 and subject.kind == "network" and not iree.exists() and iree.name not in made["problems"]:
            attempt(made["problems"], iree, to_iree, iree.with_suffix(".onnx"))
    (folder / "facts.json").write_text(json.dumps(made, indent=1))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--iree", action="store_true")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    batches = [int(n) for n in options.batches.split(",")]
    subjects = {subject.name: subject for subject in models.SUBJECTS}
    # The tools say on the error stream what they please.
    say = os.fdopen(os.dup(2), "w", buffering=1)
    log = options.cache / "build.log"
    with open(log, "w") as file:
        os.dup2(file.fileno(), 2)
    for count, name in enumerate(options.names, 1):
        begin = time.monotonic()
        try:
            made = build(subjects[name], options.cache / name, batches, options.iree)
        except Exception as error:
            print(f"  {name} cannot be built, see {log}: {type(error).__name__}: {error}", file=say)
            raise
        took = time.monotonic() - begin
        if took > 0.5:
            print(f"  [{count}/{len(options.names)}] {name}: {took:.0f} s", flush=True)
        for file, problem in made["problems"].items():
            print(f"  {name}: no {file}: {problem}", file=say)


if __name__ == "__main__":
    main()
