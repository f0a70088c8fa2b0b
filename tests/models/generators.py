"""Programs that draw random numbers from generators, which keep their place in variables: as `state.py`, but for `generators` and
`generators.json`."""

import keras
import numpy as np
import tensorflow as tf

import state
from programs import numbers
from state import F32, F64, I32, I64, make, program, raw, signature

OTHERS = list(state.PROGRAMS)
U64 = tf.uint64


@program(*[("draw", {"x": numbers(n, 2)}) for n in (3, 0, 1, 5, 3)], ("get", {}), ("skip", {"n": np.int64(5)}), ("draw", {"x": numbers(2, 2)}), ("get", {}))
class generator(tf.Module):
    """All that one draws, by the extents of an input."""

    def __init__(self):
        self.generator = tf.random.Generator.from_seed(1234)

    @signature(x=(F32, [None, 2]))
    def draw(self, x):
        g, shape = self.generator, tf.shape(x)
        return {
            "normal": g.normal(shape), "uniform": g.uniform(shape, -1.0, 3.0), "double": g.normal(shape, dtype=F64), "die": g.uniform([4], 1, 7, I32),
            "full": g.uniform_full_int([3], U64), "truncated": g.truncated_normal(shape), "half": g.uniform([5], dtype=tf.float16),
        }  # fmt: skip

    @signature(n=(I64, []))
    def skip(self, n):
        self.generator.skip(n)
        return {"state": self.generator.state.read_value()}

    @signature()
    def get(self):
        return {"state": self.generator.state.read_value(), "key": self.generator.key}


def states():
    return tf.Variable([-2, -1, 77], dtype=I64), tf.Variable([2**63 - 1, 5, -(2**63)], dtype=I64)


@program(*[("draw", {"n": np.int64(n)}) for n in (4, 0, 7)], ("get", {}), ("skip", {"n": np.int64(2**54)}), ("get", {}))
class operators(tf.Module):
    """The operators themselves, on counters that overflow."""

    def __init__(self):
        self.near, self.far = states()

    @signature(n=(I64, []))
    def draw(self, n):
        drawn = {}
        for name, v in (("near", self.near), ("far", self.far)):
            given = {"resource": v.handle, "algorithm": 1}
            drawn |= {
                f"{name}_uniform": raw.StatefulUniform(**given, shape=[5], dtype=F32),
                f"{name}_double": raw.StatefulUniform(**given, shape=[3], dtype=F64),
                f"{name}_int": raw.StatefulUniformInt(**given, shape=[6], minval=tf.constant(-3, I32), maxval=tf.constant(9, I32)),
                f"{name}_long": raw.StatefulUniformInt(**given, shape=[3], minval=tf.constant(-3, I64), maxval=tf.constant(9, I64)),
                f"{name}_full": raw.StatefulUniformFullInt(**given, shape=[5], dtype=U64),
                f"{name}_normal": raw.StatefulStandardNormalV2(**given, shape=[5], dtype=F32),
                f"{name}_truncated": raw.StatefulTruncatedNormal(**given, shape=[2, 3], dtype=F32),
                f"{name}_read": raw.RngReadAndSkip(resource=v.handle, alg=1, delta=tf.cast(n, U64)),
            }
        return drawn

    @signature(n=(I64, []))
    def skip(self, n):
        raw.RngSkip(resource=self.near.handle, algorithm=1, delta=n)
        raw.RngSkip(resource=self.far.handle, algorithm=1, delta=n)
        return {"near": self.near.read_value()}

    @signature()
    def get(self):
        return {"near": self.near.read_value(), "far": self.far.read_value()}


@program(("walk", {"n": np.int32(3)}), ("walk", {"n": np.int32(0)}), ("walk", {"n": np.int32(5)}))
class walk(tf.Module):
    """A generator in a loop and a branch."""

    def __init__(self):
        self.generator = tf.random.Generator.from_seed(5)

    @signature(n=(I32, []))
    def walk(self, n):
        x = tf.zeros([3])
        for _ in tf.range(n):
            x += self.generator.normal([3])
            if x[0] > 0:
                x -= self.generator.uniform([])
        return {"x": x, "state": self.generator.state.read_value()}


@program(("seeds", {}), ("seeds", {}), ("reset", {"seed": np.int64(9)}), ("seeds", {}))
class seeds(tf.Module):
    """Seeds of a generator for numbers that follow from them."""

    def __init__(self):
        self.generator = tf.random.Generator.from_seed(99)

    @signature()
    def seeds(self):
        made = self.generator.make_seeds(2)
        return {"seeds": made, "x": tf.random.stateless_uniform([3], made[:, 0])}

    @signature(seed=(I64, []))
    def reset(self, seed):
        self.generator.reset(tf.stack([tf.zeros([], I64), tf.zeros([], I64), seed]))
        return {"state": self.generator.state.read_value()}


@program(*[("train", {"x": numbers(n, 4, seed=n)}) for n in (2, 5, 2)])
class dropout(tf.Module):
    """Layers of Keras that keep a seed."""

    def __init__(self):
        self.layer, self.noise = keras.layers.Dropout(0.4, seed=11), keras.layers.GaussianNoise(0.5, seed=12)
        self.kept = [self.layer.seed_generator.state.value, self.noise.seed_generator.state.value]

    @signature(x=(F32, [None, 4]))
    def train(self, x):
        return {"y": self.noise(self.layer(x, training=True), training=True), "same": self.layer(x, training=False)}


@program(*[("draw", {"x": numbers(n, 3)}) for n in (2, 5, 0, 1, 2)], ("other", {}), ("draw", {"x": numbers(4, 3)}), ("other", {}))
class seeded(tf.Module):
    """Operators that keep a generator to themselves."""

    def __init__(self):
        self.weight = tf.Variable(numbers(3, 5))

    @signature(x=(F32, [None, 3]))
    def draw(self, x):
        shape, seed = tf.shape(x), dict(seed=3, seed2=-5)
        return {
            "uniform": raw.RandomUniform(shape=shape, dtype=F32, **seed), "double": raw.RandomUniform(shape=shape, dtype=F64, **seed),
            "half": raw.RandomUniform(shape=[3], dtype=tf.float16, **seed), "normal": raw.RandomStandardNormal(shape=shape, dtype=F32, seed=0, seed2=9),
            "truncated": raw.TruncatedNormal(shape=shape, dtype=F32, seed=-1, seed2=0), "int": raw.RandomUniformInt(shape=[5], minval=-2, maxval=9, **seed),
            "long": raw.RandomUniformInt(shape=[2], minval=tf.constant(0, I64), maxval=tf.constant(7, I64), **seed),
            "rows": raw.RandomShuffle(value=x, **seed), "order": raw.RandomShuffle(value=tf.range(shape[0]), **seed), "few": raw.RandomShuffle(value=tf.range(9), **seed),
            "one": raw.RandomShuffle(value=x[:1], **seed), "classes": raw.Multinomial(logits=x @ self.weight, num_samples=3, **seed),
            "dropped": tf.nn.dropout(x, 0.4, seed=5),
        }  # fmt: skip

    @signature()
    def other(self):
        """As many draws of the same seeds begin anew in another function."""
        return {"uniform": raw.RandomUniform(shape=[2, 3], dtype=F32, seed=3, seed2=-5), "same": raw.RandomUniform(shape=[2, 3], dtype=F32, seed=3, seed2=-5)}


@program(*[("draw", {"x": numbers(n, 2)}) for n in (2, 3, 1)], *[("binomial", {"x": numbers(n, 3)}) for n in (2, 0, 3)], ("get", {}))
class laws(tf.Module):
    """Gamma, Poisson and binomial numbers of generators."""

    def __init__(self):
        self.state = tf.Variable([5, 7, 9], dtype=I64)

    @signature(x=(F32, [None, 2]))
    def draw(self, x):
        seed, shapes, rates = dict(seed=3, seed2=-5), tf.constant([0.25, 1.0, 4.0, 90.0]), tf.constant([0.5, 8.0, 30.0])
        return {
            "gamma": raw.RandomGamma(shape=tf.shape(x), alpha=shapes, **seed), "gamma_half": raw.RandomGamma(shape=tf.shape(x), alpha=tf.cast(shapes, tf.float16), **seed), "gamma_double": raw.RandomGamma(shape=tf.shape(x), alpha=tf.cast(shapes, F64), **seed),
            "one": raw.RandomGamma(shape=[3], alpha=1.0, **seed), "poisson": raw.RandomPoissonV2(shape=tf.shape(x), rate=rates, dtype=I64, **seed),
            "poisson_double": raw.RandomPoissonV2(shape=tf.shape(x), rate=tf.cast(rates, F64), dtype=F32, **seed), "none": raw.RandomPoissonV2(shape=[0], rate=rates, dtype=F32, **seed),
            "whole": tf.random.poisson([4], 12, dtype=I32, seed=4), "layer": tf.random.gamma([3], 2.0, beta=[0.5, 3.0], seed=8),
        }  # fmt: skip

    @signature(x=(F32, [None, 3]))
    def binomial(self, x):
        counts, probs = tf.constant([3.0, 40.0, 1000.0]), tf.constant([0.25, 0.75, 0.5])
        given = dict(resource=self.state.handle, algorithm=1, counts=counts, probs=probs, dtype=I32)
        return {"y": raw.StatefulRandomBinomial(shape=tf.shape(x), **given), "z": raw.StatefulRandomBinomial(shape=[3], **given)}

    @signature()
    def get(self):
        return {"state": self.state.read_value()}


@program(*[("draw", {"n": np.int32(n)}) for n in (3, 0, 2, 3)])
class seeded_in_bodies(tf.Module):
    """In loops and branches; two loops with nodes of the same names."""

    @signature(n=(I32, []))
    def draw(self, n):
        x, y = tf.zeros([2]), tf.zeros([2])
        for _ in tf.range(n):
            x += tf.random.uniform([2], seed=4)
            if x[0] > 1:
                x -= tf.random.normal([2], seed=5)
        for _ in tf.range(n + 1):
            y += tf.random.uniform([2], seed=4)
        return {"x": x, "y": y}


if __name__ == "__main__":
    make("generators", [name for name in state.PROGRAMS if name not in OTHERS])
