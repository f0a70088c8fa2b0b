"""Build one parity model, save it, and record for each signature and batch size what TensorFlow answers and what the truth is.

A model's folder holds `model/` and, for signature S and batch B: `S.B.in.npz` (inputs by key), `S.B.tf.npz` (TensorFlow's outputs) and
`S.B.true.npz` (the outputs in double precision). `facts.json` lists the signatures, batches and operators.

    python prepare.py CACHE NAME.ROUTE... CORPUS_FOLDER...
"""

import hashlib
import json
import os
import pathlib
import shutil
import sys
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def feed(name, spec, batch, entry):
    """Seeded values for one input, the same in every process."""
    shape = [batch if i == 0 and n is None else (entry.free if n is None else n) for i, n in enumerate(spec.shape.as_list())]
    rng = np.random.default_rng([zlib.crc32(f"{entry.name}/{name}".encode()), batch])
    low, high = next((bounds for key, bounds in entry.feeds.items() if key in name), (None, None))
    dtype = spec.dtype.as_numpy_dtype
    if spec.dtype.is_bool:
        return rng.integers(0, 2, shape).astype(bool)
    if spec.dtype.is_integer:
        return rng.integers(low or 0, high or 10, shape).astype(dtype)
    return (rng.uniform(low, high, shape) if high is not None else rng.normal(0, 1, shape)).astype(dtype)


def truth(frozen, arguments, keys, feeds):
    """The signature's outputs in double precision."""
    import reference

    given = {tensor.name: feeds[name] for tensor, name in zip(frozen.inputs, arguments, strict=True)}
    fetched = reference.evaluate(frozen.graph.as_graph_def(), given, [tensor.name for tensor in frozen.outputs])
    return dict(zip(keys, fetched, strict=True))


def prepare(entry, folder):
    import tensorflow as tf

    from models import spec

    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec.save(entry, str(folder / "model"))
    loaded = tf.saved_model.load(str(folder / "model"))
    facts = {"signatures": {}, "ops": []}
    ops = set()
    for name, function in loaded.signatures.items():
        _, specs = function.structured_input_signature
        keys = sorted(function.structured_outputs)
        dynamic = any(s.shape.rank is None or None in s.shape.as_list() for s in specs.values())
        batches = entry.batches if dynamic else (1,)
        try:
            frozen = spec.freeze(function)
            ops |= {node.op for node in frozen.graph.as_graph_def().node}
        except tf.errors.UnimplementedError:
            # TensorFlow 2.21 freezes no graph with float8: such a model is judged by TensorFlow's own results.
            frozen = None
        for batch in batches:
            feeds = {key: feed(key, s, batch, entry) for key, s in specs.items()}
            outputs = {key: value.numpy() for key, value in function(**{k: tf.constant(v) for k, v in feeds.items()}).items()}
            exact = truth(frozen, function._arg_keywords, keys, feeds) if frozen else outputs
            for kind, arrays in (("in", feeds), ("tf", outputs), ("true", exact)):
                np.savez(folder / f"{name}.{batch}.{kind}.npz", **arrays)
        facts["signatures"][name] = {"batches": list(batches), "outputs": keys, "exact": frozen is not None}
    facts["ops"] = sorted(ops)
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))
    return facts


def signature_with(model, inputs, outputs):
    """The first signature of a SavedModel that has these inputs and outputs; an empty name if none has."""
    from tensorflow.python.saved_model import loader_impl

    for graph in loader_impl.parse_saved_model(str(model)).meta_graphs:
        for name, signature in sorted(graph.signature_def.items()):
            if {*signature.inputs} == {*inputs} and {*signature.outputs} == {*outputs}:
                return name
    return ""


def without_objects(array):
    """Strings as numpy byte strings rather than pickled objects."""
    array = np.asarray(array)
    return array.astype(np.bytes_) if array.dtype == object else array


def prepare_corpus(source, folder):
    """The same for a model that comes with inputs and outputs in `case*.npz`, keys `in:NAME` and `out:NAME`.

    What this TensorFlow cannot load or the double-precision evaluator cannot run is judged by the recorded outputs alone.
    """
    import tensorflow as tf

    from models import spec

    source, folder = pathlib.Path(source), pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signatures, ops = {}, set()
    for case in sorted(source.glob("case*.npz")):
        is_exact = False
        with np.load(case, allow_pickle=True) as recorded:
            parts = {key: recorded[key] for key in recorded.files}
        feeds = {key[3:]: value for key, value in parts.items() if key.startswith("in:")}
        outputs = {key[4:]: value for key, value in parts.items() if key.startswith("out:")}
        name, exact = signature_with(source / "model", feeds, outputs), outputs
        try:
            # The loaded object owns the variables: it has to outlive the calls.
            loaded = tf.saved_model.load(str(source / "model"))
            function = loaded.signatures[name]
            fresh = function(**{key: tf.constant(value) for key, value in feeds.items()})
            frozen = spec.freeze(function)
            ops |= {node.op for node in frozen.graph.as_graph_def().node}
            exact = truth(frozen, function._arg_keywords, sorted(outputs), feeds)
            outputs = {key: value.numpy() for key, value in fresh.items()}
            is_exact = True
        except Exception as problem:
            print(f"{source.name} {case.stem}: judged by recorded outputs: {str(problem)[:150]!r}", file=sys.stderr)
        label = name.replace("/", "_")
        for kind, arrays in (("in", feeds), ("tf", outputs), ("true", exact)):
            np.savez(folder / f"{label}.{case.stem}.{kind}.npz", **{key: without_objects(array) for key, array in arrays.items()})
        found = signatures.setdefault(label, {"batches": [], "outputs": sorted(outputs), "flag": name, "exact": True})
        found["exact"] &= is_exact
        found["batches"].append(case.stem)
    (folder / "facts.json").write_text(json.dumps({"signatures": signatures, "ops": sorted(ops)}, indent=1))


def digest(*files):
    total = hashlib.sha256()
    for file in files:
        total.update(pathlib.Path(file).read_bytes())
    return total.hexdigest()


def wanted_stamp(task):
    """What the folder of a task depends on; a folder whose stamp says the same is up to date."""
    own = [HERE / name for name in ("prepare.py", "reference.py", "requirements.txt", "models/spec.py")]
    if isinstance(task, pathlib.Path):
        return digest(*own, *sorted(task.glob("case*.npz")))
    return digest(*own, task.file)


def name_of(task):
    """What `main` calls a task: a model's name and route, or the folder of a corpus model."""
    return str(task) if isinstance(task, pathlib.Path) else f"{task.name}.{task.route}"


def folder_of(task, cache):
    return cache / (f"corpus.{task.name}" if isinstance(task, pathlib.Path) else name_of(task))


def is_fresh(task, cache):
    stamp = folder_of(task, cache) / "stamp"
    return stamp.exists() and stamp.read_text() == wanted_stamp(task)


def main():
    """Prepares the named models and prints a line for each: its folder, a tab, and what went wrong."""
    import models.spec

    cache, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    known = {name_of(entry): entry for entry in models.spec.MODELS}
    for name in names:
        task, problem = known.get(name) or pathlib.Path(name), ""
        folder = folder_of(task, cache)
        try:
            (prepare_corpus if isinstance(task, pathlib.Path) else prepare)(task, folder)
            (folder / "stamp").write_text(wanted_stamp(task))
        except Exception as error:
            problem = " ".join(repr(error).split())[:400]
        print(f"{folder}\t{problem}", flush=True)


if __name__ == "__main__":
    main()
