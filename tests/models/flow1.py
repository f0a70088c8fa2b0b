"""Programs whose branches, loops and lists are those of TensorFlow 1 (Enter, Switch, TensorArrayV3): `flow1` is one SavedModel whose
signatures they are, `flow1.json` holds calls of each and what TensorFlow answers. `python flow1.py` makes both again,
`python flow1.py NAME..` makes only those of these names, in /tmp."""

import pathlib
import shutil
import sys

from programs import BOOL, F16, F32, F64, HERE, I32, I64, ints, np, numbers, tensors, tf, write

v1 = tf.compat.v1
raw = tf.raw_ops
v1.disable_control_flow_v2()
PROGRAMS = {}


def program(*calls, **specs):
    """A function of the inputs `specs`, each a type and a shape, and calls of it."""

    def add(function):
        PROGRAMS[function.__name__] = (function, specs, calls)
        return function

    return add


VECTORS = [(numbers(n, seed=n),) for n in (0, 1, 4)]
FLAGS = [(numbers(3), np.bool_(b)) for b in (True, False)]


# Branches.


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def branch(x, b):
    return {"y": v1.cond(b, lambda: x + 1, lambda: x * 2)}


@program(*[(numbers(3), np.float32(s)) for s in (-1, 0.5, 5, 50)], x=(F32, [3]), s=(F32, []))
def nested_branches(x, s):
    weight = tf.constant([1.0, 2.0, 3.0])
    y = v1.cond(s < 0, lambda: -x, lambda: v1.cond(s > 10, lambda: x * weight, lambda: v1.cond(s > 1, lambda: x - s, lambda: x / weight)) + 1)
    return {"y": y, "count": v1.cond(s < 0, lambda: 1, lambda: v1.cond(s > 10, lambda: 2, lambda: 3))}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def branch_of_constants(x, b):
    """Constants of a branch hang on its pivot; one side hands a value on."""
    first, second = v1.cond(b, lambda: (tf.constant([1.0, 2.0]), x), lambda: (tf.constant([3.0, 5.0]), x * 3))
    return {"first": first, "sum": tf.reduce_sum(second)}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def several_results(x, b):
    def yes():
        return tf.cast(x, I64), x > 0, tf.shape(x), tf.cast(x, F16), x

    def no():
        return tf.cast(-x, I64), x < 0, tf.shape(x), tf.cast(x * 2, F16), x

    big, sign, shape, half, same = v1.cond(b, yes, no)
    return {"big": big, "sign": sign, "zeros": tf.zeros(shape * 2), "half": half, "same": same}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def one_after_another(x, b):
    """Two branches by one predicate, where the second reads what the first gives, and a third beside them."""
    y = v1.cond(b, lambda: x + 1, lambda: x - 1)
    z = v1.cond(b, lambda: y * 3, lambda: y / 3)
    return {"y": y, "z": z, "beside": v1.cond(b, lambda: x * 10, lambda: -x)}


@program(*[(numbers(3), np.bool_(a), np.bool_(b)) for a in (True, False) for b in (True, False)], x=(F32, [None]), a=(BOOL, []), b=(BOOL, []))
def crossed(x, a, b):
    """Branches by two predicates, each before and behind one of the other."""
    first = v1.cond(a, lambda: x + 1, lambda: x - 1)
    second = v1.cond(b, lambda: first * 2, lambda: -first)
    third = v1.cond(b, lambda: x * 3, lambda: x / 3)
    fourth = v1.cond(a, lambda: third + 10, lambda: third - 10)
    return {"second": second, "fourth": fourth}


@program(*[(numbers(4), np.int32(n)) for n in (-1, 0, 1, 2, 3)], x=(F32, [None]), n=(I32, []))
def case(x, n):
    y = v1.case([(tf.equal(n, 0), lambda: x + 1), (tf.equal(n, 1), lambda: x * 2), (n > 2, lambda: -x)], default=lambda: x * 0)
    return {"y": y, "few": v1.case({tf.equal(n, 0): lambda: 1, n > 1: lambda: 2}, default=lambda: 3, exclusive=True)}


@program(*[(numbers(3), np.float32(s)) for s in (1, -1)], x=(F32, [None]), s=(F32, []))
def checked_in_branch(x, s):
    def yes():
        with tf.control_dependencies([v1.Assert(tf.size(x) > 0, [x])]):
            return tf.identity(x)

    def no():
        with tf.control_dependencies([v1.assert_less(s, 0.5), v1.print("no", x)]):
            return x * 2

    return {"y": v1.cond(s > 0, yes, no)}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def which_operand(x, b):
    """The second result of Merge."""
    no, yes = raw.Switch(data=x, pred=b)
    first = raw.Merge(inputs=[yes + 1, no * 2])
    no, yes = raw.Switch(data=x, pred=b)
    second = raw.Merge(inputs=[no - 1, yes * 3])
    return {"y": first.output, "first": first.value_index, "second": second.value_index, "z": second.output}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def branch_of_variables(x, b):
    weights = v1.get_variable("w_plain", initializer=np.float32([2, 3, 4]), use_resource=False)
    other = v1.get_variable("w_resource", initializer=np.float32([5, 6, 7]), use_resource=True)
    return {"y": v1.cond(b, lambda: x * weights, lambda: x + other * weights)}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def not_the_predicate(x, b):
    """The same flag, and its opposite, and a flag that is known."""
    y = v1.cond(b, lambda: v1.cond(tf.logical_not(b), lambda: x * 100, lambda: x + 1), lambda: v1.cond(b, lambda: x * 200, lambda: x + 2))
    known = v1.placeholder_with_default(False, [])
    return {"y": v1.cond(known, lambda: y * 1000, lambda: v1.cond(b, lambda: y, lambda: -y))}


# Loops.


@program(*VECTORS, x=(F32, [None]))
def counted(x):
    return {"y": v1.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y * 2 + x), [0, tf.zeros_like(x)])[1]}


@program(*[(numbers(3), np.int32(n)) for n in (-1, 0, 1, 7)], x=(F32, [3]), n=(I32, []))
def count_of_data(x, n):
    i, y = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * x + 1), [0, x])
    return {"y": y, "i": i}


@program(*[(np.float32(s),) for s in (1, 50, 1000)], s=(F32, []))
def condition_of_data(s):
    n, total = v1.while_loop(lambda n, total: total < 100, lambda n, total: (n + 1, total * 2), [0, s])
    return {"n": n, "total": total}


@program(*VECTORS, x=(F32, [None]))
def nested(x):
    def inner(i, y):
        return i + 1, v1.while_loop(lambda j, z: j < i + 2, lambda j, z: (j + 1, z * 0.5 + tf.cast(i, F32)), [0, y])[1]

    return {"y": v1.while_loop(lambda i, y: i < 4, inner, [0, x])[1]}


@program(*[(numbers(2), np.int32(n)) for n in (0, 1, 3)], x=(F32, [None]), n=(I32, []))
def nested_thrice(x, n):
    def inmost(k, z):
        return k + 1, z + x

    def inner(j, y):
        return j + 1, v1.while_loop(lambda k, z: k < j, inmost, [0, y * 2])[1]

    def outer(i, y):
        return i + 1, v1.while_loop(lambda j, y: j < i + 1, inner, [0, y])[1]

    return {"y": v1.while_loop(lambda i, y: i < n, outer, [0, x])[1]}


@program(*[(numbers(3), np.int32(n)) for n in (0, 5)], x=(F32, [3]), n=(I32, []))
def branch_in_loop(x, n):
    def body(i, y):
        return i + 1, v1.cond(tf.equal(i % 2, 0), lambda: y + x, lambda: v1.cond(tf.reduce_sum(y) > 1, lambda: y * 0.5, lambda: y - x))

    return {"y": v1.while_loop(lambda i, y: i < n, body, [0, tf.ones([3])])[1]}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def loop_in_branch(x, b):
    def loop():
        return v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2 + x), [0, x])[1]

    return {"y": v1.cond(b, loop, lambda: x - 1)}


@program(*[(numbers(3), np.int32(n), np.bool_(b)) for n in (0, 4) for b in (True, False)], x=(F32, [3]), n=(I32, []), b=(BOOL, []))
def loop_in_branch_in_loop(x, n, b):
    def inner(y, i):
        return v1.while_loop(lambda j, y: j < i, lambda j, y: (j + 1, v1.cond(b, lambda: y + 1, lambda: y * x)), [0, y])[1]

    return {"y": v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, v1.cond(i > 1, lambda: inner(y, i), lambda: -y)), [0, x])[1]}


@program(*[(numbers(3), np.int32(n)) for n in (0, 6)], x=(F32, [3]), n=(I32, []))
def several_exits(x, n):
    """Three of five variables are read behind the loop; some exchange their values."""
    _, a, b, c, d = v1.while_loop(lambda i, a, b, c, d: i < n, lambda i, a, b, c, d: (i + 1, b, a + x, c * 0.5, c), [0, x, x * 2, x * 3, x * 4])
    return {"a": a, "b": b, "d": d}


@program(*[(numbers(3), np.int8(n)) for n in (3, 100)], x=(F32, [3]), n=(tf.int8, []))
def wrapping(x, n):
    """A counter of a small type goes beyond its greatest value."""
    i, k, y = v1.while_loop(lambda i, k, y: i < 70, lambda i, k, y: (i + 1, k + tf.constant(5, tf.int8), y + tf.cast(k, F32)), [0, n, x])
    return {"y": y, "k": k, "i": i}


@program(*[(numbers(2, 3), numbers(3, 3, seed=3), np.int32(n)) for n in (0, 3)], x=(F32, [None, 3]), w=(F32, [3, 3]), n=(I32, []))
def products(x, w, n):
    weights = v1.get_variable("v_plain", initializer=numbers(3, 3, seed=9), use_resource=False)
    other = v1.get_variable("v_resource", initializer=numbers(3, seed=10), use_resource=True)
    body = lambda i, y: (i + 1, tf.tanh(y @ w + (y @ weights) + other))
    return {"y": v1.while_loop(lambda i, y: i < n, body, [0, x], parallel_iterations=1)[1]}


@program(*[(numbers(3), np.int32(n)) for n in (0, 2, 9)], x=(F32, [3]), n=(I32, []))
def bounded(x, n):
    """At most so many iterations."""
    y = v1.while_loop(lambda y: tf.reduce_sum(y) < 20, lambda y: y + 1, [x], maximum_iterations=n)
    return {"y": y}


@program(*[(numbers(3), np.int32(n)) for n in (0, 3)], x=(F32, [3]), n=(I32, []))
def checked_in_loop(x, n):
    def body(i, y):
        with tf.control_dependencies([v1.Assert(i >= 0, [y]), v1.assert_equal(tf.shape(y), [3])]):
            return i + 1, tf.identity(y) * 2

    return {"y": v1.while_loop(lambda i, y: i < n, body, [0, x])[1]}


@program(*[(numbers(3), np.int32(n)) for n in (0, 4)], x=(F32, [3]), n=(I32, []))
def constants_inside(x, n):
    """Constants of condition and body, one of them a result; a variable that only the condition reads."""
    limit, i, y = v1.while_loop(
        lambda limit, i, y: tf.logical_and(i * 2 < limit, i < tf.constant(100)), lambda limit, i, y: (tf.constant(7), i + 1, y * tf.constant([2.0, 3.0, 4.0])), [n, 0, x]
    )
    return {"y": y, "limit": limit}


@program(*[(ints(3), np.int64(n)) for n in (0, 4)], x=(I32, [3]), n=(I64, []))
def types(x, n):
    start = [tf.constant(0, I64), x, tf.cast(x, F64), x > 0, tf.cast(x, F16)]
    _, a, b, c, d = v1.while_loop(
        lambda i, a, b, c, d: i < n, lambda i, a, b, c, d: (i + 1, a + tf.cast(i, I32), b * 0.5, tf.logical_not(c), d + 1), start
    )
    return {"a": a, "b": b, "c": c, "d": d}


@program((np.int32(36), np.int32(84)), (np.int32(7), np.int32(0)), a=(I32, []), b=(I32, []))
def greatest_divisor(a, b):
    return {"y": v1.while_loop(lambda a, b: tf.not_equal(b, 0), lambda a, b: (b, a % b), [a, b])[0]}


@program(*VECTORS, x=(F32, [None]))
def two_calls(x):
    """A function with a loop, called twice."""

    @tf.function
    def double(x):
        return v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), [0, x])[1]

    return {"y": double(x) + double(x + 1)}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def two_forms(x, b):
    """Functional control flow in the bodies of the other kind."""
    yes = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([None], F32))
    no = tf.function(lambda x: x * 3).get_concrete_function(tf.TensorSpec([None], F32))
    step = lambda i, y: (i + 1, raw.StatelessIf(cond=b, input=[y], Tout=[F32], then_branch=yes, else_branch=no, output_shapes=[[None]])[0])
    return {"y": v1.while_loop(lambda i, y: i < 3, step, [0, x])[1]}


# Arrays.


def array(size, dtype=F32, **options):
    return v1.TensorArray(dtype, size, **options)


@program((numbers(2, 3),), (numbers(0, 3),), x=(F32, [None, 3]))
def array_of_places(x):
    """Written at places that are known, read again, stacked and joined."""
    a = array(4, clear_after_read=False).write(0, x).write(3, x * 2).write(1, x + 1).write(2, -x)
    return {"y": a.stack(), "first": a.read(0) + a.read(3), "some": a.gather([2, 0, 0]), "joined": a.concat(), "size": a.size()}


@program((numbers(4, 3),), (numbers(0, 3),), x=(F32, [None, 3]))
def array_of_rows(x):
    a = array(tf.shape(x)[0], element_shape=[3]).unstack(x)
    b = array(4, dynamic_size=True).scatter([3, 1, 0, 2], tf.ones([4, 2]) * [[1.0, 2.0]])
    longer = array(4, dynamic_size=True).unstack(x[:1]).write(5, [7.0, 8.0, 9.0])
    return {"y": a.stack(), "b": b.stack(), "n": a.size(), "m": longer.size()}


@program((numbers(6, 3),), x=(F32, [6, 3]))
def array_of_parts(x):
    a = array(3, infer_shape=False, clear_after_read=False).split(x, [2, 2, 2])
    return {"second": a.read(1), "y": a.concat()}


@program(*[(numbers(n, 2, seed=n),) for n in (0, 1, 5)], x=(F32, [None, 2]))
def array_in_loop(x):
    n = tf.shape(x)[0]
    rows = array(n).unstack(x)
    _, out, total = v1.while_loop(
        lambda i, a, t: i < n, lambda i, a, t: (i + 1, a.write(i, t * 2), t + rows.read(i)), [0, array(n, element_shape=[2]), tf.zeros([2])]
    )
    return {"y": out.stack(), "total": total}


@program(*[(numbers(3), np.int32(n)) for n in (0, 1, 4)], x=(F32, [3]), n=(I32, []))
def array_of_data(x, n):
    """Data decide how many elements are set; the others are zeros."""
    _, a = v1.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a.write(i, x * tf.cast(i + 1, F32))), [0, array(5, element_shape=[3])])
    return {"y": a.stack()}


@program(*[(numbers(4), np.int32(n)) for n in (0, 2, 3)], x=(F32, [4]), n=(I32, []))
def array_read_by_data(x, n):
    a = array(4, clear_after_read=False).unstack(x)
    return {"y": a.read(n), "z": array(4, element_shape=[], clear_after_read=False).unstack(x * 2).gather([n, 0])}


@program((numbers(3),), x=(F32, [3]))
def array_that_grows(x):
    _, a = v1.while_loop(lambda i, a: i < 6, lambda i, a: (i + 1, a.write(i, x + tf.cast(i, F32))), [0, array(0, dynamic_size=True)])
    return {"y": a.stack(), "size": a.size()}


@program(*FLAGS, x=(F32, [None]), b=(BOOL, []))
def array_in_branch(x, b):
    a = array(2, element_shape=[None]).write(0, x)
    flow = v1.cond(b, lambda: a.write(1, x * 2).flow, lambda: a.write(1, -x).flow)
    y = raw.TensorArrayGatherV3(handle=a.handle, indices=[1, 0], flow_in=flow, dtype=F32)
    other = array(2, element_shape=[None])
    return {"y": y, "made": v1.cond(b, lambda: other.write(0, x).write(1, x + 1).stack(), lambda: tf.stack([x, x]))}


@program((numbers(3, 2),), (numbers(0, 2),), x=(F32, [None, 2]))
def array_in_nested_loops(x):
    def outer(i, a):
        inner = v1.while_loop(lambda j, b: j < 3, lambda j, b: (j + 1, b.write(j, tf.reduce_sum(x) * tf.cast(i * 3 + j, F32))), [0, array(3, element_shape=[])])[1]
        return i + 1, a.write(i, inner.stack())

    return {"y": v1.while_loop(lambda i, a: i < 2, outer, [0, array(2)])[1].stack()}


@program((numbers(5, 2),), (numbers(1, 2),), x=(F32, [None, 2]))
def higher_order(x):
    weights = v1.get_variable("scan_weights", initializer=numbers(2, 2, seed=4), use_resource=False)
    sums = tf.scan(lambda a, row: a * 0.5 + tf.linalg.matvec(weights, row), x)
    mapped = tf.map_fn(lambda row: (row * 2, tf.reduce_sum(row)), x, fn_output_signature=(F32, F32))
    return {"scan": sums, "mapped": mapped[0], "sums": mapped[1], "left": tf.foldl(lambda a, r: a - r, x), "right": tf.foldr(lambda a, r: a * 0.5 + r, x)}


@program((ints(4), np.bool_(True)), (ints(4), np.bool_(False)), x=(I32, [4]), b=(BOOL, []))
def map_with_branches(x, b):
    return {"y": tf.map_fn(lambda e: v1.cond(tf.logical_and(b, e > 0), lambda: e * 10, lambda: e - 1), x), "big": tf.map_fn(lambda e: tf.cast(e, I64) * 2, x, fn_output_signature=I64)}


@program((numbers(4, 2),), (numbers(1, 2),), x=(F32, [None, 2]))
def arrays_version_2(x):
    return old_arrays(x)


@program((numbers(4, 2),), (numbers(1, 2),), x=(F32, [None, 2]))
def arrays_version_1(x):
    return old_arrays(x)


def old_arrays(x):
    """`rewrite` makes these of an older version in the file."""
    n = tf.shape(x)[0]
    rows = array(n).unstack(x)
    _, out = v1.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a.write(i, rows.read(i) * 2)), [0, array(n, element_shape=[2])])
    few = array(3, clear_after_read=False, dynamic_size=True).scatter([2, 0, 1], tf.reshape(x[0], [1, 2]) * [[1.0], [2.0], [3.0]])
    parts = array(2, infer_shape=False).split(tf.concat([x, x], 0)[:2], [1, 1])
    part = parts.concat()
    with tf.control_dependencies([part]):
        closed = parts.close()
    with tf.control_dependencies([closed]):
        size = tf.identity(few.size())
    return {"y": out.stack(), "few": few.gather([1, 1, 2]), "all": few.concat(), "size": size, "part": part}


# Recurrent networks.


def cells():
    from tf_keras.src.layers.rnn import legacy_cells

    return legacy_cells


def recurrent(name, cell, run, *calls, **specs):
    def function(x, **lengths):
        with v1.variable_scope(name, initializer=v1.random_uniform_initializer(-0.9, 0.9, seed=len(name))):
            return run(cell, x, **lengths)

    function.__name__ = name
    program(*calls, x=(F32, [None, None, 3]), **specs)(function)


def dynamic(cell, x, **options):
    y, state = v1.nn.dynamic_rnn(cell(), x, dtype=F32, **options)
    return {"y": y, **{f"state{n}": part for n, part in enumerate(tf.nest.flatten(state))}}


def both_ways(cell, x, lengths):
    (a, b), states = v1.nn.bidirectional_dynamic_rnn(cell(), cell(), x, sequence_length=lengths, dtype=F32)
    return {"a": a, "b": b, **{f"state{n}": part for n, part in enumerate(tf.nest.flatten(states))}}


def unrolled(cell, x, lengths):
    ys, state = v1.nn.static_rnn(cell(), tf.unstack(x, 4, 1), sequence_length=lengths, dtype=F32)
    return {"y": tf.stack(ys, 1), **{f"state{n}": part for n, part in enumerate(tf.nest.flatten(state))}}


WHOLE = [(numbers(2, 5, 3, seed=1),), (numbers(1, 1, 3, seed=2),)]
SOME = [(numbers(3, 4, 3, seed=3), np.int32(n)) for n in ([4, 0, 2], [1, 2, 1], [0, 0, 0])]
recurrent("dynamic_basic", lambda: cells().BasicRNNCell(4), dynamic, *WHOLE)
recurrent("dynamic_lstm", lambda: cells().LSTMCell(4, use_peepholes=True, cell_clip=0.4, num_proj=3), dynamic, *WHOLE)
recurrent("dynamic_gru", lambda: cells().GRUCell(4), dynamic, *WHOLE)
recurrent("dynamic_lengths", lambda: cells().BasicLSTMCell(4), lambda cell, x, lengths: dynamic(cell, x, sequence_length=lengths), *SOME, lengths=(I32, [None]))
recurrent("dynamic_time_major", lambda: cells().GRUCell(4), lambda cell, x, lengths: dynamic(cell, x, sequence_length=lengths, time_major=True), (numbers(4, 2, 3, seed=3), np.int32([3, 2])), lengths=(I32, [None]))
recurrent("dynamic_stacked", lambda: cells().MultiRNNCell([cells().BasicLSTMCell(4), cells().GRUCell(3)]), dynamic, *WHOLE)
recurrent("dynamic_both_ways", lambda: cells().GRUCell(4), both_ways, *SOME, lengths=(I32, [None]))
recurrent("static", lambda: cells().BasicLSTMCell(4), unrolled, *SOME, lengths=(I32, [None]))


@program(*SOME, x=(F32, [None, None, 3]), lengths=(I32, [None]))
def raw_loop(x, lengths):
    """A loop that the cell's caller writes: `raw_rnn` keeps what is finished."""
    with v1.variable_scope("raw_loop", initializer=v1.random_uniform_initializer(-0.9, 0.9, seed=2)):
        cell, batch = cells().GRUCell(4), tf.shape(x)[0]
        rows = array(tf.shape(x)[1]).unstack(tf.transpose(x, [1, 0, 2]))

        def loop(time, output, state, _):
            finished = time >= lengths
            none_left = tf.reduce_all(finished)
            following = v1.cond(none_left, lambda: tf.zeros([batch, 3]), lambda: rows.read(time))
            following.set_shape([None, 3])
            return finished, following, cell.zero_state(batch, F32) if state is None else state, output, None

        _, state, _ = v1.nn.raw_rnn(cell, loop)
    return {"state": state}


# Variables that are assigned.


@program(*[(np.float32(3), np.int32(n)) for n in (0, 1, 4)], x=(F32, []), n=(I32, []))
def assigned_in_loop(x, n):
    total = v1.get_variable("state_assigned_in_loop", initializer=1.5, use_resource=True)

    def step(i):
        with tf.control_dependencies([total.assign(total.read_value() * 2 + x)]):
            return i + 1

    with tf.control_dependencies([v1.while_loop(lambda i: i < n, step, [0])]):
        return {"y": total.read_value()}


@program(*[(np.float32(x), np.bool_(b)) for x in (3, -3) for b in (True, False)], x=(F32, []), b=(BOOL, []))
def assigned_in_branch(x, b):
    total = v1.get_variable("state_assigned_in_branch", initializer=1.5, use_resource=True)

    def yes():
        with tf.control_dependencies([total.assign_add(x)]):
            return v1.cond(x > 0, lambda: total.assign_add(10.0) + 0.0, lambda: tf.identity(x))

    y = v1.cond(b, yes, lambda: x * 2)
    with tf.control_dependencies([y]):
        return {"y": y, "after": total.read_value()}


# Gradients of loops: the loop pushes what the gradient needs to stacks, and the gradient's loop pops it.


def gradients(y, **xs):
    return {f"d{key}": g for key, g in zip(xs, v1.gradients(y, list(xs.values())))}


@program(*VECTORS, x=(F32, [None]))
def gradient_of_power(x):
    y = v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), [0, x])[1]
    return {"y": y, **gradients(y, x=x)}


@program(*[(numbers(n, 2, seed=n), numbers(2)) for n in (0, 1, 5)], x=(F32, [None, 2]), first=(F32, [2]))
def gradient_of_open_count(x, first):
    """One iteration for each row; none where there is no row."""
    step = lambda y, row: y * 0.5 + tf.sin(y + tf.stop_gradient(row))
    y = v1.while_loop(lambda i, y: i < tf.shape(x)[0], lambda i, y: (i + 1, step(y, x[i])), [0, first])[1]
    return {"y": y, **gradients(y, first=first)}


@program(*[(numbers(3), np.float32(s)) for s in (-0.5, 2)], x=(F32, [3]), s=(F32, []))
def gradient_of_two_variables(x, s):
    """Each variable makes the other one; one is a matrix of float64, and one result is not used."""
    wide = tf.cast(x, F64)
    body = lambda i, a, b, n: (i + 1, a * s + tf.cast(tf.reduce_sum(b), F32), b * tf.expand_dims(tf.cast(a, F64), 1), n * 2)
    _, a, b, _ = v1.while_loop(lambda i, *_: i < 3, body, [0, x, tf.expand_dims(wide, 1) * tf.expand_dims(wide, 0), 1])
    return {"a": a, **gradients(tf.reduce_sum(a) + tf.cast(tf.reduce_sum(b), F32), x=x, s=s)}


@program(*[(numbers(n),) for n in (3, 1)], x=(F32, [None]))
def gradient_of_no_iteration(x):
    y = v1.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, tf.exp(y)), [0, x * 2])[1]
    return {"y": y, **gradients(y, x=x)}


@program(*[(numbers(4, seed=s) * 3,) for s in range(3)], x=(F32, [4]))
def gradient_of_branch_in_loop(x):
    """Each side of the branch pushes values of its own."""
    step = lambda y: v1.cond(tf.reduce_sum(y) > 1, lambda: tf.sin(y) * x, lambda: tf.exp(y * 0.1) + x * x)
    y = v1.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, step(y)), [0, x])[1]
    return {"y": y, **gradients(y, x=x)}


@program(*[(numbers(n, 4, seed=n) * 3,) for n in (0, 1, 5)], x=(F32, [None, 4]))
def gradient_of_branches_in_loop(x):
    """Branches within a branch, and one of which a side computes nothing, where the extents are open."""
    rows, first = tf.stop_gradient(x), tf.ones([4]) * 0.5
    deep = lambda y, r: v1.cond(r[0] > 0, lambda: tf.cos(y) * r, lambda: y / (1 + r * r))
    step = lambda y, r: v1.cond(tf.reduce_sum(r) > 0, lambda: deep(y, r) + y * y * 0.1, lambda: v1.cond(r[1] > 0, lambda: y * r, lambda: y))
    y = v1.while_loop(lambda i, y: i < tf.shape(x)[0], lambda i, y: (i + 1, step(y, rows[i])), [0, first])[1]
    return {"y": y, **gradients(y, first=first)}


@program(*[(np.float32(s),) for s in (1.5, 3, 200)], x=(F32, []))
def gradient_of_bounded_loop(x):
    """Data decide how many iterations there are, eight at most."""
    n, y = v1.while_loop(lambda n, y: y < 100, lambda n, y: (n + 1, y * y * 0.9), (0, x), maximum_iterations=8)
    return {"n": n, "y": y, **gradients(y, x=x)}


@program(*[(numbers(n, m, seed=n),) for n, m in ((0, 3), (1, 1), (3, 2), (2, 0))], x=(F32, [None, None]))
def gradient_of_nested(x):
    """The inner loop pushes as often as both loops run."""
    rows, columns = tf.shape(x)[0], tf.shape(x)[1]
    x, first = tf.stop_gradient(x), tf.constant(0.5)

    def row(i, total):
        s = v1.while_loop(lambda j, s: j < columns, lambda j, s: (j + 1, s * 0.5 + tf.sin(x[i, j] + s)), [0, total])[1]
        return i + 1, s * s + total

    y = v1.while_loop(lambda i, t: i < rows, row, [0, first])[1]
    return {"y": y, **gradients(y, first=first)}


@program(*[(np.float32(s),) for s in (0.3, -1.2, 5)], x=(F32, []))
def gradient_of_nested_by_data(x):
    """Data decide how often the inner loop runs in each iteration of the outer one: up to four times."""
    inner = lambda y: v1.while_loop(lambda z: z < 2, lambda z: tf.sin(z) + tf.abs(x) * 0.5 + 0.4, [y], maximum_iterations=4)
    y = v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(inner(y)) + x), [0, x])[1]
    return {"y": y, **gradients(y, x=x)}


@program(*VECTORS, x=(F32, [None]))
def gradient_in_loop(x):
    """A loop whose body is a step along the gradient of another loop."""
    def body(i, y):
        z = v1.while_loop(lambda j, z: j < 3, lambda j, z: (j + 1, z * tf.cos(z) + x), [0, y])[1]
        return i + 1, y - 0.1 * v1.gradients(z, y)[0]

    return {"y": v1.while_loop(lambda i, y: i < 4, body, [0, x])[1]}


def after(before, make):
    with tf.control_dependencies([before]):
        return make()


def pushed_and_popped(first, second, stack, push, pop, close):
    """Two elements come back in the other order; what is pushed is handed on."""
    one = push(stack, first)
    two = after(one, lambda: push(stack, second))
    last = after(two, lambda: pop(stack, first.dtype))
    before = after(last, lambda: pop(stack, first.dtype))
    with tf.control_dependencies([after(before, lambda: close(handle=stack))]):
        return tf.identity(one), last, before


V2 = (
    lambda handle, elem: raw.StackPushV2(handle=handle, elem=elem, swap_memory=True),
    lambda handle, dtype: raw.StackPopV2(handle=handle, elem_type=dtype),
    raw.StackCloseV2,
)


@program(*[(numbers(n, seed=n), numbers(n, seed=n + 1), np.bool_(b)) for n, b in ((0, True), (3, False))], x=(F32, [None]), y=(F32, [None]), b=(BOOL, []))
def stacks_by_hand(x, y, b):
    found = {}
    for dtype in (F32, F64, F16, I32, I64, tf.uint8, tf.int8, tf.int16, BOOL):
        first, second = (tf.cast(tf.abs(v * 5), dtype) if dtype != BOOL else tf.not_equal(v > 0, b) for v in (x, y))
        stack = raw.StackV2(max_size=2 if dtype == F64 else -1, elem_type=dtype)
        for key, value in zip(("one", "last", "before"), pushed_and_popped(first, second, stack, *V2)):
            found[f"{key}_{dtype.name}"] = value
    return found


@program(*[(numbers(2, seed=s), numbers(2, seed=s + 1)) for s in (1, 2)], x=(F32, [2]), y=(F32, [2]))
def stacks_of_version_1(x, y):
    stack = raw.Stack(elem_type=F32)
    push = lambda handle, elem: raw.StackPush(handle=handle, elem=elem)
    pop = lambda handle, dtype: raw.StackPop(handle=handle, elem_type=dtype)
    return dict(zip(("one", "last", "before"), pushed_and_popped(x, y, stack, push, pop, raw.StackClose)))


@program(*[(numbers(2), np.int32(n)) for n in (-1, 0, 1, 3)], x=(F32, [2]), n=(I32, []))
def pops_of_data(x, n):
    """What was pushed `n` times is popped once: not where nothing is there."""
    stack = raw.StackV2(max_size=-1, elem_type=F32)
    body = lambda i, y: after(V2[0](stack, y), lambda: (i + 1, y * 2))
    i, _ = v1.while_loop(lambda i, y: i < n, body, (0, x), maximum_iterations=4)
    return {"y": after(i, lambda: V2[1](stack, F32))}


# Gradients of arrays: writes add.


@program(*[(numbers(n, 3, seed=n),) for n in (0, 1, 4)], x=(F32, [None, 3]))
def gradient_of_array_reads(x):
    """Elements are read several times, some never, and all are stacked as well."""
    a = array(4, clear_after_read=False).write(0, x).write(3, x * 2).write(1, tf.sin(x)).write(2, x)
    y = a.read(0) * a.read(0) + a.read(3) + tf.reduce_sum(a.gather([1, 1, 0]), 0)
    return {"y": y, **gradients(y, x=x)}


@program(*[(numbers(n, 3, seed=n),) for n in (0, 1, 4)], x=(F32, [None, 3]))
def gradient_of_array_stack(x):
    a = array(2).write(0, x * x).write(1, tf.exp(x))
    y = a.stack() * [[[1.0]], [[2.0]]]
    return {"y": y, **gradients(y, x=x)}


@program((numbers(4, 3),), x=(F32, [4, 3]))
def gradient_of_array_parts(x):
    split = array(2, infer_shape=False, clear_after_read=False).split(x * x, [2, 2])
    joined = array(4, element_shape=[1, 3]).unstack(tf.expand_dims(x, 1)).concat()
    y = split.read(0) + split.read(1) * split.read(1)
    return {"y": y, "joined": joined, **gradients(tf.reduce_sum(y) + tf.reduce_sum(tf.sin(joined)), x=x)}


@program(*[(numbers(4, 2),), (numbers(4, 2) * 3,)], x=(F32, [4, 2]))
def gradient_of_array_places(x):
    a = array(4, clear_after_read=False).scatter([2, 0, 3, 1], x * x)
    y = tf.reduce_sum(a.gather([3, 0, 0]) * a.read(2))
    return {"y": y, **gradients(y, x=x)}


@program(*[(numbers(n, 2, seed=n),) for n in (0, 1, 5)], x=(F32, [None, 2]))
def gradient_of_array_in_loop(x):
    """A loop reads from one array and writes to another."""
    n = tf.shape(x)[0]
    rows, out = array(n, element_shape=[2]).unstack(x * 2), array(n, element_shape=[2])

    def body(i, h, out):
        h = tf.sin(h * 0.5 + rows.read(i))
        return i + 1, h, out.write(i, h * h)

    _, h, out = v1.while_loop(lambda i, *_: i < n, body, [0, tf.zeros([2]), out])
    y = out.stack()
    return {"y": y, "h": h, **gradients(tf.reduce_sum(y) + tf.reduce_sum(h * h), x=x)}


@program((numbers(4),), (numbers(1),), x=(F32, [None]))
def arrays_version_2_gradient(x):
    return old_gradient(x)


@program((numbers(4),), (numbers(1),), x=(F32, [None]))
def arrays_version_1_gradient(x):
    return old_gradient(x)


def old_gradient(x):
    """`rewrite` makes these of an older version in the file."""
    a = array(2, clear_after_read=False).write(0, x * x).write(1, tf.sin(x))
    y = a.read(0) * a.read(1) + a.read(0)
    return {"y": y, **gradients(y, x=x)}


@program((numbers(2, 3), numbers(2, 3, seed=4)), x=(F32, [2, 3]), y=(F32, [2, 3]))
def gradient_of_longer_shape(x, y):
    """A gradient whose elements have another axis before those of the array; what is written twice adds."""
    a = array(2, element_shape=[3]).write(0, x[0])
    g = raw.TensorArrayGradWithShape(handle=a.handle, flow_in=a.flow, shape_to_prepend=[2], source="gradients")
    flow = g.flow_out
    for index, value in ((1, x), (1, y), (0, y)):
        flow = raw.TensorArrayWriteV3(handle=g.grad_handle, index=index, value=value, flow_in=flow)
    return {"first": raw.TensorArrayReadV3(handle=g.grad_handle, index=1, flow_in=flow, dtype=F32)}


@program(*[(numbers(n, 3, seed=n),) for n in (1, 4)], x=(F32, [None, 3]))
def gradient_of_higher_order(x):
    mapped = tf.map_fn(lambda r: tf.sin(r) * tf.reduce_sum(r), x)
    scanned = tf.scan(lambda a, r: a * 0.5 + r * r, x)
    y = tf.reduce_sum(mapped * 2.0) + tf.reduce_sum(scanned) + tf.reduce_sum(tf.foldl(lambda a, r: a * r, x))
    return {"y": y, **gradients(y, x=x)}


def dynamic_gradient(cell, x, **options):
    y, state = v1.nn.dynamic_rnn(cell(), x, dtype=F32, **options)
    total = tf.reduce_sum(y * y) + tf.add_n([tf.reduce_sum(part) for part in tf.nest.flatten(state)])
    return {"y": y, **gradients(total, x=x)}


recurrent("gradient_of_dynamic", lambda: cells().BasicRNNCell(4, activation=tf.sin), dynamic_gradient, (numbers(2, 3, 3, seed=1),), (numbers(1, 1, 3, seed=2),))
recurrent("gradient_of_dynamic_lengths", lambda: cells().BasicRNNCell(4, activation=tf.sin), lambda cell, x, lengths: dynamic_gradient(cell, x, sequence_length=lengths), *SOME, lengths=(I32, [None]))


# What is refused.


@program(x=(F32, [2]))
def refused_two_writers(x):
    a = array(2, element_shape=[2])
    first, second = a.write(0, x), a.write(1, x * 2)
    return {"y": first.stack() + second.stack()}


@program(x=(F32, [2]))
def refused_writer_by_control(x):
    a = array(2, element_shape=[2])
    with tf.control_dependencies([a.write(0, x).flow]):
        return {"y": a.stack()}


@program(x=(F32, [2]))
def refused_race(x):
    return {"y": raw.Merge(inputs=[x, x + 1]).output}


@program(x=(F32, []), n=(I32, []))
def refused_gradient(x, n):
    """How often the loop runs has no bound, and so has what it pushes."""
    y = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * y), [0, x])[1]
    return {"y": v1.gradients(y, x)[0]}


@program(x=(F32, []))
def refused_triangle(x):
    """What the inner loop pushes is more in each iteration of the outer one."""
    inner = lambda i, y: v1.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, tf.sin(z) * x), [0, y])[1]
    y = v1.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, inner(i, y) + x), [0, x])[1]
    return {"y": v1.gradients(y, x)[0]}


@program(x=(F32, [2]))
def refused_empty_stack(x):
    stack = raw.StackV2(max_size=-1, elem_type=F32)
    one = after(V2[0](stack, x), lambda: V2[1](stack, F32))
    return {"y": after(one, lambda: V2[1](stack, F32))}


@program(x=(F32, [2]))
def refused_full_stack(x):
    stack = raw.StackV2(max_size=1, elem_type=F32)
    two = after(V2[0](stack, x), lambda: V2[0](stack, x))
    return {"y": after(two, lambda: V2[1](stack, F32))}


@program(x=(F32, [None, 3]))
def refused_growth(x):
    shapes = [tf.TensorShape([]), tf.TensorShape([None, 3])]
    return {"y": v1.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.concat([y, x], 0)), [0, x], shape_invariants=shapes)[1]}


@program(x=(F32, [None]), a=(BOOL, []), b=(BOOL, []))
def refused_unpaired(x, a, b):
    """The sides that meet are of different branches."""
    no, _ = raw.Switch(data=x, pred=a)
    _, yes = raw.Switch(data=x, pred=b)
    return {"y": raw.Merge(inputs=[no, yes]).output}


@program(x=(F32, [None]), b=(BOOL, []))
def refused_one_side(x, b):
    return {"y": raw.Switch(data=x, pred=b).output_true}


def build(names):
    """A graph with these programs, and the inputs and outputs of each."""
    made = {}
    for name in names:
        function, specs, _ = PROGRAMS[name]
        with v1.name_scope(name):
            inputs = {key: v1.placeholder(dtype, shape, key) for key, (dtype, shape) in specs.items()}
            outputs = {key: tf.identity(value, f"out_{key}") for key, value in function(**inputs).items()}
        made[name] = (inputs, outputs)
    return made


def record(session, made, name):
    inputs, outputs = made[name]
    variables = {v.op.name: v for v in v1.global_variables() if v.op.name.startswith(f"state_{name}")}
    answers = []
    for call in PROGRAMS[name][2]:
        # What the program assigns is an input and an output beside its own.
        session.run([v.initializer for v in variables.values()])
        before = session.run(variables)
        feeds = dict(zip(inputs.values(), call))
        try:
            found = session.run(outputs, feeds)
            values = {"outputs": tensors(found | session.run(variables))}
        except tf.errors.OpError as error:
            values = {"error": error.message.splitlines()[0][:120]}
        answers.append({"inputs": tensors(dict(zip(inputs, call)) | before), **values})
    return answers


def rewrite(model):
    """Makes the arrays of some programs those of version 1 and 2, which TensorFlow reads in files of their time only."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString(model)
    graph = model.meta_graphs[0].graph_def
    ops, flows = {node.name: node.op for node in graph.node}, []
    for node in graph.node:
        if not node.name.startswith("arrays_version"):
            continue
        version = "V2" if node.name.startswith("arrays_version_2") else ""
        of_range = not version and any(ops.get(i) == "Range" for i in node.input)
        if node.op == "TensorArrayV3":
            flow = type(node)(name=node.name + "_flow", op="Const")
            flow.attr["dtype"].type = 1
            flow.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0.0))
            flows.append(flow)
            node.attr.pop("identical_element_shapes", None)
        if node.op == "TensorArrayGatherV3" and of_range:
            node.op = "TensorArrayPack"
            del node.input[1]
        elif node.op == "TensorArrayScatterV3" and of_range:
            node.op = "TensorArrayUnpack"
            del node.input[1]
        elif node.op.startswith("TensorArray"):
            node.op = node.op.removesuffix("V3") + version
        elif node.attr["T"].type == tf.resource.as_datatype_enum:
            node.attr["T"].type = tf.string.as_datatype_enum
        elif "T" in node.attr and node.attr["T"].type == 0:
            del node.attr["T"]
        node.input[:] = [i.removesuffix(":1") + "_flow" if ops.get(i.removesuffix(":1")) == "TensorArrayV3" and i.endswith(":1") else i for i in node.input]
    graph.node.extend(flows)
    return model.SerializeToString(deterministic=True)


def make(names, folder):
    answers = {}
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(3)
        made = build(names)
        session.run(v1.global_variables_initializer())
        for name in names:
            if PROGRAMS[name][2]:
                answers[name] = record(session, made, name)
                print(name, [list(a["outputs"]) if "outputs" in a else a["error"] for a in answers[name]][:2])
        path = folder / "flow1"
        shutil.rmtree(path, ignore_errors=True)
        builder = v1.saved_model.Builder(str(path))
        info = lambda tensors: {key: v1.saved_model.build_tensor_info(t) for key, t in tensors.items()}
        signatures = {name: v1.saved_model.build_signature_def(info(i), info(o), "tensorflow/serving/predict") for name, (i, o) in made.items()}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, strip_default_attrs=True)
        builder.save()
    file = path / "saved_model.pb"
    file.write_bytes(rewrite(file.read_bytes()))
    (path / "fingerprint.pb").unlink(missing_ok=True)
    write("flow1", answers, folder)


if __name__ == "__main__":
    make(sys.argv[1:] or list(PROGRAMS), pathlib.Path("/tmp") if sys.argv[1:] else HERE)
