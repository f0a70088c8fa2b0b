"""Plain `tf.Module`s: several signatures, shape arithmetic, and the operators Keras layers seldom use."""

import numpy as np
import tensorflow as tf

from .spec import model

F32, I32, I64 = tf.float32, tf.int32, tf.int64


def spec(shape, dtype=F32, name=None):
    return tf.TensorSpec(shape, dtype, name)


def weights(*shape, seed=3):
    return tf.Variable(np.random.default_rng([seed, *shape]).normal(0, 0.4, shape).astype(np.float32))


@model("several_signatures", "module")
def several_signatures():
    module = tf.Module()
    module.kernel, module.bias, module.head = weights(6, 8), weights(8), weights(8, 3)

    @tf.function(input_signature=[spec([None, 6], name="x")])
    def encode(x):
        return {"code": tf.nn.relu(x @ module.kernel + module.bias)}

    @tf.function(input_signature=[spec([None, 6], name="x")])
    def classify(x):
        logits = encode(x)["code"] @ module.head
        return {"logits": logits, "label": tf.argmax(logits, -1), "probability": tf.nn.softmax(logits)}

    @tf.function(input_signature=[spec([None, 8], name="left"), spec([None, 8], name="right")])
    def distance(left, right):
        return {"distance": tf.sqrt(tf.reduce_sum(tf.math.squared_difference(left, right), -1))}

    module.encode = encode
    return module, {"serving_default": classify, "encode": encode, "distance": distance}


@model("top_k_head", "module")
def top_k_head():
    module = tf.Module()
    module.kernel = weights(10, 12)

    @tf.function(input_signature=[spec([None, 10], name="x")])
    def serve(x):
        values, indices = tf.math.top_k(tf.nn.softmax(x @ module.kernel), 5)
        return {"values": values, "indices": indices, "best": tf.one_hot(indices[:, 0], 12), "worst": tf.argmin(x, 1, I32)}

    return module, serve


@model("shape_arithmetic", "module")
def shape_arithmetic():
    @tf.function(input_signature=[spec([None, None, 4], name="x")])
    def serve(x):
        shape = tf.shape(x)
        batch, length = shape[0], shape[1]
        flat = tf.reshape(x, [batch * length, 4])
        padded = tf.pad(x, [[0, 0], [1, 2], [0, 0]])
        positions = tf.cast(tf.range(length), F32)
        grid = tf.tile(positions[None, :, None], [batch, 1, 2])
        return {
            "flat": flat, "padded": padded, "grid": tf.concat([x, grid], -1), "count": tf.size(x), "shape": tf.shape(padded),
            "filled": tf.fill([batch, length], 2.5), "zeros": tf.zeros_like(x), "wide": tf.reshape(x, [batch, -1]),
            "broadcast": tf.broadcast_to(positions, tf.stack([batch, length])), "product": tf.reduce_prod(shape[1:]),
            "rank": tf.rank(x) + 0 * batch, "halves": tf.concat(tf.split(x, 2, axis=2)[::-1], 2),
        }  # fmt: skip

    return tf.Module(), serve


@model("slicing", "module", feeds={"index": (0, 6)})
def slicing():
    @tf.function(input_signature=[spec([None, 6, 5, 4], name="x"), spec([None, 3], I32, name="index")])
    def serve(x, index):
        return {
            "plain": x[:, 1:4, ::2], "negative": x[:, ::-1, -3:-1], "ellipsis": x[..., 1], "new": x[:, tf.newaxis, 2, ..., tf.newaxis],
            "slice": tf.slice(x, [0, 1, 2, 0], [-1, 2, 3, -1]), "gather": tf.gather(x, [3, 0, 0], axis=1),
            "batched": tf.gather(x, index, axis=1, batch_dims=1), "reverse": tf.reverse(x, [1, 3]), "split": tf.split(x, [1, 2, 3], 1)[2],
            "unstack": tf.add_n(tf.unstack(x, axis=2)), "stack": tf.stack([x[:, 0, 0], x[:, 1, 1]], 1), "tile": tf.tile(x[:, :1, :1], [1, 2, 1, 3]),
            "one_hot": tf.one_hot(index, 6, on_value=2.0, off_value=-1.0, axis=1), "transposed": tf.transpose(x, [3, 0, 2, 1]),
            "mirror": tf.pad(x, [[0, 0], [2, 1], [1, 3], [0, 0]], "REFLECT"), "symmetric": tf.pad(x, [[0, 0], [6, 0], [0, 5], [1, 1]], "SYMMETRIC"),
            "constant": tf.pad(x, [[0, 0], [0, 1], [1, 0], [0, 0]], constant_values=-1.5), "dims": tf.squeeze(tf.expand_dims(x, 1), 1),
        }  # fmt: skip

    return tf.Module(), serve


@model("reductions", "module")
def reductions():
    @tf.function(input_signature=[spec([None, 7, 5], name="x"), spec([None, 6], I32, name="n")])
    def serve(x, n):
        positive = x > 0
        return {
            "sum": tf.reduce_sum(x, 1), "mean": tf.reduce_mean(x, [1, 2]), "max": tf.reduce_max(x, -1, keepdims=True), "min": tf.reduce_min(x, 1),
            "prod": tf.reduce_prod(x, 2), "all": tf.reduce_all(positive, 1), "any": tf.reduce_any(positive, [1, 2]), "argmax": tf.argmax(x, 2),
            "argmin": tf.argmin(x, 1, I32), "logsumexp": tf.reduce_logsumexp(x, -1), "std": tf.math.reduce_std(x, 1), "norm": tf.norm(x, axis=-1),
            "euclidean": tf.math.reduce_euclidean_norm(x, 1), "count": tf.math.count_nonzero(positive, axis=1), "cumsum": tf.cumsum(x, 1),
            "reverse": tf.cumsum(x, 2, exclusive=True, reverse=True), "int_sum": tf.reduce_sum(n, 1), "int_max": tf.reduce_max(n, 1),
            "int_mean": tf.reduce_mean(n, 1), "int_cumsum": tf.cumsum(n, 1), "softmax": tf.nn.softmax(x, 1), "log_softmax": tf.nn.log_softmax(x),
        }  # fmt: skip

    return tf.Module(), serve


@model("unary_math", "module")
def unary_math():
    @tf.function(input_signature=[spec([None, 33], name="x")])
    def serve(x):
        p, unit = tf.abs(x) + 0.1, tf.tanh(x) * 0.99
        both = "abs neg sign square exp expm1 sin cos tanh erf erfc sigmoid floor ceil round sinh cosh asinh atan softplus softsign".split()
        table = {name: getattr(tf.math, {"neg": "negative"}.get(name, name))(x) for name in both}
        table.update({name: getattr(tf.math, name)(p) for name in ("sqrt", "rsqrt", "log", "log1p", "reciprocal", "lgamma")[:5]})
        table.update({name: getattr(tf.math, name)(unit) for name in ("asin", "acos", "atanh", "tan")})
        table.update({"acosh": tf.acosh(p + 1), "rint": tf.math.rint(x), "relu6": tf.nn.relu6(x * 4), "elu": tf.nn.elu(x), "selu": tf.nn.selu(x)})
        table.update({"leaky": tf.nn.leaky_relu(x, 0.3), "nan": tf.math.is_nan(tf.math.log(x)), "finite": tf.math.is_finite(1 / tf.floor(x))})
        return table

    return tf.Module(), serve


@model("binary_math", "module", feeds={"n": (-20, 20), "d": (1, 7)})
def binary_math():
    specs = [spec([None, 1, 9], name="x"), spec([4, 1], name="y"), spec([None, 6], I32, "n"), spec([None, 6], I64, "d")]

    @tf.function(input_signature=specs)
    def serve(x, y, n, d):
        d32 = tf.cast(d, I32)
        table = {
            "add": x + y, "sub": x - y, "mul": x * y, "div": x / y, "maximum": tf.maximum(x, y), "minimum": tf.minimum(x, y),
            "pow": tf.pow(tf.abs(x), y), "difference": tf.math.squared_difference(x, y), "no_nan": tf.math.divide_no_nan(x, tf.floor(y)),
            "floordiv": x // y, "floormod": x % y, "atan2": tf.atan2(x, y), "xlogy": tf.math.xlogy(x, tf.abs(y)),
            "less": x < y, "equal": tf.floor(x) == tf.floor(y), "where": tf.where(x > y, x, -y), "clip": tf.clip_by_value(x, -0.5, 0.5),
            "int_add": n + d32, "int_div": n // d32, "int_mod": n % d32, "int_true": n / d32, "int_mul": n * n * d32, "wide": d * d - 3,
            "int_max": tf.maximum(n, d32), "truncate": tf.truncatediv(n, d32), "mod": tf.truncatemod(n, d32), "and": tf.bitwise.bitwise_and(n, d32),
            "logic": tf.logical_or(tf.logical_and(n > 0, d > 2), tf.logical_not(n < 5)), "select": tf.where(n > d32, n, d32), "ne": n != d32,
            "to_float": tf.cast(n, F32) * 0.5, "to_int": tf.cast(x * 10, I32), "to_bool": tf.cast(n, tf.bool), "byte": tf.cast(d, tf.uint8),
        }  # fmt: skip
        return table

    return tf.Module(), serve


@model("space_and_batch", "module")
def space_and_batch():
    @tf.function(input_signature=[spec([None, 6, 8, 4], name="x")])
    def serve(x):
        blocks = tf.space_to_batch(x, [2, 2], [[1, 1], [0, 2]])
        size = [9, 5]
        return {
            "blocks": tf.batch_to_space(blocks * 2.0, [2, 2], [[1, 1], [0, 2]]), "deep": tf.nn.space_to_depth(x, 2), "wide": tf.nn.depth_to_space(x, 2),
            "bilinear": tf.image.resize(x, size), "nearest": tf.image.resize(x, size, "nearest"),
            "aligned": tf.compat.v1.image.resize_bilinear(x, size, align_corners=True), "old": tf.compat.v1.image.resize_bilinear(x, size),
            "old_nearest": tf.compat.v1.image.resize_nearest_neighbor(x, size), "normalised": tf.nn.local_response_normalization(x, 2, 1.0, 0.1, 0.75),
            "flipped": tf.image.flip_left_right(x),
        }  # fmt: skip

    return tf.Module(), serve


@model("dilated_by_batches", "module")
def dilated_by_batches():
    module = tf.Module()
    module.kernel = weights(3, 3, 3, 5)

    @tf.function(input_signature=[spec([None, 11, 12, 3], name="x")])
    def serve(x):
        return {"same": tf.nn.convolution(x, module.kernel, padding="SAME", dilations=2), "explicit": tf.nn.conv2d(
            x, module.kernel, 2, [[0, 0], [2, 1], [0, 3], [0, 0]]), "atrous": tf.nn.atrous_conv2d(x, module.kernel, 2, "VALID")}  # fmt: skip

    return module, serve


@model("einsums", "module")
def einsums():
    module = tf.Module()
    module.a, module.b = weights(4, 5), weights(2, 4, 3)

    @tf.function(input_signature=[spec([None, 6, 4], name="x")])
    def serve(x):
        scores = tf.einsum("bic,bjc->bij", x, x)
        return {
            "project": tf.einsum("bic,cd->bid", x, module.a), "heads": tf.einsum("bic,hcd->bhid", x, module.b),
            "attend": tf.einsum("bij,bjc->bic", tf.nn.softmax(scores), x), "trace": tf.einsum("bii->b", scores), "sum": tf.einsum("bic->c", x),
            "outer": tf.einsum("bi,bj->bij", x[:, 0], x[:, 1]), "product": tf.matmul(x, x, transpose_b=True), "broadcast": tf.matmul(x, module.a),
        }  # fmt: skip

    return module, serve


@model("guards", "module")
def guards():
    @tf.function(input_signature=[spec([None, 4], name="x")])
    def serve(x):
        tf.debugging.assert_equal(tf.shape(x)[1], 4)
        checked = tf.debugging.check_numerics(tf.ensure_shape(x, [None, 4]), "finite")
        return {"y": tf.stop_gradient(tf.identity(checked)) * 2.0, "x": x, "constant": tf.constant([1.0, 2.0])}

    return tf.Module(), serve


@model("no_batch", "module", batches=(1,))
def no_batch():
    module = tf.Module()
    module.table = weights(20, 4)

    @tf.function(input_signature=[spec([3], I32, "ids"), spec([], F32, "scale")])
    def serve(ids, scale):
        return {"rows": tf.gather(module.table, ids) * scale, "first": module.table[0], "double": tf.cast(scale, tf.float64) / 3}

    return module, serve


@model("fourier_features", "module")
def fourier_features():
    module = tf.Module()
    module.frequencies, module.kernel = weights(2, 16), weights(32, 3)

    @tf.function(input_signature=[spec([None, 2], name="xy")])
    def serve(xy):
        phase = 2 * np.pi * xy @ module.frequencies
        return {"rgb": tf.sigmoid(tf.concat([tf.sin(phase), tf.cos(phase)], -1) @ module.kernel)}

    return module, serve


@model("segmentation", "module", free=24)
def segmentation():
    """Atrous pyramid with a resize to the input's own size: dynamic height and width."""
    module = tf.Module()
    module.stem, module.deep, module.out = weights(3, 3, 3, 6), weights(3, 3, 6, 6), weights(1, 1, 12, 4)

    @tf.function(input_signature=[spec([None, None, None, 3], name="image")])
    def serve(image):
        x = tf.nn.relu(tf.nn.conv2d(image, module.stem, 2, "SAME"))
        y = tf.nn.relu(tf.nn.conv2d(x, module.deep, 1, "SAME", dilations=2))
        logits = tf.nn.conv2d(tf.concat([x, y], -1), module.out, 1, "SAME")
        logits = tf.image.resize(logits, tf.shape(image)[1:3])
        return {"logits": logits, "classes": tf.argmax(logits, -1, I32)}

    return module, serve


@model("narrow_types", "module")
def narrow_types():
    """Elements of four bits and floats of eight: stored, moved, converted to and from."""
    module = tf.Module()
    values = np.random.default_rng(5).normal(0, 2, (6, 4)).astype(np.float32)
    module.wide = tf.Variable(tf.cast(values, "float8_e5m2"))
    module.fine = tf.Variable(tf.cast(values, "float8_e4m3fn"))
    module.four = tf.Variable(tf.cast(tf.cast(values * 3, I32), "int4"))

    @tf.function(input_signature=[spec([None, 6], name="x")])
    def serve(x):
        rounded = tf.cast(tf.cast(100.0 * x, "float8_e4m3fn"), F32)
        small = tf.cast(tf.reshape(tf.cast(tf.cast(10.0 * x, I32), "uint4"), [-1, 2, 3]), I32)
        return {
            "fine": x @ tf.cast(tf.gather(module.fine.read_value(), [5, 4, 3, 2, 1, 0]), F32), "four": tf.cast(module.four, I32), "small": small,
            "wide": x @ tf.transpose(tf.cast(tf.transpose(module.wide), F32)), "rounded": rounded,
        }  # fmt: skip

    return module, serve


@model("chosen_rows", "module", feeds={"ids": (0, 10)})
def chosen_rows():
    """Tables in parts, a network for each half of the rows, rows replaced, places of greatest elements, clipped bin counts."""
    module = tf.Module()
    module.tables = [weights(4, 5), weights(3, 5, seed=4), weights(3, 5, seed=5)]
    module.positive, module.other = weights(5, 6), weights(5, 6, seed=6)

    @tf.function(input_signature=[spec([None, 8], I32, name="ids")])
    def serve(ids):
        rows = {way: tf.compat.v1.nn.embedding_lookup(module.tables, ids, partition_strategy=way) for way in ("div", "mod")}
        flat = tf.reduce_sum(rows["div"], 1)
        which = tf.cast(ids[:, 0] > 4, I32)
        places = tf.dynamic_partition(tf.range(tf.shape(ids)[0]), which, 2)
        low, high = tf.dynamic_partition(flat, which, 2)
        image = tf.reshape(tf.cast(ids, F32), [-1, 2, 4, 1])
        greatest, place = tf.nn.max_pool_with_argmax(image, 2, 1, "SAME", include_batch_in_index=True)
        bins = tf.minimum(6, tf.maximum(6, tf.reduce_max(ids) + 1))
        return {
            **rows, "apart": tf.dynamic_stitch(places, [tf.nn.relu(low @ module.positive), tf.tanh(high @ module.other)]),
            "greatest": greatest, "place": place, "counts": tf.math.bincount(ids, minlength=bins, maxlength=bins, axis=-1),
            "replaced": tf.tensor_scatter_nd_update(flat, [[0]], tf.ones([1, 5])),
        }  # fmt: skip

    return module, serve
