"""Programs that assign variables: `state` is one SavedModel whose signatures are `PROGRAM__FUNCTION`, `state.json` holds calls of each
program in order and what TensorFlow answers. `python state.py` makes both again. The variables of a program are its own."""

import keras

from programs import BOOL, F16, F32, F64, I32, I64, answer, np, numbers, save, tf, write

raw = tf.raw_ops
BF16, I8 = tf.bfloat16, tf.int8
PROGRAMS = {}


def signature(**specs):
    """A function of the inputs `specs`, each a type and a shape."""
    return lambda function: tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in specs.items()])


def program(*calls):
    """A module, and calls in order: the name of a function and its inputs."""

    def add(build):
        PROGRAMS[build.__name__] = (build, calls)
        return build

    return add


VECTOR = dict(x=(F32, [3]))
A, B, C = numbers(3), numbers(3, seed=1), numbers(3, seed=2)


@program(("bump", {}), ("bump", {}), ("get", {}), ("bump", {}))
class counter(tf.Module):
    def __init__(self):
        self.count = tf.Variable(7)

    @signature()
    def bump(self):
        return {"before": self.count.read_value(), "after": self.count.assign_add(1)}

    @signature()
    def get(self):
        return {"count": self.count.read_value()}


@program(("feed", {"x": A}), ("get", {}), ("feed", {"x": B}), ("feed", {"x": C}), ("get", {}))
class running_mean(tf.Module):
    def __init__(self):
        self.mean, self.n = tf.Variable(tf.zeros([3])), tf.Variable(0, dtype=I64)

    @signature(**VECTOR)
    def feed(self, x):
        self.n.assign_add(1)
        self.mean.assign_add((x - self.mean) / tf.cast(self.n, F32))
        return {"mean": self.mean.read_value()}

    @signature()
    def get(self):
        return {"mean": self.mean * 1.0, "n": self.n.read_value()}


@program(("step", {"x": A}), ("step", {"x": B}), ("step", {"x": C}))
class orders(tf.Module):
    """Reads before, between and behind assignments."""

    def __init__(self):
        self.v = tf.Variable([1.0, 2.0, 3.0])

    @signature(**VECTOR)
    def step(self, x):
        first = self.v * 10.0
        self.v.assign(x)
        second = self.v * 100.0
        self.v.assign_sub(first)
        third = self.v + 0.5
        self.v.assign(self.v * 2.0)
        return {"first": first, "second": second, "third": third, "last": self.v.read_value()}


@program(("swap", {}), ("swap", {}), ("turn", {}), ("turn", {}), ("get", {}))
class swaps(tf.Module):
    """Variables that take each other's values."""

    def __init__(self):
        self.a, self.b, self.c = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0]), tf.Variable([5.0, 6.0])

    @signature()
    def swap(self):
        a, b = self.a.read_value(), self.b.read_value()
        self.a.assign(b)
        self.b.assign(a)
        return {"a": self.a.read_value(), "old": a}

    @signature()
    def turn(self):
        a = self.a + 0.0
        self.a.assign(self.b)
        self.b.assign(self.c)
        self.c.assign(a)
        return {"a": self.a.read_value()}

    @signature()
    def get(self):
        return {"all": tf.stack([self.a, self.b, self.c])}


@program(("keep", {"x": A}), ("keep", {"x": -np.abs(A)}), ("keep", {"x": B}), ("get", {}))
class conditional(tf.Module):
    """A branch assigns, the other one reads; what is behind sees it."""

    def __init__(self):
        self.best, self.count = tf.Variable(-1.0), tf.Variable(0)

    @signature(**VECTOR)
    def keep(self, x):
        s = tf.reduce_sum(x)

        def better():
            self.best.assign(s)
            self.count.assign_add(1)
            return self.best * 2.0

        y = tf.cond(s > self.best, better, lambda: self.best - 1.0)
        return {"y": y, "best": self.best.read_value(), "count": self.count + 10}

    @signature()
    def get(self):
        return {"best": self.best.read_value(), "count": self.count.read_value()}


@program(*[("pick", {"n": np.int32(n)}) for n in (0, 1, 2, 5, -1, 1)])
class cases(tf.Module):
    def __init__(self):
        self.v, self.w = tf.Variable([0.0, 0.0]), tf.Variable(1.0)

    @signature(n=(I32, []))
    def pick(self, n):
        def one():
            self.v.assign_add([1.0, 2.0])
            return 1.0

        def two():
            self.w.assign(self.w * 3.0)
            self.v.assign(tf.fill([2], self.w))
            return self.w + 0.0

        def three():
            return tf.reduce_sum(self.v)

        y = tf.switch_case(n, [one, two, three])
        return {"y": y, "v": self.v.read_value(), "w": self.w.read_value()}


@program(("run", {"n": np.int32(3)}), ("run", {"n": np.int32(0)}), ("run", {"n": np.int32(5)}), ("get", {}))
class loops(tf.Module):
    """A loop whose body reads and assigns, a given number of times."""

    def __init__(self):
        self.total, self.last, self.scale = tf.Variable(0.0), tf.Variable(0), tf.Variable(2.0)

    @signature(n=(I32, []))
    def run(self, n):
        y = 0.0
        for i in tf.range(n):
            self.total.assign_add(tf.cast(i, F32) * self.scale)
            self.last.assign(i)
            y += self.total
        self.scale.assign_add(1.0)
        return {"y": y, "total": self.total.read_value(), "last": self.last.read_value()}

    @signature()
    def get(self):
        return {"total": self.total.read_value(), "last": self.last.read_value(), "scale": self.scale.read_value()}


@program(("collapse", {"n": np.int32(7)}), ("collapse", {"n": np.int32(1)}), ("collapse", {"n": np.int32(12)}))
class while_of_variables(tf.Module):
    """The condition of the loop reads what its body assigns; there is a branch in the body."""

    def __init__(self):
        self.n, self.steps = tf.Variable(1), tf.Variable(0)

    @signature(n=(I32, []))
    def collapse(self, n):
        self.n.assign(n)

        def body():
            def odd():
                self.n.assign(self.n * 3 + 1)

            def even():
                self.n.assign(self.n // 2)

            tf.cond(self.n % 2 == 1, odd, even)
            self.steps.assign_add(1)
            return []

        tf.while_loop(lambda: self.n > 1, body, [])
        return {"steps": self.steps.read_value(), "n": self.n.read_value()}


@program(("train", {"x": numbers(4, 3)}), ("train", {"x": numbers(2, 3, seed=4)}), ("serve", {"x": numbers(4, 3, seed=5)}))
class batch_norm(tf.Module):
    """Keras' layer in training and in inference."""

    def __init__(self):
        self.layer = keras.layers.BatchNormalization(momentum=0.9)
        self.layer.build([None, 3])

    @signature(x=(F32, [None, 3]))
    def train(self, x):
        return {"y": self.layer(x, training=True)}

    @signature(x=(F32, [None, 3]))
    def serve(self, x):
        return {"y": self.layer(x, training=False)}


@program(*[("push", {"x": numbers(2, 3, seed=n)}) for n in range(4)], ("get", {}))
class replay_buffer(tf.Module):
    """A ring of rows, and where the next ones go."""

    def __init__(self):
        self.rows, self.next = tf.Variable(tf.zeros([5, 3])), tf.Variable(0)

    @signature(x=(F32, [2, 3]))
    def push(self, x):
        at = tf.math.floormod(self.next + tf.range(2), 5)
        self.rows.scatter_update(tf.IndexedSlices(x, at))
        self.next.assign(tf.math.floormod(self.next + 2, 5))
        return {"sum": tf.reduce_sum(self.rows, 0), "next": self.next.read_value()}

    @signature()
    def get(self):
        return {"rows": self.rows.read_value(), "some": tf.gather(self.rows, [4, 0])}


SCATTERS = {"x": numbers(3, 2), "i": np.array([1, 3, 1], np.int32)}


@program(*[(name, SCATTERS) for name in ("update", "add", "sub", "mul", "min", "max")], ("scalar", {"i": np.array([[0, 2]], np.int64)}), ("add", {**SCATTERS, "i": np.array([0, 4, 1], np.int32)}))
class scatters(tf.Module):
    """Rows at indices, some of them twice."""

    def __init__(self):
        self.v = tf.Variable(numbers(4, 2, seed=9))

    @signature(i=(I64, [1, None]))
    def scalar(self, i):
        raw.ResourceScatterAdd(resource=self.v.handle, indices=i, updates=2.5)
        return {"v": self.v.read_value(), "rows": raw.ResourceGather(resource=self.v.handle, indices=i, dtype=F32)}


def scatter(name, op):
    def function(self, i, x):
        op(resource=self.v.handle, indices=i, updates=x)
        return {"v": self.v.read_value()}

    setattr(scatters, name, signature(i=(I32, [None]), x=(F32, [None, 2]))(function))


for which in ("Update", "Add", "Sub", "Mul", "Min", "Max"):
    scatter(which.lower(), getattr(raw, f"ResourceScatter{which}"))

DIVIDED = {"x": np.array([[2, -1], [3, 5], [-7, 2]], np.int32), "i": np.array([1, 3, 1], np.int32)}


@program(("divide", DIVIDED), ("divide", {**DIVIDED, "i": np.array([0, 2, 3], np.int32)}), ("divide", {"x": np.zeros((0, 2), np.int32), "i": np.zeros(0, np.int32)}), ("one", {}))
class divisions(tf.Module):
    """Rows of whole numbers, divided toward zero."""

    def __init__(self):
        values = [[7, -9], [100, -128], [9, -1], [77, -44]]
        self.v, self.byte = tf.Variable(values, dtype=I32), tf.Variable(values, dtype=I8)
        self.long, self.natural = tf.Variable(values, dtype=I64), tf.Variable(np.abs(values), dtype=tf.uint8)

    @signature(i=(I32, [None]), x=(I32, [None, 2]))
    def divide(self, i, x):
        for v in (self.v, self.byte, self.long, self.natural):
            raw.ResourceScatterDiv(resource=v.handle, indices=i, updates=tf.cast(tf.abs(x) if v.dtype == tf.uint8 else x, v.dtype))
        return {"v": self.v.read_value(), "byte": self.byte.read_value(), "long": self.long.read_value(), "natural": self.natural.read_value()}

    @signature()
    def one(self):
        raw.ResourceScatterDiv(resource=self.v.handle, indices=[[1, 2]], updates=2)
        return {"v": self.v.read_value()}


ELEMENTS = {"x": numbers(3), "i": np.array([[1, 0], [3, 1], [1, 0]], np.int32)}


@program(*[(name, ELEMENTS) for name in ("update", "add", "sub", "min", "max")], ("rows", {"x": numbers(1, 2), "i": np.array([[2]], np.int64)}))
class scatters_nd(tf.Module):
    """Elements and rows at tuples of indices."""

    def __init__(self):
        self.v = tf.Variable(numbers(4, 2, seed=8))

    @signature(i=(I64, [None, 1]), x=(F32, [None, 2]))
    def rows(self, i, x):
        self.v.scatter_nd_add(i, x)
        return {"v": self.v.read_value(), "some": raw.ResourceGatherNd(resource=self.v.handle, indices=i, dtype=F32)}


def scatter_nd(name, op):
    def function(self, i, x):
        op(ref=self.v.handle, indices=i, updates=x)
        return {"v": self.v.read_value()}

    setattr(scatters_nd, name, signature(i=(I32, [None, 2]), x=(F32, [None]))(function))


for which in ("Update", "Add", "Sub", "Min", "Max"):
    scatter_nd(which.lower(), getattr(raw, f"ResourceScatterNd{which}"))


PLACE = {"x": numbers(2), "at": np.int32(1)}


@program(("put", PLACE), ("put", {**PLACE, "at": np.int32(-2)}), ("put", {**PLACE, "at": np.int32(3)}), ("spans", PLACE), ("around", {"x": numbers(2)}), ("around", {"x": numbers(2, seed=3)}))
class spans(tf.Module):
    """What a slice takes is assigned: rows, single elements and steps; a ring that a counter goes round."""

    def __init__(self):
        self.v, self.cube, self.next = tf.Variable(numbers(3, 2, seed=8)), tf.Variable(numbers(3, 2, 4, seed=8)), tf.Variable(2)

    @signature(x=(F32, [2]), at=(I32, []))
    def put(self, x, at):
        self.v[at].assign(x)
        return {"v": self.v.read_value()}

    @signature(x=(F32, [2]), at=(I32, []))
    def spans(self, x, at):
        self.v[1:].assign(x)
        self.cube[:, at, ::-2].assign(x)
        self.cube[..., 0].assign(7.0)
        self.cube[2, 0, at].assign(x[0] * 2)
        return {"v": self.v.read_value(), "cube": self.cube.read_value()}

    @signature(x=(F32, [2]))
    def around(self, x):
        self.v[self.next % 3].assign(x)
        self.next.assign_add(1)
        return {"v": self.v.read_value(), "mean": tf.reduce_mean(self.v, 0)}


@program(("step", {"x": numbers(2)}), ("step", {"x": numbers(2, seed=3)}))
class types(tf.Module):
    """Variables of many types; sizes that are no multiple of eight bytes."""

    def __init__(self):
        self.half, self.brain, self.double = tf.Variable([1, 2, 3], dtype=F16), tf.Variable([1, 2, 3], dtype=BF16), tf.Variable([1.5], dtype=F64)
        self.byte, self.long, self.flag = tf.Variable([1, 2, 3, 4, 5], dtype=I8), tf.Variable(1 << 40, dtype=I64), tf.Variable([True, False])
        self.none = tf.Variable(tf.zeros([0, 2]))

    @signature(x=(F32, [2]))
    def step(self, x):
        s = tf.reduce_sum(x)
        self.half.assign_add(tf.cast(tf.fill([3], s), F16))
        self.brain.assign_sub(tf.cast(tf.fill([3], s), BF16))
        self.double.assign(self.double * tf.cast(s, F64))
        self.byte.assign_add(tf.cast(tf.range(5), I8))
        self.long.assign(self.long * 3)
        self.flag.assign(tf.reverse(tf.math.logical_xor(self.flag, x > 0), [0]))
        self.none.assign(self.none + s)
        read = {"double": self.double, "byte": self.byte, "long": self.long, "flag": self.flag, "none": self.none}
        values = {k: v.read_value() for k, v in read.items()}
        return {**values, "half": self.half * 2, "brain": tf.cast(self.brain, F32)}


@program(*[("next", {})] * 5, ("value", {}))
class count_up_to(tf.Module):
    """The fourth call reaches the limit."""

    def __init__(self):
        self.v = tf.Variable(2, dtype=I32)

    @signature()
    def next(self):
        return {"n": raw.ResourceCountUpTo(resource=self.v.handle, limit=5, T=I32)}

    @signature()
    def value(self):
        return {"n": self.v.read_value()}


@program(("train", {"x": A, "y": np.float32(1)}), ("serve", {"x": A}), ("train", {"x": B, "y": np.float32(-1)}), ("serve", {"x": A}))
class regression(tf.Module):
    """A step of learning by hand, and the model that it changes."""

    def __init__(self):
        self.w, self.b, self.rate = tf.Variable([0.1, -0.2, 0.3]), tf.Variable(0.0), tf.Variable(0.1)

    def model(self, x):
        return tf.reduce_sum(self.w * x) + self.b

    @signature(x=(F32, [3]), y=(F32, []))
    def train(self, x, y):
        error = self.model(x) - y
        self.w.assign_sub(self.rate * error * x)
        self.b.assign_sub(self.rate * error)
        return {"loss": error * error}

    @signature(**VECTOR)
    def serve(self, x):
        return {"y": self.model(x)}


@program(("outer", {"x": A}), ("outer", {"x": B}))
class nested_functions(tf.Module):
    """Functions that call functions, each with effects of its own."""

    def __init__(self):
        self.v, self.log = tf.Variable(tf.zeros([3])), tf.Variable(0)

    @tf.function
    def inner(self, x):
        old = self.v.read_value()
        self.v.assign(x)
        self.log.assign_add(1)
        return old

    @tf.function
    def middle(self, x):
        a = self.inner(x + 1.0)
        b = self.inner(x * 2.0)
        return a + b

    @signature(**VECTOR)
    def outer(self, x):
        y = self.middle(x)
        z = self.middle(y)
        return {"y": y, "z": z, "v": self.v.read_value(), "log": self.log.read_value()}


@program(("step", {"x": A}), ("step", {"x": B}), ("step", {"x": C}))
class exponential(tf.Module):
    """A moving average that begins with the first value, by a flag."""

    def __init__(self):
        self.mean, self.begun = tf.Variable(tf.zeros([3])), tf.Variable(False)

    @signature(**VECTOR)
    def step(self, x):
        self.mean.assign(tf.where(self.begun, 0.9 * self.mean + 0.1 * x, x))
        self.begun.assign(True)
        return {"mean": self.mean.read_value()}


@program(("step", {"x": np.float32(0.5)}), ("step", {"x": np.float32(-0.25)}), ("step", {"x": np.float32(1)}))
class delay_line(tf.Module):
    """A filter over the last samples."""

    def __init__(self):
        self.taps, self.past = tf.constant([0.5, 0.25, 0.125, 0.0625]), tf.Variable(tf.zeros([4]))

    @signature(x=(F32, []))
    def step(self, x):
        self.past.assign(tf.concat([[x], self.past[:-1]], 0))
        return {"y": tf.reduce_sum(self.taps * self.past)}


@program(("step", {"x": numbers(1, 2)}), ("step", {"x": numbers(1, 2, seed=1)}), ("clear", {}), ("step", {"x": numbers(1, 2, seed=2)}))
class recurrent_cell(tf.Module):
    """A cell that keeps its state between calls."""

    def __init__(self):
        self.cell, self.h = keras.layers.GRUCell(3, seed=1), tf.Variable(tf.zeros([1, 3]))
        self.cell.build([1, 2])
        for n, weight in enumerate(self.cell.weights):
            weight.assign(numbers(*weight.shape, seed=n))

    @signature(x=(F32, [1, 2]))
    def step(self, x):
        y, [h] = self.cell(x, [self.h.read_value()])
        self.h.assign(h)
        return {"y": y}

    @signature()
    def clear(self):
        self.h.assign(tf.zeros([1, 3]))
        return {"done": True}


@program(("step", {"x": A}), ("step", {"x": B}), ("get", {}))
class gives_back(tf.Module):
    """A variable that is assigned what it is, one that nobody assigns, and one of a shape that the model leaves open."""

    def __init__(self):
        self.same, self.constant = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([3.0, 2.0, 1.0])
        self.open = tf.Variable(tf.zeros([3]), shape=[None])

    @signature(**VECTOR)
    def step(self, x):
        self.same.assign(self.same.read_value())
        self.open.assign(self.constant * x + self.same)
        return {"y": self.open.read_value()}

    @signature()
    def get(self):
        return {"same": self.same.read_value(), "open": self.open.read_value(), "initialized": raw.VarIsInitializedOp(resource=self.open.handle)}


@program(*[("step", {"x": x, "n": np.int32(n)}) for x, n in ((A, 0), (B, 1), (C, 3))], ("get", {}))
class puts_back(tf.Module):
    """Variables that have another value for a part of the call only: in the graph, in a branch and in a loop."""

    def __init__(self):
        self.v, self.branch, self.loop = (tf.Variable([1.0, 2.0, 3.0 + n]) for n in range(3))

    @signature(**VECTOR, n=(I32, []))
    def step(self, x, n):
        old = self.v.read_value()
        self.v.assign(x)
        whole = self.v * 2.0
        self.v.assign(old)
        branch = tf.zeros([3])
        if n > 0:
            old = self.branch.read_value()
            self.branch.assign(x)
            branch = self.branch * 3.0
            self.branch.assign(old)
        loop = tf.zeros([3])
        for _ in tf.range(n):
            old = self.loop.read_value()
            self.loop.assign_add(x + loop)
            loop = self.loop * 4.0
            self.loop.assign(old)
        return {"whole": whole, "branch": branch + self.branch, "loop": loop + self.loop, "v": self.v.read_value()}

    @signature()
    def get(self):
        return {"v": self.v.read_value(), "branch": self.branch.read_value(), "loop": self.loop.read_value()}


@program(("add", {"x": numbers(2, 4)}), ("add", {"x": numbers(2, 4, seed=1)}), ("mean", {}))
class loop_over_rows(tf.Module):
    """Rows of the input are added one by one; a branch in the loop skips some."""

    def __init__(self):
        self.sum, self.n = tf.Variable(tf.zeros([4])), tf.Variable(0)

    @signature(x=(F32, [None, 4]))
    def add(self, x):
        for row in x:
            if row[0] > 0:
                self.sum.assign_add(row)
                self.n.assign_add(1)
            else:
                self.sum.assign(self.sum * 0.5)
        return {"sum": self.sum.read_value(), "n": self.n.read_value()}

    @signature()
    def mean(self):
        return {"mean": self.sum / tf.cast(tf.maximum(self.n, 1), F32)}


def make(model, names):
    """Saves the programs of these names as a model and their calls beside it."""
    root, functions = tf.Module(), {}
    for name in names:
        build, _ = PROGRAMS[name]
        module = build()
        setattr(root, name, module)
        for key in dir(build):
            if isinstance(getattr(build, key), tf.types.experimental.PolymorphicFunction) and getattr(build, key).input_signature is not None:
                functions[f"{name}__{key}"] = getattr(module, key)
    save(model, root, functions)
    answers = {}
    for name in names:
        _, calls = PROGRAMS[name]
        answers[name] = [{"function": key, **answer(functions[f"{name}__{key}"], inputs)} for key, inputs in calls]
        print(name, [list(a["outputs"]) if "outputs" in a else a["error"] for a in answers[name]])
    write(model, answers)


if __name__ == "__main__":
    make("state", list(PROGRAMS))
