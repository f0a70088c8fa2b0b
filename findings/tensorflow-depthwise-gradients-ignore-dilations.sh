#!/bin/bash
# The gradients of a dilated depthwise convolution are those of one without dilations.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  what differentiates DepthwiseConv2dNative follows its `dilations`, as the operator itself does in float32.
# Seen:      with SAME padding both gradients are silently those of dilation 1. With VALID padding the same call raises, for
#            shapes that do not fit. `tf.nn.depthwise_conv2d` and Keras are not touched: they spread the batch by
#            SpaceToBatch. Graphs that hold the operator with dilations, such as imported ones, train on wrong gradients.
# Output:    forward agrees with tf.nn.depthwise_conv2d: True
#            gradient of the input off by 5.05, of the filter by 7.86
#            equal to those of dilation 1: True
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)
x = tf.constant(np.random.default_rng(0).normal(size=(1, 6, 6, 1)), tf.float32)
f = tf.constant(np.random.default_rng(1).normal(size=(3, 3, 1, 1)), tf.float32)
weight = tf.constant(np.random.default_rng(2).normal(size=(1, 6, 6, 1)), tf.float32)


def gradients(convolve):
    with tf.GradientTape() as tape:
        tape.watch([x, f])
        y = convolve()
        total = tf.reduce_sum(y * weight)
    return [y] + tape.gradient(total, [x, f])


def raw(n):
    attributes = dict(strides=[1, 1, 1, 1], padding="SAME", dilations=[1, n, n, 1])
    return lambda: tf.raw_ops.DepthwiseConv2dNative(input=x, filter=f, **attributes)


seen = gradients(raw(2))
right = gradients(lambda: tf.nn.depthwise_conv2d(x, f, [1, 1, 1, 1], "SAME", dilations=[2, 2]))
plain = gradients(raw(1))
same = [float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(seen, right)]
undilated = [float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(seen[1:], plain[1:])]
print("forward agrees with tf.nn.depthwise_conv2d:", same[0] < 1e-5)
print("gradient of the input off by %.2f, of the filter by %.2f" % tuple(same[1:]))
print("equal to those of dilation 1:", max(undilated) < 1e-5)
assert same[0] < 1e-5 and min(same[1:]) > 0.1 and max(undilated) < 1e-5, "the behaviour has changed"
PY
