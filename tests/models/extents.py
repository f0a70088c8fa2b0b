"""A model whose signatures compute sizes of the extents of their input in every way that TensorFlow has, and what
TensorFlow answers for small extents: `extents/recorded.json`. A value of null says that TensorFlow raises."""

import json

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
bits = tf.bitwise

VECTORS = [[None, 2], [[n, 2] for n in [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13]]]
IMAGES = [[1, None, None, 1], [[1, h, w, 1] for h, w in [(1, 1), (2, 3), (4, 6), (5, 7), (9, 10), (10, 3)]]]
FRAMES = [[1, None, 4], [[1, n, 4] for n in [1, 2, 3, 5]]]
SQUARES = [[2, None, None], [[2, n, m] for n, m in [(0, 0), (1, 1), (3, 3), (2, 3), (3, 2)]]]


def n(x):
    return tf.shape(x)[0]


def single(x):
    return tf.cast(n(x), tf.float32)


def whole(x):
    return tf.cast(x, tf.int32)


def sizes(x):
    return whole(tf.cast(tf.shape(x)[1:3], tf.float32) * 0.6)


# By name: the function of the input, and the shapes of the input.
SIGNATURES = {
    "ceil_by_signs": (lambda x: tf.reshape(tf.pad(x, [[0, -(-n(x) // 4) * 4 - n(x)], [0, 0]]), [-1, 4, 2]), VECTORS),
    "floor_of_negative": (lambda x: x[: (n(x) - 4) // 2], VECTORS),
    "begin_of_either_sign": (lambda x: x[(n(x) - 4) // 2 :], VECTORS),
    "last_half": (lambda x: x[-n(x) // 2 :], VECTORS),
    "negative_modulo": (lambda x: tf.pad(x, [[0, -n(x) % 4], [0, 0]]), VECTORS),
    "modulo_of_negative_divisor": (lambda x: tf.pad(x, [[0, 4 + n(x) % -4], [0, 0]]), VECTORS),
    "truncated_quotient": (lambda x: x[: tf.abs(tf.truncatediv(n(x) - 6, 4))], VECTORS),
    "truncated_rest": (lambda x: x[: tf.abs(tf.truncatemod(n(x) - 6, 4))], VECTORS),
    "quotient_of_extents": (lambda x: x[: 12 // n(x)], VECTORS),
    "quotient_of_any_sign": (lambda x: x[: tf.abs(9 // (n(x) - 4))], VECTORS),
    "rounded_in_f32": (lambda x: x[: whole(single(x) * 0.7)], VECTORS),
    "rounded_in_f64": (lambda x: x[: whole(tf.cast(n(x), tf.float64) * 0.7)], VECTORS),
    "ceil_of_f32": (lambda x: tf.pad(x, [[0, whole(tf.math.ceil(single(x) / 4.0)) * 4 - n(x)], [0, 0]]), VECTORS),
    "ceil_of_f64": (lambda x: x[: whole(tf.math.ceil(n(x) / 3))], VECTORS),
    "halves_to_even": (lambda x: x[: whole(tf.round(single(x) / 2.0))], VECTORS),
    "of_infinity": (lambda x: x[: whole(6.0 / single(x))], VECTORS),
    "least_and_greatest": (lambda x: x[tf.maximum(n(x) - 6, 0) : tf.minimum(n(x), 6)], VECTORS),
    "clipped": (lambda x: x[: tf.clip_by_value(n(x), 2, 5)], VECTORS),
    "power_of_two": (lambda x: tf.ones([tf.pow(2, n(x))]), VECTORS),
    "square": (lambda x: x[: n(x) ** 2 - 8], VECTORS),
    "shifted": (lambda x: tf.ones([bits.left_shift(n(x), 1), bits.right_shift(n(x), 1)]), VECTORS),
    "shifted_by_extent": (lambda x: tf.ones([bits.left_shift(1, n(x) // 2)]), VECTORS),
    "masked": (lambda x: x[: bits.bitwise_and(n(x), -4)], VECTORS),
    "bits": (lambda x: tf.ones([bits.bitwise_and(n(x), 5), bits.bitwise_or(n(x), 1), bits.bitwise_xor(n(x), 5)]), VECTORS),
    "inverted": (lambda x: x[bits.invert(n(x) // 2) :], VECTORS),
    "chosen": (lambda x: x[: tf.where(n(x) > 4, n(x) // 2, n(x))], VECTORS),
    "chosen_constant": (lambda x: x[: tf.where(tf.equal(n(x) % 2, 0), 3, 1)], VECTORS),
    "logic": (lambda x: x[: tf.where((n(x) > 2) & ~(n(x) >= 7) | tf.equal(n(x), 8), n(x) - 1, 0)], VECTORS),
    "sign": (lambda x: x[: tf.sign(n(x) - 3) + 1], VECTORS),
    "float_comparison": (lambda x: x[: tf.where(single(x) * 0.3 < 1.5, n(x), 2)], VECTORS),
    "running_sums": (lambda x: tf.ones(tf.cumsum(tf.shape(x), exclusive=True, reverse=True) + tf.cumsum(tf.shape(x))), VECTORS),
    "folds": (lambda x: tf.ones([tf.reduce_max(tf.shape(x)), tf.reduce_sum(tf.shape(x)), tf.reduce_prod(tf.shape(x))]), VECTORS),
    "any_and_all": (
        lambda x: x[: whole(tf.reduce_any(tf.shape(x) > 4)) * 2 + whole(tf.reduce_all(tf.shape(x) > 1))],
        VECTORS,
    ),
    "gathered": (lambda x: tf.ones(tf.gather(tf.concat([tf.shape(x), [n(x) + 1]], 0), [2, 0])), VECTORS),
    "split": (lambda x: tf.split(x, [n(x) // 2, n(x) - n(x) // 2])[1], VECTORS),
    "exact_slice": (lambda x: tf.slice(x, [n(x) // 2, 0], [3, -1]), VECTORS),
    "element": (lambda x: x[n(x) // 2], VECTORS),
    "backwards": (lambda x: x[n(x) // 2 :: -1], VECTORS),
    "rolled": (lambda x: tf.roll(x, n(x) // 2, axis=0), VECTORS),
    "float_range": (lambda x: tf.range(0.0, single(x), 0.3), VECTORS),
    "float_range_down": (lambda x: tf.range(single(x), 0.0, -0.7), VECTORS),
    "range_by_extent": (lambda x: tf.range(0, 9, n(x)), VECTORS),
    "frames": (lambda x: tf.signal.frame(x, 4, 2, axis=0), VECTORS),
    "padded_frames": (lambda x: tf.signal.frame(x, 4, 3, axis=0, pad_end=True), VECTORS),
    "overlapping": (lambda x: tf.signal.overlap_and_add(x, 3), FRAMES),
    "central_crop": (lambda x: tf.image.central_crop(x, 0.37), IMAGES),
    "crop_or_pad": (lambda x: tf.image.resize_with_crop_or_pad(x, 6, 5), IMAGES),
    "scaled": (lambda x: v1.image.resize_nearest_neighbor(x, sizes(x)), IMAGES),
    "keeping_the_aspect": (lambda x: tf.image.resize(x, [8, 8], "nearest", preserve_aspect_ratio=True), IMAGES),
    "diagonal": (lambda x: tf.einsum("bii->bi", x), SQUARES),
    "any_diagonal": (lambda x: tf.linalg.diag_part(x), SQUARES),
    # What cannot be compiled for open extents.
    "logarithm": (lambda x: x[: whole(tf.math.log(single(x)))], [[None, 2], []]),
    "by_value": (lambda x: x[: whole(x[0, 0])], [[None, 2], []]),
}


def value(session, output, x, shape):
    counted = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    try:
        result = session.run(output, {x: counted})
    except tf.errors.OpError:
        return None
    kind = {np.dtype("float32"): "f32", np.dtype("int32"): "i32"}[result.dtype]
    return {"dtype": kind, "shape": list(result.shape), "data": [int(v) if v == int(v) else v for v in result.ravel().tolist()]}


def extents(path):
    recorded = {}
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = {}
        info = v1.saved_model.build_tensor_info
        for name, (function, (open_shape, shapes)) in SIGNATURES.items():
            x = v1.placeholder(tf.float32, open_shape, "x_" + name)
            y = function(x)
            signatures[name] = v1.saved_model.build_signature_def(
                {"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict"
            )
            recorded[name] = [{"shape": shape, "value": value(session, y, x, shape)} for shape in shapes]
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, strip_default_attrs=True)
        builder.save()
    lines = [f'  "{name}": {json.dumps(cases, separators=(",", ":"))}' for name, cases in recorded.items()]
    (path / "recorded.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


MODELS = [extents]
