"""Models of Keras 2 (tf_keras), saved as it saved them."""

import tensorflow as tf

from .spec import model


def parts():
    import tf_keras

    return tf_keras, tf_keras.layers


@model("keras2_mlp", "legacy")
def keras2_mlp():
    tf_keras, L = parts()
    return tf_keras.Sequential([L.Input((12,)), L.Dense(20, "relu"), L.BatchNormalization(), L.Dropout(0.2), L.Dense(4, "softmax")])


@model("keras2_cnn", "legacy", "saved_model")
def keras2_cnn():
    tf_keras, L = parts()
    built = tf_keras.Sequential(
        [
            L.Input((20, 20, 3)),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.SeparableConv2D(12, 3, activation="relu"),
            L.Conv2D(12, 3, dilation_rate=2, padding="same"),
            L.DepthwiseConv2D(3, dilation_rate=2, padding="same"),
            L.LeakyReLU(0.1),
            L.GlobalAveragePooling2D(),
            L.Dense(6, activation="softmax"),
        ]
    )
    built.compile("adam", "categorical_crossentropy")
    return built


@model("keras2_functional", "legacy")
def keras2_functional():
    tf_keras, L = parts()
    picture, extra = L.Input((12, 12, 2), name="picture"), L.Input((5,), name="extra")
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3, strides=2, padding="same")(picture)))
    y = L.Conv2DTranspose(3, 3, strides=2, padding="same", name="mask")(x)
    z = L.Concatenate()([L.Flatten()(L.AveragePooling2D(2)(x)), L.UnitNormalization()(extra)])
    return tf_keras.Model([picture, extra], [y, L.Dense(3, name="score", activation="sigmoid")(z)])


@model("keras2_embedding", "legacy", feeds={"": (0, 40)})
def keras2_embedding():
    tf_keras, L = parts()
    words = L.Input((8,), dtype="int32", name="words")
    x = L.GlobalMaxPooling1D()(L.Conv1D(6, 3, padding="causal", activation="relu")(L.Embedding(40, 8)(words)))
    return tf_keras.Model(words, L.Dense(2)(x))


def unit_sum(x):
    return tf.nn.l2_normalize(tf.reduce_sum(x, axis=[1, 2]), axis=-1)


@model("keras2_lambda", "legacy")
def keras2_lambda():
    tf_keras, L = parts()
    x = L.Input((6, 6, 4))
    y = L.Lambda(unit_sum)(x)
    return tf_keras.Model(x, tf.clip_by_value(y, -0.5, 0.5) * 2.0 + 1.0)


@model("keras2_unet", "legacy")
def keras2_unet():
    tf_keras, L = parts()
    x = L.Input((16, 16, 3))
    one = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", activation="relu")(x))
    two = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPooling2D(2)(one))
    up = L.Concatenate()([L.UpSampling2D(2, interpolation="bilinear")(two), one])
    return tf_keras.Model(x, L.Conv2D(2, 1, activation="sigmoid")(L.ZeroPadding2D(1)(L.Cropping2D(1)(up))))
