"""Networks of keras.applications with random weights, on small pictures."""

import keras

from .spec import model


def small(make, size, **options):
    return make(weights=None, input_shape=(size, size, 3), classes=10, **options)


@model("mobilenet_v2", "saved_model", "export")
def mobilenet_v2():
    return small(keras.applications.MobileNetV2, 64, alpha=0.5)


@model("mobilenet_v3_small", "saved_model", feeds={"": (0, 256)})
def mobilenet_v3_small():
    return small(keras.applications.MobileNetV3Small, 64)


@model("resnet50", "saved_model")
def resnet50():
    return small(keras.applications.ResNet50, 64)


@model("efficientnet_b0", "export", feeds={"": (0, 256)})
def efficientnet_b0():
    return small(keras.applications.EfficientNetB0, 48)


@model("densenet121", "saved_model")
def densenet121():
    return small(keras.applications.DenseNet121, 32)


@model("vgg16", "frozen", batches=(1, 3))
def vgg16():
    inputs = keras.Input((32, 32, 3))
    body = keras.applications.VGG16(weights=None, include_top=False, input_tensor=inputs, pooling="avg")
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(body.output))
