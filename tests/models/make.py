"""Makes the small SavedModels beside this file, as `cargo xtask models` runs it in the pinned TensorFlow and Keras.

Each is a shape of model that the loader must understand; `stored.json` holds what TensorFlow reads from each checkpoint,
`answers.json` what it computes. Everything is seeded. Models of TensorFlow 1 are made through the compatibility
interface. With names as arguments, only those models are made again.
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import ml_dtypes
import numpy as np
import tensorflow as tf

import control
import extents

HERE = pathlib.Path(__file__).parent
v1 = tf.compat.v1
WHOLE_LINE, LINE_NUMBER = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).round(3).astype(np.float32)


def variable(shape, seed, **options):
    value = numbers(*shape, seed=seed)

    def initial(shape, dtype=None, partition_info=None):
        start = partition_info.var_offset if partition_info else [0] * len(shape)
        return tf.constant(value[tuple(slice(s, s + n) for s, n in zip(start, shape))])

    return v1.get_variable("w", shape, tf.float32, initial, use_resource=False, **options)


def v1_model(path, build, init=None, saver=None):
    """Saves the signatures that `build` makes from placeholders and variables."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build()
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signatures,
            strip_default_attrs=True,
            main_op=init() if init else None,
            saver=saver() if saver else None,
        )
        builder.save()


def predict(inputs, outputs):
    infos = [{key: v1.saved_model.build_tensor_info(t) for key, t in part.items()} for part in (inputs, outputs)]
    return v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")


def v1_simple(path):
    def build():
        x = v1.placeholder(tf.float32, [None, 3], "x")
        with v1.variable_scope("dense"):
            y = tf.matmul(x, variable((3, 2), 1), name="y")
        return {"serving_default": predict({"x": x}, {"y": y, "same": y, "passed": x})}

    v1_model(path, build)


def v1_partitioned(path):
    def build():
        x = v1.placeholder(tf.float32, [None, 5], "x")
        w = variable((5, 2), 2, partitioner=v1.fixed_size_partitioner(2))
        return {"serving_default": predict({"x": x}, {"y": tf.matmul(x, tf.convert_to_tensor(w), name="y")})}

    v1_model(path, build)


def checkpoint_v1(path):
    """A checkpoint of the first version, with a partitioned variable and several types."""

    def build():
        x = v1.placeholder(tf.float32, [None, 5], "x")
        w = variable((5, 2), 2, partitioner=v1.fixed_size_partitioner(2))
        kinds = [(tf.float64, [0.1, -2.5]), (tf.int32, [7, -8]), (tf.int64, [1 << 40, -1]), (tf.bool, [True, False])]
        others = [v1.get_variable(d.name, dtype=d, initializer=tf.constant(v, d), use_resource=False) for d, v in kinds]
        total = tf.add_n([tf.reduce_sum(tf.cast(o[1], tf.float32)) for o in others])
        return {"serving_default": predict({"x": x}, {"y": tf.matmul(x, tf.convert_to_tensor(w)) + total})}

    v1_model(path, build, saver=lambda: v1.train.Saver(write_version=v1.train.SaverDef.V1))


def v1_midgraph(path):
    """Feeds the middle of the graph, and has a placeholder for the learning phase."""

    def build():
        x = v1.placeholder(tf.float32, [None, 3], "x")
        phase = v1.placeholder(tf.bool, [], "keras_learning_phase")
        middle = tf.identity(tf.matmul(x, variable((3, 2), 3)), "middle")
        y = v1.cond(phase, lambda: middle * 0.0, lambda: middle + 1.0)
        return {
            "serving_default": predict({"middle": middle}, {"y": tf.identity(y, "y")}),
            "whole": predict({"x": x}, {"y": tf.identity(y, "z")}),
        }

    v1_model(path, build)


def v1_counter(path):
    def build():
        by = v1.placeholder(tf.float32, [], "by")
        count = v1.get_variable("count", initializer=0.0, use_resource=False)
        return {
            "add": predict({"by": by}, {"count": v1.assign_add(count, by)}),
            "get": predict({}, {"count": tf.identity(count, "count_now")}),
        }

    v1_model(path, build)


def v1_table(path):
    source = pathlib.Path("words.txt")
    source.write_text("red\ngreen\nblue\n")

    def build():
        words = v1.placeholder(tf.string, [None], "words")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, tf.constant(str(source), name="vocabulary"))
        path_tensor = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)[0]
        init = tf.lookup.TextFileInitializer(path_tensor, tf.string, WHOLE_LINE, tf.int64, LINE_NUMBER)
        table = tf.lookup.StaticHashTable(init, -1)
        return {"serving_default": predict({"words": words}, {"ids": table.lookup(words)})}

    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build()
        session.run(v1.tables_initializer())
        builder = v1.saved_model.Builder(str(path))
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        builder.add_meta_graph_and_variables(
            session, ["serve"], signatures, assets_collection=assets, main_op=v1.tables_initializer()
        )
        builder.save()
    source.unlink()


def text_form(path):
    v1_simple(path)
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    (path / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
    (path / "saved_model.pb").unlink()


def dense():
    keras.utils.set_random_seed(7)
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(3), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    for seed, weight in enumerate(model.weights):
        weight.assign(numbers(*weight.shape, seed=seed))
    return model


def keras_save(path):
    tf.saved_model.save(dense(), str(path))


def keras_export(path):
    dense().export(str(path), verbose=False)


class Signatures(tf.Module):
    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(numbers(3, seed=4))
        self.shift = tf.Variable(numbers(3, seed=5))
        self.unused = tf.Variable(numbers(3, seed=6))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def affine(self, x):
        return {"y": x * self.scale + self.shift, "shift": self.shift.read_value()}

    @tf.function(input_signature=[])
    def nothing(self):
        return {"scale": self.scale.read_value()}

    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "name")])
    def greet(self, name):
        return {"text": tf.strings.join(["hello ", name]), "words": tf.constant([["a", "b"], ["", "long \0 one"]])}

    @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "by")])
    def add(self, by):
        self.scale.assign_add(by)
        return {"scale": self.scale.read_value()}

    @tf.function(input_signature=[tf.TensorSpec([3], tf.float32, "x"), tf.TensorSpec([], tf.int32, "n")])
    def repeat(self, x, n):
        (_, total) = tf.while_loop(lambda i, t: i < n, lambda i, t: (i + 1, t * self.scale), (0, x))
        return {"total": total}


def several_signatures(path):
    module = Signatures()
    names = ["affine", "nothing", "greet", "add", "repeat"]
    tf.saved_model.save(module, str(path), signatures={n: getattr(module, n) for n in names})


class Exported(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(numbers(2, 2, seed=8))
        self.c = tf.constant(numbers(2, seed=9))

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def apply(self, x):
        return {"first": tf.matmul(x, self.w) + self.c, "rest": [x, x + 1.0]}


def sharded(path):
    """A variable in shards, which TensorFlow stores as one tensor and does not restore."""
    from tensorflow.python.distribute.sharded_variable import ShardedVariable

    module = tf.Module()
    module.v = ShardedVariable([tf.Variable(numbers(n, 2, seed=n), name=f"part_{k}") for k, n in enumerate([3, 2])])
    parts = list(module.v.variables)
    read = tf.function(lambda: {"y": tf.concat([p.read_value() for p in parts], 0)}, input_signature=[])
    tf.saved_model.save(module, str(path), signatures={"serving_default": read})


def exported_function(path):
    tf.saved_model.save(Exported(), str(path))
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    for name in list(model.meta_graphs[0].signature_def):
        del model.meta_graphs[0].signature_def[name]
    (path / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))


class OpenExtents(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(numbers(4, 3, seed=10))

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4], tf.float32, "x")])
    def sequences(self, x):
        return {"y": tf.nn.relu(tf.linalg.matmul(x, self.w))}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def rows(self, x):
        return {"y": tf.linalg.matmul(x, self.w)}


def open_extents(path):
    """A batch and a length that are open; two signatures that differ."""
    module = OpenExtents()
    signatures = {"serving_default": module.sequences, "rows": module.rows}
    tf.saved_model.save(module, str(path), signatures=signatures)


class LongSums(tf.Module):
    """Sums of 4096 products of which the second half takes away the first: float32 keeps few of their digits."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def sums(self, x):
        place = tf.range(4096, dtype=tf.float32)
        near_one = 1.0 + 1e-3 * tf.sin(x * place)
        sign = tf.where(place < 2048.0, 1000.0, -1000.0)
        return {"y": tf.linalg.matmul(near_one, sign[:, tf.newaxis] * tf.ones([1, 8]))}


def long_sums(path):
    module = LongSums()
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.sums})


class HalfTypes(tf.Module):
    """Layers in types of 16 bits, whose roundings add up: alone, and between layers of float32."""

    def __init__(self):
        super().__init__()
        sizes = [16, 32, 32, 8]
        self.weights = [tf.Variable(numbers(m, n, seed=20 + m + n) / 4) for m, n in zip(sizes, sizes[1:])]

    def chain(self, x, dtype):
        x = tf.cast(x, dtype)
        for w in self.weights:
            x = tf.nn.softplus(tf.linalg.matmul(x, tf.cast(w, dtype))) * tf.cast(1.25, dtype)
        return x - tf.reduce_mean(x, -1, keepdims=True)

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.bfloat16, "x")])
    def bfloat16(self, x):
        return {"y": self.chain(x, tf.bfloat16)}

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.float16, "x")])
    def float16(self, x):
        return {"y": self.chain(x, tf.float16)}

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.float32, "x")])
    def mixed(self, x):
        return {"y": tf.nn.softmax(tf.cast(self.chain(x, tf.bfloat16), tf.float32))}


def half_types(path):
    module = HalfTypes()
    signatures = {name: getattr(module, name) for name in ["bfloat16", "float16", "mixed"]}
    tf.saved_model.save(module, str(path), signatures=signatures)


class NarrowTypes(tf.Module):
    """Variables and constants of the types that C lacks."""

    def __init__(self):
        super().__init__()
        self.int4 = tf.Variable(np.arange(-8, 8).astype(ml_dtypes.int4))
        self.uint4 = tf.Variable(np.arange(16).astype(ml_dtypes.uint4))
        self.e5m2 = tf.Variable(np.array([1.5, -57344, 2**-16, np.inf], ml_dtypes.float8_e5m2))
        self.e4m3fn = tf.Variable(np.array([[1.125, -448], [2**-9, -0.0]], ml_dtypes.float8_e4m3fn))
        self.constant = tf.constant(np.array([0.5, 0.5, 3, 3, 3], ml_dtypes.float8_e5m2))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def values(self, x):
        rounded = {t: tf.cast(tf.reshape(tf.cast(x, t), [-1, 1]), tf.float32) for t in ("float8_e5m2", "float8_e4m3fn")}
        return {
            "int4": tf.cast(tf.reshape(self.int4, [4, 4]), tf.int8),
            "uint4": tf.cast(self.uint4, tf.int32),
            "e5m2": tf.cast(self.e5m2, tf.float32),
            "e4m3fn": tf.cast(tf.transpose(self.e4m3fn), tf.float32),
            "constant": tf.cast(tf.gather(self.constant, [4, 0]), tf.float32),
            **rounded,
        }


def narrow_types(path):
    tf.saved_model.save(NarrowTypes(), str(path))


def v1_lookup(path):
    """Rows of a table in parts, by both ways of choosing the part, and parts of the ids worked on apart."""

    def build():
        ids = v1.placeholder(tf.int64, [None, 2], "ids")
        table = variable((7, 3), 10, partitioner=v1.fixed_size_partitioner(3))
        rows = {way: v1.nn.embedding_lookup(table, ids, partition_strategy=way) for way in ("div", "mod")}
        flat = tf.reshape(ids, [-1])
        which = tf.cast(flat > 3, tf.int32)
        low, high = tf.dynamic_partition(tf.cast(flat, tf.float32), which, 2)
        places = tf.dynamic_partition(tf.range(tf.size(flat)), which, 2)
        return {"serving_default": predict({"ids": ids}, {**rows, "apart": tf.dynamic_stitch(places, [low * 10.0, -high])})}

    v1_model(path, build)


MODELS = [
    v1_simple,
    v1_partitioned,
    checkpoint_v1,
    v1_midgraph,
    v1_counter,
    v1_table,
    text_form,
    keras_save,
    keras_export,
    several_signatures,
    exported_function,
    open_extents,
    long_sums,
    sharded,
    *control.MODELS,
    *extents.MODELS,
    half_types,
    narrow_types,
    v1_lookup,
]


def stored_values(path):
    """Every tensor of the checkpoint, as lists."""
    prefix = path / "variables" / "variables"
    if not any((path / "variables" / name).exists() for name in ["variables", "variables.index"]):
        return {}
    reader = tf.train.load_checkpoint(str(prefix))
    names = [n for n in sorted(reader.get_variable_to_shape_map()) if n != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    types = reader.get_variable_to_dtype_map()

    def read(name):
        # Unlike the reader, the operator joins the slices of a checkpoint of version 1.
        parts = tf.raw_ops.RestoreV2(
            prefix=str(prefix), tensor_names=[name], shape_and_slices=[""], dtypes=[types[name]]
        )
        return held(parts[0].numpy()).tolist()

    return {name: read(name) for name in names}


def held(array):
    """The bytes of elements of a type that C lacks."""
    name = array.dtype.name
    return array.view(np.uint8) if name.startswith("float8") else array.astype(np.int8) if name.endswith("int4") else array


def inputs(spec):
    if spec.dtype == tf.bool:
        return tf.constant(True)
    return tf.reshape(tf.range(1.0, 7.0), [-1, 3]) if spec.shape.rank == 2 else tf.constant([1.0, 2.5])


def main():
    # Models remember the paths of their assets.
    os.chdir(HERE)
    for make in [make for make in MODELS if len(sys.argv) == 1 or make.__name__ in sys.argv]:
        path = HERE / make.__name__
        shutil.rmtree(path, ignore_errors=True)
        make(path)
        for useless in ["assets", "variables"]:
            if (path / useless).is_dir() and not any((path / useless).iterdir()):
                (path / useless).rmdir()
    values = {make.__name__: stored_values(HERE / make.__name__) for make in MODELS}
    answers = {make.__name__: control.answers(HERE / make.__name__, inputs) for make in control.MODELS}
    for name, content in [("stored", values), ("answers", answers)]:
        (HERE / f"{name}.json").write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n")


main()
