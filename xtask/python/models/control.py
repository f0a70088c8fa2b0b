"""Control flow of TF 2 as users write it: branches and loops by autograph and by hand, arrays, gradients through loops, decoders."""

import functools

import numpy as np
import tensorflow as tf

from .programs import BOOL, F32, F64, I32, I64, ints, numbers, program, weights

flow = functools.partial(program, prefix="flow")


@flow((numbers(5, 3), np.int32(0)), (numbers(5, 3), np.int32(1)), (numbers(2, 3), np.int32(7)), (numbers(0, 3), np.int32(2)), x=(F32, [None, 3]), mode=(I32, []))
def normalise_by_mode(x, mode):
    """`if` and `elif` over a mode, with a branch within."""
    if mode == 0:
        y = x - tf.reduce_mean(x, 0)
    elif mode == 1:
        low, high = tf.reduce_min(x, 0), tf.reduce_max(x, 0)
        y = (x - low) / (high - low + 1e-3)
    elif mode == 2:
        y = tf.nn.l2_normalize(x, -1)
    else:
        y = tf.where(x > 0, x, 0.1 * x) if tf.shape(x)[0] > 3 else -x
    return {"y": y, "mode": mode + 1}


@flow(*[(np.float32(v),) for v in (2.0, 100.0, 0.25)], v=(F32, []))
def newton_root(v):
    """A loop until the step is small, at most so many times."""
    guess, n = tf.maximum(v, 1.0), 0
    while tf.abs(guess * guess - v) > 1e-2 * v and n < 30:
        guess = 0.5 * (guess + v / guess)
        n += 1
    return {"root": guess, "steps": n}


@flow(*[(numbers(3, 4, seed=s), np.int32(n)) for s, n in ((0, 8), (1, 0), (2, 3))], x=(F32, [3, 4]), n=(I32, []))
def power_iteration(x, n):
    """The greatest eigenvalue of a Gram matrix by a given number of steps."""
    gram = tf.matmul(x, x, transpose_a=True)
    v = tf.ones([4, 1]) / 2.0
    for _ in tf.range(n):
        v = gram @ v
        v /= tf.norm(v)
    return {"vector": v[:, 0], "value": tf.reduce_sum(v * (gram @ v))}


@flow((ints(9, high=8),), (ints(9, high=2, seed=1),), (ints(0),), (np.full(4, 7, np.int32),), tokens=(I32, [None]))
def read_until_stop(tokens):
    """`break` at a stop token, `continue` over blanks."""
    total, seen = 0, 0
    for token in tokens:
        if token == 7:
            break
        if token == 0:
            continue
        total = total * 3 + token
        seen += 1
    return {"total": total, "seen": seen}


@flow(*[(np.int32(n),) for n in (0, 1, 5, 12)], n=(I32, []))
def count_primes(n):
    """Two loops, the inner one left by `break`."""
    count, last = 0, 0
    for candidate in tf.range(2, n + 1):
        prime = True
        for d in tf.range(2, candidate):
            if candidate % d == 0:
                prime = False
                break
        if prime:
            count += 1
            last = candidate
    return {"count": count, "last": last}


@flow((ints(6, high=100),), (ints(1),), (np.arange(7, dtype=np.int32),), (np.arange(5, dtype=np.int32)[::-1].copy(),), x=(I32, [None]))
def bubble_sort(x):
    """Passes over a list until nothing was swapped."""
    n = tf.shape(x)[0]
    swapped, passes = True, 0
    while swapped and passes < n:
        swapped = False
        for i in tf.range(n - 1):
            if x[i] > x[i + 1]:
                x = tf.tensor_scatter_nd_update(x, [[i], [i + 1]], [x[i + 1], x[i]])
                swapped = True
        passes += 1
    return {"sorted": x, "passes": passes}


@flow((np.sort(numbers(9)), np.float32(0.1)), (np.sort(numbers(9)), np.float32(-9)), (np.sort(numbers(9)), np.float32(9)), (numbers(0), np.float32(1)), x=(F32, [None]), key=(F32, []))
def binary_search(x, key):
    low, high = tf.constant(0), tf.shape(x)[0]
    while low < high:
        middle = (low + high) // 2
        if x[middle] < key:
            low = middle + 1
        else:
            high = middle
    return {"place": low, "found": low < tf.shape(x)[0]}


@flow((numbers(4, 6),), (numbers(1, 6),), (numbers(0, 6),), x=(F32, [None, 6]))
def map_rows(x):
    """`map_fn` over rows with two results, one of another type."""
    def row(r):
        return tf.nn.softmax(r), tf.argmax(r, output_type=I32)

    probabilities, best = tf.map_fn(row, x, fn_output_signature=(F32, I32))
    return {"p": probabilities, "best": best}


@flow((numbers(3, 5), ints(3, high=5)), (numbers(1, 5), ints(1)), (numbers(0, 5), ints(0)), x=(F32, [None, 5]), k=(I32, [None]))
def map_with_branch(x, k):
    """A branch for each element of the batch."""
    def one(pair):
        row, kind = pair
        if kind == 0:
            return tf.reduce_sum(row)
        elif kind < 3:
            return tf.reduce_max(row) * tf.cast(kind, F32)
        else:
            return -row[kind]

    return {"y": tf.map_fn(one, (x, k), fn_output_signature=F32)}


@flow((numbers(6, 3),), (numbers(1, 3),), x=(F32, [None, 3]))
def smooth_scan(x):
    """Exponential smoothing by `scan`, and backwards with a start."""
    ahead = tf.scan(lambda m, v: 0.7 * m + 0.3 * v, x)
    back = tf.scan(lambda m, v: 0.5 * m + v, x, initializer=tf.zeros([3]), reverse=True)
    return {"ahead": ahead, "back": back}


@flow((numbers(5), numbers(4)), (numbers(1), numbers(4)), (numbers(0), numbers(4)), c=(F32, [None]), x=(F32, [4]))
def polynomial_by_folds(c, x):
    """Horner's rule from either end."""
    return {
        "left": tf.foldl(lambda acc, a: acc * x + a, c, initializer=tf.zeros_like(x)),
        "right": tf.foldr(lambda acc, a: acc * x + a, c, initializer=tf.zeros_like(x)),
    }


@flow((numbers(4, 3), numbers(4, 3, 2)), (numbers(1, 3), numbers(1, 3, 2)), x=(F32, [None, 3]), w=(F32, [None, 3, 2]))
def vectorised_heads(x, w):
    """`vectorized_map` over pairs of a row and its own matrix."""
    return {"y": tf.vectorized_map(lambda p: tf.nn.relu(tf.linalg.matvec(p[1], p[0], transpose_a=True)) + p[0][0], (x, w))}


@flow(*[(numbers(3, 4), np.int32(k)) for k in (0, 1, 2, 3, -1)], (numbers(0, 4), np.int32(1)), x=(F32, [None, 4]), expert=(I32, []))
def switch_of_experts(x, expert):
    experts = [lambda i=i: tf.tanh(x @ weights(4, 2, seed=i)) * (i + 1.0) for i in range(3)]
    return {"y": tf.switch_case(expert, experts, default=lambda: tf.zeros([tf.shape(x)[0], 2]))}


@flow(*[(numbers(3), np.float32(t)) for t in (-2, 0.2, 0.9, 5)], x=(F32, [3]), t=(F32, []))
def case_of_ranges(x, t):
    pairs = [(t < 0.0, lambda: -x), (t < 0.5, lambda: x * t), (t < 1.0, lambda: tf.sqrt(tf.abs(x)))]
    return {"y": tf.case(pairs, default=lambda: tf.zeros([3])), "exclusive": tf.case([(t > 3.0, lambda: 1), (t < -1.0, lambda: 2)], default=lambda: 0, exclusive=True)}


@flow((numbers(7),), (numbers(2),), (numbers(0),), x=(F32, [None]))
def parallel_loop(x):
    """`while_loop` with few iterations at a time, and the state as a structure."""
    n = tf.shape(x)[0]
    state = {"sum": 0.0, "best": (tf.constant(-1e9), tf.constant(-1))}

    def body(i, s):
        best = tf.cond(x[i] > s["best"][0], lambda: (x[i], i), lambda: s["best"])
        return i + 1, {"sum": s["sum"] + x[i], "best": best}

    _, s = tf.while_loop(lambda i, s: i < n, body, (0, state), parallel_iterations=2)
    return {"sum": s["sum"], "best": s["best"][0], "place": s["best"][1]}


@flow((numbers(2, 3), np.int32(3)), (numbers(2, 3), np.int32(0)), (numbers(0, 3), np.int32(2)), x=(F32, [None, 3]), n=(I32, []))
def invariant_of_batch(x, n):
    """A shape invariant that leaves the batch open, where it stays what it is."""
    y = tf.zeros([tf.shape(x)[0], 3])
    step = lambda i, y: (i + 1, tf.concat([y[:, 1:], x[:, :1]], 1) * 0.5 + x)
    _, y = tf.while_loop(lambda i, y: i < n, step, (0, y), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 3])))
    return {"y": y}


@flow((numbers(4), np.int32(2)), (numbers(4), np.int32(0)), (numbers(4), np.int32(9)), x=(F32, [4]), n=(I32, []))
def bounded_iterations(x, n):
    """`maximum_iterations` beside a condition."""
    _, y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.cumsum(y) / 2.0), (0, x), maximum_iterations=5)
    return {"y": y}


@flow((numbers(6, 2),), (numbers(1, 2),), (numbers(0, 2),), x=(F32, [None, 2]))
def array_of_differences(x):
    """A TensorArray written front and back, stacked and gathered."""
    n = tf.shape(x)[0]
    ahead, back = tf.TensorArray(F32, n, element_shape=[2]), tf.TensorArray(F32, n, element_shape=[2])
    for i in tf.range(n):
        ahead = ahead.write(i, x[i] - x[tf.maximum(i - 1, 0)])
        back = back.write(n - 1 - i, x[i] * tf.cast(i, F32))
    return {"ahead": ahead.stack(), "back": back.stack(), "joined": tf.concat([ahead.stack(), back.stack()], 1)}


@flow((numbers(5, 3), ints(4, high=5)), (numbers(5, 3), ints(0)), x=(F32, [5, 3]), picks=(I32, [None]))
def array_unstack_gather(x, picks):
    rows = tf.TensorArray(F32, 5).unstack(x)
    out = tf.TensorArray(F32, tf.shape(picks)[0], element_shape=[3])
    for i in tf.range(tf.shape(picks)[0]):
        out = out.write(i, rows.read(picks[i]) * 2.0)
    return {"out": out.stack(), "gathered": rows.gather([4, 0]), "all": rows.stack()}


@flow((numbers(12), np.int32(2)), (numbers(12), np.int32(0)), (numbers(12), np.int32(5)), x=(F32, [12]), n=(I32, []))
def list_of_lists(x, n):
    """Python lists of tensors, lists within, changed in a loop as a tuple."""
    groups = [[x[0:2], x[2:4]], [x[4:6], x[6:8]]]
    for i in tf.range(n):
        groups = [[groups[1][0], groups[0][0] + 1.0], [groups[0][1], groups[1][1] * tf.cast(i, F32)]]
    return {"first": tf.stack(groups[0]), "all": tf.stack([tf.concat(g, 0) for g in groups])}


@flow((numbers(3),), (numbers(3, seed=1),), x=(F32, [3]))
def gradient_of_loop(x):
    """The gradient of a loop of five steps with respect to its input."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        _, y = tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.sin(y) * x + 0.1), (0, x))
        loss = tf.reduce_sum(y * y)
    return {"loss": loss, "gradient": tape.gradient(loss, x)}


@flow((numbers(2, 3),), (numbers(2, 3, seed=1),), x=(F32, [2, 3]))
def gradient_of_steps(x):
    """The gradient of a small recurrent loop of four steps with respect to its weights and inputs."""
    w = weights(3, 3)
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        h = tf.zeros_like(x)
        for _ in tf.range(4):
            h = tf.sin(h @ w + x)
        loss = tf.reduce_sum(tf.square(h))
    dx, dw = tape.gradient(loss, [x, w])
    return {"loss": loss, "dx": dx, "dw": dw}


@flow((numbers(2), numbers(6, 2), numbers(6)), (numbers(2, seed=4), numbers(1, 2), numbers(1)), w=(F32, [2]), x=(F32, [None, 2]), y=(F32, [None]))
def descent_in_the_signature(w, x, y):
    """Gradient descent inside of a call: a tape in every iteration."""
    for _ in tf.range(5):
        with tf.GradientTape() as tape:
            tape.watch(w)
            loss = tf.reduce_mean(tf.math.squared_difference(tf.linalg.matvec(x, w), y))
        w -= 0.1 * tape.gradient(loss, w)
    return {"w": w, "loss": loss}


@flow((numbers(4), np.int32(3)), (numbers(1), np.int32(0)), x=(F32, [None]), n=(I32, []))
def asserts_inside(x, n):
    """Assertions that hold, within a loop and a branch."""
    y = x
    for i in tf.range(n):
        tf.debugging.assert_less(i, 10, "few steps")
        if tf.reduce_sum(y) > 0:
            tf.debugging.assert_all_finite(y, "finite")
            y = y * 0.5
        else:
            tf.Assert(tf.size(y) > 0, [y])
            y = y + 1.0
    return {"y": y}


@flow(*[(np.int32(a), np.float32(b)) for a, b in ((0, 0.0), (1, 0.5), (-3, -0.25))], a=(I32, []), b=(F32, []))
def predicates_of_numbers(a, b):
    """Numbers as predicates, as `tf.cond` takes them."""
    return {
        "int": tf.cond(tf.cast(a, BOOL), lambda: 1, lambda: 2), "float": tf.cond(tf.cast(b, BOOL), lambda: b * 2.0, lambda: -1.0),
        "both": tf.cond(tf.logical_and(a != 0, b > 0), lambda: a, lambda: a - 1),
    }  # fmt: skip


@flow((numbers(3), numbers(3, seed=1)), (-np.abs(numbers(3)), numbers(3)), (np.abs(numbers(3)), numbers(3)), x=(F32, [3]), y=(F32, [3]))
def predicates_of_tensors(x, y):
    if tf.reduce_all(x > 0):
        z = x + y
    elif tf.reduce_any(x > y):
        z = tf.maximum(x, y)
    else:
        z = x * y
    return {"z": z if not tf.reduce_all(z < 100.0) else -z}


@flow((np.array([[1, 2, 3], [4, 1, 5]], np.int32),), (np.array([[6, 6, 6]], np.int32),), (np.zeros((0, 3), np.int32),), words=(I32, [None, 3]))
def greedy_decoder(words):
    """A small sequence-to-sequence network: an encoder, then greedy words until each sequence has ended, at most eight."""
    batch = tf.shape(words)[0]
    table, out = weights(10, 6), weights(6, 10, seed=4)
    h = tf.zeros([batch, 6])
    for t in tf.range(3):
        h = tf.tanh(tf.gather(table, words[:, t]) + h @ weights(6, 6))
    token, ended = tf.fill([batch], 1), tf.zeros([batch], BOOL)
    said = tf.TensorArray(I32, 8, element_shape=[None])
    steps = 0
    for t in tf.range(8):
        h = tf.tanh(tf.gather(table, token) + h @ weights(6, 6, seed=9))
        token = tf.where(ended, 0, tf.argmax(h @ out, -1, I32))
        said = said.write(t, token)
        ended = tf.logical_or(ended, token == 2)
        if not tf.reduce_all(ended):
            steps += 1
    return {"said": tf.transpose(said.stack()), "steps": steps, "state": h}


@flow((numbers(2, 4),), (numbers(1, 4, seed=5),), context=(F32, [None, 4]))
def greedy_until_all_end(context):
    """The same with a loop that data end, and words in a row of fixed length."""
    batch = tf.shape(context)[0]
    words, ended, t = tf.zeros([batch, 6], I32), tf.zeros([batch], BOOL), tf.constant(0)
    h, token = context @ weights(4, 5), tf.ones([batch], I32)
    while t < 6 and not tf.reduce_all(ended):
        h = tf.nn.relu(h @ weights(5, 5) + tf.gather(weights(7, 5), token))
        token = tf.argmax(h @ weights(5, 7), 1, I32)
        words += tf.one_hot(t, 6, dtype=I32)[None] * tf.where(ended, 0, token)[:, None]
        ended |= token == 3
        t += 1
    return {"words": words, "length": t}


@flow((numbers(1, 5),), (numbers(3, 5),), context=(F32, [None, 5]))
def beam_search(context):
    """Beams of three over six steps: scores, words and states follow the best parents."""
    beams, vocabulary, steps = 3, 8, 6
    batch = tf.shape(context)[0]
    state = tf.tile((context @ weights(5, 4))[:, None], [1, beams, 1])
    scores = tf.tile(tf.constant([[0.0, -1e4, -1e4]]), [batch, 1])
    token, said = tf.ones([batch, beams], I32), tf.zeros([batch, beams, steps], I32)
    for t in tf.range(steps):
        state = tf.tanh(tf.einsum("bki,ij->bkj", state, weights(4, 4)) + tf.gather(weights(vocabulary, 4), token))
        logp = tf.nn.log_softmax(tf.einsum("bki,ij->bkj", state, weights(4, vocabulary)))
        total = tf.reshape(scores[:, :, None] + logp, [batch, beams * vocabulary])
        scores, place = tf.math.top_k(total, beams)
        parent, token = place // vocabulary, place % vocabulary
        state = tf.gather(state, parent, batch_dims=1)
        said = tf.gather(said, parent, batch_dims=1) + tf.one_hot(t, steps, dtype=I32) * token[:, :, None]
    return {"scores": scores, "said": said}


@flow((numbers(2, 4),), (numbers(1, 4),), (numbers(0, 4),), x=(F32, [None, 4]))
def attention_with_cache(x):
    """Decoding with attention: keys and values are kept in a cache that fills from step to step, and are masked beyond."""
    batch, steps = tf.shape(x)[0], 5
    keys, values = tf.zeros([batch, steps, 4]), tf.zeros([batch, steps, 4])
    out = tf.TensorArray(F32, steps, element_shape=[None, 4])
    h = x
    for t in tf.range(steps):
        here = tf.one_hot(t, steps)[None, :, None]
        keys += here * (h @ weights(4, 4))[:, None]
        values += here * (h @ weights(4, 4, seed=7))[:, None]
        scores = tf.einsum("bd,btd->bt", h @ weights(4, 4, seed=8), keys) / 2.0
        scores = tf.where(tf.range(steps)[None] <= t, scores, -1e9)
        h = tf.nn.relu(tf.einsum("bt,btd->bd", tf.nn.softmax(scores), values) + h)
        out = out.write(t, h)
    return {"y": tf.transpose(out.stack(), [1, 0, 2]), "keys": keys}


@flow((numbers(2, 4),), (numbers(1, 4),), x=(F32, [None, 4]))
def cache_by_scatter(x):
    """The same with rows of the cache replaced by `tensor_scatter_nd_update`, steps first."""
    batch, steps = tf.shape(x)[0], 4
    cache = tf.zeros([steps, batch, 4])
    h, t = x, 0
    while t < steps:
        cache = tf.tensor_scatter_nd_update(cache, [[t]], (h @ weights(4, 4))[None])
        seen = tf.sequence_mask(t + 1, steps, F32)
        h = tf.tensordot(seen, cache, 1) / tf.reduce_sum(seen) + 0.5 * h
        t += 1
    return {"h": h, "cache": cache}


@flow((numbers(2, 4), np.int32(3)), (numbers(1, 4), np.int32(1)), x=(F32, [None, 4]), n=(I32, []))
def unrolled_cache(x, n):
    """A cache that grows in Python's own loop: every step has a shape of its own. A branch chooses how many steps count."""
    keys, outs = [], []
    for t in range(4):
        keys.append(x @ weights(4, 4, seed=t))
        k = tf.stack(keys, 1)
        p = tf.nn.softmax(tf.einsum("bd,btd->bt", x, k))
        x = tf.einsum("bt,btd->bd", p, k)
        outs.append(x)
    return {"y": tf.switch_case(n, [lambda o=o: o for o in outs])}


@flow(*[(ints(n, high=5, seed=n), ints(m, high=5, seed=m)) for n, m in ((6, 4), (1, 3), (5, 5), (0, 2))], a=(I32, [None]), b=(I32, [None]))
def edit_distance(a, b):
    """Levenshtein's distance, a row at a time."""
    columns = tf.shape(b)[0]
    row = tf.range(columns + 1)
    for i in tf.range(tf.shape(a)[0]):
        cost = tf.cast(b != a[i], I32)
        left, new = i + 1, tf.TensorArray(I32, columns + 1, element_shape=[])
        new = new.write(0, left)
        for j in tf.range(columns):
            left = tf.minimum(tf.minimum(left + 1, row[j + 1] + 1), row[j] + cost[j])
            new = new.write(j + 1, left)
        row = new.stack()
    return {"distance": row[-1]}


@flow((numbers(5, 3), numbers(3, 3), numbers(3)), (numbers(1, 3), numbers(3, 3), numbers(3)), emissions=(F32, [None, 3]), transitions=(F32, [3, 3]), start=(F32, [3]))
def viterbi(emissions, transitions, start):
    """The likeliest path: scores forwards, then places backwards."""
    n = tf.shape(emissions)[0]
    score = start + emissions[0]
    back = tf.TensorArray(I32, n, element_shape=[3])
    for t in tf.range(1, n):
        options = score[:, None] + transitions
        back = back.write(t, tf.argmax(options, 0, I32))
        score = tf.reduce_max(options, 0) + emissions[t]
    best = tf.argmax(score, output_type=I32)
    path = tf.TensorArray(I32, n, element_shape=[])
    path = path.write(n - 1, best)
    for k in tf.range(n - 1):
        t = n - 1 - k
        best = back.read(t)[best]
        path = path.write(t - 1, best)
    return {"path": path.stack(), "score": tf.reduce_max(score)}


@flow((numbers(6, 2), numbers(2, 2)), (numbers(2, 2), numbers(2, 2, seed=1)), x=(F32, [None, 2]), centres=(F32, [2, 2]))
def k_means(x, centres):
    """Lloyd's iterations, left when no point changes its centre."""
    chosen, moved, n = tf.fill([tf.shape(x)[0]], -1), tf.constant(True), 0
    while moved and n < 10:
        d = tf.reduce_sum(tf.square(x[:, None] - centres[None]), -1)
        new = tf.argmin(d, 1, I32)
        moved = tf.reduce_any(new != chosen)
        chosen = new
        one = tf.one_hot(chosen, 2)
        centres = tf.math.divide_no_nan(tf.matmul(one, x, transpose_a=True), tf.reduce_sum(one, 0)[:, None])
        n += 1
    return {"centres": centres, "chosen": chosen, "n": n}


@flow((numbers(2, 3), np.float32(0.3)), (numbers(1, 3), np.float32(3)), (numbers(0, 3), np.float32(1)), x=(F32, [None, 3]), end=(F32, []))
def runge_kutta(x, end):
    """An ordinary differential equation with a last step that is shorter."""
    field = lambda v: tf.tanh(v @ weights(3, 3))
    t, steps = 0.0, 0
    while t < end:
        h = tf.minimum(0.25, end - t)
        a = field(x)
        b = field(x + h / 2 * a)
        x += h * b
        t += 0.25
        steps += 1
    return {"x": x, "steps": steps}


@flow((numbers(3, 3, dtype=np.float64),), (numbers(3, 3, seed=2, dtype=np.float64),), x=(F64, [3, 3]))
def cholesky_by_hand(x):
    """Nested loops with scalars put into a matrix."""
    a = tf.matmul(x, x, transpose_b=True) + tf.eye(3, dtype=F64)
    low = tf.zeros([3, 3], F64)
    for i in tf.range(3):
        for j in tf.range(i + 1):
            s = a[i, j] - tf.reduce_sum(low[i] * low[j])
            if i == j:
                value = tf.sqrt(s)
            else:
                value = s / low[j, j]
            low = tf.tensor_scatter_nd_update(low, [[i, j]], [value])
    return {"low": low}


@flow(*[(np.int64(n),) for n in (1, 6, 27)], n=(I64, []))
def collatz_list(n):
    """A list of at most so many elements, and how many are used."""
    kept, used = tf.TensorArray(I64, 16, element_shape=[]).unstack(tf.zeros([16], I64)), 0
    while n != 1 and used < 16:
        kept = kept.write(used, n)
        n = 3 * n + 1 if n % 2 == 1 else n // 2
        used += 1
    return {"kept": kept.stack(), "used": used, "end": n}


@flow((numbers(2, 4, 3), ints(2, low=1, high=5)), (numbers(1, 4, 3), np.array([0], np.int32)), (numbers(0, 4, 3), ints(0)), x=(F32, [None, 4, 3]), lengths=(I32, [None]))
def masked_recurrence(x, lengths):
    """A gated recurrence by hand that keeps its state behind each sequence's end."""
    h = tf.zeros([tf.shape(x)[0], 3])
    outs = tf.TensorArray(F32, 4, element_shape=[None, 3])
    for t in tf.range(4):
        z = tf.sigmoid(x[:, t] @ weights(3, 3) + h @ weights(3, 3, seed=1))
        new = (1 - z) * h + z * tf.tanh(x[:, t])
        h = tf.where((t < lengths)[:, None], new, h)
        outs = outs.write(t, tf.where((t < lengths)[:, None], h, 0.0))
    return {"last": h, "all": tf.transpose(outs.stack(), [1, 0, 2])}


@flow((numbers(2, 5),), (numbers(1, 5),), (numbers(0, 5),), x=(F32, [None, 5]))
def halting(x):
    """Adaptive computation time: each row runs until its probabilities to halt add up."""
    rows = tf.shape(x)[0]
    total, out, n = tf.zeros([rows]), tf.zeros([rows, 5]), 0
    state = x
    while tf.reduce_any(total < 0.9) and n < 6:
        state = tf.tanh(state @ weights(5, 5))
        p = tf.sigmoid(tf.reduce_mean(state, 1))
        running = tf.cast(total < 0.9, F32)
        share = tf.minimum(p, 1 - total) * running
        out += share[:, None] * state
        total += share
        n += 1
    return {"out": out, "n": n}


@flow((numbers(6, 3), np.bool_(True)), (numbers(6, 3), np.bool_(False)), (numbers(1, 3), np.bool_(True)), x=(F32, [None, 3]), reverse=(BOOL, []))
def loop_within_a_branch(x, reverse):
    """A branch chooses which of two loops runs, and a loop whose body calls a traced function."""
    @tf.function
    def mix(a, b):
        return 0.5 * a + b if tf.reduce_sum(b) > 0 else a - b

    h = tf.zeros([3])
    if reverse:
        for row in x[::-1]:
            h = mix(h, row)
    else:
        for row in x:
            h = mix(h, row * 2.0)
    return {"h": h}


@flow((numbers(8), np.int32(3)), (numbers(8), np.int32(0)), (numbers(8), np.int32(8)), x=(F32, [8]), n=(I32, []))
def first_that_fits(x, n):
    """Functions that leave a loop and return from branches."""
    def first_above(limit):
        i = 0
        while i < n:
            if x[i] > limit:
                break
            i += 1
        return tf.where(i < n, i, -1)

    def sign(v):
        if v > 0:
            return 1
        elif v < 0:
            return -1
        else:
            return 0

    return {"half": first_above(0.5), "none": first_above(50.0), "sign": sign(x[0])}


@flow((numbers(3, 2), ints(3, high=4)), (numbers(1, 2), np.array([5], np.int32)), (numbers(0, 2), ints(0)), x=(F32, [None, 2]), times=(I32, [None]))
def loop_within_a_map(x, times):
    """Every element of a map has a loop of its own length."""
    def one(pair):
        v, n = pair
        for _ in tf.range(n):
            v = v * 0.9 + 0.1
        return v

    return {"y": tf.map_fn(one, (x, times), fn_output_signature=F32)}


@flow((numbers(5),), (numbers(1),), (np.float32([1, np.inf, 2]),), x=(F32, [None]))
def online_softmax(x):
    """The maximum and the sum in one pass, as attention in blocks has it."""
    high, total = tf.constant(-1e30), tf.constant(0.0)
    for v in x:
        new = tf.maximum(high, tf.minimum(v, 1e6))
        total = total * tf.exp(high - new) + tf.exp(tf.minimum(v, 1e6) - new)
        high = new
    return {"high": high, "logsum": high + tf.math.log(total)}


@flow((ints(2, 5, low=3, high=10),), (ints(1, 5, low=3, high=10, seed=4),), source=(I32, [None, 5]))
def transformer_translates(source):
    """A small transformer: an encoder of one block, then greedy words by a decoder of two, whose caches of keys and values grow up to
    eight steps; it ends once every sequence has."""
    batch, steps, heads, size = tf.shape(source)[0], 8, 2, 4
    table, width = weights(10, 8), 8
    split = lambda x: tf.transpose(tf.reshape(x, [batch, -1, heads, size]), [0, 2, 1, 3])
    join = lambda x: tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, -1, width])
    norm = lambda x: (x - tf.reduce_mean(x, -1, keepdims=True)) * tf.math.rsqrt(tf.math.reduce_variance(x, -1, keepdims=True) + 1e-3)

    def attend(q, k, v, fits=None):
        scores = tf.matmul(q, k, transpose_b=True) / 2.0
        return tf.matmul(tf.nn.softmax(scores if fits is None else tf.where(fits, scores, -1e9)), v)

    x = tf.gather(table, source)
    q, k, v = (split(x @ weights(8, 8, seed=s)) for s in (11, 12, 13))
    memory = norm(x + join(attend(q, k, v)))
    across = [tuple(split(memory @ weights(8, 8, seed=20 + 2 * n + s)) for s in (0, 1)) for n in range(2)]
    keys, values = (tf.zeros([2, batch, heads, steps, size]) for _ in range(2))
    token, ended, said = tf.fill([batch], 1), tf.zeros([batch], BOOL), tf.zeros([batch, steps], I32)
    for t in tf.range(steps):
        y = tf.gather(table, token)[:, None] + tf.sin(tf.cast(t, F32) * tf.linspace(0.1, 1.0, 8))
        new_keys, new_values = [], []
        here = tf.one_hot(t, steps)[None, None, :, None]
        for n in range(2):
            q, k, v = (split(norm(y) @ weights(8, 8, seed=30 + 3 * n + s)) for s in range(3))
            all_keys, all_values = keys[n] + here * k, values[n] + here * v
            y += join(attend(q, all_keys, all_values, tf.range(steps) <= t))
            y += join(attend(split(norm(y) @ weights(8, 8, seed=40 + n)), *across[n]))
            y += tf.nn.relu(norm(y) @ weights(8, 12, seed=50 + n)) @ weights(12, 8, seed=60 + n)
            new_keys.append(all_keys)
            new_values.append(all_values)
        keys, values = tf.stack(new_keys), tf.stack(new_values)
        token = tf.where(ended, 0, tf.argmax(tf.squeeze(norm(y), 1) @ tf.transpose(table), -1, I32))
        said = tf.tensor_scatter_nd_update(said, tf.stack([tf.range(batch), tf.fill([batch], t)], 1), token)
        ended = tf.logical_or(ended, token == 2)
        if tf.reduce_all(ended):
            break
    return {"said": said, "keys": keys}


def lstm_step(x, h, c, seed):
    i, f, g, o = tf.split(tf.concat([x, h], -1) @ weights(x.shape[-1] + 6, 24, seed=seed), 4, -1)
    c = tf.sigmoid(f + 1.0) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


@flow((numbers(2, 4, 3),), (numbers(1, 4, 3, seed=2),), x=(F32, [None, 4, 3]))
def lstm_beam_search(x):
    """A sequence-to-sequence network: an LSTM reads, another one with attention writes beams of two, over five steps at most."""
    batch, beams, vocabulary, steps = tf.shape(x)[0], 2, 7, 5
    h = c = tf.zeros([batch, 6])
    read = tf.TensorArray(F32, 4, element_shape=[None, 6])
    for t in tf.range(4):
        h, c = lstm_step(x[:, t], h, c, 71)
        read = read.write(t, h)
    memory = tf.transpose(read.stack(), [1, 0, 2])
    h, c = (tf.repeat(s, beams, 0) for s in (h, c))
    memory = tf.repeat(memory, beams, 0)
    scores, token = tf.tile(tf.constant([[0.0, -1e4]]), [batch, 1]), tf.ones([batch * beams], I32)
    words, parents = (tf.TensorArray(I32, steps, element_shape=[None, 2]) for _ in range(2))
    for t in tf.range(steps):
        weight = tf.nn.softmax(tf.reduce_sum(tf.tanh(memory @ weights(6, 6, seed=72) + (h @ weights(6, 6, seed=73))[:, None]) * weights(6, seed=74), -1))
        seen = tf.einsum("bt,btd->bd", weight, memory)
        h, c = lstm_step(tf.concat([tf.gather(weights(vocabulary, 3), token), seen], -1), h, c, 75)
        logp = tf.nn.log_softmax(tf.concat([h, seen], -1) @ weights(12, vocabulary, seed=76))
        total = tf.reshape(tf.repeat(tf.reshape(scores, [-1, 1]), vocabulary, 1) + logp, [batch, beams * vocabulary])
        scores, place = tf.math.top_k(total, beams)
        parent, word = place // vocabulary, place % vocabulary
        rows = tf.reshape(parent + tf.range(batch)[:, None] * beams, [-1])
        h, c, token = tf.gather(h, rows), tf.gather(c, rows), tf.reshape(word, [-1])
        words, parents = words.write(t, word), parents.write(t, parent)
    best, at = tf.zeros([batch, steps], I32), tf.zeros([batch], I32)
    for back in tf.range(steps):
        t = steps - 1 - back
        best += tf.one_hot(t, steps, dtype=I32) * tf.gather(words.read(t), at, batch_dims=1)[:, None]
        at = tf.gather(parents.read(t), at, batch_dims=1)
    return {"best": best, "scores": scores}


@flow((numbers(6),), (-np.abs(numbers(6)),), (np.abs(numbers(6)),), x=(F32, [6]))
def break_and_continue_with_lists(x):
    """Python's `continue` and `break` around writes to an array of a fixed size, in a loop and in one within it."""
    kept, sums = tf.TensorArray(F32, 6, element_shape=[]), tf.TensorArray(F32, 6, element_shape=[])
    for n in tf.range(6):
        if x[n] < -0.5:
            continue
        if x[n] > 1.0:
            break
        kept = kept.write(n, tf.sqrt(tf.abs(x[n])))
        total = 0.0
        for m in tf.range(n + 1):
            if total > 0.7:
                break
            if x[m] < 0:
                continue
            total += x[m]
        sums = sums.write(n, total)
    return {"kept": kept.stack(), "sums": sums.stack()}
