"""Models that `smc state export` writes, in TensorFlow: every loader gives what smc gives with that state.

    python exports.py --smc target/release/smc [--only PATTERN]

Models of `models/` are saved. Those of `GIVEN` get other values in all variables, by a file of state that is written here; those of
`CALLED` have the state that their calls leave. What is written is loaded by `tf.saved_model.load`, by the loader of TensorFlow 1, which
TensorFlow Serving has too, and as Keras's TFSMLayer; signatures answer as smc does with the state, as far as the first two agreed
on the original. The checkpoint holds what was given bit for bit and all else unchanged, and the fingerprint is the one that
TensorFlow makes. What TensorFlow loads and saves again, smc reads again.
"""

import logging
import os
import struct
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import models.spec
import pages
import parity
import prepare
from pages import Wrong

GIVEN = (
    "mlp.saved_model",
    "mlp.export",
    "cnn.saved_model",
    "cnn.export",
    "text_average.export",
    "many_inputs_and_outputs.saved_model",
    "keras2_cnn.legacy",
    "tf1_lenet.tf1",
    "tf1_batch_norm.tf1",
    "tf1_partitioned.tf1",
    "tf1_many_signatures.tf1",
    "tf1_estimator_like.tf1",
    "exported_assets.module",
    "exported_shards.tf1",
)
CALLED = (
    "probe_train_and_infer.module",
    "state_batch_norm_by_hand.module",
    "state_keras_gru.export",
    "state_keras2_lstm.legacy",
    "state_tf1_moving_average.simple_save",
    "state_tf1_scatter_table.builder",
    "train_k3_adam.module",
    "train_k3_dropout.module",
    "train_k2_adam.module",
    "train_v1_adam.builder",
)
# The end of the keys of saved objects' variables, which their names in a state lack.
OF_OBJECT = "/.ATTRIBUTES/VARIABLE_VALUE"
OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
CODES = {"bool": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4, "uint8": 5, "float16": 9, "float32": 11, "float64": 12}


def write_state(path, variables):
    """A file of state, as `runtime/src/state.rs` describes it."""
    count = len(variables)
    records = 64 + 16
    extents = records + 56 * count
    names = extents + 8 * sum(array.ndim for array in variables.values())
    start = lambda at: -(-at // 64) * 64
    first = start(names + sum(len(name.encode()) for name in variables))
    table, sizes, texts, data = [count, first], [], b"", b""
    for name, array in variables.items():
        text, raw = name.encode(), array.tobytes()
        table += [names + len(texts), len(text), extents + 8 * len(sizes), array.ndim, CODES[array.dtype.name], first + len(data), len(raw)]
        sizes += array.shape
        texts += text
        data += raw.ljust(start(len(raw)), b"\0")
    words = lambda numbers: struct.pack(f"<{len(numbers)}Q", *numbers)
    body = bytes(40) + words(table) + words(sizes) + texts
    body = body.ljust(first - 24, b"\0") + data
    total = 0
    for (word,) in struct.iter_unpack("<Q", body):
        total = (total ^ word) * 0x9E3779B97F4A7C15 % 2**64
        total ^= total >> 32
    path.write_bytes(b"SMCSTAT1" + words([len(body) + 24, total]) + body)


def checkpoint(model):
    """The stored tensors by key."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(model / "variables/variables"))
    # A single string comes as bytes.
    whole = lambda value: np.array(value, object) if isinstance(value, bytes) else value
    return {key: whole(reader.get_tensor(key)) for key in reader.get_variable_to_shape_map()}


def given_state(model, path, seed):
    """Writes a state with other values in all variables; returns them by key."""
    rng = np.random.default_rng(seed)
    given = {}
    for key, old in sorted(checkpoint(model).items()):
        if key != OBJECTS and not key.startswith("_all_variables/") and old.dtype.name in CODES and old.dtype.kind == "f":
            # Around the old values, so that variances stay positive.
            given[key] = (old * rng.uniform(0.5, 1.5, old.shape) + rng.uniform(0, 0.01, old.shape)).astype(old.dtype)
    write_state(path, {key.removesuffix(OF_OBJECT): value for key, value in given.items()})
    return given


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=parity.TIME_LIMIT)
    if done.returncode != 0:
        raise Wrong(f"{' '.join(str(word) for word in command[1:4])}: {done.stderr.strip()}")
    return done.stderr


def check_files(original, written, given):
    """The checkpoint holds what was given, and all else is unchanged; the fingerprint is TensorFlow's own."""
    from tensorflow.core.protobuf import fingerprint_pb2
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    below = lambda folder: {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    before, after = below(original), below(written)
    if [*before] != [*after]:
        raise Wrong(f"the files are {[*after]} instead of {[*before]}")
    for name, path in before.items():
        if not name.startswith("variables/") and name != "fingerprint.pb" and path.read_bytes() != after[name].read_bytes():
            raise Wrong(f"{name} has changed")
    old, new = checkpoint(original), checkpoint(written)
    if {*old} != {*new}:
        raise Wrong("the checkpoint has other keys")
    for key, value in old.items():
        wanted = given.get(key, value)
        same = np.array_equal(new[key], wanted) if value.dtype == object else new[key].tobytes() == wanted.tobytes()
        if given and not same and not key.startswith("_all_variables/"):
            raise Wrong(f"the checkpoint's {key} is not what was given")
    if "fingerprint.pb" in after:
        ours, theirs = (fingerprint_pb2.FingerprintDef.FromString(data) for data in (after["fingerprint.pb"].read_bytes(), fingerprinting.CreateFingerprintDef(str(written))))
        ours.uuid = theirs.uuid = ""
        if ours != theirs:
            raise Wrong(f"the fingerprint is {ours}, and TensorFlow's {theirs}")


class Warnings(logging.Handler):
    """What TensorFlow warns of while it loads."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.told = []

    def emit(self, record):
        self.told.append(record.getMessage())


def loaded(model, kind=prepare.Loaded):
    """The model by a loader, and the warnings."""
    import tensorflow as tf

    heard, logger = Warnings(), tf.get_logger()
    usual, logger.handlers = logger.handlers, [heard]
    try:
        return kind(str(model)), heard.told
    finally:
        logger.handlers = usual


def check_warnings(told, before):
    """Of what is written TensorFlow warns as of the original."""
    if {*told} - {*before}:
        raise Wrong(f"TensorFlow warns: {sorted({*told} - {*before})}")


def save_again(model, session, route, path):
    """TensorFlow saves what its loaders made of a model, in the version that it is of."""
    import tensorflow as tf

    if route != "tf1":
        return tf.saved_model.save(model, str(path), signatures=dict(model.signatures))
    with session.graph.as_default():
        builder = tf.compat.v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session.session, ["serve"], dict(session.definitions))
        builder.save()


def compare(what, ours, theirs, calls=1):
    """As in `parity`, where there is no finer truth."""
    if {*ours} != {*theirs}:
        raise Wrong(f"{what}: outputs {sorted(ours)} and {sorted(theirs)}")
    for key in theirs:
        wrong = parity.judge(np.asarray(ours[key]), np.asarray(theirs[key]), np.asarray(theirs[key]), None, calls)[1]
        if wrong:
            raise Wrong(f"{what}: {key}: {wrong}")


def smc_answers(smc, model, signature, feeds, folder, arguments=()):
    """smc's outputs, or why it refuses the signature."""
    inputs, outputs = folder / "in.npz", folder / "out.npz"
    np.savez(inputs, **{key: prepare.without_objects(array) for key, array in feeds.items()})
    refused = parity.run_smc(smc, model, signature, inputs, outputs, arguments)
    return (None, refused) if refused else (parity.load(outputs), None)


def layer_answers(model, signature, feeds, keys):
    """The outputs of Keras's TFSMLayer for a signature with one input. It takes an exported function of the same name first, whose
    outputs have no names."""
    import keras

    (value,) = feeds.values()
    outputs = keras.layers.TFSMLayer(str(model), call_endpoint=signature)(value)
    named = outputs if isinstance(outputs, dict) else dict(zip(sorted(keys), keras.tree.flatten(outputs), strict=True))
    return {key: np.asarray(output) for key, output in named.items()}


def agree(first, second):
    try:
        compare("", first, second)
    except Wrong:
        return False
    return True


def restores(session, signature, feeds, answers):
    """Whether TensorFlow 1 answers as TensorFlow 2: it does not restore what `tf.saved_model.save` writes of a model of Keras 3."""
    import tensorflow as tf

    try:
        return agree(session.call(signature, feeds), answers)
    except tf.errors.FailedPreconditionError:
        return False


def check_given(smc, entry, folder):
    """A model with values that are given."""
    import tensorflow as tf

    original, written = folder / "model", folder / "written"
    given = given_state(original, folder / "state", len(entry.name))
    run(smc, "state", "export", "--state", folder / "state", original, written)
    check_files(original, written, given)
    before, known = loaded(original)
    after, warned = loaded(written)
    check_warnings(warned, known)
    old_session, new_session = loaded(original, prepare.Session)[0], loaded(written, prepare.Session)[0]
    again = folder / "again"
    save_again(after.model, new_session, entry.route, again)
    calls = [(signature, feeds) for signature, _, feeds in prepare.drawn(entry, before)] if not entry.calls else entry.calls
    changed = refused = 0
    for signature, feeds in calls:
        was, now = before.call(signature, feeds), after.call(signature, feeds)
        changed += not agree(now, was)
        ours, why = smc_answers(smc, written, signature, feeds, folder)
        if why:
            if entry.refused.get(signature, "?") not in why:
                raise Wrong(f"{signature}: {why}")
            refused += 1
        else:
            compare(f"{signature}: smc and TensorFlow", ours, now)
            compare(f"{signature}: smc before and after TensorFlow saved it again", smc_answers(smc, again, signature, feeds, folder)[0], ours)
        if restores(old_session, signature, feeds, was):
            compare(f"{signature}: the loader of TensorFlow 1", new_session.call(signature, feeds), now)
        if len(feeds) == 1:
            compare(f"{signature}: TFSMLayer", layer_answers(written, signature, feeds, now), now)
    if not changed:
        raise Wrong("the answers are those of the original")
    return f"{len(given)} variables, {len(calls)} calls" + f", {refused} of them refused by smc" * bool(refused)


def check_called(smc, entry, folder):
    """A model with the state that its calls leave: all calls once more, from there on."""
    original, written, state = folder / "model", folder / "written", folder / "state"
    arguments = ["--state", str(state), *entry.arguments]
    for signature, feeds in entry.calls:
        _, why = smc_answers(smc, original, signature, feeds, folder, arguments)
        if why:
            raise Wrong(f"{signature}: {why}")
    run(smc, "state", "export", "--state", state, original, written)
    check_files(original, written, {})
    kind = prepare.Session if entry.route in models.spec.GRAPH_ROUTES else prepare.Loaded
    known = loaded(original, kind)[1]
    after, warned = loaded(written, kind)
    check_warnings(warned, known)
    for number, (signature, feeds) in enumerate(entry.calls, 1):
        ours, why = smc_answers(smc, original, signature, feeds, folder, arguments)
        if why:
            raise Wrong(f"{signature}: {why}")
        compare(f"call {number}, {signature}", ours, after.call(signature, feeds), number)
    return f"{len(entry.calls)} calls from the state of as many"


def saved(name, folder):
    """Saves the model with this name and route in a folder; what is known of it."""
    entry = next(entry for entry in models.spec.MODELS if prepare.name_of(entry) == name)
    models.spec.save(entry, str(folder / "model"))
    return entry


def check(smc, name, folder):
    entry = saved(name, folder)
    return (check_given if name in GIVEN else check_called)(smc, entry, folder)


if __name__ == "__main__":
    sys.exit(pages.run(__doc__, "export", (*GIVEN, *CALLED), check))
