"""Programs whose branches, loops and lists depend on data: `flow` is one SavedModel whose signatures they are, `flow.json` holds calls of
each and what TensorFlow answers. `python flow.py` makes both again, `python flow.py NAME..` records only those of these names."""

import sys

from programs import BOOL, F32, F64, I32, I64, ints, make, numbers, program

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.ops import list_ops

raw = tf.raw_ops

VECTORS = [(numbers(n, seed=n),) for n in (0, 1, 4)]


# Branches.


@program(*[(numbers(3), s) for s in (np.float32(0), np.float32(-2), np.float32(np.nan), np.float32(-0.0))], x=(F32, [None]), s=(F32, []))
def if_of_numbers(x, s):
    return {"y": raw.StatelessIf(cond=s, input=[x], Tout=[F32], then_branch=traced(lambda x: x + 1, x), else_branch=traced(lambda x: x * 2, x))[0]}


@program(*[(numbers(3), np.int32(s)) for s in (0, 1, -1)], x=(F32, [None]), s=(I32, []))
def if_of_integers(x, s):
    y = raw.If(cond=s, input=[x, x], Tout=[F32, F32], then_branch=traced(lambda x, z: (x + 1, z), x, x), else_branch=traced(lambda x, z: (x * 2, z), x, x))
    branches = [traced(lambda x, k=k: x * float(k), x) for k in range(3)]
    return {"y": y[0], "same": y[1], "case": raw.Case(branch_index=s, input=[x], Tout=[F32], branches=branches)[0]}


@program(*VECTORS, x=(F32, [None]))
def if_of_elements(x):
    return {"y": raw.StatelessIf(cond=x, input=[x], Tout=[F32], then_branch=traced(tf.reduce_sum, x), else_branch=traced(lambda x: tf.constant(7.0), x))[0]}


@program(*[(numbers(2, 3), np.int32(n)) for n in (-1, 0, 1, 2, 3)], x=(F32, [None, 3]), n=(I32, []))
def switch_case(x, n):
    return {"y": tf.switch_case(n, [lambda: x, lambda: x * 2.0, lambda: tf.reverse(x, [1])]), "same": tf.switch_case(n, [lambda: 3, lambda: 3, lambda: 3])}


@program(*[(numbers(3), np.float32(s)) for s in (-1, 0.5, 5, 50)], x=(F32, [3]), s=(F32, []))
def nested_branches(x, s):
    weight = tf.constant([1.0, 2.0, 3.0])

    @tf.function
    def helper(x):
        return tf.cond(s > 10, lambda: x * weight, lambda: tf.cond(s > 1, lambda: x - s, lambda: x / weight))

    y = tf.cond(s < 0, lambda: -x, lambda: helper(x) + 1)
    return {"y": y, "count": tf.cond(s < 0, lambda: 1, lambda: tf.cond(s > 10, lambda: 2, lambda: 3))}


@program(*[(numbers(4), np.bool_(b)) for b in (True, False)], x=(F32, [None]), b=(BOOL, []))
def branch_types(x, b):
    """Results of several types, one that is known in both branches, one that neither changes."""

    def yes():
        return tf.cast(x, I64), x > 0, tf.shape(x), tf.cast(x, tf.float16), x

    def no():
        return tf.cast(-x, I64), x < 0, tf.shape(x), tf.cast(x * 2, tf.float16), x

    big, sign, shape, half, same = tf.cond(b, yes, no)
    return {"big": big, "sign": sign, "zeros": tf.zeros(shape * 2), "half": half, "same": same}


@program(*[(numbers(4), np.bool_(b)) for b in (True, False)], x=(F32, [None]), b=(BOOL, []))
def branch_lists(x, b):
    def yes():
        return tf.TensorArray(F32, 3, element_shape=[]).write(0, x[0]).write(2, x[1])

    def no():
        return tf.TensorArray(F32, 3, element_shape=[]).write(1, x[2])

    return {"y": tf.cond(b, lambda: yes().stack(), lambda: no().stack())}


@program((numbers(4), numbers(4, seed=2), np.bool_(True)), (numbers(4), numbers(4, seed=2), np.bool_(False)), x=(F32, [None]), y=(F32, [None]), b=(BOOL, []))
def branch_extents(x, y, b):
    """The extents are open and differ by name."""
    return {"z": tf.cond(b, lambda: x + 1, lambda: y * 2)}


@program(*[(numbers(3), np.int32(n)) for n in (0, 2, 7)], x=(F32, [None]), n=(I32, []))
def autograph_if(x, n):
    y = x
    if n > 5:
        y = y * 3
        if n > 6:
            y = y + 1
    elif n > 1:
        y = -y
    else:
        y = y + tf.cast(n, F32)
    return {"y": y, "early": early(x, n)}


@tf.function
def early(x, n):
    if n > 1:
        return x * 2
    return x - 1


# Loops.


@program(*VECTORS, x=(F32, [None]))
def counted_loop(x):
    y = tf.zeros_like(x)
    for i in tf.range(5):
        y = y * 0.5 + x * tf.cast(i, F32)
    return {"y": y}


@program(*[(numbers(rows, 2), np.int32(n)) for rows, n in ((3, 1), (1, 4), (0, 2))], x=(F32, [None, 2]), n=(I32, []))
def defined_in_loop(x, n):
    """Variables that a loop defines, whose first extents autograph does not know: in counted loops, in such of data, in nested ones."""
    for i in tf.range(5):
        a = x * tf.cast(i, F32)
    for i in tf.range(n):
        b = tf.concat([x, a], 1) + tf.cast(i, F32)
    for i in tf.range(n):
        for j in tf.range(2):
            c = b[:, i % 4] + tf.cast(j, F32)
        d = c * 2
    return {"a": a, "b": b, "c": c, "d": d}


@program(*[(numbers(3), np.int32(n)) for n in (-1, 0, 1, 4)], x=(F32, [None]), n=(I32, []))
def loop_of_data(x, n):
    total = 0
    for i in tf.range(n):
        x = x + tf.cast(i, F32)
        total += i
    return {"y": x, "total": total}


@program(*[(numbers(3), np.float32(s)) for s in (1, 10, 1000)], x=(F32, [None]), s=(F32, []))
def while_of_data(x, s):
    steps = 0
    while tf.reduce_sum(tf.abs(x)) < s:
        x = x * 1.5
        steps += 1
    return {"y": x, "steps": steps, "after": steps * 2}


@program(*[(numbers(n, 3, seed=n),) for n in (0, 1, 5)], x=(F32, [None, 3]))
def loop_over_rows(x):
    """The number of iterations is an extent."""
    total, last = tf.zeros([3]), tf.zeros([3])
    for i in tf.range(tf.shape(x)[0]):
        total = total * 0.5 + x[i]
        last = x[tf.shape(x)[0] - 1 - i]
    return {"total": total, "last": last}


@program(*[(numbers(n, 2, seed=n),) for n in (1, 2, 6)], x=(F32, [None, 2]))
def loop_over_tensor(x):
    y = tf.zeros([2])
    for row in x:
        y = tf.maximum(y, row)
    return {"y": y}


@program(*[(ints(n, seed=n, low=0, high=4),) for n in (0, 3, 8)], n=(I32, [None]))
def break_and_continue(n):
    total, seen = 0, 0
    for i in tf.range(tf.size(n)):
        if n[i] == 3:
            break
        if n[i] == 0:
            continue
        total += n[i]
        seen += 1
    return {"total": total, "seen": seen}


@program(*[(numbers(4, 3), np.int32(n)) for n in (0, 2, 3)], x=(F32, [None, 3]), n=(I32, []))
def nested_loops(x, n):
    total = tf.zeros([3])
    for i in tf.range(tf.shape(x)[0]):
        for j in tf.range(n):
            if tf.cast(j, F32) > x[i, 0]:
                total += x[i] * tf.cast(j + 1, F32)
        for k in tf.range(3, 0, -1):
            total = total + tf.cast(k, F32) * x[i, k - 1]
    return {"total": total}


@program(*[(numbers(5),)], x=(F32, [None]))
def triangle(x):
    """The inner loop's number of iterations depends on the outer one."""
    total = tf.zeros([])
    for i in tf.range(tf.size(x)):
        for j in tf.range(i):
            total += x[i] * x[j]
    return {"total": total}


@program(*[(numbers(3), np.int32(m)) for m in (0, 2, 50)], x=(F32, [None]), m=(I32, []))
def maximum_iterations(x, m):
    y = tf.while_loop(lambda x, k: tf.reduce_sum(x) < 100, lambda x, k: (x + 3.0, k + 2), [x, 0], maximum_iterations=7)
    z = tf.while_loop(lambda x: True, lambda x: (x + 1.0,), [x], maximum_iterations=m)
    return {"y": y[0], "k": y[1], "z": z[0]}


@program(*[(np.int64(n),) for n in (1, 6, 27)], n=(I64, []))
def collatz(n):
    steps = tf.constant(0, tf.uint8)
    while n != 1:
        n = tf.cond(n % 2 == 0, lambda: n // 2, lambda: 3 * n + 1)
        steps += tf.constant(1, tf.uint8)
    return {"steps": steps}


@program(*[(ints(2), np.bool_(b)) for b in (True, False)], x=(I32, [2]), b=(BOOL, []))
def loop_types(x, b):
    """Variables of many types; two that change places."""
    state = [x, tf.cast(x, tf.int8), tf.cast(x, tf.float16), tf.cast(x, F64), b, tf.constant(True)]

    def body(i, a, c, d, e, p, q):
        return i + 1, a * 3 + i, c + c, d / 2, e * 1.5, q, tf.math.logical_xor(p, b)

    i, a, c, d, e, p, q = tf.while_loop(lambda i, *_: i < 5, body, [0, *state])
    return {"i": i, "a": a, "c": c, "d": tf.cast(d, F32), "e": e, "p": p, "q": q}


@program(*[(np.int32(a), np.int32(b)) for a, b in ((0, 10), (3, 4), (-4, 9), (9, 3))], a=(I32, []), b=(I32, []))
def counting(a, b):
    """Counters of every direction, some of whose bounds are data."""
    up, i = 0, a
    while i <= b:
        up, i = up + i, i + 3
    down, j = 0, b
    while j > a and j > -2:
        down, j = down + j, j - 2
    k = tf.while_loop(lambda k: tf.logical_and(k < 20, tf.logical_and(k <= 12, k < 30)), lambda k: (k + 4,), [tf.constant(1)])[0]
    return {"up": up, "i": i, "down": down, "j": j, "k": k}


WEIGHT = tf.Variable(numbers(3, 3, seed=9))


@program(*[(numbers(2, 3),)], x=(F32, [None, 3]))
def loop_of_variables(x):
    for _ in tf.range(3):
        x = tf.tanh(x @ WEIGHT) if tf.reduce_sum(x) > 0 else x @ tf.transpose(WEIGHT)
    return {"y": x}


@program(*[(numbers(3),)], x=(F32, [None]))
def asserts_and_prints(x):
    for i in tf.range(3):
        tf.debugging.assert_less(i, 5)
        tf.print("step", i)
        x = x + 1
    return {"y": x}


# Lists.


@program(*[(numbers(n, 2, seed=n),) for n in (1, 4)], x=(F32, [None, 2]))
def map_fn(x):
    both = tf.map_fn(lambda row: (row * 2, tf.reduce_sum(row)), x, fn_output_signature=(F32, F32))
    return {"rows": both[0], "sums": both[1], "ints": tf.map_fn(lambda row: tf.cast(row, I32), x, fn_output_signature=I32)}


@program(*[(numbers(n, 2, seed=n),) for n in (1, 4)], x=(F32, [None, 2]))
def scan_and_fold(x):
    start = tf.zeros([2])
    return {
        "scan": tf.scan(lambda a, row: a * 0.5 + row, x, start), "first": tf.scan(lambda a, row: a + row, x),
        "back": tf.scan(lambda a, row: a * 0.5 + row, x, start, reverse=True), "left": tf.foldl(lambda a, row: a - row, x, start),
        "right": tf.foldr(lambda a, row: a / 2 + row, x),
    }  # fmt: skip


@program(*[(numbers(n, 3, seed=n),) for n in (1, 5)], x=(F32, [None, 3]))
def growing_array(x):
    array = tf.TensorArray(F32, 0, dynamic_size=True)
    for i in tf.range(tf.shape(x)[0]):
        array = array.write(i, x[i] * tf.cast(i, F32))
    return {"y": array.stack(), "size": array.size()}


@program(*[(numbers(4, 2), np.int32(n)) for n in (0, 3)], x=(F32, [4, 2]), n=(I32, []))
def array_by_data(x, n):
    """Elements at indices that data decide, and elements that nobody sets."""
    array = tf.TensorArray(F32, 6, element_shape=[2], clear_after_read=False)
    for i in tf.range(4):
        array = array.write((i + n) % 6, x[i])
    return {"y": array.stack(), "one": array.read(n), "some": array.gather([n, 0, 5])}


@program((ints(3), np.int32(7)), (ints(3), np.int32(-1)), x=(I32, [3]), n=(I32, []))
def index_out_of_range(x, n):
    array = tf.TensorArray(I32, 3, element_shape=[]).unstack(x)
    return {"y": array.read(n)}


@program(*[(numbers(3, 2),)], x=(F32, [3, 2]))
def array_methods(x):
    array = tf.TensorArray(F32, 4, element_shape=[2], clear_after_read=False).scatter([2, 0, 1], x)
    other = tf.TensorArray(F32, 3, clear_after_read=False).unstack(x)
    parts = tf.TensorArray(F32, 3, element_shape=[1, 2]).split(x, [1, 1, 1])
    return {"y": array.stack(), "joined": other.concat(), "size": array.size(), "parts": parts.concat(), "last": other.read(2)}


@program(*[(numbers(n, 2, seed=n),) for n in (1, 3)], x=(F32, [None, 2]))
def pushes_and_pops(x):
    empty = list_ops.empty_tensor_list([2], F32)
    i, filled = tf.while_loop(lambda i, l: i < tf.shape(x)[0], lambda i, l: (i + 1, list_ops.tensor_list_push_back(l, x[i] * 2)), [0, empty])
    stacked = list_ops.tensor_list_stack(filled, F32)

    def body(j, total, l):
        l, item = raw.TensorListPopBack(input_handle=l, element_shape=[2], element_dtype=F32)
        return j + 1, total * 0.5 + item, l

    _, total, rest = tf.while_loop(lambda j, t, l: j < tf.shape(x)[0], body, [0, tf.zeros([2]), filled])
    return {"stacked": stacked, "total": total, "length": list_ops.tensor_list_length(rest) + i}


@program(*[(numbers(3, 2),)], x=(F32, [3, 2]))
def list_operators(x):
    whole = list_ops.tensor_list_from_tensor(x, [2])
    larger = raw.TensorListResize(input_handle=whole, size=5)
    smaller = raw.TensorListResize(input_handle=whole, size=2)
    into = raw.TensorListScatterIntoExistingList(input_handle=whole, tensor=x[:2] * 10.0, indices=[2, 0])
    both = raw.TensorListConcatLists(input_a=smaller, input_b=into, element_dtype=F32)
    first = raw.TensorListScatter(tensor=x, indices=[3, 1, 1], element_shape=[2])
    second = raw.TensorListScatterV2(tensor=x, indices=[3, 1, 1], element_shape=[2], num_elements=5)
    split = raw.TensorListSplit(tensor=x, element_shape=[-1, 2], lengths=[1, 1, 1])
    set_beyond = raw.TensorListSetItem(input_handle=whole, index=6, item=x[0], resize_if_index_out_of_bounds=True)

    def stack(l, shape=(2,)):
        return raw.TensorListStack(input_handle=l, element_shape=tf.constant(shape), element_dtype=F32)

    old, _ = raw.TensorListConcat(input_handle=split, element_dtype=F32, element_shape=[None, 2])
    joined, lengths = raw.TensorListConcatV2(input_handle=split, element_shape=[-1, 2], leading_dims=[], element_dtype=F32)
    return {
        "larger": stack(larger), "smaller": stack(smaller), "into": stack(into), "both": stack(both), "first": stack(first), "second": stack(second), "split": stack(split, (1, 2)),
        "beyond": stack(set_beyond), "joined": joined, "old": old, "lengths": lengths, "shape": raw.TensorListElementShape(input_handle=split, shape_type=I32),
        "any": raw.TensorListElementShape(input_handle=raw.TensorListFromTensor(tensor=x, element_shape=tf.constant(-1)), shape_type=I64), "length": list_ops.tensor_list_length(larger),
        "gathered": raw.TensorListGather(input_handle=whole, indices=tf.constant([2, 2, 0]), element_shape=tf.constant([2]), element_dtype=F32),
    }  # fmt: skip


@program((numbers(0, 2),), (numbers(2, 2),), x=(F32, [None, 2]))
def empty_stack(x):
    """TensorFlow stacks no empty list whose element shape is open."""
    return {"y": raw.TensorListStack(input_handle=raw.TensorListFromTensor(tensor=x, element_shape=tf.constant(-1)), element_shape=tf.constant(-1), element_dtype=F32)}


@program(*[(numbers(2, n, 3, seed=n), np.int32(k)) for n in (1, 3) for k in (0, 2)], x=(F32, [None, None, 3]), k=(I32, []))
def lists_in_branches(x, k):
    array = tf.TensorArray(F32, tf.shape(x)[1])
    for t in tf.range(tf.shape(x)[1]):
        if t > k:
            array = array.write(t, x[:, t] * 2)
        else:
            array = array.write(t, -x[:, t])
    return {"y": tf.transpose(array.stack(), [1, 0, 2])}


@program((numbers(3), np.int32(0)), (numbers(3), np.int32(3)), x=(F32, [3]), n=(I32, []))
def never_and_once(x, n):
    for i in tf.range(0):
        x += tf.cast(i, F32)
    array = tf.TensorArray(F32, 2, element_shape=[3])
    for i in tf.range(n):
        array = array.write(i % 2, x)
    i = tf.constant(5)
    while i < 6:
        x, i = x * 2, i + 1
    return {"x": x, "array": array.stack(), "i": i}


@program(*[(np.int32(n),) for n in (3, 200)], n=(I32, []))
def narrow_counters(n):
    """Counters that wrap around, and one with a large step."""
    i, total, k, big = tf.constant(0, tf.int8), 0, tf.constant(250, tf.uint8), tf.constant(0)
    for _ in tf.range(n):
        total += tf.cast(i, I32) * 2 + tf.cast(k > 3, I32)
        i, k, big = i + 1, k + 3, big + 123456789
    return {"i": i, "k": tf.cast(k, I32), "total": total, "big": big, "half": big // 2}


@program((numbers(3), np.int32(4)), (numbers(1), np.int32(1)), x=(F32, [None]), n=(I32, []))
def moving_bounds(x, n):
    """A bound that moves towards the counter, and one that data move."""
    i, j, hits = 0, 2 * tf.size(x), 0
    while i < j:
        i, j, hits = i + 1, j - 2, hits + 1
    k, m = 0, n
    while k < m:
        k = k + 1
        if k % 2 == 0:
            m = m - 1
    return {"hits": hits, "i": i, "j": j, "k": k, "m": m}


@program(*[(numbers(2, 3), np.int32(n)) for n in (0, 1, 4)], x=(F32, [2, 3]), n=(I32, []))
def lists_through_branches(x, n):
    array = tf.TensorArray(F32, 4, element_shape=tf.TensorShape([2, 3]), clear_after_read=False)
    for i in tf.range(4):
        if i < n:
            array = array.write(i, x * tf.cast(i, F32))
    total = tf.zeros([2, 3])
    for i in tf.range(n):
        total += array.read(i)
    return {"y": array.stack(), "total": total}


@program(*[(numbers(3, 4),)], x=(F32, [None, 4]))
def nested_maps(x):
    outer = tf.map_fn(lambda row: tf.map_fn(lambda v: v * 2 + tf.reduce_sum(row), row), x)
    pairs = tf.map_fn(lambda p: p[0] * p[1], (x, x + 1), fn_output_signature=F32)
    return {"outer": outer, "pairs": pairs, "scans": tf.scan(lambda a, v: (a[0] + v, a[1] * 0.5), x, (tf.zeros([4]), tf.ones([4])))[0]}


@program(*[(numbers(4), np.int32(n)) for n in (0, 3)], x=(F32, [4]), n=(I32, []))
def index_of_data(x, n):
    return {"y": x[n], "back": x[-1 - n], "row": tf.reshape(x, [2, 2])[n // 2, 1]}


@program(*[(numbers(n),) for n in (1, 3, 6)], x=(F32, [None]))
def guarded_index(x):
    """An index that only one branch has."""
    last = tf.TensorArray(F32, tf.size(x), element_shape=[], clear_after_read=False).unstack(x)
    return {"y": tf.cond(tf.size(x) > 3, lambda: x[3], lambda: x[0]), "z": tf.cond(tf.size(x) > 3, lambda: last.read(3), lambda: last.read(0))}


@program((numbers(4), np.int32(4)), (numbers(4), np.int32(-5)), x=(F32, [4]), n=(I32, []))
def slice_out_of_range(x, n):
    return {"y": x[n]}


@program(*[(np.int32(n), np.float32(0.5)) for n in (0, 3, 9)], n=(I32, []), s=(F32, []))
def fibonacci(n, s):
    a, b = 0, 1
    while n > 0:
        a, b, n = b, a + b, n - 1
    return {"a": a, "b": b, "n": n}


# What is refused: there are no answers.


@program(x=(F32, [None, 3]), n=(I32, []))
def refused_growth(x, n):
    return {"y": tf.while_loop(lambda x: tf.shape(x)[0] < n, lambda x: (tf.concat([x, x], 0),), [x], [tf.TensorShape([None, 3])])[0]}


@program(x=(F32, [None, 3]), n=(I32, []))
def refused_defined(x, n):
    """What no iteration replaces is an empty tensor."""
    return {"y": tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, x * 2), [0, tf.zeros([0, 3])], [tf.TensorShape([]), tf.TensorShape([None, 3])])[1]}


@program(x=(F32, [None, 3]), n=(I32, []))
def refused_seen(x, n):
    """The first value is empty, and an iteration looks at it."""
    y = tf.zeros([0, 3])
    for _ in tf.range(3):
        tf.autograph.experimental.set_loop_options(shape_invariants=[(y, tf.TensorShape([None, 3]))])
        y = x + tf.cast(tf.shape(y)[0], F32)
    return {"y": y}


@program(x=(F32, [None, 3]))
def refused_prefixes(x):
    total = tf.zeros([3])
    for i in tf.range(tf.shape(x)[0]):
        total += tf.reduce_sum(x[:i], 0)
    return {"y": total}


@program(x=(F32, []))
def refused_list_of_data(x):
    array, i = tf.TensorArray(F32, 0, dynamic_size=True, element_shape=[]), 0
    while x < 100.0:
        array, x, i = array.write(i, x), x * 2, i + 1
    return {"y": array.stack()}


@program(x=(F32, []))
def refused_endless(x):
    return {"y": tf.while_loop(lambda x: True, lambda x: (x + 1,), [x])[0]}


@program(x=(F32, [None, 3]), n=(I32, []))
def refused_shapes_of_branches(x, n):
    return {"y": tf.cond(n > 0, lambda: x, lambda: tf.reduce_sum(x, 0))}


@program(x=(F32, [3]), n=(I32, []))
def refused_extents_of_branches(x, n):
    return {"y": tf.cond(n > 0, lambda: x, lambda: x[:2])}


@program(x=(F32, [2]))
def refused_map(x):
    filled = raw.TensorMapInsert(input_handle=raw.EmptyTensorMap(), key=tf.constant(1), value=x)
    return {"y": raw.TensorMapLookup(input_handle=filled, key=tf.constant(1), value_dtype=F32)}


@program(x=(F32, [2]), n=(I32, []))
def refused_inside(x, n):
    """What is refused in a body of a body is told by its name."""
    y = x
    for i in tf.range(n):
        y = tf.cond(y[0] > 0, lambda: tf.math.lgamma(y), lambda: tf.cond(y[0] > -1, lambda: tf.math.digamma(y), lambda: -y))
    return {"y": y}


@program((numbers(2, 3),), x=(F32, [2, 3]))
def constants_by_iteration(x):
    """Elements, rows and matrices of constants that the iteration chooses."""
    mapped = tf.map_fn(lambda e: e * tf.reduce_sum(x), tf.constant([1.0, -2.0, 3.0]))
    ranged = tf.map_fn(lambda i: x * tf.cast(i, F32), tf.range(3), fn_output_signature=F32)
    summed = tf.scan(lambda a, e: a + e, tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    matrices = tf.constant(numbers(4, 3, 3, seed=3))
    product = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, tf.nn.relu(y @ matrices[i])), [0, x])[1]
    array = tf.TensorArray(F32, 2).unstack(tf.constant([0.5, 4.0]))
    read = tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * array.read(i)), [0, x])[1]
    return {"mapped": mapped, "ranged": ranged, "summed": summed, "product": product, "read": read}


@program(x=(F32, [3]), n=(I32, []))
def refused_unset(x, n):
    """No element says which shape it has."""
    return {"y": tf.TensorArray(F32, 3).read(n) + x}


def traced(function, *args):
    """A function of the library, as operators name it in their attributes."""
    return tf.function(function).get_concrete_function(*[tf.TensorSpec(a.shape, a.dtype) for a in args])


# Recurrent layers.


def recurrent(name, build, library, *shapes, features=3):
    """A layer over inputs of any number of steps."""
    state = {}

    def function(x):
        if not state:
            tf.random.set_seed(5)
            np.random.seed(5)
            library.utils.set_random_seed(5)
            state["layer"] = build(library)
        y = state["layer"](x, training=False)
        return {f"y{n}": part for n, part in enumerate(y if isinstance(y, (list, tuple)) else [y])}

    function.__name__ = name
    program(*[(numbers(*shape, seed=7),) for shape in shapes], x=(F32, [None, None, features]))(function)
    return state


import tf_keras

LAYERS = [
    recurrent(f"{kind}_{which}".lower(), lambda k, kind=kind, options=options: getattr(k.layers, kind)(4, **options), library, (1, 1, 3), (2, 5, 3))
    for kind in ("SimpleRNN", "LSTM", "GRU")
    for which, options in (("last", {}), ("all", {"return_sequences": True, "return_state": True, "go_backwards": True}))
    for library in (keras,)
]
LAYERS += [
    recurrent(f"tf_{kind}".lower(), lambda k, kind=kind: getattr(k.layers, kind)(4, return_sequences=True), tf_keras, (1, 1, 3), (2, 5, 3))
    for kind in ("SimpleRNN", "LSTM", "GRU")
]
LAYERS.append(recurrent("masked", lambda k: k.Sequential([k.layers.Masking(0.0), k.layers.LSTM(4, return_sequences=True)]), keras, (2, 4, 3)))
LAYERS.append(recurrent("bidirectional", lambda k: k.layers.Bidirectional(k.layers.GRU(4, return_sequences=True)), keras, (2, 4, 3)))
LAYERS.append(recurrent("time_major_unrolled", lambda k: k.layers.RNN([k.layers.LSTMCell(4), k.layers.GRUCell(3)]), keras, (2, 4, 3)))


def keep(module):
    module.kept = [WEIGHT]
    module.layers = [state["layer"] for state in LAYERS if state]


if __name__ == "__main__":
    make("flow", sys.argv[1:], keep)
