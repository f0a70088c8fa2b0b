"""What is measured: networks and single operations, each with one input, and one output of float32. Those of sequences are in
`sequences.py`, steps of training in `training.py`.
"""

import pathlib

import numpy as np

from subject import SUBJECTS, Subject, network

ROOT = pathlib.Path(__file__).resolve().parents[3]


def trained(name, title, folder):
    """Declare one of the trained models among the examples."""

    def make(target):
        import shutil

        shutil.copytree(ROOT / folder, target)

    SUBJECTS.append(Subject(name, "network", title, (28, 28), (0.0, 1.0), make))


trained("mnist_mlp", "MNIST MLP 784-128-10", "examples/mnist/model/1")
trained("mnist_cnn", "MNIST CNN", "examples/mnist/cnn/1")


@network("MobileNetV2, 224x224", (224, 224, 3), (-1.0, 1.0))
def mobilenet_v2():
    import keras

    return keras.applications.MobileNetV2(weights=None)


@network("ResNet50, 224x224", (224, 224, 3), (-1.0, 1.0))
def resnet50():
    import keras

    return keras.applications.ResNet50(weights=None)


@network("EfficientNetB0, 224x224", (224, 224, 3), (0.0, 255.0))
def efficientnet_b0():
    import keras

    return keras.applications.EfficientNetB0(weights=None)


@network("U-Net, 128x128", (128, 128, 3))
def unet():
    import keras
    from keras import layers as L

    def block(x, filters):
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = L.ReLU()(L.BatchNormalization()(x))
        return x

    x = inputs = keras.Input((128, 128, 3))
    skips = []
    for filters in (16, 32, 64):
        skips.append(block(x, filters))
        x = L.MaxPooling2D(2)(skips[-1])
    x = block(x, 128)
    for filters, skip in zip((64, 32, 16), reversed(skips)):
        x = L.Conv2DTranspose(filters, 2, strides=2)(x)
        x = block(L.Concatenate()([x, skip]), filters)
    return keras.Model(inputs, L.Conv2D(2, 1, activation="softmax")(x))


@network("convolutional autoencoder, 64x64", (64, 64, 3))
def autoencoder():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((64, 64, 3))
    for filters in (16, 32, 64):
        x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Dense(64, name="code")(L.Flatten()(x))
    x = L.Reshape((8, 8, 64))(L.Dense(8 * 8 * 64, activation="relu")(x))
    for filters in (32, 16):
        x = L.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(inputs, L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="sigmoid")(x))


@network("residual MLP, 4 blocks of 256-1024-256", (256,), (-1.0, 1.0))
def residual_mlp():
    import keras
    from keras import layers as L

    x = inputs = keras.Input((256,))
    for _ in range(4):
        y = L.Dense(1024, activation="gelu")(L.LayerNormalization()(x))
        x = L.Add()([x, L.Dense(256)(y)])
    return keras.Model(inputs, L.Dense(10, activation="softmax")(L.LayerNormalization()(x)))


def operation(name, title, shape, compute, flops=0, moved=0, range=(-1.0, 1.0)):
    """Declare an operation: `compute(tf, x, weight)`, where `weight(*shape)` makes a constant. `moved` counts bytes that a call
    reads and writes at least."""

    def make(folder):
        import tensorflow as tf

        rng = np.random.default_rng(5)

        class Module(tf.Module):
            def __init__(self):
                self.weights = []
                weight = lambda *shape: tf.constant(rng.uniform(-1, 1, shape).astype(np.float32))
                compute(tf, tf.zeros(shape), lambda *s: self.weights.append(weight(*s)) or self.weights[-1])

            @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
            def __call__(self, x):
                rest = iter(self.weights)
                return {"y": compute(tf, x, lambda *_: next(rest))}

        module = Module()
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.__call__})

    SUBJECTS.append(Subject(name, "operation", title, shape, range, make, {"flops": flops, "bytes": moved}))


def matmul(name, title, rows, inner, columns):
    flops, moved = 2 * rows * inner * columns, 4 * (rows * inner + inner * columns + rows * columns)
    operation(name, title, (rows, inner), lambda tf, x, w: tf.matmul(x, w(inner, columns)), flops, moved)


def convolution(name, title, height, width, channels, kernel, filters, stride=1):
    area = -(-height // stride) * -(-width // stride)
    flops = 2 * area * kernel * kernel * channels * filters
    moved = 4 * (height * width * channels + area * filters + kernel * kernel * channels * filters)
    compute = lambda tf, x, w: tf.nn.conv2d(x, w(kernel, kernel, channels, filters), stride, "SAME")
    operation(name, title, (1, height, width, channels), compute, flops, moved)


def depthwise(name, height, width, channels):
    compute = lambda tf, x, w: tf.nn.depthwise_conv2d(x, w(3, 3, channels, 1), (1, 1, 1, 1), "SAME")
    size = height * width * channels
    operation(name, f"depthwise 3x3, {height}x{width}x{channels}", (1, height, width, channels), compute, 18 * size, 8 * size)


def elementwise(name, compute, range=(-4.0, 4.0), count=65536):
    operation(name, f"{name}, {count} elements", (count,), lambda tf, x, w: compute(tf, x), 0, 8 * count, range)


# Nothing to compute: what remains is the cost of a call.
operation("empty", "x + 1 of one element: the cost of a call", (1,), lambda tf, x, w: x + 1.0)
for size in (64, 128, 256, 512, 1024):
    matmul(f"gemm_{size}", f"matrix product {size}x{size}x{size}", size, size, size)
for rows in (2, 4, 8, 16, 32, 64):
    matmul(f"dense_{rows}", f"matrix product {rows}x1024x1024", rows, 1024, 1024)
for inner, columns in ((784, 128), (1024, 1024), (1024, 4096)):
    matmul(f"gemv_{inner}x{columns}", f"vector times matrix {inner}x{columns}", 1, inner, columns)
convolution("conv3x3", "convolution 3x3, 56x56x64 to 64", 56, 56, 64, 3, 64)
convolution("conv1x1", "convolution 1x1, 56x56x64 to 128", 56, 56, 64, 1, 128)
convolution("conv7x7_first", "convolution 7x7 by 2, 224x224x3 to 64", 224, 224, 3, 7, 64, 2)
depthwise("depthwise_56", 56, 56, 64)
depthwise("depthwise_112", 112, 112, 32)
elementwise("relu", lambda tf, x: tf.nn.relu(x))
elementwise("exp", lambda tf, x: tf.exp(x))
elementwise("tanh", lambda tf, x: tf.tanh(x))
elementwise("sigmoid", lambda tf, x: tf.sigmoid(x))
elementwise("erf", lambda tf, x: tf.math.erf(x))
elementwise("gelu", lambda tf, x: tf.nn.gelu(x))
elementwise("sin", lambda tf, x: tf.sin(x), (-30.0, 30.0))
elementwise("log", lambda tf, x: tf.math.log(x), (0.01, 30.0))
elementwise("pow", lambda tf, x: tf.pow(x, 1.7), (0.01, 30.0))
operation("softmax", "softmax of 64x1024", (64, 1024), lambda tf, x, w: tf.nn.softmax(x), 0, 8 * 65536, (-4.0, 4.0))


def layer_norm(tf, x, w):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    return centred * tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + 1e-5) * w(1024) + w(1024)


operation("layer_norm", "layer norm of 64x1024", (64, 1024), layer_norm, 0, 8 * 65536, (-4.0, 4.0))


import sequences  # Its subjects come behind these.
import training  # And then these.

if __name__ == "__main__":
    print("\n".join(f"{subject.name} {subject.kind}" for subject in SUBJECTS))
