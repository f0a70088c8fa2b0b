"""Models whose signatures branch, loop, check and assign, for `make.py`; `answers` says what TensorFlow computes."""

import numpy as np
import tensorflow as tf

raw = tf.raw_ops


def traced(function, *args):
    """A function of the library, as operators name it in their attributes."""
    return tf.function(function).get_concrete_function(*args)


def vector():
    return tf.TensorSpec([None], tf.float32)


def signature(*shapes, dtype=tf.float32):
    names = ["x", "z"]
    specs = [tf.TensorSpec(shape, dtype, name) for shape, name in zip(shapes, names)]
    return tf.function(input_signature=specs)


def choose(predicate, x, stateless=True):
    """10 x where the predicate holds, 100 x where it does not."""
    then, other = traced(lambda x: 10.0 * x, vector()), traced(lambda x: 100.0 * x, vector())
    op = raw.StatelessIf if stateless else raw.If
    result = op(cond=predicate, input=[x], Tout=[tf.float32], then_branch=then, else_branch=other)[0]
    return tf.ensure_shape(result, [None])


class Branches(tf.Module):
    """Branches whose predicates are known when the model is compiled, and some whose are not."""

    def __init__(self):
        super().__init__()
        self.flag = tf.Variable(True)
        self.weight = tf.Variable([2.0])
        self.other = tf.Variable(False)

    @signature([None])
    def numbers(self, x):
        nan, empty = tf.constant(np.nan), tf.zeros([0, 3])
        predicates = [True, False, 3, 0, -0.0, nan, np.int64(0), np.uint8(1), np.float64(2), np.int8(0), "", "no", empty, [False], [[0.0]]]
        predicates = [tf.convert_to_tensor(p) for p in predicates]
        sums = [tf.reduce_sum(choose(p, x, n % 2 == 0)) for n, p in enumerate(predicates)]
        return {"y": tf.stack(sums)}

    @signature([None])
    def cases(self, x):
        branches = [traced(lambda x, k=k: x * 10.0**k, vector()) for k in range(3)]

        def case(n, op):
            return op(branch_index=tf.constant(n), input=[x], Tout=[tf.float32], branches=branches)[0]

        results = [case(n, raw.StatelessCase if n % 2 else raw.Case) for n in [0, 1, 2, 3, -1]]
        return {"y": tf.stack([tf.reduce_sum(r) for r in results])}

    @signature([None, 3])
    def shapes(self, x):
        """The second extent is known, and the function of a branch calls another one that branches again."""
        inner = tf.function(lambda x: tf.cond(tf.rank(x) > 1, lambda: x * self.weight, lambda: x))
        return {"y": tf.cond(tf.shape(x)[1] > 2, lambda: inner(x) + 1.0, lambda: x - 1.0)}

    @signature([None])
    def frozen(self, x):
        return {"y": tf.cond(tf.logical_not(self.flag), lambda: x * 3.0, lambda: x * self.weight)}

    @signature([None])
    def untaken_effect(self, x):
        def assign():
            self.weight.assign_add([1.0])
            return x

        return {"y": tf.cond(tf.constant(3) < 2, assign, lambda: x * 5.0)}

    @signature([None])
    def taken_effect(self, x):
        def check():
            tf.debugging.assert_positive(tf.reduce_min(x))
            return x * 7.0

        return {"y": tf.cond(tf.constant(1) < 2, check, lambda: x)}

    @signature([None])
    def data(self, x):
        return {"y": tf.cond(tf.reduce_sum(x) > 0.0, lambda: x, lambda: -x)}

    @signature([], dtype=tf.bool)
    def switch(self, x):
        return {"y": tf.cond(x, lambda: tf.constant(1.0), lambda: tf.constant(2.0))}


class Decided(tf.Module):
    """One signature's branch depends on a variable that another one sets."""

    def __init__(self):
        super().__init__()
        self.flag, self.weight = tf.Variable(False), tf.Variable([2.0])

    @signature([None])
    def assign_if_set(self, x):
        tf.cond(self.flag, lambda: self.weight.assign_add([1.0]), lambda: self.weight)
        return {"y": x + 1.0}

    @signature([], dtype=tf.bool)
    def set_flag(self, x):
        return {"flag": self.flag.assign(x).read_value()}

    @signature([None])
    def read(self, x):
        return {"y": x * self.weight}


class Effects(tf.Module):
    """What branches and loops do beside computing."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0.0)
        self.weight = tf.Variable([2.0])

    @signature([None])
    def pure(self, x):
        return {"y": x * self.weight}

    @signature([None])
    def reads(self, x):
        return {"y": x + self.count}

    @signature([None])
    def assert_in_branch(self, x):
        tf.debugging.assert_positive(x)
        return {"y": x * 2.0}

    @signature([None])
    def assert_in_called_branch(self, x):
        check = traced(lambda x: tf.function(self.checked)(x), vector())
        raw.If(cond=tf.reduce_sum(x) > 1.0, input=[x], Tout=[tf.float32], then_branch=check, else_branch=check)
        return {"y": x * 2.0}

    def checked(self, x):
        raw.Assert(condition=tf.reduce_all(x > 0.0), data=[x])
        return x

    @signature([None])
    def assert_in_loop(self, x):
        def body(i):
            tf.debugging.assert_positive(x + tf.cast(i, tf.float32))
            return [i + 1]

        tf.while_loop(lambda i: i < 3 + tf.cast(x[0], tf.int32), body, [0])
        return {"y": x * 2.0}

    @signature([None])
    def nobody_waits(self, x):
        """The results of the function that checks are not used, and nothing waits for it."""
        tf.function(self.checked)(x)
        return {"y": x * 2.0}

    @signature([None])
    def numbers_by_control(self, x):
        with tf.control_dependencies([tf.debugging.check_numerics(x, "bad")]):
            return {"y": x * 2.0}

    @signature([None])
    def prints(self, x):
        tf.print("x is", tf.shape(x))
        return {"y": x * 2.0}

    @signature([None])
    def print_in_branch(self, x):
        tf.cond(x[0] > 0.0, lambda: tf.print("positive"), lambda: tf.no_op())
        return {"y": x * 2.0}

    @signature([None])
    def assign_in_branch(self, x):
        tf.cond(x[0] > 0.0, lambda: self.count.assign_add(1.0), lambda: 0.0)
        return {"y": x * 2.0}

    @signature([None])
    def assign_in_case(self, x):
        index = tf.cast(x[0], tf.int32)
        tf.switch_case(index, [lambda: 0.0, lambda: tf.function(lambda: self.count.assign(1.0).read_value())()])
        return {"y": x * 2.0}

    @signature([None])
    def assign_in_loop(self, x):
        def body(i):
            self.count.assign_add(1.0)
            return [i + 1]

        tf.while_loop(lambda i: i < tf.cast(x[0], tf.int32), body, [0])
        return {"y": x * 2.0}


def names_of(make):
    return [name for name, value in vars(make).items() if hasattr(value, "get_concrete_function")]


def saver(make):
    def save(path):
        made = make()
        tf.saved_model.save(made, str(path), signatures={name: getattr(made, name) for name in names_of(make)})

    save.__name__ = make.__name__.lower()
    return save


def v1_branches(path):
    """Switch and Merge: constants and effects in branches, of which one is taken."""
    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        phase = v1.placeholder_with_default(False, [], "keras_learning_phase")
        count = v1.get_variable("count", initializer=0.0, use_resource=False)
        constant = v1.cond(phase, lambda: tf.constant(3.0), lambda: tf.constant(5.0))

        def assigned():
            with tf.control_dependencies([v1.assign_add(count, 1.0), v1.Assert(tf.constant(False), ["training"])]):
                return tf.identity(x)

        def checked():
            with tf.control_dependencies([v1.Assert(tf.reduce_all(x > 0.0), [x])]):
                return tf.identity(x)

        y = v1.cond(phase, assigned, checked) * constant
        infos = [{key: v1.saved_model.build_tensor_info(t)} for key, t in [("x", x), ("y", y)]]
        predict = v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"predict": predict}, strip_default_attrs=True)
        builder.save()
    v1.enable_control_flow_v2()


def v1_initialised(path):
    """A main operation that sets variables after they were restored, in an order that control edges give."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:

        def variable(name, value, resource, collections=None):
            return v1.get_variable(name, initializer=value, use_resource=resource, collections=collections)

        x = v1.placeholder(tf.float32, [None], "x")
        constant, local = variable("constant", 1.0, False), variable("local", 2.0, True, ["local_variables"])
        chained, counted = variable("chained", 3.0, True), variable("counted", 4.0, False)
        table, restored = variable("table", tf.zeros([3]), True), variable("restored", 5.0, False)
        drawn = variable("drawn", 8.0, True)
        racy, random = variable("refused_racy", 6.0, True), variable("refused_random", 7.0, True)
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        first = v1.assign(constant, 0.5)
        with tf.control_dependencies([first]):
            second = v1.assign(chained, 2.0 * constant.read_value() + restored)
        added = v1.assign_add(counted, 10.0)
        with tf.control_dependencies([added]):
            again = v1.assign_sub(counted, chained.initial_value * 0.5)
        with tf.control_dependencies([second]):
            filled = v1.assign(table, tf.cast(tf.range(3), tf.float32) * chained)
        races = [v1.assign(racy, 1.0), v1.assign(racy, 2.0)]
        numbers = [v1.assign(drawn, tf.random.normal([], seed=9)), v1.assign(random, tf.random.uniform([]))]
        main_op = tf.group(again, filled, local.initializer, *numbers, *races)

        def predict(name, value):
            infos = [{key: v1.saved_model.build_tensor_info(t)} for key, t in [("x", x), ("y", value)]]
            return name, v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")

        variables = [constant, local, chained, counted, restored, drawn, racy, random]
        signatures = dict(predict(v.op.name, x * tf.identity(v)) for v in variables)
        signatures.update([predict("table", x[:1] * table)])
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, strip_default_attrs=True, main_op=main_op)
        builder.save()


MODELS = [*(saver(make) for make in [Branches, Decided, Effects]), v1_branches, v1_initialised]


def answers(path, inputs):
    """What each signature computes, run in the order of the names, by inputs of its type and rank."""
    loaded = tf.saved_model.load(str(path))
    found = {}
    for name in sorted(name for name in loaded.signatures if not name.startswith("refused")):
        run = loaded.signatures[name]
        values = {key: inputs(spec) for key, spec in run.structured_input_signature[1].items()}
        outputs = {key: np.asarray(value).tolist() for key, value in run(**values).items()}
        found[name] = {"inputs": {key: np.asarray(v).tolist() for key, v in values.items()}, "outputs": outputs}
    return found
