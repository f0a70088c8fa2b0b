"""Gradients of networks by their inputs and by filters that are inputs too, as a training step has them: written by TensorFlow's tape."""

import tensorflow as tf

from .programs import F32, numbers, program


def slopes(loss, **by):
    """The loss of `by`, and its gradients by each of them."""
    with tf.GradientTape() as tape:
        tape.watch(list(by.values()))
        value = loss(**by)
    return {"loss": value, **{f"d_{name}": slope for name, slope in tape.gradient(value, by).items()}}


def gradients(*calls, **specs):
    return program(*calls, prefix="gradients", **specs)


def images(*filters, size=(12, 10, 3)):
    """Calls with so many images, and the filters as they are."""
    return [(numbers(n, *size, seed=n), *(numbers(*shape, seed=9) * 0.3 for shape in filters)) for n in (1, 3)]


FLAT = (3, 3, 3, 8), (3, 3, 8, 16), (1, 1, 16, 8), (2, 2, 8, 4), (3, 3, 2, 4)


# Kernels for double precision have no gradients of groups.
@gradients(*images(*FLAT), finer=False, x=(F32, [None, 12, 10, 3]), a=(F32, FLAT[0]), b=(F32, FLAT[1]), c=(F32, FLAT[2]), d=(F32, FLAT[3]), e=(F32, FLAT[4]))
def convolutions(x, a, b, c, d, e):
    """Every padding, a stride, a pointwise one, and groups."""

    def loss(x, a, b, c, d, e):
        y = tf.nn.tanh(tf.nn.conv2d(x, a, 1, "SAME"))
        y = tf.nn.tanh(tf.nn.conv2d(y, b, 2, "SAME"))
        y = tf.nn.tanh(tf.nn.conv2d(y, c, 1, "VALID"))
        y = tf.nn.tanh(tf.nn.conv2d(y, d, 1, [[0, 0], [1, 0], [1, 1], [0, 0]]))
        return tf.reduce_mean(tf.square(tf.nn.conv2d(y, e, 1, "SAME")))

    return slopes(loss, x=x, a=a, b=b, c=c, d=d, e=e)


DEEP = (3, 3, 3, 4), (3, 3, 12, 1), (3, 3, 12, 5), (4, 4, 6, 5)


@gradients(*images(*DEEP), x=(F32, [None, 12, 10, 3]), a=(F32, DEEP[0]), b=(F32, DEEP[1]), c=(F32, DEEP[2]), d=(F32, DEEP[3]))
def depthwise_and_back(x, a, b, c, d):
    """Depthwise convolutions, with dilations too, and a transposed one."""

    def loss(x, a, b, c, d):
        y = tf.nn.tanh(tf.nn.depthwise_conv2d(x, a, [1, 2, 2, 1], "SAME"))
        y = tf.nn.tanh(tf.nn.depthwise_conv2d(y, b, [1, 1, 1, 1], "SAME", dilations=[2, 2]))
        y = tf.nn.tanh(tf.nn.conv2d(y, c, 1, "SAME"))
        return tf.reduce_mean(tf.square(tf.nn.conv2d_transpose(y, d, [tf.shape(y)[0], 12, 10, 6], 2, "SAME")))

    return slopes(loss, x=x, a=a, b=b, c=c, d=d)


CUBES = (2, 3, 3, 2, 4), (2, 2, 2, 4, 3)


@gradients(*images(*CUBES, size=(5, 6, 6, 2)), x=(F32, [None, 5, 6, 6, 2]), a=(F32, CUBES[0]), b=(F32, CUBES[1]))
def cubes(x, a, b):
    """In three dimensions."""

    def loss(x, a, b):
        y = tf.nn.tanh(tf.nn.conv3d(x, a, [1, 1, 2, 2, 1], "SAME"))
        return tf.reduce_mean(tf.square(tf.nn.conv3d(y, b, [1] * 5, "VALID")))

    return slopes(loss, x=x, a=a, b=b)
