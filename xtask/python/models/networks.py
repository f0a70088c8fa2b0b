"""Small networks of the kinds people build with Keras 3."""

import keras
import tensorflow as tf
from keras import layers as L

from .spec import model

ROUTES = ("saved_model", "export")


def conv_block(x, filters, kernel=3, activation="relu", **options):
    x = L.Conv2D(filters, kernel, padding="same", use_bias=False, **options)(x)
    return L.Activation(activation)(L.BatchNormalization()(x))


@model("mlp", *ROUTES, "frozen")
def mlp():
    return keras.Sequential(
        [keras.Input((20,)), L.Dense(33, "relu"), L.Dense(17, "tanh"), L.Dropout(0.5), L.Dense(9, "gelu"), L.Dense(5, "softmax")]
    )


@model("cnn", *ROUTES, "frozen")
def cnn():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            L.Conv2D(8, 3, activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.Conv2D(16, 3, padding="same"),
            L.BatchNormalization(),
            L.ReLU(),
            L.AveragePooling2D(2),
            L.Dropout(0.3),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )


@model("residual", *ROUTES)
def residual():
    inputs = keras.Input((24, 24, 3), name="picture")
    x = conv_block(inputs, 8)
    for filters, strides in ((8, 1), (16, 2), (16, 1)):
        skip = x if strides == 1 and x.shape[-1] == filters else L.Conv2D(filters, 1, strides=strides)(x)
        y = conv_block(x, filters, strides=strides)
        y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(y))
        x = L.ReLU()(L.Add()([skip, y]))
    return keras.Model(inputs, L.Dense(7)(L.GlobalAveragePooling2D()(x)))


@model("unet", *ROUTES)
def unet():
    inputs = keras.Input((16, 24, 2))
    one = conv_block(inputs, 6)
    two = conv_block(L.MaxPooling2D(2)(one), 12)
    three = conv_block(L.MaxPooling2D(2)(two), 24)
    x = L.Concatenate()([L.Conv2DTranspose(12, 2, strides=2)(three), two])
    x = L.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(conv_block(x, 12))
    x = conv_block(L.Concatenate()([x, one]), 6)
    return keras.Model(inputs, L.Conv2D(3, 1, activation="softmax")(x))


@model("unet_any_size", "export", free=16)
def unet_any_size():
    inputs = keras.Input((None, None, 3))
    one = conv_block(inputs, 4)
    two = conv_block(L.MaxPooling2D(2)(one), 8)
    x = L.Concatenate()([L.UpSampling2D(2)(two), one])
    return keras.Model(inputs, L.Conv2D(1, 1, activation="sigmoid")(conv_block(x, 4)))


@model("autoencoder", *ROUTES)
def autoencoder():
    inputs = keras.Input((16, 16, 1))
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="elu")(x)
    code = L.Dense(10, name="code")(L.Flatten()(x))
    x = L.Reshape((4, 4, 4))(L.Dense(64, activation="relu")(code))
    x = L.Conv2D(8, 3, padding="same", activation="relu")(L.UpSampling2D(2)(x))
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(inputs, L.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


@model("many_inputs_and_outputs", *ROUTES)
def many_inputs_and_outputs():
    picture, features, extra = keras.Input((12, 12, 3), name="picture"), keras.Input((6,), name="features"), keras.Input((4, 5), name="extra")
    a = L.GlobalMaxPooling2D()(L.Conv2D(5, 3, activation="relu")(picture))
    b = L.Dense(5, activation="sigmoid")(features)
    c = L.Flatten()(L.Dense(3)(extra))
    joined = L.Concatenate()([a, b, c])
    outputs = {"class": L.Dense(4, activation="softmax")(joined), "score": L.Dense(1, name="score")(joined), "code": L.Multiply()([a, b])}
    return keras.Model({"picture": picture, "features": features, "extra": extra}, outputs)


@model("siamese", "saved_model")
def siamese():
    shared = keras.Sequential([keras.Input((10,)), L.Dense(16, activation="relu"), L.Dense(8)])
    left, right = keras.Input((10,), name="left"), keras.Input((10,), name="right")
    a, b = L.UnitNormalization()(shared(left)), L.UnitNormalization()(shared(right))
    return keras.Model([left, right], [L.Dot(1)([a, b]), L.Subtract()([a, b])])


@model("wide_and_deep", "export", feeds={"user": (0, 30), "item": (0, 50)})
def wide_and_deep():
    user, item = keras.Input((), dtype="int32", name="user"), keras.Input((3,), dtype="int64", name="item")
    numbers = keras.Input((5,), name="numbers")
    deep = L.Concatenate()([L.Embedding(30, 8)(user), L.Flatten()(L.Embedding(50, 4)(item)), numbers])
    deep = L.Dense(16, activation="relu")(deep)
    return keras.Model([user, item, numbers], L.Dense(1, activation="sigmoid")(L.Add()([L.Dense(4)(deep), L.Dense(4)(numbers)])))


@model("text_average", *ROUTES, feeds={"": (0, 100)})
def text_average():
    tokens = keras.Input((12,), dtype="int32", name="tokens")
    x = L.Embedding(100, 16)(tokens)
    x = L.GlobalAveragePooling1D()(L.Conv1D(12, 3, padding="same", activation="relu")(x))
    return keras.Model(tokens, L.Dense(3, activation="softmax")(x))


@model("masked_average", "saved_model", feeds={"": (0, 8)})
def masked_average():
    tokens = keras.Input((9,), dtype="int32", name="tokens")
    x = L.Embedding(8, 6, mask_zero=True)(tokens)
    return keras.Model(tokens, L.Dense(2)(L.GlobalAveragePooling1D()(x)))


@model("transformer_block", *ROUTES)
def transformer_block():
    inputs = keras.Input((7, 16))
    x = L.LayerNormalization(epsilon=1e-6)(inputs)
    x = L.Add()([inputs, L.MultiHeadAttention(2, 8)(x, x)])
    y = L.Dense(16)(L.Dense(32, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(x)))
    return keras.Model(inputs, L.Add()([x, y]))


@model("mlp_mixer", "saved_model")
def mlp_mixer():
    inputs = keras.Input((16, 16, 3))
    x = L.Reshape((16, 12))(L.Conv2D(12, 4, strides=4)(inputs))
    y = L.Permute((2, 1))(L.LayerNormalization()(x))
    x = L.Add()([x, L.Permute((2, 1))(L.Dense(16)(L.Dense(24, activation="gelu")(y)))])
    y = L.Dense(12)(L.Dense(24, activation="gelu")(L.LayerNormalization()(x)))
    return keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling1D()(L.Add()([x, y]))))


@model("squeeze_and_excite", "export")
def squeeze_and_excite():
    inputs = keras.Input((12, 12, 4))
    x = conv_block(inputs, 8, activation="swish")
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(8, 1, activation="hard_sigmoid")(L.Conv2D(2, 1, activation="relu")(gate))
    return keras.Model(inputs, L.Multiply()([x, gate]))


@model("inception_block", "saved_model")
def inception_block():
    inputs = keras.Input((14, 14, 6))
    towers = [
        conv_block(inputs, 4, 1),
        conv_block(conv_block(inputs, 3, 1), 5, (1, 5)),
        conv_block(conv_block(inputs, 3, (3, 1)), 5, (1, 3)),
        conv_block(L.AveragePooling2D(3, strides=1, padding="same")(inputs), 4, 1),
    ]
    return keras.Model(inputs, L.MaxPooling2D(3, strides=2, padding="same")(L.Concatenate()(towers)))


@model("wavenet", "saved_model")
def wavenet():
    x = inputs = keras.Input((40, 4))
    for rate in (1, 2, 4, 8):
        gate = L.Conv1D(4, 2, dilation_rate=rate, padding="causal", activation="sigmoid")(x)
        value = L.Conv1D(4, 2, dilation_rate=rate, padding="causal", activation="tanh")(x)
        x = L.Add()([x, L.Conv1D(4, 1)(L.Multiply()([gate, value]))])
    return keras.Model(inputs, L.Conv1D(6, 1, activation="softmax")(x))


@model("generator", "export")
def generator():
    return keras.Sequential(
        [
            keras.Input((12,)),
            L.Dense(4 * 4 * 8, use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(negative_slope=0.2),
            L.Reshape((4, 4, 8)),
            L.Conv2DTranspose(8, 5, strides=1, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(negative_slope=0.2),
            L.Conv2DTranspose(4, 5, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.LeakyReLU(negative_slope=0.2),
            L.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh"),
        ]
    )


class Subpixel(L.Layer):
    def call(self, x):
        return tf.nn.depth_to_space(x, 2)


@model("super_resolution", "export")
def super_resolution():
    inputs = keras.Input((9, 11, 1))
    x = L.Conv2D(8, 5, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, Subpixel()(L.Conv2D(4, 3, padding="same", activation="tanh")(x)))


class Subclassed(keras.Model):
    """A model whose forward pass is code, with layers in lists and dictionaries."""

    def __init__(self):
        super().__init__()
        self.stack = [L.Dense(12, activation="relu") for _ in range(3)]
        self.heads = {"mean": L.Dense(4), "spread": L.Dense(4, activation="softplus")}

    def call(self, x, training=False):
        for layer in self.stack:
            x = layer(x)
        return {name: head(x) for name, head in self.heads.items()}


@model("subclassed", "saved_model", "export")
def subclassed():
    built = Subclassed()
    built(tf.zeros((1, 8)))
    return built


@model("nested", "saved_model")
def nested():
    encoder = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Flatten()], name="encoder")
    inner = keras.Sequential([encoder, L.Dense(10, activation="relu")], name="inner")
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Dense(3)(inner(inputs)))


@model("double_precision", "saved_model")
def double_precision():
    inputs = keras.Input((10, 10, 2), dtype="float64")
    x = L.Conv2D(4, 3, activation="relu", dtype="float64")(inputs)
    x = L.Flatten(dtype="float64")(L.MaxPooling2D(2, dtype="float64")(x))
    return keras.Model(inputs, L.Dense(5, activation="softmax", dtype="float64")(L.Dense(8, activation="tanh", dtype="float64")(x)))
