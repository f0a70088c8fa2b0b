"""Ragged tensors: rows of several lengths, none, one, all of one length; partitions of every kind, one within the other, and ones that do not fit."""

import itertools

import numpy as np

from .spec import INTS, NUMBERS, Beside, Sizes, case, const, extent, rand, sweep, tensor

ALL = [*NUMBERS, "bool", "str"]
# Rows of 2, 0 and 3 values; of 2 and 1 of these rows.
SPLITS, OUTER = [0, 2, 2, 5], [0, 2, 3]
IDS, OUTER_IDS = [0, 0, 2, 2, 2], [0, 0, 1]


def splits(*values, dtype="i64"):
    return tensor(values, dtype)


def to_tensor():
    op, rows, both = "RaggedTensorToTensor", ["ROW_SPLITS"], ["FIRST_DIM_SIZE", "VALUE_ROWIDS"]
    five, zero, open2 = rand(5), tensor(-7.5), const([-1, -1], "i64")

    def one(name, shape, values, default, *parts, types=rows, **more):
        case(op, name, shape, values, default, list(parts), row_partition_types=types, **more)

    for dtype in ALL:
        one(f"splits {dtype}", open2, rand(5, dtype=dtype), rand(dtype=dtype, seed=1), splits(*SPLITS), optional=True)
        parts = (const(4, "i64"), splits(*IDS))
        one(f"row ids {dtype}", open2, rand(5, dtype=dtype), rand(dtype=dtype, seed=1), *parts, types=both, optional=True)
    for index, of_shape in itertools.product(("i32", "i64"), ("i32", "i64")):
        shape, parts = const([-1, -1], of_shape), (const(4, index), splits(*IDS, dtype=index))
        one(f"splits {index}, shape {of_shape}", shape, five, zero, splits(*SPLITS, dtype=index))
        one(f"row ids {index}, shape {of_shape}", shape, five, zero, *parts, types=both)
    for shape in (-1, [2, 2], [5, 2], [0, 2], [2, 0], [-1, 1], [-1, 9], [4, -1], [1, -1], [3, 3], [-1, 3]):
        one(f"to {shape}", const(shape, "i64"), five, zero, splits(*SPLITS))
        one(f"to {shape}, strings", const(shape), rand(5, dtype="str"), tensor(b"", "str"), splits(*SPLITS))
        one(f"row ids to {shape}", const(shape, "i64"), five, zero, const(4, "i64"), splits(*IDS), types=both)
    wide, open3 = rand(5, 2), const([-1, -1, -1], "i64")
    for name, default in {"scalar": zero, "each": tensor([8, 9]), "one": tensor([8])}.items():
        one(f"inner axis, default {name}", open3, wide, default, splits(*SPLITS))
        one(f"inner axis, row ids, default {name}", open3, wide, default, const(4, "i64"), splits(*IDS), types=both)
    one("inner axis given", const([-1, 2, 2], "i64"), wide, zero, splits(*SPLITS))
    one("two inner axes", const([-1] * 4, "i64"), rand(5, 2, 3), tensor(-7.5), splits(*SPLITS))
    one("two inner axes, a default for each column", const(-1), rand(5, 2, 2), tensor([8, 9]), splits(*SPLITS))
    one("two inner axes, a default for each row", const(-1), rand(5, 2, 3), tensor([[8], [9]]), splits(*SPLITS))
    one("inner axis of nothing", open3, rand(5, 0), zero, splits(*SPLITS))
    kinds = {
        "splits, splits": ([splits(*OUTER), splits(*SPLITS)], ["ROW_SPLITS"] * 2),
        "ids, splits": ([const(2, "i64"), splits(*OUTER_IDS), splits(*SPLITS)], [*both, "ROW_SPLITS"]),
        "ids, ids": ([const(2, "i64"), splits(*OUTER_IDS), splits(*IDS)], [*both, "VALUE_ROWIDS"]),
        "splits, ids": ([const(OUTER, "i64"), splits(*IDS)], ["ROW_SPLITS", "VALUE_ROWIDS"]),
    }
    for name, (parts, types) in kinds.items():
        for shape in (-1, [-1, -1, -1], [2, 1, 2], [3, 3, 4], [-1, 2, -1]):
            one(f"two axes, {name}, to {shape}", const(shape, "i64"), five, zero, *parts, types=types)
        one(f"two axes, {name}, inner axis", const(-1), wide, tensor([8, 9]), *parts, types=types)
    deep = [splits(0, 1, 3), splits(0, 2, 2, 3), splits(*SPLITS)]
    one("three axes", const(-1), five, zero, *deep, types=["ROW_SPLITS"] * 3)
    one("three axes, strings", const([2, 2, 2, 2]), rand(5, dtype="str"), tensor(b"-", "str"), *deep, types=["ROW_SPLITS"] * 3)
    one("constants", open2, const(five, "f32"), const(-7.5, "f32"), const(SPLITS, "i64"))
    one("no rows", open2, rand(0), zero, splits(0))
    one("no values", open2, rand(0), zero, splits(0, 0, 0))
    one("no values, extents", const([3, 2]), rand(0), zero, splits(0, 0, 0))
    one("no values, row ids", open2, rand(0), zero, const(3, "i64"), splits(), types=both)
    one("no rows, row ids", open2, rand(0), zero, const(0, "i64"), splits(), types=both)
    one("one row", open2, five, zero, splits(0, 5))
    one("rows of one length", open2, rand(6), zero, splits(0, 2, 4, 6))

    def bad(name, *args, **more):
        one(name, *args, fails=True, **more)

    bad("splits begin with 1", open2, five, zero, splits(1, 2, 2, 5))
    bad("splits fall", open2, five, zero, splits(0, 3, 2, 5))
    bad("no splits", open2, five, zero, splits())
    bad("negative row id", open2, five, zero, const(4, "i64"), splits(-1, 0, 0, 2, 2), types=both)
    bad("row id too large", open2, five, zero, const(2, "i64"), splits(0, 0, 0, 2, 2), types=both)
    bad("negative number of rows", open2, rand(0), zero, const(-1, "i64"), splits(), types=both)
    bad("negative extent", const([-1, -2]), five, zero, splits(*SPLITS))
    bad("negative given extent", tensor([-1, -2], "i32"), five, zero, splits(*SPLITS))
    bad("too few extents", const([-1]), five, zero, splits(*SPLITS))
    bad("too many extents", open3, five, zero, splits(*SPLITS))
    bad("another inner extent", const([-1, -1, 3]), wide, zero, splits(*SPLITS))
    bad("another default", open3, wide, tensor([8, 7, 6]), splits(*SPLITS))
    bad("a default with an axis too many", open3, wide, tensor([[8, 7]]), splits(*SPLITS))
    bad("a default that fits the last axis only", const([-1] * 4), rand(5, 3, 2), tensor([8, 9]), splits(*SPLITS))
    bad("scalar values", const([-1]), rand(), zero, splits(0, 1))
    bad("fewer outer rows than there are", open3, five, zero, splits(0, 2, 2), splits(*SPLITS), types=["ROW_SPLITS"] * 2)
    bad("a row id past the outer rows", open3, five, zero, const(OUTER, "i64"), splits(0, 0, 2, 2, 3), types=["ROW_SPLITS", "VALUE_ROWIDS"])


def cut(n, rows):
    """Splits of n values in so many rows, of which the first is empty unless it is the only one; none of them has any value left."""
    return tensor([0, *(n * row // max(rows - 1, 1) for row in range(rows - 1)), n][: rows + 1], "i64")


def to_tensor_borders():
    op, default = "RaggedTensorToTensor", tensor(-1.0)
    ids = lambda n, rows: tensor(np.repeat(np.arange(rows), np.diff(cut(n, rows))), "i64")
    sizes = [(n, rows) for n, rows in itertools.product((0, 1, 5), (1, 2, 4))] + [(0, 0)]
    for shape in (-1, [-1, 3], [2, -1]):
        runs = [(const(shape, "i64"), rand(n), default, [cut(n, rows)]) for n, rows in sizes]
        sweep(op, f"splits to {shape}", runs, row_partition_types=["ROW_SPLITS"])
        runs = [
            (const(shape, "i64"), rand(n), default, [Sizes(extent(5, 0), "i64"), ids(n, rows)], Beside(rand(rows)))
            for n, rows in sizes
        ]
        sweep(op, f"row ids to {shape}", runs, row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"])
    runs = [(const(-1), rand(n), default, [cut(rows, outer), cut(n, rows)]) for n, rows in sizes for outer in (1, 3)]
    sweep(op, "two axes", runs, row_partition_types=["ROW_SPLITS"] * 2)


def to_sparse():
    op = "RaggedTensorToSparse"
    for dtype in ALL:
        case(op, f"one axis {dtype}", [splits(*SPLITS)], rand(5, dtype=dtype), optional=True)
    for index in ("i32", "i64"):
        case(op, f"two axes {index}", [splits(*OUTER, dtype=index), splits(*SPLITS, dtype=index)], rand(5))
    case(op, "three axes", [splits(0, 1, 3), splits(0, 2, 2, 3), splits(*SPLITS)], rand(5, dtype="str"))
    case(op, "inner axes", [splits(*SPLITS)], rand(5, 2, 3))
    case(op, "inner axes of strings", [splits(*OUTER), splits(*SPLITS)], rand(5, 2, dtype="str"))
    case(op, "an inner axis of nothing", [splits(*SPLITS)], rand(5, 0))
    case(op, "no rows", [splits(0)], rand(0))
    case(op, "rows of nothing", [splits(0, 0, 0)], rand(0))
    case(op, "constants", [const(SPLITS, "i64")], const(rand(5), "f32"))
    for name, wrong in {"first": [1, 2, 3, 5], "fall": [0, 2, 1, 5], "short": [0, 2, 2, 4], "long": [0, 2, 2, 6], "none": []}.items():
        case(op, f"splits that do not fit, {name}", [splits(*wrong)], rand(5), fails=True)
    case(op, "scalar values", [splits(0, 1)], rand(), fails=True)
    case(op, "too many inner rows", [splits(0, 2, 4), splits(*SPLITS)], rand(5), fails=True)
    case(op, "too few inner rows", [splits(0, 1, 2), splits(*SPLITS)], rand(5), fails=True)
    sizes = [*itertools.product((0, 1, 5), (1, 2, 4)), (0, 0), (2, 0)]
    sweep(op, "rows", [([cut(n, rows)], rand(n)) for n, rows in sizes])
    sweep(op, "rows and columns", [([cut(n, rows)], rand(n, m)) for n, rows in sizes for m in (0, 1, 3)])
    sweep(op, "two axes", [([cut(rows, outer), cut(n, rows)], rand(n)) for n, rows in sizes for outer in (1, 3)])
    sweep(op, "other values", [([cut(n, rows)], rand(m)) for n, rows in sizes for m in (0, 1, 5)])


def gathered():
    op = "RaggedGather"

    def one(name, parts, values, indices, **more):
        case(op, name, [tensor(part, "i64") for part in parts], values, indices, OUTPUT_RAGGED_RANK=len(parts) + np.ndim(indices) - 1, **more)

    for dtype in ALL:
        one(f"rows {dtype}", [SPLITS], rand(5, dtype=dtype), tensor([2, 0, 2], "i32"), optional=True)
    for index, at in itertools.product(("i32", "i64"), ("i32", "i64")):
        parts = [splits(*OUTER, dtype=index), splits(*SPLITS, dtype=index)]
        case(op, f"two axes {index} at {at}", parts, rand(5), tensor([1, 0, 1], at), OUTPUT_RAGGED_RANK=2)
    one("a matrix of indices", [SPLITS], rand(5), tensor([[2, 0], [1, 1]], "i64"))
    one("indices of three axes", [SPLITS], rand(5), tensor([[[2, 0]], [[1, 1]]], "i64"))
    one("one row", [SPLITS], rand(5, dtype="str"), tensor(2, "i64"))
    one("one of two axes", [OUTER, SPLITS], rand(5), tensor(1, "i64"))
    one("inner axes", [SPLITS], rand(5, 2, 3), tensor([2, 2, 1], "i64"))
    one("no indices", [SPLITS], rand(5), tensor([], "i64"))
    one("no indices in rows", [SPLITS], rand(5), rand(2, 0, dtype="i64"))
    one("no rows of indices", [SPLITS], rand(5), rand(0, 2, dtype="i64"))
    one("rows of nothing", [[0, 0, 0]], rand(0), tensor([1, 0], "i64"))
    one("nothing of nothing", [[0]], rand(0), tensor([], "i64"))
    one("constants", [SPLITS], rand(5), const([0, 2], "i64").value)
    for name, at in {"negative": -1, "too large": 3}.items():
        one(name, [SPLITS], rand(5), tensor([0, at], "i64"), fails=True)
    one("splits fall", [[0, 2, 1, 5]], rand(5), tensor([0], "i64"), fails=True)
    one("splits past the values", [[0, 2, 2, 6]], rand(5), tensor([0], "i64"), fails=True)
    one("of nothing", [[0]], rand(0), tensor([0], "i64"), fails=True)
    sizes = [*itertools.product((0, 1, 5), (1, 2, 4))]
    at = lambda k, rows: tensor(np.arange(k) % rows, "i64")
    runs = [([cut(n, rows)], rand(n), at(k, rows)) for n, rows in sizes for k in (0, 1, 3)]
    sweep(op, "rows", runs, OUTPUT_RAGGED_RANK=1)
    runs = [([cut(n, rows)], rand(n), at(k * 2, rows).reshape(k, 2)) for n, rows in sizes for k in (0, 1, 3)]
    sweep(op, "a matrix of indices", runs, OUTPUT_RAGGED_RANK=2)
    runs = [([cut(rows, 3), cut(n, rows)], rand(n), at(k, 3)) for n, rows in sizes for k in (0, 1, 4)]
    sweep(op, "two axes", runs, OUTPUT_RAGGED_RANK=2)


def ranges():
    op = "RaggedRange"
    for dtype, index in itertools.product(("f32", "f64", "i32", "i64"), (np.int32, np.int64)):
        of = lambda *values: tensor(values, dtype)
        name = f"{dtype} {np.dtype(index).name}"
        case(op, f"each {name}", of(0, 5, 8), of(3, 5, 12), of(1, 1, 3), Tsplits=index)
        case(op, f"backwards {name}", of(5, 0, 3, 3), of(0, 5, 4, 2), of(-2, 2, -1, 1), Tsplits=index)
        case(op, f"one of each {name}", tensor(5, dtype), tensor(8, dtype), tensor(1, dtype), Tsplits=index)
        case(op, f"one step {name}", of(5, 1), of(8, 9), tensor(3, dtype), Tsplits=index)
        case(op, f"one limit {name}", of(5, 1, 9), tensor(8, dtype), of(3, 4, 5), Tsplits=index)
        case(op, f"one start {name}", tensor(2, dtype), of(5, 1, 9), tensor(2, dtype), Tsplits=index)
        case(op, f"no rows {name}", of(), tensor(8, dtype), tensor(1, dtype), Tsplits=index)
        case(op, f"a step of 0 {name}", of(5, 1), of(8, 9), of(1, 0), Tsplits=index, fails=True)
        case(op, f"a step of 0 to nothing {name}", of(5), of(5), of(0), Tsplits=index, fails=True)
        case(op, f"other numbers of rows {name}", of(5, 1), of(8), tensor(1, dtype), Tsplits=index, fails=True)
        case(op, f"a matrix {name}", tensor([[5]], dtype), of(8), tensor(1, dtype), Tsplits=index, fails=True)
    case(op, "fractions", tensor([0.0, 1.0]), tensor([1.0, -1.0]), tensor([0.25, -0.5]))
    case(op, "not whole", tensor([0.0]), tensor([1.125]), tensor([0.25]))
    least, greatest = -(2**31), 2**31 - 1
    case(op, "all that there are", tensor([least, greatest], "i32"), tensor([greatest, least], "i32"), tensor([2**30, least], "i32"))
    for name, bad in {"NaN": float("nan"), "infinity": float("inf")}.items():
        case(op, name, tensor([0.0]), tensor([bad]), tensor([1.0]), fails=True)
        case(op, f"a step of {name}", tensor([0.0]), tensor([1.0]), tensor([bad]), fails=bad != bad)
    of = lambda n, low, high: rand(n, dtype="i32", low=low, high=high)
    step = const(2)
    runs = [(of(n, 0, 12), of(m, 0, 40), step) for n in (0, 1, 3) for m in (0, 1, 3)]
    sweep(op, "rows", runs)


FULL, AT, EXTENTS = [3, 1, 2, 2, 0], [[0, 0], [0, 2], [2, 1], [3, 0], [3, 2]], [4, 3]


def bins():
    for dtype in (*INTS, "f16", "bf16", "f32", "f64"):
        for binary in (False, True):
            for weighted in (False, True):
                w = rand(5 if weighted else 0, dtype=dtype)
                name = f"{dtype} binary {binary} weights {weighted}"
                case("RaggedBincount", name, splits(*SPLITS), tensor(FULL, "i64"), const(4, "i64"), w, binary_output=binary, optional=True)
                case("SparseBincount", name, tensor(AT, "i64"), tensor(FULL, "i64"), const(EXTENTS, "i64"), const(4, "i64"), w, binary_output=binary, optional=True)
                case("SparseBincount", f"a vector {name}", tensor([[0], [2], [3], [7], [8]], "i64"), tensor(FULL, "i64"), const([9], "i64"), const(4, "i64"), w, binary_output=binary, optional=True)
    for size in (0, 1, 3, 9):
        case("RaggedBincount", f"{size} bins", splits(*SPLITS), tensor(FULL, "i32"), const(size), rand(0))
        case("SparseBincount", f"{size} bins", tensor(AT, "i64"), tensor(FULL, "i32"), const(EXTENTS, "i64"), const(size), rand(0))
    op, none = "RaggedBincount", rand(0)
    case(op, "no rows", splits(0), rand(0, dtype="i32"), const(4), none)
    case(op, "rows of nothing", splits(0, 0, 0), rand(0, dtype="i32"), const(4), none)
    case(op, "negative", splits(*SPLITS), tensor([3, 1, 2, -2, 0], "i32"), const(4), none, fails=True)
    case(op, "negative number of bins", splits(*SPLITS), tensor(FULL, "i32"), const(-1), none, fails=True)
    for name, wrong in {"first": [1, 2, 3, 5], "short": [0, 2, 2, 4], "long": [0, 2, 2, 6], "none": []}.items():
        case(op, f"splits that do not fit, {name}", splits(*wrong), tensor(FULL, "i32"), const(4), none, fails=True)
    op, at, shape = "SparseBincount", tensor(AT, "i64"), const(EXTENTS, "i64")
    case(op, "out of order", tensor(AT[::-1], "i64"), tensor(FULL, "i32"), shape, const(4), rand(5))
    case(op, "nothing", rand(0, 2, dtype="i64"), rand(0, dtype="i32"), shape, const(4), none)
    case(op, "no rows", rand(0, 2, dtype="i64"), rand(0, dtype="i32"), const([0, 3], "i64"), const(4), none)
    case(op, "negative, in rows", at, tensor([3, 1, -2, 2, 0], "i32"), shape, const(4), none)
    for name, wrong in {"row too large": [4, 0], "negative row": [-1, 0], "column too large": [3, 3], "negative column": [3, -1]}.items():
        case(op, name, tensor([*AT[:4], wrong], "i64"), tensor(FULL, "i32"), shape, const(4), none, fails=True)
    case(op, "negative number of bins", at, tensor(FULL, "i32"), shape, const(-1), none, fails=True)
    sizes = [*itertools.product((0, 1, 5), (1, 2, 4)), (0, 0)]
    numbers = lambda n: tensor(np.arange(n) * 2 % 5, "i32")
    sweep("RaggedBincount", "rows", [(cut(n, rows), numbers(n), const(4), const([], "f32")) for n, rows in sizes])
    sweep("RaggedBincount", "open bins", [(cut(n, 2), numbers(n), Sizes(extent(4, 0)), const([], "f32"), Beside(rand(k))) for n in (0, 1, 5) for k in (0, 1, 3)])
    at = lambda n: tensor(np.stack([np.arange(n) % 3, np.arange(n) % 2], 1), "i64")
    sweep("SparseBincount", "elements", [(at(n), numbers(n), const([3, 2], "i64"), const(4), const([], "f32")) for n in (0, 1, 5)])
    runs = [(at(n), numbers(n), Sizes([extent(5, 0), 2], "i64"), const(4), const([], "f32"), Beside(rand(k))) for n in (0, 1, 5) for k in (0, 1, 3)]
    sweep("SparseBincount", "open rows", runs)


def counts():
    dense, ragged, sparse = (f"{kind}CountSparseOutput" for kind in ("Dense", "Ragged", "Sparse"))
    rows = tensor([[3, 1, 3], [0, 0, 5]], "i32")

    def each(name, numbers, weights, **more):
        case(ragged, name, splits(*SPLITS), numbers, weights, **more)
        case(sparse, name, tensor(AT, "i64"), numbers, const(EXTENTS, "i64"), weights, **more)
        case(dense, name, numbers, weights, **more)

    for dtype in (*INTS, "f32", "f64"):
        for index in ("i32", "i64"):
            numbers = tensor(FULL, index)
            for binary in (False, True):
                each(f"{index} as {dtype}, binary {binary}", numbers, rand(0, dtype=dtype), binary_output=binary, optional=True)
                each(f"{index} as {dtype}, binary {binary}, weights", numbers, rand(5, dtype=dtype), binary_output=binary, optional=True)
    numbers = tensor(FULL, "i64")
    for least, most in ((-1, -1), (0, -1), (10, -1), (2, -1), (-1, 2), (-1, 0), (5, 2), (2, 5), (-1, 4)):
        attrs = {"binary_output": False, "minlength": least, "maxlength": most}
        each(f"from {least} to {most}", numbers, rand(0), **attrs)
        each(f"from {least} to {most}, weights", numbers, rand(5), **attrs)
        case(dense, f"rows from {least} to {most}", rows, rand(0), **attrs)
        case(dense, f"rows from {least} to {most}, weights", rows, rand(2, 3), **attrs)
    plain = {"binary_output": False}
    each("a weight of 0", numbers, tensor([0.0, 1.0, 1.0, -1.0, 2.0]), **plain)
    each("negative", tensor([3, 1, -2, 2, 0], "i64"), rand(0), fails=True, **plain)
    each("too few weights", numbers, rand(4), fails=True, **plain)
    case(dense, "nothing", rand(0, dtype="i64"), rand(0), **plain)
    case(dense, "rows of nothing", rand(2, 0, dtype="i64"), rand(0), **plain)
    case(dense, "no rows", rand(0, 2, dtype="i64"), rand(0), fails=True, **plain)
    case(dense, "scalar", tensor(1, "i64"), rand(0), fails=True, **plain)
    case(dense, "three axes", rand(1, 1, 1, dtype="i64"), rand(0), fails=True, **plain)
    case(dense, "flat weights", rows, rand(6), fails=True, **plain)
    case(ragged, "rows of nothing", splits(0, 0, 0), rand(0, dtype="i64"), rand(0), **plain)
    case(ragged, "no rows", splits(0), rand(0, dtype="i64"), rand(0), fails=True, **plain)
    for name, wrong in {"first": [1, 2, 3, 5], "short": [0, 2, 2, 4], "long": [0, 2, 2, 6], "none": []}.items():
        case(ragged, f"splits that do not fit, {name}", splits(*wrong), numbers, rand(0), fails=True, **plain)
    case(sparse, "a vector", tensor([[0], [2], [3]], "i64"), tensor([3, 3, 1], "i64"), const([4], "i64"), rand(0), **plain)
    case(sparse, "three axes", tensor([[0, 0, 1], [1, 1, 0]], "i64"), tensor([3, 3], "i64"), const([2, 2, 2], "i64"), rand(0), **plain)
    case(sparse, "out of order", tensor(AT[::-1], "i64"), numbers, const(EXTENTS, "i64"), rand(5), **plain)
    case(sparse, "given extents", tensor(AT, "i64"), numbers, tensor(EXTENTS, "i64"), rand(5), **plain)
    case(sparse, "nothing", rand(0, 2, dtype="i64"), rand(0, dtype="i64"), const(EXTENTS, "i64"), rand(0), **plain)
    case(sparse, "no rows", rand(0, 2, dtype="i64"), rand(0, dtype="i64"), const([0, 3], "i64"), rand(0), fails=True, **plain)
    for name, wrong in {"row too large": [4, 0], "negative row": [-1, 0], "column too large": [3, 3], "negative column": [3, -1]}.items():
        case(sparse, name, tensor([*AT[:4], wrong], "i64"), numbers, const(EXTENTS, "i64"), rand(0), fails=True, **plain)
    none, some = const([], "f32"), (0, 1, 5)
    numbers = lambda n: tensor(np.arange(n) * 2 % 5, "i64")
    for most in (-1, 3):
        attrs = {"binary_output": False, "maxlength": most}
        sweep(dense, f"numbers below {most}", [(numbers(n), none) for n in some], **attrs)
        sweep(dense, f"rows below {most}", [(numbers(n * k).reshape(k, n), none) for n in some for k in (0, 1, 3)], **attrs)
        sweep(ragged, f"rows below {most}", [(cut(n, k), numbers(n), none) for n in some for k in (0, 1, 3) if k or not n], **attrs)
        at = lambda n, k: tensor(np.stack([np.arange(n) * k // max(n, 1), np.arange(n) % 2], 1), "i64")
        runs = [(at(n, k), numbers(n), Sizes([extent(4, 0), 2], "i64"), none, Beside(rand(k))) for n in some for k in (0, 1, 3)]
        sweep(sparse, f"rows below {most}", runs, **attrs)


def empty_rows():
    op = "RaggedFillEmptyRows"
    for dtype in ALL:
        case(op, f"in order {dtype}", splits(*IDS), rand(5, dtype=dtype), const(4, "i64"), rand(dtype=dtype, seed=1), optional=True)
        case(op, f"out of order {dtype}", splits(3, 0, 1, 0), rand(4, dtype=dtype), const(6, "i64"), rand(dtype=dtype, seed=1), optional=True)
    default = tensor(-7.5)
    case(op, "all rows full", splits(0, 1, 1), rand(3), const(2, "i64"), default)
    case(op, "nothing", splits(), rand(0), const(2, "i64"), default)
    case(op, "row too large", splits(0, 4), rand(2), const(4, "i64"), default, fails=True)
    case(op, "negative row", splits(0, -1), rand(2), const(4, "i64"), default, fails=True)
    case(op, "too few values", splits(0, 1), rand(1), const(4, "i64"), default, fails=True)
    case(op, "vector of defaults", splits(0, 1), rand(2), const(4, "i64"), tensor([1.0]), fails=True)
    case(op, "an element of no rows", splits(0), rand(1), const(0, "i64"), default, fails=True)
    runs = [(tensor(np.arange(n) * k // max(n, 1), "i64"), rand(n), Sizes(extent(4, 0), "i64"), default, Beside(rand(k))) for n in (0, 1, 5) for k in (0, 1, 3) if n + k]
    sweep(op, "open rows", runs)
    op = "RaggedFillEmptyRowsGrad"
    for dtype in NUMBERS:
        case(op, f"some {dtype}", tensor([2, 1, 5], "i64"), rand(6, dtype=dtype), optional=True)
    case(op, "none", tensor([], "i64"), rand(3))
    case(op, "too large", tensor([3], "i64"), rand(3), fails=True)
    sweep(op, "places", [(tensor(np.arange(k)[::-1], "i64"), rand(n)) for k in (0, 1, 3) for n in (0, 1, 3)])


to_tensor()
to_tensor_borders()
to_sparse()
gathered()
ranges()
bins()
counts()
empty_rows()
