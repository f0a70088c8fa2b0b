"""Every kind of convolution and of pooling, as Keras 3 writes it, in one to three dimensions and both layouts."""

import keras
from keras import layers as L

from .spec import model


def branches(inputs, made):
    return keras.Model(inputs, {f"branch_{i:02}": output for i, output in enumerate(made)})


@model("convolutions", "saved_model")
def convolutions():
    x = keras.Input((11, 13, 4))
    return branches(
        x,
        [
            L.Conv2D(3, 3, padding=padding, strides=strides, dilation_rate=dilation, groups=groups)(x) if groups == 1
            else L.Conv2D(8, 3, padding=padding, strides=strides, dilation_rate=dilation, groups=groups)(x)
            for padding, strides, dilation, groups in (
                ("same", 1, 1, 1), ("valid", 1, 1, 1), ("same", 2, 1, 1), ("valid", (2, 3), 1, 1), ("same", 1, 2, 1), ("valid", 1, (3, 2), 1),
                ("same", 1, 1, 2), ("valid", 2, 1, 4), ("same", 1, 2, 2),
            )
        ],
    )  # fmt: skip


@model("depthwise_and_separable", "saved_model", "export")
def depthwise_and_separable():
    x = keras.Input((12, 10, 3))
    return branches(
        x,
        [
            L.DepthwiseConv2D(3, padding="same")(x),
            L.DepthwiseConv2D(3, strides=2, padding="same", activation="relu6")(x),
            L.DepthwiseConv2D((3, 2), depth_multiplier=4)(x),
            L.DepthwiseConv2D(3, dilation_rate=2, padding="same")(x),
            L.SeparableConv2D(6, 3, padding="same", activation="relu")(x),
            L.SeparableConv2D(5, 3, strides=2, depth_multiplier=2)(x),
            L.SeparableConv2D(5, 3, dilation_rate=2)(x),
        ],
    )


@model("transposed", "saved_model")
def transposed():
    x = keras.Input((5, 6, 3))
    return branches(
        x,
        [
            L.Conv2DTranspose(4, 3)(x),
            L.Conv2DTranspose(4, 3, padding="same")(x),
            L.Conv2DTranspose(4, 3, strides=2)(x),
            L.Conv2DTranspose(4, 3, strides=2, padding="same")(x),
            L.Conv2DTranspose(4, 4, strides=(3, 2), padding="same")(x),
            L.Conv2DTranspose(4, 2, strides=3)(x),
            L.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=0)(x),
        ],
    )


@model("one_dimension", "saved_model", "export")
def one_dimension():
    x = keras.Input((20, 4))
    return branches(
        x,
        [
            L.Conv1D(6, 3)(x),
            L.Conv1D(6, 5, strides=2, padding="same", activation="relu")(x),
            L.Conv1D(6, 3, dilation_rate=3, padding="causal")(x),
            L.Conv1D(8, 3, groups=2, padding="same")(x),
            L.DepthwiseConv1D(3, depth_multiplier=2)(x),
            L.SeparableConv1D(5, 4, padding="same")(x),
            L.Conv1DTranspose(3, 4, strides=2)(x),
            L.Conv1DTranspose(3, 4, strides=2, padding="same")(x),
            L.MaxPooling1D(2)(x),
            L.MaxPooling1D(3, strides=2, padding="same")(x),
            L.AveragePooling1D(2)(x),
            L.AveragePooling1D(3, strides=2, padding="same")(x),
            L.GlobalMaxPooling1D()(x),
            L.GlobalAveragePooling1D(keepdims=True)(x),
            L.ZeroPadding1D((1, 2))(x),
            L.Cropping1D((2, 1))(x),
            L.UpSampling1D(3)(x),
        ],
    )


@model("three_dimensions", "saved_model")
def three_dimensions():
    x = keras.Input((6, 7, 8, 2))
    return branches(
        x,
        [
            L.Conv3D(4, 3)(x),
            L.Conv3D(4, 3, strides=2, padding="same", activation="relu")(x),
            L.Conv3D(3, (1, 2, 3), strides=(2, 1, 1), padding="same")(x),
            L.BatchNormalization()(L.Conv3D(3, 1)(x)),
            L.MaxPooling3D(2)(x),
            L.MaxPooling3D(3, strides=2, padding="same")(x),
            L.AveragePooling3D(2)(x),
            L.AveragePooling3D((2, 3, 2), strides=(1, 2, 2), padding="same")(x),
            L.GlobalMaxPooling3D()(x),
            L.GlobalAveragePooling3D()(x),
            L.ZeroPadding3D((1, 0, 2))(x),
            L.Cropping3D(((1, 0), (2, 1), (1, 1)))(x),
            L.UpSampling3D((2, 1, 2))(x),
        ],
    )


@model("pooling", "saved_model", "export")
def pooling():
    x = keras.Input((9, 11, 3))
    return branches(
        x,
        [
            layer(size, strides=strides, padding=padding)(x)
            for layer in (L.MaxPooling2D, L.AveragePooling2D)
            for size, strides, padding in ((2, None, "valid"), (3, 2, "same"), ((2, 3), (1, 2), "same"), (3, 1, "valid"), (1, 2, "same"))
        ]
        + [L.GlobalMaxPooling2D()(x), L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D(keepdims=True)(x)],
    )


@model("channels_first", "saved_model")
def channels_first():
    x = inputs = keras.Input((3, 12, 14))
    first = {"data_format": "channels_first"}
    x = L.Conv2D(8, 3, padding="same", **first)(x)
    x = L.ReLU()(L.BatchNormalization(axis=1)(x))
    x = L.MaxPooling2D(2, **first)(x)
    x = L.Conv2D(6, 3, strides=2, activation="relu", **first)(x)
    a = L.GlobalAveragePooling2D(**first)(x)
    b = L.Flatten(**first)(L.AveragePooling2D(2, padding="same", **first)(x))
    return keras.Model(inputs, [L.Dense(4)(a), L.Dense(4)(b), L.ZeroPadding2D(1, **first)(x), L.UpSampling2D(2, **first)(x)])
