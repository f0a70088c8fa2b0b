"""Control flow of TF 1 as users wrote it: `cond`, `while_loop`, arrays, recurrent networks; Switch, Merge and Enter in the file."""

import functools

import numpy as np
import tensorflow as tf

from .programs import BOOL, F32, I32, I64, ints, numbers, program

v1 = tf.compat.v1
frames = functools.partial(program, prefix="frames")
SIMPLE, BUILDER, FROZEN = ("simple_save",), ("builder",), ("frozen_graph",)


def variable(name, *shape, **options):
    value = np.random.default_rng([len(name), *shape]).normal(0, 0.4, shape).astype(np.float32)
    return v1.get_variable(name, initializer=value, **{"use_resource": False, **options})


def cells():
    from tf_keras.src.layers.rnn import legacy_cells

    return legacy_cells


@frames((numbers(3, 4), np.float32(0.5)), (numbers(3, 4), np.float32(-0.5)), (numbers(0, 4), np.float32(0)), routes=("simple_save", "frozen_graph"), x=(F32, [None, 4]), gate=(F32, []))
def gated_dense(x, gate):
    """Each side of a `cond` has weights of its own."""
    y = v1.cond(gate > 0, lambda: tf.nn.relu(tf.matmul(x, variable("w", 4, 3))), lambda: tf.matmul(x, variable("other", 4, 3)) + gate)
    return {"y": y, "sum": tf.reduce_sum(y)}


@frames((numbers(2, 3), np.bool_(True), np.int32(2)), (numbers(2, 3), np.bool_(False), np.int32(2)), (numbers(1, 3), np.bool_(True), np.int32(0)), routes=SIMPLE, x=(F32, [None, 3]), training=(BOOL, []), n=(I32, []))
def cond_in_cond(x, training, n):
    def noisy():
        return v1.cond(n > 1, lambda: x * tf.cast(n, F32), lambda: x + 1.0)

    y, k = v1.cond(training, lambda: (noisy(), n), lambda: (tf.identity(x), n * 2))
    return {"y": y, "k": k}


@frames(*[(numbers(4), np.int32(m)) for m in (0, 1, 2, 9)], routes=SIMPLE, x=(F32, [4]), mode=(I32, []))
def case_of_modes(x, mode):
    pairs = [(tf.equal(mode, 0), lambda: tf.sin(x)), (tf.equal(mode, 1), lambda: tf.square(x)), (mode > 5, lambda: -x)]
    return {"y": v1.case(pairs, default=lambda: tf.zeros_like(x))}


@frames((numbers(3), np.int32(4)), (numbers(3), np.int32(0)), (numbers(3), np.int32(1)), routes=("builder", "frozen_graph"), x=(F32, [3]), n=(I32, []))
def loop_with_weights(x, n):
    """A loop whose body reads a variable of the old kind."""
    w = variable("w", 3, 3)
    _, y = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.tanh(tf.squeeze(tf.matmul(y[None], w), 0))), [0, x])
    return {"y": y}


@frames((numbers(3, 4),), (numbers(1, 4),), (numbers(0, 4),), routes=BUILDER, x=(F32, [None, 4]))
def nested_sums(x):
    """A loop over rows with one over columns inside."""
    rows, columns = tf.shape(x)[0], tf.shape(x)[1]

    def row(i, total):
        _, s = v1.while_loop(lambda j, s: j < columns, lambda j, s: (j + 1, s * 0.5 + x[i, j]), [0, 0.0])
        return i + 1, total + s * tf.cast(i + 1, F32)

    return {"y": v1.while_loop(lambda i, t: i < rows, row, [0, 0.0])[1]}


@frames((ints(6, low=-4, high=5),), (ints(1),), (ints(0),), routes=SIMPLE, x=(I32, [None]))
def cond_in_while(x):
    """Positive and negative elements are summed apart by a `cond` in the loop."""
    def body(i, up, down):
        up, down = v1.cond(x[i] > 0, lambda: (up + x[i], down), lambda: (up, down - x[i]))
        return i + 1, up, down

    i, up, down = v1.while_loop(lambda i, *_: i < tf.size(x), body, [0, 0, 0])
    return {"up": up, "down": down, "i": i}


@frames((numbers(4), np.bool_(True)), (numbers(4), np.bool_(False)), (numbers(1), np.bool_(True)), routes=FROZEN, x=(F32, [None]), backwards=(BOOL, []))
def while_in_cond(x, backwards):
    n = tf.size(x)
    ahead = lambda: v1.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s * 0.5 + x[i]), [0, 0.0])[1]
    back = lambda: v1.while_loop(lambda i, s: i >= 0, lambda i, s: (i - 1, s * 0.5 + x[i]), [n - 1, 0.0])[1]
    return {"y": v1.cond(backwards, back, ahead)}


@frames((numbers(4), np.int32(3), np.bool_(True)), (numbers(4), np.int32(3), np.bool_(False)), (numbers(4), np.int32(0), np.bool_(True)), routes=BUILDER, x=(F32, [4]), n=(I32, []), deep=(BOOL, []))
def cond_in_while_in_cond(x, n, deep):
    def loop():
        body = lambda i, y: (i + 1, v1.cond(tf.reduce_sum(y) > 0, lambda: y - 0.5, lambda: y * 2.0 + 1.0))
        return v1.while_loop(lambda i, y: i < n, body, [0, x])[1]

    return {"y": v1.cond(deep, loop, lambda: x)}


@frames((np.float32([3, 1, 2]), np.float32(5)), (np.float32([1, 1, 1]), np.float32(50)), (np.float32([]), np.float32(1)), routes=SIMPLE, x=(F32, [None]), limit=(F32, []))
def several_exits(x, limit):
    """A loop of many results: the sum, how far it came, the last element, and which condition ended it."""
    n = tf.size(x)
    going = lambda i, s, last, over: tf.logical_and(i < n, tf.logical_not(over))
    body = lambda i, s, last, over: (i + 1, s + x[i], x[i], s + x[i] >= limit)
    i, s, last, over = v1.while_loop(going, body, [0, 0.0, -1.0, False])
    return {"i": i, "sum": s, "last": last, "over": over}


@frames((numbers(2, 3), np.int32(2)), (numbers(0, 3), np.int32(2)), routes=FROZEN, x=(F32, [None, 3]), n=(I32, []))
def loop_invariants(x, n):
    """Shape invariants that leave the batch open, and few parallel iterations."""
    y = tf.ones([tf.shape(x)[0], 2])
    shapes = [tf.TensorShape([]), tf.TensorShape([None, 2])]
    w = tf.constant(numbers(3, 2))
    _, y = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 0.5 + tf.matmul(x, w)), [0, y], shapes, parallel_iterations=1, back_prop=False)
    return {"y": y}


@frames((numbers(5, 3),), (numbers(1, 3),), (numbers(0, 3),), routes=SIMPLE, x=(F32, [None, 3]))
def mapped(x):
    """`map_fn` with weights, one with a `cond` for each element, and one of pairs."""
    w = variable("w", 3, 2)
    rows = v1.map_fn(lambda r: tf.squeeze(tf.matmul(r[None], w), 0), x)
    kinds = v1.map_fn(lambda r: v1.cond(r[0] > 0, lambda: 1, lambda: -1), x, dtype=I32)
    sums, greatest = v1.map_fn(lambda r: (tf.reduce_sum(r), tf.argmax(r)), x, dtype=(F32, I64))
    return {"rows": rows, "kinds": kinds, "sums": sums, "greatest": greatest}


@frames((numbers(5, 2),), (numbers(1, 2),), routes=FROZEN, x=(F32, [None, 2]))
def scanned_and_folded(x):
    return {
        "scan": v1.scan(lambda a, v: 0.9 * a + v, x), "left": v1.foldl(lambda a, v: a * v + 1.0, x), "right": v1.foldr(lambda a, v: a - v, x),
        "start": v1.scan(lambda a, v: a + tf.reduce_sum(v), x, initializer=tf.constant(1.0)),
    }  # fmt: skip


@frames((numbers(4, 2),), (numbers(1, 2),), (numbers(0, 2),), routes=BUILDER, x=(F32, [None, 2]))
def arrays_in_a_loop(x):
    """A TensorArray read and one written in a loop; the state is squashed on its way."""
    n = tf.shape(x)[0]
    given = v1.TensorArray(F32, n, element_shape=[2]).unstack(x)
    made = v1.TensorArray(F32, n, element_shape=[2])

    def body(i, h, made):
        h = tf.tanh(h + given.read(i))
        return i + 1, h, made.write(i, h)

    _, h, made = v1.while_loop(lambda i, *_: i < n, body, [0, tf.zeros([2]), made])
    return {"h": h, "all": made.stack()}


@frames((ints(3, high=8),), (np.array([2], np.int32),), (ints(0),), routes=SIMPLE, first=(I32, [None]))
def greedy_words(first):
    """A decoder of TF 1: words go into an array until the steps are over."""
    table, w, out = variable("table", 8, 5), variable("w", 5, 5), variable("out", 5, 8)
    batch, steps = tf.shape(first)[0], 6

    def body(t, word, h, said):
        h = tf.tanh(tf.matmul(h, w) + tf.nn.embedding_lookup(table, word))
        word = tf.cast(tf.argmax(tf.matmul(h, out), 1), I32)
        return t + 1, word, h, said.write(t, word)

    shapes = [tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None, 5]), tf.TensorShape([])]
    said = v1.TensorArray(I32, steps)
    _, _, h, said = v1.while_loop(lambda t, *_: t < steps, body, [0, first, tf.zeros([batch, 5]), said], shapes[:3] + [tf.TensorShape(None)])
    words = said.stack()
    return {"words": tf.transpose(tf.reshape(words, [steps, batch])), "h": h}


def states(state):
    return {f"state_{n}": part for n, part in enumerate(tf.nest.flatten(state))}


SEQUENCES = [(numbers(2, 4, 3), np.int32([4, 2])), (numbers(1, 1, 3), np.int32([1])), (numbers(3, 2, 3), np.int32([0, 2, 1]))]


@frames(*SEQUENCES, routes=("simple_save", "frozen_graph"), x=(F32, [None, None, 3]), lengths=(I32, [None]))
def sentiment(x, lengths):
    """`dynamic_rnn` with lengths, then a dense layer on the last state."""
    _, state = v1.nn.dynamic_rnn(cells().LSTMCell(4), x, lengths, dtype=F32)
    return {"score": tf.sigmoid(tf.matmul(state.h, variable("head", 4, 1)) + 0.1), "cell": state.c}


@frames(*SEQUENCES, routes=BUILDER, x=(F32, [None, None, 3]), lengths=(I32, [None]))
def tagger(x, lengths):
    """`bidirectional_dynamic_rnn` with a residual and a label for each step."""
    both, _ = v1.nn.bidirectional_dynamic_rnn(cells().GRUCell(3), cells().GRUCell(3), x, lengths, dtype=F32)
    h = tf.concat([both[0] + x, both[1]], -1)
    return {"labels": tf.argmax(tf.tensordot(h, variable("head", 6, 4), 1), -1), "h": h}


@frames(*[(x,) for x, _ in SEQUENCES], routes=FROZEN, x=(F32, [None, None, 3]))
def stacked_residual(x):
    layers = [cells().BasicLSTMCell(3), cells().ResidualWrapper(cells().GRUCell(3)) if hasattr(cells(), "ResidualWrapper") else cells().GRUCell(3)]
    y, state = v1.nn.dynamic_rnn(cells().MultiRNNCell(layers), x, dtype=F32)
    return {"y": y, **states(state)}


@frames((numbers(2, 3, 4),), (numbers(1, 3, 4),), routes=BUILDER, finer=False, x=(F32, [None, 3, 4]))
def lstm_block_cells(x):
    """`LSTMBlockCell` unrolled over three steps."""
    w, b = variable("w", 7, 12), variable("b", 12)
    cs = h = tf.zeros([tf.shape(x)[0], 3])
    peephole, outs = tf.zeros([3]), []
    for t in range(3):
        step = tf.raw_ops.LSTMBlockCell(x=x[:, t], cs_prev=cs, h_prev=h, w=w, wci=peephole, wcf=peephole, wco=peephole, b=b, forget_bias=1.0, cell_clip=3.0, use_peephole=False)
        cs, h = step.cs, step.h
        outs.append(h)
    return {"y": tf.stack(outs, 1), "cs": cs}


@frames((numbers(2, 5, 4),), (numbers(1, 1, 4),), routes=FROZEN, x=(F32, [None, None, 4]))
def gru_block_cells(x):
    """`GRUBlockCell` in a loop over an open number of steps."""
    ru, c, bru, bc = variable("ru", 7, 6), variable("c", 7, 3), variable("bru", 6), variable("bc", 3)
    h = tf.zeros([tf.shape(x)[0], 3])

    def body(t, h):
        return t + 1, tf.raw_ops.GRUBlockCell(x=x[:, t], h_prev=h, w_ru=ru, w_c=c, b_ru=bru, b_c=bc).h

    return {"h": v1.while_loop(lambda t, h: t < tf.shape(x)[1], body, [0, h], [tf.TensorShape([]), tf.TensorShape([None, 3])])[1]}


@frames(*SEQUENCES, routes=SIMPLE, x=(F32, [None, None, 3]), lengths=(I32, [None]))
def raw_attention(x, lengths):
    """`raw_rnn` whose next input is the step's and the output before."""
    cell, batch, steps = cells().BasicRNNCell(3), tf.shape(x)[0], tf.shape(x)[1]
    rows = v1.TensorArray(F32, steps, element_shape=[None, 3]).unstack(tf.transpose(x, [1, 0, 2]))

    def loop(time, output, state, _):
        ended = time >= tf.minimum(lengths, steps)
        read = v1.cond(tf.reduce_all(ended), lambda: tf.zeros([batch, 3]), lambda: rows.read(time))
        read.set_shape([None, 3])
        following = read if output is None else read + 0.5 * output
        return ended, following, cell.zero_state(batch, F32) if state is None else state, output, None

    _, state, _ = v1.nn.raw_rnn(cell, loop)
    return {"state": state}


@frames((numbers(2, 4, 3), np.int32([4, 1])), (numbers(1, 4, 3), np.int32([0])), (numbers(17, 4, 3), ints(17, high=5)), routes=BUILDER, x=(F32, [None, 4, 3]), lengths=(I32, [None]))
def static_network(x, lengths):
    """`static_rnn` with lengths: a `cond` for each step."""
    outs, state = v1.nn.static_rnn(cells().BasicLSTMCell(3), tf.unstack(x, 4, 1), dtype=F32, sequence_length=lengths)
    return {"y": tf.stack(outs, 1), **states(state)}


@frames((numbers(2, 4, 3),), (numbers(1, 4, 3),), routes=FROZEN, x=(F32, [None, 4, 3]))
def static_both_ways(x):
    outs, ahead, back = v1.nn.static_bidirectional_rnn(cells().GRUCell(2), cells().GRUCell(2), tf.unstack(x, 4, 1), dtype=F32)
    return {"y": tf.stack(outs, 1), "ahead": ahead, "back": back}


@frames((numbers(3), np.bool_(True)), (numbers(3), np.bool_(False)), routes=SIMPLE, x=(F32, [3]), which=(BOOL, []))
def switch_by_hand(x, which):
    """Switch and Merge without `cond`, as graph surgery leaves them."""
    no, yes = tf.raw_ops.Switch(data=x, pred=which)
    merged = tf.raw_ops.Merge(inputs=[tf.exp(no) - 1.0, yes * 3.0])
    return {"y": merged.output + 1.0, "side": merged.value_index}


@frames((numbers(3), np.float32(2)), (numbers(3), np.float32(-2)), routes=SIMPLE, x=(F32, [3]), s=(F32, []))
def gradient_of_cond(x, s):
    """`tf.gradients` of a `cond` with respect to an input and a variable."""
    w = variable("w", 3)
    y = v1.cond(s > 0, lambda: x * w * s, lambda: tf.sin(x) - s * w)
    dx, dw = v1.gradients(tf.reduce_sum(y), [x, w])
    return {"y": y, "dx": dx, "dw": dw}


@frames(*[(numbers(4), np.int32(m)) for m in (-1, 0, 3, 9)], routes=("simple_save", "frozen_graph"), x=(F32, [None]), mode=(I32, []))
def gradient_of_case(x, mode):
    """Branches within branches, and behind them those of the gradient with the same predicates."""
    pairs = [(mode < 0, lambda: tf.sin(x)), (tf.equal(mode, 0), lambda: x * x), (mode < 5, lambda: x * 3.0)]
    y = v1.case(pairs, default=lambda: x * x * x)
    return {"y": y, "dx": v1.gradients(y, x)[0]}


@frames(*[(numbers(3), np.bool_(p), np.bool_(q)) for p in (0, 1) for q in (0, 1)], routes=SIMPLE, x=(F32, [3]), p=(BOOL, []), q=(BOOL, []))
def cond_in_cond_three_times(x, p, q):
    """Each takes what the one before gave, and all have the same predicates."""
    for _ in range(3):
        x = v1.cond(p, lambda x=x: v1.cond(q, lambda: x * 2.0, lambda: x + 1.0), lambda x=x: v1.cond(q, lambda: x - 7.0, lambda: x * x))
    return {"y": x}


@frames((numbers(3),), (numbers(1),), (numbers(0),), routes=("simple_save", "frozen_graph"), x=(F32, [None]))
def gradient_of_power_loop(x):
    """`tf.gradients` of a loop, whose stacks keep what each iteration computed."""
    y = v1.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, y * x), [0, x])[1]
    return {"y": y, "dx": v1.gradients(y, x)[0]}


@frames((numbers(5, 3), numbers(3)), (numbers(1, 3), numbers(3)), (numbers(0, 3), numbers(3)), routes=BUILDER, x=(F32, [None, 3]), first=(F32, [3]))
def gradient_of_first_state(x, first):
    """A recurrent step for each row, none where there is none; with respect to the state before and a weight."""
    w = variable("w", 3, 3)
    step = lambda h, row: tf.sin(tf.squeeze(tf.matmul(tf.expand_dims(h, 0), w), 0) + tf.stop_gradient(row))
    h = v1.while_loop(lambda i, h: i < tf.shape(x)[0], lambda i, h: (i + 1, step(h, x[i])), [0, first])[1]
    return {"h": h, **dict(zip(("dfirst", "dw"), v1.gradients(tf.reduce_sum(h * h), [first, w])))}


@frames((numbers(3), numbers(3, 3)), (numbers(3) * 2, numbers(3, 3) * 2), routes=FROZEN, x=(F32, [3]), w=(F32, [3, 3]))
def gradient_of_cond_in_loop(x, w):
    """A loop with a `cond` inside: each side keeps values of its own."""
    step = lambda y: v1.cond(tf.reduce_sum(y) > 0, lambda: tf.sin(tf.squeeze(tf.matmul(tf.expand_dims(y, 0), w), 0)), lambda: y * y + x)
    y = v1.while_loop(lambda i, y: i < 6, lambda i, y: (i + 1, step(y)), [0, x])[1]
    return {"y": y, **dict(zip(("dx", "dw"), v1.gradients(y, [x, w])))}


@frames((numbers(4), np.float32(0.5)), (numbers(4), np.float32(-1.5)), routes=SIMPLE, x=(F32, [4]), s=(F32, []))
def gradient_of_two_variables(x, s):
    """Two variables, each made of the other, one of them float64."""
    body = lambda i, a, b: (i + 1, tf.cos(a) * s + tf.cast(b, F32), b * 0.5 + tf.cast(a * s, tf.float64))
    _, a, b = v1.while_loop(lambda i, *_: i < 5, body, [0, x, tf.zeros([4], tf.float64)])
    return {"a": a, "b": tf.cast(b, F32), **dict(zip(("dx", "ds"), v1.gradients(tf.reduce_sum(a) + tf.cast(tf.reduce_sum(b), F32), [x, s])))}


@frames((np.float32(1.5), np.float32(0.8)), (np.float32(40), np.float32(1)), (np.float32(200), np.float32(1)), routes=BUILDER, x=(F32, []), s=(F32, []))
def gradient_of_bounded_loop(x, s):
    """Data decide how often the loop runs, and a bound is given: none, one or several iterations."""
    y = v1.while_loop(lambda y: y < 100, lambda y: y * y * s, [x], maximum_iterations=9)
    return {"y": y, **dict(zip(("dx", "ds"), v1.gradients(y, [x, s])))}


@frames((numbers(3, 4), np.float32(0.5)), (numbers(1, 1), np.float32(2)), (numbers(2, 0), np.float32(1)), routes=FROZEN, x=(F32, [None, None]), first=(F32, []))
def gradient_of_nested_loops(x, first):
    """A loop over columns within one over rows."""
    step = lambda s, e: s * 0.5 + tf.sin(tf.stop_gradient(e) * s)

    def row(i, total):
        s = v1.while_loop(lambda j, s: j < tf.shape(x)[1], lambda j, s: (j + 1, step(s, x[i, j])), [0, total])[1]
        return i + 1, s + total * 0.1

    y = v1.while_loop(lambda i, t: i < tf.shape(x)[0], row, [0, first])[1]
    return {"y": y, "dfirst": v1.gradients(y, first)[0]}


@frames((numbers(4, 3), np.int32(3)), (numbers(4, 3), np.int32(0)), (numbers(4, 3), np.int32(4)), routes=FROZEN, x=(F32, [4, 3]), n=(I32, []))
def asserted(x, n):
    """`tf.Assert` and `assert_less` in a loop's body and before a branch."""
    def body(i, y):
        with tf.control_dependencies([v1.assert_less(i, 4), v1.Assert(n < 9, [n])]):
            return i + 1, y + x[i]

    with tf.control_dependencies([v1.assert_less_equal(n, 4, message="too many rows")]):
        _, y = v1.while_loop(lambda i, y: i < n, body, [tf.constant(0), tf.zeros([3])])
    return {"y": v1.cond(tf.reduce_any(y > 1), lambda: y / tf.reduce_max(y), lambda: tf.identity(y))}


@frames((np.int32(48), np.int32(18)), (np.int32(7), np.int32(0)), (np.int32(1), np.int32(9)), routes=BUILDER, a=(I32, []), b=(I32, []))
def divisor_and_steps(a, b):
    """Euclid's algorithm: values that change places from iteration to iteration, and a count."""
    g, _, n = v1.while_loop(lambda a, b, n: b > 0, lambda a, b, n: (b, a % b, n + 1), [a, b, 0])
    return {"divisor": g, "steps": n}


@frames((numbers(6), np.int32(2)), (numbers(6), np.int32(0)), (numbers(6), np.int32(5)), routes=SIMPLE, x=(F32, [6]), n=(I32, []))
def one_loop_after_another(x, n):
    """What one loop leaves behind is where the next one begins; a third one runs beside."""
    _, a = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 1.5), [0, x])
    _, b = v1.while_loop(lambda i, y: tf.reduce_sum(tf.abs(y)) > 1.0, lambda i, y: (i + 1, y * 0.5), [0, a])
    k, _ = v1.while_loop(lambda k, s: s < 20, lambda k, s: (k + 1, s + k + n), [0, 0])
    return {"a": a, "b": b, "k": k}


@frames((numbers(6, 2),), routes=SIMPLE, x=(F32, [6, 2]))
def parts_of_an_array(x):
    """Parts of unequal lengths, and their gradients."""
    parts = v1.TensorArray(F32, 3, infer_shape=False).split(x, [1, 3, 2])
    scaled = v1.TensorArray(F32, 3, infer_shape=False)
    for n in range(3):
        scaled = scaled.write(n, tf.sin(parts.read(n)) * (n + 1.0))
    joined = scaled.concat()
    return {"joined": joined, "gradient": v1.gradients(joined, x)[0]}


@frames((numbers(4, 3), np.int32(4)), (numbers(4, 3), np.int32(1)), routes=SIMPLE, x=(F32, [4, 3]), n=(I32, []))
def filtered_rows(x, n):
    """A loop writes as many elements as data say."""
    array = v1.TensorArray(F32, 4, infer_shape=False)
    write = lambda i, a: (i + 1, a.write(i, tf.boolean_mask(x[i], x[i] > 0.1 * tf.cast(n, F32))))
    _, array = v1.while_loop(lambda i, a: i < 4, write, [0, array])
    return {"joined": array.concat(), "size": array.size()}


@frames((numbers(3, 4),), (numbers(1, 4),), routes=BUILDER, x=(F32, [None, 4]))
def gradient_of_mapped_rows(x):
    """Differentiation through `map_fn`, whose body has weights."""
    w = variable("w", 4, 4)
    y = tf.map_fn(lambda row: tf.tanh(tf.squeeze(row[None] @ w, 0)) * row, x)
    return {"y": y, **dict(zip(("dx", "dw"), v1.gradients(tf.reduce_sum(y * y), [x, w])))}


@frames((numbers(4, 3),), (numbers(1, 3),), routes=BUILDER, x=(F32, [None, 3]))
def gradient_of_scan(x):
    """Differentiation through `scan` and the two folds."""
    first = variable("first", 3)
    states = tf.scan(lambda s, e: tf.sin(s) * 0.5 + e, x, first + 0.0)
    total = tf.foldl(lambda s, e: s * 0.5 + e * e, x, tf.zeros([3])) + tf.foldr(lambda s, e: tf.cos(s) + e, x, tf.zeros([3]))
    return {"states": states, **dict(zip(("dx", "dfirst"), v1.gradients(tf.reduce_sum(states * states) + tf.reduce_sum(total), [x, first])))}


@frames((numbers(4, 2), np.int32(4)), (numbers(4, 2), np.int32(2)), (numbers(4, 2), np.int32(0)), routes=SIMPLE, x=(F32, [4, 2]), n=(I32, []))
def gradient_of_arrays_in_a_loop(x, n):
    """An array is read, another one written, both in a loop, and what was written is read again."""
    source = v1.TensorArray(F32, 4, element_shape=[2], clear_after_read=False).unstack(x)
    made = v1.TensorArray(F32, 4, element_shape=[2], clear_after_read=False)
    step = lambda i, s, a: (i + 1, tf.tanh(s + source.read(i)), a.write(i, s * source.read(3 - i)))
    _, s, made = v1.while_loop(lambda i, s, a: i < 4, step, [0, tf.ones([2]), made])
    y = tf.reduce_sum(made.gather([0, 2]) * s) + tf.reduce_sum(tf.square(made.stack())) * tf.cast(n, F32)
    return {"y": y, "dx": v1.gradients(y, x)[0]}


@frames((numbers(2, 5, 3), np.int32([5, 2])), (numbers(1, 5, 3), np.int32([1])), routes=BUILDER, x=(F32, [None, 5, 3]), lengths=(I32, [None]))
def translates(x, lengths):
    """A sequence-to-sequence network of LSTMs: words by greed, with attention over what was read; behind its end each has zeros."""
    batch = tf.shape(x)[0]
    read, (c, h) = v1.nn.dynamic_rnn(cells().LSTMCell(4), x, lengths, dtype=F32)
    words, out, cell = variable("words", 7, 3), variable("out", 8, 7), cells().LSTMCell(4)
    mask = tf.sequence_mask(lengths, 5, F32)

    def step(t, c, h, token, ended, said):
        with v1.variable_scope("decoder", reuse=v1.AUTO_REUSE):
            _, (c, h) = cell(tf.gather(words, token), cells().LSTMStateTuple(c, h))
        scores = tf.einsum("btd,bd->bt", read, h) + (mask - 1.0) * 1e9
        seen = tf.einsum("bt,btd->bd", tf.nn.softmax(scores), read)
        token = tf.where(ended, tf.zeros_like(token), tf.argmax(tf.concat([h, seen], 1) @ out, 1, I32))
        return t + 1, c, h, token, tf.logical_or(ended, tf.equal(token, 2)), said.write(t, token)

    said = v1.TensorArray(I32, 6, element_shape=[None])
    for_all = lambda value, dtype: tf.fill([batch], tf.constant(value, dtype))
    t, c, h, _, _, said = v1.while_loop(lambda t, *_: t < 6, step, [0, c, h, for_all(1, I32), for_all(False, BOOL), said])
    return {"steps": t, "said": tf.transpose(said.stack()), "h": h}


@frames((np.float32(0.5), np.int32(3)), (np.float32(2), np.int32(0)), routes=("builder", "simple_save"), x=(F32, []), n=(I32, []))
def loop_begins_with_a_variable(x, n):
    """What goes round a loop begins as a variable of the old kind."""
    w = variable("w", 2)
    y = v1.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * x + w), [0, w])[1]
    return {"y": y}
