"""Models that smc cuts at a layer, and layers that it adds, in TensorFlow: the new model gives what the old one has there.

    python grafts.py --smc target/release/smc [--only PATTERN]

Models of `models/` are saved, and `smc state export` writes them anew: cut at a layer, and with dense layers behind that. TensorFlow
loads what is written by `tf.saved_model.load`, by its older loader, and saves it again; smc compiles it. The value at the cut is
compared with that tensor of the original model in TensorFlow, and the layers with numpy.
"""

import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import exports
import models.spec
import pages
import prepare
from pages import Wrong

# Models, and what the name of the layer ends in. Keras numbers its names. One is a node that a graph of TensorFlow 1 has without a layer.
PLACES = {
    "mlp.export": r"dense\w*",
    "mlp.saved_model": r"dense\w*",
    "cnn.export": r"(conv2d|pooling2d|flatten)\w*",
    "text_average.export": r"conv1d\w*",
    "masked_average.saved_model": r"pooling1d\w*",
    "one_dimension.saved_model": "separable_conv2d",
    "subclassed.export": r"dense_1\w*",
    "transformer_block.export": r"normalization\w*",
    "probe_keras_lstm.export": r"lstm\w*",
    "probe_keras_batch_norm.export": r"batch_normalization\w*",
    "keras2_functional.legacy": r"re_lu\w*",
    "keras2_embedding.legacy": r"conv1d\w*",
    "tf1_lenet.tf1": "conv",
    "tf1_partitioned.tf1": "MatMul",
    "frames_sentiment.simple_save": "rnn/while/Exit_4",
}
CALL = re.compile(r"^(Stateful)?PartitionedCall(_\d+)?$")


def layers(smc, model, state, folder):
    """The names of a model's layers, as smc has them in a message."""
    try:
        exports.run(smc, "state", "export", "--state", state, "--from", "?", model, folder / "none")
    except Wrong as wrong:
        found = re.search(r"the layers are(.*)", " ".join(str(wrong).split()))
        paths = [layer.split("/") for layer in re.findall(r"`([^`]*)`", found[1])] if found else []
        return [*dict.fromkeys("/".join(path[: n + 1]) for path in paths for n in range(len(path)))]
    raise Wrong("a layer called `?` is known")


def bare(name):
    """A node's name without the calls that lead to it."""
    return "/".join(part for part in name.removesuffix(":0").split("/") if not CALL.match(part))


def at_cut(entry, original, signature, feeds, name):
    """The tensor of the original model, by TensorFlow."""
    import tensorflow as tf

    if entry.route in models.spec.GRAPH_ROUTES or entry.route == "tf1":
        session = prepare.Session(str(original))
        inputs = session.definitions[signature].inputs
        with session.graph.as_default():
            return session.session.run(name, {inputs[key].name: value for key, value in feeds.items()})
    loaded = prepare.Loaded(str(original))
    function = loaded.model.signatures[signature]
    frozen = models.spec.freeze(function)
    node, _, index = name.rpartition(":")
    same = [op for op in frozen.graph.get_operations() if bare(op.name) == bare(node)]
    if len(same) != 1:
        raise Wrong(f"{len(same)} nodes of the original are {bare(node)}")
    part = frozen.prune([*frozen.inputs], same[0].outputs[int(index)])
    return part(*(tf.constant(feeds[key]) for key in function._arg_keywords)).numpy()


def output_of(session, signature):
    (info,) = session.definitions[signature].outputs.values()
    return info.name


def check(smc, place, folder):
    """A model cut, then with layers."""
    import tensorflow as tf

    entry, pattern = exports.saved(place, folder), PLACES[place]
    original, state = folder / "model", folder / "state"
    exports.write_state(state, {})
    known = layers(smc, original, state, folder)
    found = [layer for layer in known if re.search(f"(^|/|_){pattern}$", layer)]
    layer = found[0] if found else pattern
    write = lambda to, *edit: exports.run(smc, "state", "export", "--state", state, "--from", layer, *edit, original, to)
    cut, extended, again = folder / "cut", folder / "extended", folder / "again"
    write(cut)
    write(extended, "--append", "dense:5:tanh", "--head", "3", "--seed", "4")
    before, after, longer = (exports.loaded(path)[0] for path in (original, cut, extended))
    (signature,) = after.signatures()
    calls = entry.calls or [(name, feeds) for name, _, feeds in prepare.drawn(entry, before)]
    calls = [(name, feeds) for name, feeds in calls if name == signature]
    if not calls:
        raise Wrong(f"no call of {signature}")
    sessions = prepare.Session(str(cut)), prepare.Session(str(extended))
    name = output_of(sessions[0], signature)
    if entry.route not in ("tf1", *models.spec.GRAPH_ROUTES):
        tf.saved_model.save(longer.model, str(again), signatures=dict(longer.model.signatures))
    stored = exports.checkpoint(extended)
    for _, feeds in calls:
        value = after.call(signature, feeds)
        (key,) = value
        exports.compare("the cut value", value, {key: at_cut(entry, original, signature, feeds, name)})
        y = value[key].astype(np.float64) @ stored["appended_1/kernel"] + stored["appended_1/bias"]
        y = np.tanh(y) @ stored["head/kernel"] + stored["head/bias"]
        result = longer.call(signature, feeds)
        exports.compare("the new layers", result, {key: y.astype(np.float32)})
        for what, session, theirs in [("cut", sessions[0], value), ("extended", sessions[1], result)]:
            exports.compare(f"{what}, the loader of TensorFlow 1", session.call(signature, feeds), theirs)
        for path, theirs in [(cut, value), (extended, result)] + [(again, result)] * again.exists():
            ours, why = exports.smc_answers(smc, path, signature, feeds, folder)
            if why:
                raise Wrong(f"{path.name}: {why}")
            exports.compare(f"{path.name}: smc and TensorFlow", ours, theirs)
    return f"{layer}, {len(calls)} calls"


if __name__ == "__main__":
    sys.exit(pages.run(__doc__, "graft", PLACES, check))
