"""Models with assets, tables and several data files, whose variables change and that are written again (`exports.py`)."""

import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from .spec import model
from .version1 import values

v1 = tf.compat.v1


def vocabulary():
    """A file of words; the SavedModel takes a copy."""
    path = pathlib.Path(tempfile.mkdtemp()) / "words.txt"
    path.write_text("a\nbb\nccc\n")
    return str(path)


ROWS = values(3, 5, seed=8)
CALLS = (("plain", {"x": ROWS}), ("scaled", {"x": ROWS}), ("words", {"word": np.array("bb", object)}))


@model("exported_assets", "module", calls=CALLS, finer=False)
def exported_assets():
    """Functions over shared variables; a table that is filled from an asset serves one signature."""

    class Module(tf.Module):
        def __init__(self):
            self.rows, self.bias = tf.Variable(values(5, 4)), tf.Variable(values(4, seed=6))
            self.frozen = tf.Variable(values(4, seed=7), trainable=False)
            words = tf.lookup.TextFileInitializer(vocabulary(), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
            self.table = tf.lookup.StaticHashTable(words, 4)

        @tf.function(input_signature=[tf.TensorSpec([None, 5], name="x")])
        def plain(self, x):
            return {"y": tf.nn.tanh(x @ self.rows + self.bias)}

        @tf.function(input_signature=[tf.TensorSpec([None, 5], name="x")])
        def scaled(self, x):
            return {"y": self.plain(x)["y"] * self.frozen, "norm": tf.reduce_sum(self.rows**2)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="word")])
        def words(self, word):
            return {"y": tf.gather(self.rows, self.table.lookup(word))}

    module = Module()
    return module, {"plain": module.plain, "scaled": module.scaled, "words": module.words}


@model("exported_shards", "tf1", finer=False)
def exported_shards(path):
    """Variables on two devices, each in a data file of its own, one of them in slices; an asset and a table beside them."""
    config = v1.ConfigProto(device_count={"CPU": 2})
    with tf.Graph().as_default() as graph, v1.Session(graph=graph, config=config) as session:
        x = v1.placeholder(tf.float32, [None, 6], "x")
        with tf.device("/cpu:0"):
            first = v1.get_variable("first", initializer=values(6, 4), use_resource=False)
            cut = v1.get_variable("cut", [4, 3], initializer=v1.random_normal_initializer(seed=3), partitioner=v1.fixed_size_partitioner(2), use_resource=False)
        with tf.device("/cpu:1"):
            second = v1.get_variable("second", initializer=values(3), use_resource=True)
        words = tf.lookup.TextFileInitializer(vocabulary(), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
        table = tf.lookup.StaticHashTable(words, 4)
        hidden = tf.nn.relu(x @ first)
        y = hidden @ tf.convert_to_tensor(cut) + second
        info = lambda tensors: {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in tensors.items()}
        define = lambda outputs: v1.saved_model.build_signature_def(info({"x": x}), info(outputs), "tensorflow/serving/predict")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": define({"y": y}), "hidden": define({"hidden": hidden})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
            saver=v1.train.Saver(sharded=True),
            clear_devices=True,
        )
        builder.save()
        assert table.default_value is not None
