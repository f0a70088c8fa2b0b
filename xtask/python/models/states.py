"""Models that remember: their signatures are called in order, and each call begins with the variables that the one before left."""

import functools

import numpy as np
import tensorflow as tf

from .programs import BOOL, F32, I32, I64, ints, numbers
from .spec import model

v1 = tf.compat.v1


def remembers(*calls, routes=("module",), **options):
    """A model with state, and calls in order: the name of a signature and its inputs by name."""
    named = tuple((name, {key: np.asarray(value) for key, value in feeds.items()}) for name, feeds in calls)

    def add(build):
        for route in routes:
            built = (lambda: signed(build())) if route == "module" else build
            model(f"state_{build.__name__}", route, calls=named, state=True, file=__file__, **options)(built)
        return build

    return add


def signed(module):
    """A module with the functions that are its signatures."""
    functions = {name: getattr(module, name) for name in dir(type(module)) if hasattr(getattr(type(module), name), "get_concrete_function")}
    return module, functions


def signature(**specs):
    """A signature of these inputs, each a type and a shape."""
    named = [tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in specs.items()]
    return lambda function: tf.function(function, input_signature=named)


def start(*shape, seed=2):
    return np.random.default_rng([seed, *shape]).normal(0, 0.4, shape).astype(np.float32)


@remembers(*[("observe", {"x": numbers(n, 3, seed=n)}) for n in (2, 1, 5)], ("normalise", {"x": numbers(2, 3)}), ("reset", {}), ("observe", {"x": numbers(4, 3)}))
class running_statistics(tf.Module):
    """Welford's mean and variance over batches of any size, used by a second signature."""

    def __init__(self):
        self.n, self.mean, self.spread = tf.Variable(0.0), tf.Variable(tf.zeros([3])), tf.Variable(tf.zeros([3]))

    @signature(x=(F32, [None, 3]))
    def observe(self, x):
        for row in x:
            self.n.assign_add(1.0)
            delta = row - self.mean
            self.mean.assign_add(delta / self.n)
            self.spread.assign_add(delta * (row - self.mean))
        return {"mean": self.mean.read_value(), "n": self.n.read_value()}

    @signature(x=(F32, [None, 3]))
    def normalise(self, x):
        return {"y": (x - self.mean) / tf.sqrt(self.spread / self.n + 1e-3)}

    @signature()
    def reset(self):
        self.n.assign(0.0)
        self.mean.assign(tf.zeros([3]))
        self.spread.assign(tf.zeros([3]))
        return {"n": self.n.read_value()}


@remembers(*[("hear", {"x": numbers(n, seed=n)}) for n in (3, 1, 6, 0)], ("recall", {}))
class ring_buffer(tf.Module):
    """The last eight samples of a signal: a place that wraps round."""

    def __init__(self):
        self.samples, self.place = tf.Variable(tf.zeros([8])), tf.Variable(0)

    @signature(x=(F32, [None]))
    def hear(self, x):
        places = (self.place + tf.range(tf.shape(x)[0])) % 8
        self.samples.scatter_nd_update(places[:, None], x)
        self.place.assign((self.place + tf.shape(x)[0]) % 8)
        return {"place": self.place.read_value(), "mean": tf.reduce_mean(self.samples)}

    @signature()
    def recall(self):
        return {"samples": tf.roll(self.samples, -self.place, 0)}


@remembers(*[("step", {"x": numbers(1, 4, seed=s)}) for s in (1, 2, 3)], ("reset", {}), ("step", {"x": numbers(1, 4, seed=1)}))
class streaming_gru(tf.Module):
    """One step of a recurrent network per call; the state stays in a variable."""

    def __init__(self):
        self.h = tf.Variable(tf.zeros([1, 3]))
        self.w, self.u = tf.Variable(start(4, 9)), tf.Variable(start(3, 9))

    @signature(x=(F32, [1, 4]))
    def step(self, x):
        xz, xr, xh = tf.split(x @ self.w, 3, 1)
        hz, hr, hh = tf.split(self.h @ self.u, 3, 1)
        z, r = tf.sigmoid(xz + hz), tf.sigmoid(xr + hr)
        h = z * self.h + (1 - z) * tf.tanh(xh + r * hh)
        self.h.assign(h)
        return {"h": h, "speech": tf.sigmoid(tf.reduce_sum(h))}

    @signature()
    def reset(self):
        return {"old": self.h.read_value(), "new": self.h.assign(tf.zeros([1, 3]))}


@remembers(*[("convolve", {"x": numbers(1, n, 2, seed=n)}) for n in (4, 1, 3)])
class streaming_convolution(tf.Module):
    """A causal convolution that keeps the end of what it saw as its padding."""

    def __init__(self):
        self.past, self.kernel = tf.Variable(tf.zeros([1, 2, 2])), tf.Variable(start(3, 2, 3))

    @signature(x=(F32, [1, None, 2]))
    def convolve(self, x):
        whole = tf.concat([self.past, x], 1)
        self.past.assign(whole[:, -2:])
        return {"y": tf.nn.conv1d(whole, self.kernel, 1, "VALID")}


@remembers(*[("count", {"ids": np.int32(v)}) for v in ([1, 3, 1], [], [0, 3])], ("popular", {}), ("forget", {"ids": np.int32([3])}), ("popular", {}))
class visit_counts(tf.Module):
    """Scatters on a table of counters, and the most frequent entries."""

    def __init__(self):
        self.table = tf.Variable(tf.zeros([5], I32))

    @signature(ids=(I32, [None]))
    def count(self, ids):
        self.table.scatter_add(tf.IndexedSlices(tf.ones_like(ids), ids))
        return {"seen": tf.gather(self.table, ids)}

    @signature(ids=(I32, [None]))
    def forget(self, ids):
        self.table.scatter_update(tf.IndexedSlices(tf.zeros_like(ids), ids))
        return {"table": self.table.read_value()}

    @signature()
    def popular(self):
        values, places = tf.math.top_k(self.table, 2)
        return {"values": values, "places": places}


@remembers(("write", {"key": numbers(2), "value": np.float32(1)}), ("write", {"key": numbers(2, seed=1), "value": np.float32(-2)}), ("read", {"query": numbers(3, 2)}), ("write", {"key": numbers(2, seed=2), "value": np.float32(3)}), ("read", {"query": numbers(0, 2)}), ("read", {"query": numbers(1, 2)}))
class memory_network(tf.Module):
    """A memory of slots that is written in turn and read by attention over the used ones."""

    def __init__(self):
        self.keys, self.values, self.used = tf.Variable(tf.zeros([4, 2])), tf.Variable(tf.zeros([4])), tf.Variable(0)

    @signature(key=(F32, [2]), value=(F32, []))
    def write(self, key, value):
        self.keys.scatter_nd_update([[self.used % 4]], key[None])
        self.values.scatter_nd_update([[self.used % 4]], value[None])
        return {"used": self.used.assign_add(1)}

    @signature(query=(F32, [None, 2]))
    def read(self, query):
        scores = tf.where(tf.range(4) < self.used, tf.matmul(query, self.keys, transpose_b=True), -1e9)
        return {"y": tf.linalg.matvec(tf.nn.softmax(scores), self.values)}


@remembers(*[("decode", {"token": np.int32([t])}) for t in (1, 4, 2)], ("start", {}), ("decode", {"token": np.int32([1])}))
class decoder_with_cache(tf.Module):
    """A step of an attention decoder per call: keys and values of former steps are variables."""

    def __init__(self):
        self.table, self.q, self.kv, self.out = (tf.Variable(start(*s)) for s in ((6, 4), (4, 4), (4, 8), (4, 6)))
        self.cache, self.t = tf.Variable(tf.zeros([5, 8])), tf.Variable(0)

    @signature(token=(I32, [1]))
    def decode(self, token):
        x = tf.gather(self.table, token)
        self.cache.scatter_nd_update(self.t[None, None], x @ self.kv)
        keys, values = tf.split(self.cache, 2, 1)
        scores = tf.where(tf.range(5) <= self.t, tf.matmul(x @ self.q, keys, transpose_b=True), -1e9)
        y = tf.nn.softmax(scores) @ values
        self.t.assign_add(1)
        logits = y @ self.out
        return {"logits": logits, "next": tf.argmax(logits, -1, I32), "t": self.t.read_value()}

    @signature()
    def start(self):
        self.cache.assign(tf.zeros([5, 8]))
        return {"t": self.t.assign(0)}


@remembers(*[("limit", {"x": np.float32(x)}) for x in (1, 5, 4, -3, 0.5)])
class state_in_branches(tf.Module):
    """A peak follower: it rises at once and falls slowly; alarms are counted in a branch within."""

    def __init__(self):
        self.peak, self.alarms = tf.Variable(0.0), tf.Variable(0, dtype=I64)

    @signature(x=(F32, []))
    def limit(self, x):
        if tf.abs(x) > self.peak:
            self.peak.assign(tf.abs(x))
            if self.peak > 3.0:
                self.alarms.assign_add(1)
        else:
            self.peak.assign(self.peak * 0.75)
        return {"gain": 1.0 / tf.maximum(self.peak, 0.1), "alarms": self.alarms.read_value()}


@remembers(*[("run", {"x": numbers(n, seed=n), "limit": np.float32(1)}) for n in (4, 0, 7)])
class state_in_loops(tf.Module):
    """An accumulator that a loop with `break` changes until it overflows."""

    def __init__(self):
        self.total, self.overflows = tf.Variable(0.0), tf.Variable(0)

    @signature(x=(F32, [None]), limit=(F32, []))
    def run(self, x, limit):
        used = 0
        for v in x:
            self.total.assign_add(tf.abs(v))
            used += 1
            if self.total > limit:
                self.total.assign(0.0)
                self.overflows.assign_add(1)
                break
        return {"used": used, "total": self.total.read_value(), "overflows": self.overflows.read_value()}


@remembers(("draw", {"n": np.int32(3)}), ("draw", {"n": np.int32(1)}), ("skip", {}), ("draw", {"n": np.int32(4)}), arguments=("--bound", "n=5"))
class generator_noise(tf.Module):
    """`tf.random.Generator` that goes on from call to call."""

    def __init__(self):
        self.generator = tf.random.Generator.from_seed(5)

    @signature(n=(I32, []))
    def draw(self, n):
        return {"uniform": self.generator.uniform([n]), "ints": self.generator.uniform([n], 0, 10, I32), "normal": self.generator.normal([2, 3])}

    @signature()
    def skip(self):
        self.generator.skip(7)
        return {"state": self.generator.state.read_value()}


@remembers(*[("explore", {"q": numbers(n, 3, seed=n)}) for n in (4, 1, 6)])
class bandit(tf.Module):
    """Choices by chance with a rate that falls with every call."""

    def __init__(self):
        self.generator, self.rate = tf.random.Generator.from_seed(9, alg="philox"), tf.Variable(0.9)

    @signature(q=(F32, [None, 3]))
    def explore(self, q):
        rows = tf.shape(q)[0]
        chance = self.generator.uniform([rows])
        guess = self.generator.uniform([rows], 0, 3, I32)
        chosen = tf.where(chance < self.rate, guess, tf.argmax(q, -1, I32))
        self.rate.assign(self.rate * 0.5)
        return {"chosen": chosen, "rate": self.rate.read_value()}


@remembers(*[("train", {"x": numbers(n, 4, seed=n)}) for n in (5, 2, 3)], ("serve", {"x": numbers(2, 4)}), ("serve", {"x": numbers(0, 4)}))
class batch_norm_by_hand(tf.Module):
    """Moving averages of a batch normalisation that one signature updates and another one uses."""

    def __init__(self):
        self.mean, self.variance = tf.Variable(tf.zeros([4])), tf.Variable(tf.ones([4]))
        self.scale, self.offset = tf.Variable(start(4)), tf.Variable(start(4, seed=3))

    @signature(x=(F32, [None, 4]))
    def train(self, x):
        mean, variance = tf.nn.moments(x, 0)
        self.mean.assign_sub(0.1 * (self.mean - mean))
        self.variance.assign_sub(0.1 * (self.variance - variance))
        return {"y": tf.nn.batch_normalization(x, mean, variance, self.offset, self.scale, 1e-3)}

    @signature(x=(F32, [None, 4]))
    def serve(self, x):
        return {"y": tf.nn.batch_normalization(x, self.mean, self.variance, self.offset, self.scale, 1e-3)}


@remembers(("learn", {"x": numbers(4, 2), "y": numbers(4)}), ("learn", {"x": numbers(2, 2, seed=3), "y": numbers(2, seed=3)}), ("predict", {"x": numbers(3, 2)}))
class online_regression(tf.Module):
    """Least squares by gradient descent with momentum, its gradient written by hand."""

    def __init__(self):
        self.w, self.b, self.momentum = tf.Variable(tf.zeros([2])), tf.Variable(0.0), tf.Variable(tf.zeros([2]))

    @signature(x=(F32, [None, 2]), y=(F32, [None]))
    def learn(self, x, y):
        error = tf.linalg.matvec(x, self.w) + self.b - y
        gradient = tf.linalg.matvec(x, error, transpose_a=True) / tf.cast(tf.size(y), F32)
        self.momentum.assign(0.9 * self.momentum + gradient)
        self.w.assign_sub(0.1 * self.momentum)
        self.b.assign_sub(0.1 * tf.reduce_mean(error))
        return {"loss": tf.reduce_mean(tf.square(error)), "w": self.w.read_value()}

    @signature(x=(F32, [None, 2]))
    def predict(self, x):
        return {"y": tf.linalg.matvec(x, self.w) + self.b}


@remembers(*[("next", {}) for _ in range(4)])
class linear_congruence(tf.Module):
    """A generator of pseudorandom integers written with 64-bit arithmetic."""

    def __init__(self):
        self.seed = tf.Variable(np.int64(42))

    @signature()
    def next(self):
        self.seed.assign(tf.math.floormod(self.seed * 1103515245 + 12345, np.int64(2**31)))
        return {"value": self.seed.read_value(), "bit": tf.cast(self.seed // 65536 % 2, BOOL)}


def stateful(layer):
    import keras

    keras.utils.set_random_seed(3)
    x = keras.Input(batch_shape=(2, 3, 4), name="x")
    return keras.Model(x, {"y": layer(keras.layers)(x)})


for kind, layer in {
    "lstm": lambda L: L.LSTM(3, stateful=True, return_sequences=True),
    "gru": lambda L: L.GRU(3, stateful=True),
    "rnn": lambda L: L.SimpleRNN(3, stateful=True),
}.items():
    calls = tuple(("serving_default", {"x": numbers(2, 3, 4, seed=s)}) for s in range(3))
    model(f"state_keras_{kind}", "export", calls=calls, state=True, file=__file__)(functools.partial(stateful, layer))


def tf_keras_lstm():
    """The same in Keras 2, saved as it saved its models."""
    import tf_keras

    tf_keras.utils.set_random_seed(3)
    L = tf_keras.layers
    return tf_keras.Sequential([L.Input(batch_shape=(2, 3, 4), name="x"), L.LSTM(3, stateful=True), L.Dense(2)])


model("state_keras2_lstm", "legacy", calls=tuple(("serving_default", {"x": numbers(2, 3, 4, seed=s)}) for s in range(3)), state=True)(tf_keras_lstm)


# TensorFlow 1: variables of the old kind, and resources.


def old(name, value):
    return v1.get_variable(name, initializer=value, use_resource=False)


@remembers(("up", {}), ("up", {}), ("by", {"n": np.int32(5)}), ("get", {}), routes=("builder",))
def tf1_global_step():
    """A global step that signatures advance."""
    step, n = v1.train.get_or_create_global_step(), v1.placeholder(I32, [], "n")
    rate = 0.1 * tf.pow(0.5, tf.cast(step, F32) / 2.0)
    return {
        "up": ({}, {"step": tf.identity(v1.assign_add(step, 1))}), "by": ({"n": n}, {"step": tf.identity(v1.assign_add(step, tf.cast(n, I64)))}),
        "get": ({}, {"step": tf.identity(step), "rate": rate}),
    }  # fmt: skip


@remembers(*[("serving_default", {"x": numbers(n, 2, seed=n)}) for n in (3, 1, 4)], routes=("simple_save", "builder"))
def tf1_moving_average():
    """Averages of reference variables, updated before they are read."""
    x = v1.placeholder(F32, [None, 2], "x")
    mean, count = old("mean", np.zeros(2, np.float32)), old("count", np.float32(0))
    with tf.control_dependencies([v1.assign_add(count, 1.0)]):
        update = v1.assign(mean, mean.read_value() * 0.8 + tf.reduce_mean(x, 0) * 0.2)
    with tf.control_dependencies([update]):
        y = (x - mean.read_value()) / (1 - tf.pow(0.8, count.read_value()))
    return {"serving_default": ({"x": x}, {"y": y})}


@remembers(("add", {"i": np.int32([0, 2, 2]), "x": numbers(3, 2)}), ("set", {"i": np.int32([1]), "x": numbers(1, 2)}), ("add", {"i": np.int32([]), "x": numbers(0, 2)}), ("look", {"i": np.int32([2, 1, 0, 3])}), routes=("builder",))
def tf1_scatter_table():
    """A table of the old kind whose rows are added to, replaced and looked up."""
    table = old("table", start(4, 2))
    i, x = v1.placeholder(I32, [None], "i"), v1.placeholder(F32, [None, 2], "x")
    given = {"i": i, "x": x}
    return {
        "add": (given, {"table": v1.scatter_add(table, i, x)}), "set": (given, {"table": v1.scatter_update(table, i, x)}),
        "look": ({"i": i}, {"rows": tf.nn.embedding_lookup(table, i)}),
    }  # fmt: skip


@remembers(*[("serving_default", {"x": np.float32(x), "n": np.int32(n)}) for x, n in ((1, 3), (-1, 2), (2, 0))], routes=("simple_save",))
def tf1_resource_loop():
    """A loop that adds to a resource variable, and a `cond` that halves it."""
    x, n = v1.placeholder(F32, [], "x"), v1.placeholder(I32, [], "n")
    total = v1.get_variable("total", initializer=0.5, use_resource=True)

    def body(i):
        with tf.control_dependencies([total.assign_add(x)]):
            return i + 1

    with tf.control_dependencies([v1.while_loop(lambda i: i < n, body, [0])]):
        seen = total.read_value()

    def halve():
        with tf.control_dependencies([total.assign(seen * 0.5)]):
            return tf.constant(True)

    with tf.control_dependencies([seen]):
        halved = v1.cond(x < 0, halve, lambda: tf.constant(False))
    with tf.control_dependencies([halved]):
        return {"serving_default": ({"x": x, "n": n}, {"seen": seen, "halved": tf.identity(halved), "total": total.read_value()})}


@remembers(*[("serving_default", {"x": numbers(1, 3, seed=s)}) for s in range(3)], routes=("builder",))
def tf1_streaming_cell():
    """A recurrent cell of TF 1 whose state is kept in variables of the old kind between calls."""
    from tf_keras.src.layers.rnn import legacy_cells

    x = v1.placeholder(F32, [1, 3], "x")
    c, h = old("c", np.zeros((1, 4), np.float32)), old("h", np.zeros((1, 4), np.float32))
    with v1.variable_scope("cell", initializer=v1.random_uniform_initializer(-0.9, 0.9, seed=4)):
        y, state = legacy_cells.BasicLSTMCell(4)(x, legacy_cells.LSTMStateTuple(c.read_value(), h.read_value()))
    with tf.control_dependencies([y]):
        updates = [v1.assign(c, state.c), v1.assign(h, state.h)]
    with tf.control_dependencies(updates):
        return {"serving_default": ({"x": x}, {"y": tf.identity(y)})}
