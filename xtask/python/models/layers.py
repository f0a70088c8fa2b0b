"""Every Keras 3 layer of the kinds that only rearrange, normalise, activate or merge."""

import keras
from keras import layers as L

from .spec import model


def branches(inputs, made):
    return keras.Model(inputs, {f"branch_{i:02}": output for i, output in enumerate(made)})


@model("activations", "saved_model", "export")
def activations():
    x = keras.Input((5, 6))
    names = ("relu", "relu6", "sigmoid", "softplus", "softsign", "tanh", "selu", "elu", "gelu", "silu", "mish", "hard_sigmoid", "hard_silu",
             "exponential", "log_softmax", "softmax", "celu", "glu", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "squareplus",
             "log_sigmoid", "linear", "leaky_relu", "sparse_plus", "sparse_sigmoid", "threshold")  # fmt: skip
    made = []
    for name in names:
        function = getattr(keras.activations, name)
        extra = {"threshold": 0.25, "default_value": -1.0} if name == "threshold" else {}
        made.append(L.Lambda(lambda v, f=function, e=extra: f(v, **e), name=f"use_{name}")(x))
    made.append(L.Lambda(lambda v: keras.activations.gelu(v, approximate=True))(x))
    return branches(x, made)


@model("activation_layers", "saved_model")
def activation_layers():
    x = keras.Input((4, 5, 3))
    return branches(
        x,
        [
            L.ReLU()(x),
            L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)(x),
            L.LeakyReLU(negative_slope=0.3)(x),
            L.PReLU(alpha_initializer="glorot_uniform")(x),
            L.PReLU(alpha_initializer="glorot_uniform", shared_axes=[1, 2])(x),
            L.ELU(alpha=0.7)(x),
            L.Softmax()(x),
            L.Softmax(axis=1)(x),
            L.Softmax(axis=[1, 2])(x),
            L.Activation("swish")(x),
        ],
    )


@model("normalisations", "saved_model", "export")
def normalisations():
    x = keras.Input((6, 5, 8))
    fixed = L.Normalization(mean=[0.1 * i for i in range(8)], variance=[0.5 + 0.1 * i for i in range(8)])
    return branches(
        x,
        [
            L.BatchNormalization()(x),
            L.BatchNormalization(axis=1, epsilon=1e-5)(x),
            L.BatchNormalization(center=False, scale=False)(x),
            L.LayerNormalization()(x),
            L.LayerNormalization(axis=[1, 2], epsilon=1e-6)(x),
            L.GroupNormalization(groups=4)(x),
            L.GroupNormalization(groups=-1)(x),
            L.UnitNormalization()(x),
            L.UnitNormalization(axis=[1, 2])(x),
            L.RMSNormalization()(x),
            fixed(x),
            L.Rescaling(1 / 127.5, offset=-1)(x),
            L.BatchNormalization()(L.Flatten()(x)),
        ],
    )


@model("merges", "saved_model")
def merges():
    a, b, c = (keras.Input((4, 3), name=name) for name in "abc")
    row = keras.Input((3,), name="row")
    made = [layer()([a, b, c]) for layer in (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum)]
    made += [L.Subtract()([a, b]), L.Concatenate()([a, b]), L.Concatenate(axis=1)([a, b, c]), L.Dot(axes=(2, 2))([a, b])]
    made += [L.Dot(axes=1, normalize=True)([a, b]), L.Add()([a, L.Reshape((1, 3))(row)])]
    return branches({"a": a, "b": b, "c": c, "row": row}, made)


@model("rearrangements", "saved_model", "export")
def rearrangements():
    x = keras.Input((4, 6, 5))
    vector = L.Flatten()(x)
    return branches(
        x,
        [
            vector,
            L.Reshape((6, 20))(x),
            L.Reshape((-1, 10))(x),
            L.Permute((3, 1, 2))(x),
            L.RepeatVector(3)(vector),
            L.Cropping2D(((1, 0), (2, 1)))(x),
            L.ZeroPadding2D(((1, 2), (0, 3)))(x),
            L.UpSampling2D((2, 3))(x),
            L.UpSampling2D(2, interpolation="bilinear")(x),
            L.Identity()(x),
            L.GaussianNoise(0.5)(L.SpatialDropout2D(0.5)(L.AlphaDropout(0.5)(x))),
            L.ActivityRegularization(l2=0.1)(x),
        ],
    )


@model("dense_kinds", "saved_model")
def dense_kinds():
    x = keras.Input((5, 8))
    return branches(
        x,
        [
            L.Dense(7, use_bias=False)(x),
            L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(x),
            L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")(x),
            L.EinsumDense("abc,bcd->abd", output_shape=(5, 3))(x),
            L.TimeDistributed(L.Dense(3, activation="relu"))(x),
        ],
    )


@model("attention", "saved_model")
def attention():
    query, value = keras.Input((4, 6), name="query"), keras.Input((7, 6), name="value")
    return branches(
        [query, value],
        [L.Attention()([query, value]), L.Attention(use_scale=True)([query, value]), L.AdditiveAttention()([query, value]),
         L.MultiHeadAttention(3, 4, value_dim=5, output_shape=6)(query, value)],
    )  # fmt: skip


@model("preprocessing", "saved_model", "export", feeds={"": (0, 256)})
def preprocessing():
    pixels = keras.Input((20, 24, 3), dtype="uint8", name="pixels")
    x = L.Rescaling(1 / 255.0)(pixels)
    return branches(
        pixels,
        [
            L.Resizing(10, 12)(x),
            L.Resizing(15, 30, interpolation="nearest")(x),
            L.CenterCrop(12, 14)(x),
            L.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05, 0.05, 0.05])(x),
            L.Conv2D(4, 3, strides=2)(L.Rescaling(2.0, offset=-1.0)(x)),
        ],
    )


@model("encodings", "saved_model", feeds={"ids": (0, 7)})
def encodings():
    ids, values = keras.Input((3,), dtype="int32", name="ids"), keras.Input((4,), name="values")
    one_hot = L.Lambda(lambda v: keras.ops.one_hot(v, 7))(ids)
    picked = L.Lambda(lambda v: keras.ops.take(v, [2, 0, 3], axis=1))(values)
    ranked = L.Lambda(lambda v: keras.ops.top_k(v, 2)[1])(values)
    bins = L.Discretization([-0.5, 0.0, 1.0], output_mode="multi_hot")(values)
    codes = [L.CategoryEncoding(7, output_mode=mode)(ids) for mode in ("multi_hot", "count")]
    return branches([ids, values], [L.Dense(4)(one_hot), picked, ranked, bins, *codes])


@model("keras_argmax", "saved_model")
def keras_argmax():
    """Keras looks at the bits of a float to tell -0 from 0."""
    x = keras.Input((5, 7))
    return branches(x, [L.Lambda(lambda v: keras.ops.argmax(v, axis=-1))(x), L.Lambda(lambda v: keras.ops.argmin(v, axis=1))(x)])
