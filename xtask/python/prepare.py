"""Build one parity model, save it, call what was saved, and record for each call what TensorFlow answers and what the truth is.

A model's folder holds `model/` and, for a call of signature S with the label C (a batch size or a number): `S.C.in.npz` (inputs by key),
`S.C.tf.npz` (TensorFlow's outputs) and `S.C.true.npz` (the outputs in double precision). `facts.json` lists the calls in order, the
signatures and operators, and what `smc run` is told.

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


# What the double-precision evaluator does not walk: the frames of TF1's loops and their arrays.
FRAMES = ("Enter", "RefEnter", "TensorArrayV3")


class Loaded:
    """A SavedModel as TensorFlow 2 loads it."""

    def __init__(self, path):
        import tensorflow as tf

        # The loaded object owns the variables: it has to outlive the calls.
        self.model = tf.saved_model.load(path)
        self.frozen = {}

    def signatures(self):
        """Per signature, the specs of its inputs by name."""
        return {name: function.structured_input_signature[1] for name, function in self.model.signatures.items()}

    def call(self, signature, feeds):
        import tensorflow as tf

        results = self.model.signatures[signature](**{key: tf.constant(value) for key, value in feeds.items()})
        return {key: value.numpy() for key, value in results.items()}

    def truth(self, signature, feeds):
        """The outputs in double precision; nothing where the evaluator has no graph for them."""
        import tensorflow as tf

        from models import spec

        function = self.model.signatures[signature]
        try:
            if signature not in self.frozen:
                self.frozen[signature] = spec.freeze(function)
            frozen = self.frozen[signature]
            if frozen is None or any(node.op in FRAMES for node in frozen.graph.as_graph_def().node):
                return None
            return truth(frozen, function._arg_keywords, sorted(function.structured_outputs), feeds)
        except (tf.errors.UnimplementedError, ValueError) as problem:
            # TensorFlow 2.21 freezes no graph with float8, and none that looks up rows of a variable or differentiates by it within a
            # loop: such a model is judged by TensorFlow's own results.
            if isinstance(problem, ValueError) and "expected resource" not in str(problem):
                raise
            self.frozen[signature] = None
            return None


class Session:
    """A SavedModel as a session of TensorFlow 1 loads it."""

    def __init__(self, path):
        import tensorflow as tf

        self.graph = tf.Graph()
        with self.graph.as_default():
            self.session = tf.compat.v1.Session()
            self.definitions = tf.compat.v1.saved_model.load(self.session, ["serve"], path).signature_def

    def signatures(self):
        return {name: dict(signature.inputs) for name, signature in self.definitions.items()}

    def call(self, signature, feeds):
        ends = self.definitions[signature]
        with self.graph.as_default():
            return self.session.run({key: v.name for key, v in ends.outputs.items()}, {ends.inputs[key].name: v for key, v in feeds.items()})


def drawn(entry, loaded):
    """Calls with drawn inputs: a signature, a label and the inputs by name."""
    for name, specs in loaded.signatures().items():
        dynamic = any(s.shape.rank is None or None in s.shape.as_list() for s in specs.values())
        for batch in entry.batches if dynamic else (1,):
            yield name, batch, {key: feed(key, s, batch, entry) for key, s in specs.items()}


def prepare(entry, folder):
    from models import spec

    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = str(folder / "model")
    spec.save(entry, path)
    facts = {"signatures": {}, "calls": [], "arguments": list(entry.arguments), "state": entry.state, "refused": entry.refused}
    # A session gives what TF1 gives; the graph of constants comes from the other loader.
    answering = Session(path) if entry.route in spec.GRAPH_ROUTES else Loaded(path)
    finer = entry.finer and not entry.state
    exact = (Loaded(path) if isinstance(answering, Session) else answering) if finer else None
    numbered = ((signature, number, feeds) for number, (signature, feeds) in enumerate(entry.calls))
    for name, label, feeds in numbered if entry.calls else drawn(entry, answering):
        outputs = answering.call(name, feeds)
        true = exact.truth(name, feeds) if exact else None
        if true and any(np.shape(true[key]) != np.shape(outputs[key]) for key in outputs):
            raise ValueError(f"in double precision the outputs of call {label} have other shapes: declare the model with finer=False")
        for kind, arrays in (("in", feeds), ("tf", outputs), ("true", outputs if true is None else true)):
            np.savez(folder / f"{name}.{label}.{kind}.npz", **{key: without_objects(array) for key, array in arrays.items()})
        facts["signatures"][name] = {"outputs": sorted(outputs), "exact": true is not None}
        facts["calls"].append([name, str(label)])
    graphs = exact.frozen.values() if exact else ()
    facts["ops"] = sorted({node.op for graph in graphs if graph for node in graph.graph.as_graph_def().node})
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
    signatures, calls, ops = {}, [], set()
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
        found = signatures.setdefault(label, {"outputs": sorted(outputs), "flag": name, "exact": True})
        found["exact"] &= is_exact
        calls.append([label, case.stem])
    facts = {"signatures": signatures, "calls": calls, "arguments": [], "state": False, "refused": {}, "ops": sorted(ops)}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))


def digest(*files):
    total = hashlib.sha256()
    for file in files:
        total.update(pathlib.Path(file).read_bytes())
    return total.hexdigest()


def wanted_stamp(task):
    """What the folder of a task depends on; a folder whose stamp says the same is up to date."""
    own = [HERE / name for name in ("prepare.py", "reference.py", "requirements.txt", "models/spec.py", "models/programs.py")]
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
