"""Programs that draw random numbers by seeds: `chance` is one SavedModel whose signatures they are, `chance.json` holds calls of each and what
TensorFlow answers. `python chance.py` makes both again, `python chance.py NAME..` records only those of these names."""

import sys

from programs import F32, F64, I32, I64, make, numbers, program

import numpy as np
import tensorflow as tf

draw = tf.random.experimental
KERNEL = tf.Variable(numbers(5, 5, seed=4))


def seeds(*pairs):
    return [np.array(pair, np.int64) for pair in pairs]


ONE, TWO, FAR = seeds([1, 2], [-7, 2**40], [2**63 - 1, -(2**63)])


@program((numbers(3, 4), ONE), (numbers(0, 4), ONE), (numbers(50, 4), TWO), x=(F32, [None, 4]), seed=(I64, [2]))
def dropout(x, seed):
    y = tf.nn.experimental.stateless_dropout(x, 0.3, seed=seed)
    return {"y": y, "rows": tf.nn.experimental.stateless_dropout(y, 0.5, seed=seed, noise_shape=[tf.shape(x)[0], 1])}


@program((numbers(3), ONE, np.int32(4)), (numbers(2), FAR, np.int32(0)), (numbers(9), TWO, np.int32(11)), x=(F32, [None]), seed=(I64, [2]), n=(I32, []))
def noise_in_a_loop(x, seed, n):
    """A seed for each iteration."""
    for i in tf.range(n):
        step = draw.stateless_fold_in(seed, tf.cast(i, I64))
        x += tf.random.stateless_normal(tf.shape(x), step) * 0.5
        x = tf.nn.experimental.stateless_dropout(x, 0.2, seed=step)
    return {"x": x}


@program((numbers(2, 5), ONE), (numbers(1, 5), TWO), (numbers(0, 5), TWO), logits=(F32, [None, 5]), seed=(I64, [2]))
def categorical(logits, seed):
    many = tf.random.stateless_categorical(logits, 8, seed)
    return {"many": many, "one": tf.random.stateless_categorical(logits / 0.7, 1, seed, dtype=I32)[:, 0]}


@program((numbers(7, 2), ONE), (numbers(1, 2), TWO), (numbers(0, 2), TWO), (numbers(40, 2), FAR), x=(F32, [None, 2]), seed=(I64, [2]))
def shuffle(x, seed):
    return {"x": draw.stateless_shuffle(x, seed), "again": draw.stateless_shuffle(tf.range(tf.shape(x)[0]), seed)}


@program((ONE,), (FAR,), seed=(I64, [2]))
def split(seed):
    first, second, third = tf.unstack(draw.stateless_split(seed, 3))
    return {
        "uniform": tf.random.stateless_uniform([5], first),
        "normal": tf.random.stateless_normal([3, 3], second, mean=2.0, stddev=0.5),
        "double": tf.random.stateless_normal([3], second, dtype=F64),
        "truncated": tf.random.stateless_truncated_normal([9], third),
        "die": tf.random.stateless_uniform([12], third, 1, 7, I32),
        "full": tf.random.stateless_uniform([3], first, None, None, I64),
        "philox": tf.random.stateless_uniform([3], first, alg="philox"),
    }


@program((numbers(4, 6, 6, 3), ONE), (numbers(1, 6, 6, 3), FAR), x=(F32, [None, 6, 6, 3]), seed=(I64, [2]))
def augment(x, seed):
    """Each image has a seed."""

    def one(args):
        image, seed = args
        image = tf.image.stateless_random_flip_left_right(image, seed)
        return tf.image.stateless_random_brightness(image, 0.3, seed)

    every = tf.map_fn(lambda n: draw.stateless_fold_in(seed, n), tf.range(tf.shape(x)[0], dtype=I64))
    return {"x": tf.map_fn(one, (x, every), fn_output_signature=F32)}


@program((numbers(6), ONE), (numbers(1), TWO), x=(F32, [None]), seed=(I64, [2]))
def bootstrap(x, seed):
    """Means of samples with repetition."""
    n = tf.shape(x)[0]
    which = tf.random.stateless_uniform([20, n], seed, 0, n, I32)
    return {"means": tf.reduce_mean(tf.gather(x, which), 1), "which": which}


@program((np.int32(0), ONE), (np.int32(3), TWO), start=(I32, []), seed=(I64, [2]))
def sample_text(start, seed):
    """Each letter is drawn by the one before."""
    letters, letter = tf.TensorArray(I32, 10), start
    for i in tf.range(10):
        logits = tf.gather(KERNEL, letter)[None]
        letter = tf.random.stateless_categorical(logits, 1, draw.stateless_fold_in(seed, tf.cast(i, I64)), dtype=I32)[0, 0]
        letters = letters.write(i, letter)
    return {"letters": letters.stack()}


@program((ONE, np.int32(1), np.int32(9)), (ONE, np.int32(3), np.int32(3)), (TWO, np.int32(5), np.int32(-5)), seed=(I64, [2]), low=(I32, []), high=(I32, []))
def bounds_of_data(seed, low, high):
    return {"x": tf.raw_ops.StatelessRandomUniformInt(shape=[6], seed=seed, minval=low, maxval=high)}


def keep(module):
    module.kept = [KERNEL]


if __name__ == "__main__":
    make("chance", sys.argv[1:], keep)
