"""TF1 graphs, written by a session: ref variables, resource variables, partitions, conditionals on a constant."""

import numpy as np
import tensorflow as tf

from .spec import model

v1 = tf.compat.v1


def values(*shape, seed=5):
    return np.random.default_rng([seed, *shape]).normal(0, 0.3, shape).astype(np.float32)


def session_of(graph):
    session = v1.Session(graph=graph)
    session.run(v1.global_variables_initializer())
    return session


@model("tf1_lenet", "tf1")
def tf1_lenet(path):
    """VariableV2 throughout, saved by `simple_save`."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 28, 28, 1], "x")
        keep = v1.placeholder_with_default(1.0, [], "keep_prob")
        with v1.variable_scope("conv"):
            kernel = v1.get_variable("kernel", initializer=values(5, 5, 1, 6), use_resource=False)
            h = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), v1.get_variable("bias", initializer=values(6), use_resource=False)))
        h = tf.nn.max_pool2d(h, 2, 2, "SAME")
        h = tf.nn.local_response_normalization(h, 2, 1.0, 1e-2, 0.75)
        h = tf.reshape(h, [-1, 14 * 14 * 6])
        h = tf.nn.relu(v1.nn.xw_plus_b(h, v1.get_variable("w1", initializer=values(1176, 20) / 10, use_resource=False),
                                       v1.get_variable("b1", initializer=values(20), use_resource=False)))  # fmt: skip
        h = v1.nn.dropout(h, rate=0.0) * keep
        y = tf.nn.softmax(tf.matmul(h, v1.get_variable("w2", initializer=values(20, 10), use_resource=False)), name="y")
        with session_of(graph) as session:
            v1.saved_model.simple_save(session, path, {"x": x}, {"y": y, "label": tf.argmax(y, 1)})


@model("tf1_batch_norm", "tf1")
def tf1_batch_norm(path):
    """Batch normalisation in its oldest spelling and both fused ones, moving averages as ref variables."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 8, 8, 4], "input")
        names = ("mean", "variance", "offset", "scale")
        mean, variance, offset, scale = (
            v1.get_variable(name, initializer=abs(values(4, seed=i)) + 0.1, use_resource=i % 2 == 0) for i, name in enumerate(names)
        )
        a = tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3)
        b, _, _ = v1.nn.fused_batch_norm(x, scale, offset, mean, variance, epsilon=1e-3, is_training=False)
        c = tf.raw_ops.FusedBatchNorm(x=x, scale=scale, offset=offset, mean=mean, variance=variance, is_training=False).y
        with session_of(graph) as session:
            v1.saved_model.simple_save(session, path, {"input": x}, {"plain": a, "fused": b, "first": c})


@model("tf1_partitioned", "tf1", feeds={"ids": (0, 23)})
def tf1_partitioned(path):
    """Variables cut into slices, as parameter servers had them."""
    with tf.Graph().as_default() as graph:
        partition = v1.fixed_size_partitioner(3)
        with v1.variable_scope("model", partitioner=partition):
            x = v1.placeholder(tf.float32, [None, 7], "x")
            kernel = v1.get_variable("kernel", shape=[7, 9], initializer=v1.random_normal_initializer(seed=1), use_resource=False)
            table = v1.get_variable("table", shape=[24, 9], initializer=v1.random_normal_initializer(seed=2), use_resource=True)
        ids = v1.placeholder(tf.int64, [None], "ids")
        rows = tf.gather(tf.convert_to_tensor(table), ids)
        y = tf.matmul(x, tf.convert_to_tensor(kernel)) + rows
        with session_of(graph) as session:
            v1.saved_model.simple_save(session, path, {"x": x, "ids": ids}, {"y": y})


@model("tf1_training_switch", "tf1")
def tf1_training_switch(path):
    """A `cond` on `is_training`, false by default or by constant: Switch and Merge."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 6], "x")
        training = tf.constant(False, name="is_training")
        w = v1.get_variable("w", initializer=values(6, 5), use_resource=False)
        h = tf.matmul(x, w)
        v1.disable_control_flow_v2()
        y = v1.cond(training, lambda: h * 0.5 + 1.0, lambda: tf.nn.relu(h))
        v1.enable_control_flow_v2()
        with session_of(graph) as session:
            v1.saved_model.simple_save(session, path, {"x": x}, {"y": y})


@model("tf1_many_signatures", "tf1")
def tf1_many_signatures(path):
    """Signatures that share tensors, name one tensor twice and feed the middle of the graph."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 5], "x")
        hidden = tf.tanh(tf.matmul(x, v1.get_variable("w", initializer=values(5, 8), use_resource=True)), name="hidden")
        y = tf.identity(tf.matmul(hidden, v1.get_variable("v", initializer=values(8, 2), use_resource=True)), "y")
        info, define = v1.saved_model.utils.build_tensor_info, v1.saved_model.signature_def_utils.build_signature_def
        signatures = {
            "serving_default": define({"x": info(x)}, {"y": info(y), "same": info(y), "hidden": info(hidden)}, "tensorflow/serving/predict"),
            "from_hidden": define({"hidden": info(hidden)}, {"y": info(y)}, "tensorflow/serving/predict"),
            "pass": define({"x": info(x)}, {"x": info(x)}, "tensorflow/serving/predict"),
        }
        builder = v1.saved_model.Builder(path)
        with session_of(graph) as session:
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


@model("tf1_estimator_like", "tf1")
def tf1_estimator_like(path):
    """Feature columns by hand: concatenated inputs, assertions on control edges, no-ops and groups."""
    with tf.Graph().as_default() as graph:
        a, b = v1.placeholder(tf.float32, [None, 1], "a"), v1.placeholder(tf.int64, [None, 1], "b")
        check = v1.assert_greater_equal(b, tf.constant(0, tf.int64))
        with tf.control_dependencies([check, tf.no_op()]):
            x = tf.concat([a, tf.cast(b, tf.float32), tf.one_hot(tf.squeeze(b, 1), 10)], 1)
        w = v1.get_variable("w", initializer=values(12, 3), use_resource=True)
        logits = tf.nn.bias_add(tf.matmul(x, w), v1.get_variable("b", initializer=values(3), use_resource=True))
        with session_of(graph) as session:
            outputs = {"scores": tf.nn.softmax(logits), "classes": tf.argmax(logits, 1), "logits": logits}
            v1.saved_model.simple_save(session, path, {"a": a, "b": b}, outputs)
