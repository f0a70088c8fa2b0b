"""Operators whose extents are computed, at the borders of what they take: 0, 1, smaller than a window, not divisible.

Each sweep is one node with open extents; the runs that TensorFlow refuses are recorded as refused. Windows are swept in double precision,
where a window that is larger than the image by less than two strides gives an empty result, and in single precision, where oneDNN's
kernels abort or give memory that nothing wrote.
"""

import itertools

import numpy as np

from .spec import INF, Beside, Sizes, const, distinct, extent, rand, sweep, tensor

X = [extent(0, axis) for axis in range(5)]
# The length of what stands beside two or three operands.
X2, X3 = extent(2, 0), extent(3, 0)
SMALL = range(5)
ARITHMETIC = (
    "Add AddV2 Sub Mul Div RealDiv DivNoNan MulNoNan FloorDiv FloorMod TruncateDiv Maximum Minimum Pow SquaredDifference Atan2 Xdivy Xlogy Xlog1py "
    "Equal NotEqual Less LessEqual Greater GreaterEqual"
).split()


def windows():
    """Convolutions and pools over images with an open axis, and over none."""

    def square(op, name, shapes, *kernel, dtype="f64", **attrs):
        operands = [const(rand(*shape, dtype=dtype, seed=1), dtype) for shape in kernel]
        sweep(op, f"{name} {dtype}", [(rand(*shape, dtype=dtype), *operands) for shape in shapes], **attrs)

    def images(extents, rank=2):
        along = [(1, n, *(4,) * (rank - 1), 2) for n in extents], [(1, *(4,) * (rank - 1), n, 2) for n in extents[:3]]
        return [*along[0], *along[1], (0, *(4,) * rank, 2)]

    explicit = {"padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 0, 0, 1, 0, 0]}
    for (k, s), padding in itertools.product(((3, 1), (3, 2), (2, 3), (4, 2)), ({"padding": "VALID"}, {"padding": "SAME"}, explicit)):
        way, flat, cubic = padding["padding"], [1, s, s, 1], {"strides": [1, s, s, s, 1], **padding}
        name, all_extents = f"{way} {k} by {s}", range(7)
        # In f32, a kernel of oneDNN has a result of the operand's shape where there is no image or no place.
        some = [(1, n, 4, 2) for n in range(1, 7)]
        for op in ("Conv2D", "DepthwiseConv2dNative"):
            square(op, name, images(all_extents), (k, k, 2, 2), strides=flat, **padding)
            square(op, name, some, (k, k, 2, 2), dtype="f32", strides=flat, **padding) if way == "VALID" else None
        for op in ("MaxPool", "AvgPool") if way != "EXPLICIT" else ("MaxPool",):
            square(op, name, images(all_extents), ksize=[1, k, k, 1], strides=flat, **padding)
            square(op, name, some, dtype="f32", ksize=[1, k, k, 1], strides=flat, **padding) if way == "VALID" else None
        if way == "EXPLICIT":
            continue
        square("Conv3D", name, images(all_extents, 3), (k, k, k, 2, 1), **cubic)
        # TensorFlow crashes where a maximum's window in three dimensions is larger than the image by less than two strides.
        held = [n for n in all_extents if way == "SAME" or not k - 2 * s < n < k]
        square("MaxPool3D", name, images(held, 3), dtype="f32", ksize=[1, k, k, k, 1], **cubic)
        square("AvgPool3D", name, images(all_extents, 3), dtype="f32", ksize=[1, k, k, k, 1], **cubic)
    for padding, dtype in itertools.product(("VALID", "SAME"), ("f32", "f64")):
        for k, s in ((3, 1), (2, 2)):
            square("MaxPoolWithArgmax", f"{padding} {k} by {s}", images(range(6)), dtype=dtype, ksize=[1, k, k, 1], strides=[1, s, s, 1], padding=padding)
    apart = {"strides": [1, 1, 1, 1], "dilations": [1, 2, 2, 1]}
    for padding in ("VALID", "SAME"):
        square("Conv2D", f"{padding}, 2 apart", images(range(6)), (2, 2, 2, 2), padding=padding, **apart)
        square("DepthwiseConv2dNative", f"{padding}, 2 apart", [(1, n, 4, 2) for n in (1, 3, 4, 5)], (2, 2, 2, 2), dtype="f32", padding=padding, **apart)
        sizes = (const([1, 3, 3, 1]), const([1, 1, 1, 1]))
        sweep("MaxPoolV2", f"{padding} 3", [(rand(1, n, 4, 1, dtype="f64"), *sizes) for n in SMALL], padding=padding)
    for padding, (k, stride, rate) in itertools.product(("VALID", "SAME"), ((2, 1, 1), (3, 2, 1), (2, 1, 2))):
        attrs = {"strides": [1, stride, stride, 1], "rates": [1, rate, rate, 1], "padding": padding}
        filters, name = const(rand(k, k, 2, seed=1), "f32"), f"{padding} {k} by {stride}, {rate} apart"
        sweep("Dilation2D", name, [(rand(b, n, 5, 2), filters) for b in (0, 1, 2) for n in range(6)], **attrs)
        width = -(-5 // stride) if padding == "SAME" else (5 - (k - 1) * rate - 1) // stride + 1
        for op in ("Dilation2DBackpropInput", "Dilation2DBackpropFilter"):
            sweep(op, name, [(rand(1, n, 5, 2), filters, rand(1, m, width, 2, seed=2)) for n in range(1, 6) for m in range(1, 6)], **attrs)
    square("MaxPool", "channels in threes", [(1, 2, 2, n) for n in range(7)], ksize=[1, 1, 1, 3], strides=[1, 1, 1, 3], padding="VALID")


def transposed():
    """Results with an open number of rows: as often as the stride says what the operand has, one less, and one more."""
    for (k, s), padding, more in itertools.product(((3, 1), (3, 2), (2, 3)), ("VALID", "SAME"), (-1, 0, 1)):
        rows = extent(2, 1) * s + (more + (max(k - s, 0) if padding == "VALID" else 0))
        width = (4 - k) // s + 1 if padding == "VALID" else -(-4 // s)
        filters = [const(rand(*(k,) * rank, 1, 2, dtype="f64", seed=1), "f64") for rank in (2, 3)]
        name, size = f"{padding} {k} by {s}, {more} more", Sizes([extent(2, 0), rows, 4, 1])
        runs = [(size, filters[0], rand(1, n, width, 2, dtype="f64")) for n in SMALL]
        sweep("Conv2DBackpropInput", name, runs, strides=[1, s, s, 1], padding=padding)
        # TensorFlow crashes on an operand without rows in three dimensions.
        size = Sizes([extent(2, 0), rows, 4, 4, 1])
        runs = [(size, filters[1], rand(1, n, width, width, 2, dtype="f64")) for n in SMALL[1:]]
        sweep("Conv3DBackpropInputV2", name, runs, strides=[1, s, s, s, 1], padding=padding)


def views():
    shapes = [(0, 3), (4, 0), (0, 0), (1, 3), (4, 1), (2, 3), (1, 1)]
    xs = [rand(*shape) for shape in shapes]

    def reshapes(name, *entries):
        sweep("Reshape", name, [(x, Sizes(list(entries))) for x in xs])

    reshapes("to a vector", -1)
    reshapes("rows kept", X[0], -1)
    reshapes("columns kept", -1, X[1])
    reshapes("columns doubled", -1, 2 * X[1])
    reshapes("rows and columns kept", X[0], -1, X[1])
    reshapes("both exchanged", X[1], X[0])
    reshapes("one row", 1, -1)
    reshapes("threes", -1, 3)
    reshapes("no open one", X[0] * X[1])
    reshapes("three columns", X[0], 3)
    sweep("Reshape", "of three axes", [(rand(a, 4, b), Sizes([-1, X[2] * 2])) for a in (0, 1, 2) for b in (0, 1, 3)])
    sweep("Reshape", "heads", [(rand(a, b, 6), Sizes([X[0], X[1], 2, 3])) for a in (0, 1, 2) for b in (0, 1, 3)])
    sweep("Reshape", "heads, open", [(rand(a, b, 6), Sizes([X[0], -1, 2, 3])) for a in (0, 1, 2) for b in (0, 1, 3)])
    sweep("Reshape", "a constant shape", [(x, const([2, 3])) for x in xs])
    sweep("Reshape", "a constant shape of nothing", [(x, const([0, -1])) for x in xs])
    sweep("Reshape", "one less", [(rand(n), Sizes([X[0] - 1])) for n in SMALL])
    for axes in ([0], [1], [0, 1], [-1]):
        sweep("Squeeze", f"axes {axes}", [(x,) for x in xs], squeeze_dims=axes)
    sweep("Squeeze", "all", [(x,) for x in xs], squeeze_dims=[])
    sweep("ExpandDims", "middle", [(x, const(1)) for x in xs])
    sweep("Transpose", "swap", [(x, const([1, 0])) for x in xs])
    sweep("ConjugateTranspose", "swap", [(x, const([1, 0])) for x in xs])
    sweep("ReverseV2", "both", [(x, const([0, 1])) for x in xs])
    sweep("Reverse", "columns", [(x, const([False, True], "bool")) for x in xs])
    sweep("Bitcast", "narrower", [(rand(n, dtype="i32"),) for n in SMALL], type=np.int16)
    sweep("Bitcast", "wider", [(rand(2, n, dtype="i16"),) for n in SMALL], type=np.int32)
    for shape in ([None, 3], [4, None], [1, 3]):
        sweep("EnsureShape", f"{shape}", [(x,) for x in xs], shape=shape)
    sweep("Shape", "rows and columns", [(x,) for x in xs])
    sweep("ShapeN", "twice", [([x, x],) for x in xs])
    sweep("Size", "both", [(x,) for x in xs])


def places(n, k=None, dtype="i32"):
    """Rows of some that are numbered from 0, in turn; so many lists of one of them."""
    return tensor(np.arange(n if k is None else k) % max(n, 1), dtype).reshape((-1,) if k is None else (k, 1))


def scatters():
    three = (0, 1, 3)
    for op in ("TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMax", "TensorScatterMin", "ScatterNdNonAliasingAdd"):
        sweep(op, "rows", [(rand(n, c), places(n, k), rand(k, c, seed=1)) for n in three for c in three for k in three])
        sweep(op, "constant rows", [(rand(n, 2), const([[2], [0], [2]]), rand(3, 2, seed=1)) for n in SMALL])
        sweep(op, "pairs", [(rand(n, m), tensor(np.zeros((k, 2)), "i32"), rand(k, seed=1)) for n in (0, 2) for m in (0, 2) for k in (0, 1, 2)])
        sweep(op, "numbers", [(rand(3, 2), places(3, k), rand(m, 2, seed=1)) for k in three for m in three])
        sweep(op, "columns", [(rand(3, c), places(3, 2), rand(2, m, seed=1)) for c in three for m in three])
        sweep(op, "without those out of range", [(rand(n, c), tensor([[0], [5], [-1]], "i32"), rand(3, c, seed=1)) for n in three for c in three],
              bad_indices_policy="IGNORE")  # fmt: skip
    two = Sizes([extent(1, 0), extent(1, 1)])
    sweep("ScatterNd", "as many as updates", [(places(k, k), rand(k, c), two) for k in three for c in three])
    sweep("ScatterNd", "one less", [(places(1, k), rand(k), Sizes([extent(1, 0) - 1])) for k in SMALL])
    sweep("ScatterNd", "into two rows", [(places(2, k), rand(k, c), const([2, 2])) for k in three for c in three])
    for op in ("InplaceUpdate", "InplaceAdd", "InplaceSub"):
        sweep(op, "rows", [(rand(n, c), places(3)[:k], rand(k, c, seed=1)) for n in three for c in three for k in three])
        sweep(op, "numbers", [(rand(3, c), places(k), rand(m, 2, seed=1)) for c in (1, 2) for k in three for m in three])


def segments():
    three = (0, 1, 3)
    for fold in ("Sum", "Mean", "Prod", "Min", "Max"):
        sweep(f"Segment{fold}", "three rows", [(rand(n, c), const([0, 2, 2])) for n in SMALL for c in three])
    for fold in ("Sum", "Prod", "Min", "Max"):
        op = f"UnsortedSegment{fold}"
        sweep(op, "two segments", [(rand(n, c), places(2)[np.arange(n) % 2], const(2)) for n in SMALL for c in three])
        sweep(op, "as many as rows", [(rand(n, c), places(n), Sizes(X[0])) for n in SMALL for c in (1, 2)])
        sweep(op, "two less", [(rand(n), tensor(np.zeros(n), "i32"), Sizes(X[0] - 2)) for n in SMALL])
        sweep(op, "numbers", [(rand(n, 2), places(m), const(4)) for n in three for m in three])
        sweep(op, "matrix of ids", [(rand(n, m, c), tensor(np.zeros((n, m)), "i32"), const(1)) for n in (0, 2) for m in (0, 2) for c in (0, 2)])
    for fold in ("Sum", "Mean", "SqrtN"):
        op = f"SparseSegment{fold}"
        sweep(op, "two segments", [(rand(n, c), places(n)[np.zeros(k, int)] if n else tensor(np.zeros(k), "i32"), const([0, 1, 1])) for n in three for c in (1, 2) for k in three])
        op = f"SparseSegment{fold}WithNumSegments"
        sweep(op, "rows", [(rand(n, c), tensor(np.zeros(k), "i32"), tensor(np.sort(np.arange(k) % 2), "i32"), const(2)) for n in three for c in (1, 2) for k in three])
        sweep(op, "as many as rows", [(rand(n, 2), places(n), places(n), Sizes(X[0])) for n in SMALL])
        sweep(op, "two less", [(rand(n), places(n), tensor(np.zeros(n), "i32"), Sizes(X[0] - 2)) for n in SMALL])
        sweep(op, "numbers", [(rand(2, 2), places(2)[np.zeros(k, int)], tensor(np.zeros(m), "i32"), const(2)) for k in three for m in three])

        for op in (f"SparseSegment{fold}Grad", f"SparseSegment{fold}GradV2"):
            runs = [(rand(n, c), places(4, k), places(max(n, 1), k)) for n in three for c in (0, 1, 2) for k in three if k > 0]
            sweep(op, "four rows", [(*run, const(4)) for run in runs])
            sweep(op, "as many as segments", [(*run, Sizes(X[0])) for run in runs])


def partitions():
    sweep("DynamicPartition", "three rows", [(rand(n, c), const([1, 0, 1])) for n in SMALL for c in (0, 1, 2)], num_partitions=2)
    sweep("DynamicPartition", "rows of a matrix", [(rand(n, m, 2), const([[1, 0], [1, 1]])) for n in (0, 2, 3) for m in (0, 2, 3)], num_partitions=2)
    for op in ("DynamicStitch", "ParallelDynamicStitch"):
        indices = [const([2, 0]), const([1])]
        sweep(op, "columns", [(indices, [rand(2, a), rand(1, b)]) for a in (0, 1, 2) for b in (0, 1, 2)])
        sweep(op, "rows", [(indices, [rand(a, 2), rand(b, 2)]) for a in (0, 2, 3) for b in (0, 1, 2)])
        sweep(op, "a gap", [([const([3, 0])], [rand(n, c)]) for n in SMALL for c in (0, 2)])
    for reverse in (0, 1):
        shape = (lambda b, n: (n, b)) if reverse else (lambda b, n: (b, n))
        runs = [(rand(*shape(b, n), c), tensor(np.full(m, n), "i32")) for b in (0, 1, 2) for m in (0, 1, 2) for n in (1, 3) for c in (1, 2)]
        sweep("ReverseSequence", "columns" if reverse else "rows", runs, seq_dim=1 - reverse, batch_dim=reverse)
    sweep("ReverseSequence", "of nothing", [(rand(b, n), tensor(np.zeros(b), "i32")) for b in (0, 2) for n in (0, 1)], seq_dim=1)


def form(value):
    """What a limit is, in words."""
    return value if isinstance(value, int) else f"the length less {-value.plus}" if value.plus else "the length"


def fills():
    xs = [rand(*shape) for shape in [(0, 3), (2, 0), (1, 3), (2, 1), (2, 3)]]
    for name, entries in {"same": [X[0], X[1]], "twice": [2, X[0], X[1]], "rows": [X[0], 3], "to 2 by 3": [2, 3]}.items():
        sweep("BroadcastTo", name, [(x, Sizes(entries)) for x in xs])
    sweep("BroadcastTo", "one less", [(rand(n), Sizes([X[0] - 1])) for n in SMALL])
    sweep("Tile", "twice, thrice", [(x, const([2, 3])) for x in xs])
    sweep("Tile", "by none", [(x, const([1, 0])) for x in xs])
    sweep("Tile", "as often as it is long", [(rand(n, 2), Sizes([X[0], 1])) for n in SMALL])
    sweep("Tile", "once less", [(rand(n, 2), Sizes([1, X[0] - 1])) for n in SMALL])
    for op in ("ZerosLike", "OnesLike"):
        sweep(op, "both", [(x,) for x in xs])
    lengths = [Beside(rand(n)) for n in range(6)]
    sweep("Fill", "two less", [(Sizes([X2 - 2, 2]), tensor(1.5), beside) for beside in lengths])
    for dtype in ("i32", "i64"):
        sweep("Range", f"to two less {dtype}", [(const(0, dtype), Sizes(X3 - 2, dtype), const(1, dtype), b) for b in lengths])
    for start, limit, delta in ((0, X3, 2), (1, X3, 3), (X3, 0, -2), (X3, 3, -1), (2, X3, -1), (X3 - 1, -1, -1)):
        sizes = [Sizes(v) if not isinstance(v, int) else const(v) for v in (start, limit)]
        sweep("Range", f"from {form(start)} to {form(limit)} by {delta}", [(*sizes, const(delta), b) for b in lengths])
    sweep("LinSpace", "one less", [(const(1, "f32"), const(4, "f32"), Sizes(X3 - 1), b) for b in lengths])


def joins():
    quads = ((2, 3, 2, 1), (0, 1, 0, 2), (2, 0, 2, 0), (2, 3, 1, 3), (1, 2, 2, 2), (0, 2, 2, 2), (2, 0, 0, 3))
    columns = [[rand(a, b), rand(c, d, seed=1)] for a, b, c, d in quads]
    sweep("ConcatV2", "columns", [(parts, const(1)) for parts in columns])
    sweep("Concat", "columns", [(const(1), parts) for parts in columns])
    sweep("ConcatV2", "three", [([rand(a, 2), rand(b, 2), rand(a, 2)], const(0)) for a in (0, 1, 3) for b in (0, 2)])
    pairs = [(a, b) for a in (0, 1, 2) for b in (0, 1, 2)]
    sweep("Pack", "two", [([rand(a), rand(b, seed=1)],) for a, b in pairs], axis=1)
    sweep("ConcatOffset", "of shapes", [(const(0), [Sizes([extent(3, 0), 2]), Sizes([extent(3, 0), 2])], Beside(rand(n))) for n in SMALL])
    sweep("Unpack", "two", [(rand(n, 2),) for n in SMALL], num=2, axis=0)
    sweep("Unpack", "second axis", [(rand(n, 2),) for n in SMALL], num=2, axis=1)
    for count in (1, 2, 3):
        sweep("Split", f"in {count}", [(const(0), rand(n, 2)) for n in range(7)], num_split=count)
    for sizes in ([1, 2], [1, -1], [-1, 2, 1], [0, -1], [3]):
        sweep("SplitV", f"sizes {sizes}", [(rand(n, 2), const(sizes), const(0)) for n in range(6)], num_split=len(sizes))
    sweep("SplitV", "one, and one less", [(rand(n), Sizes([1, X[0] - 1]), const(0)) for n in SMALL], num_split=2)
    sweep("SplitV", "one too many", [(rand(n), Sizes([1, X[0]]), const(0)) for n in SMALL], num_split=2)


def slices():
    for begin, size in ((0, 2), (1, 2), (2, -1), (0, -1), (3, 0)):
        sweep("Slice", f"{size} from {begin}", [(rand(n, 2), const([begin, 0]), const([size, 2])) for n in range(6)])
    sweep("Slice", "the last two", [(rand(n), Sizes([X[0] - 2]), const([2])) for n in range(6)])
    sweep("Slice", "all but two", [(rand(n), const([1]), Sizes([X[0] - 2])) for n in range(6)])
    sweep("Slice", "all but one", [(rand(n), const([0]), Sizes([X[0] - 1])) for n in range(6)])
    sweep("Slice", "from the last to the end", [(rand(n), Sizes([X[0] - 1]), const([-1])) for n in range(6)])
    spans = {
        "first two": ([0], [2], 1, {}), "all but first two": ([2], [0], 1, {"end_mask": 1}), "last two": ([-2], [0], 1, {"end_mask": 1}),
        "all but last two": ([0], [-2], 1, {"begin_mask": 1}), "every other": ([0], [0], 2, {"begin_mask": 1, "end_mask": 1}),
        "backwards": ([0], [0], -1, {"begin_mask": 1, "end_mask": 1}), "every other backwards": ([-1], [0], -2, {"end_mask": 1}),
        "backwards from two": ([2], [0], -1, {"end_mask": 1}), "middle": ([1], [-1], 1, {}), "far": ([5], [9], 1, {}), "from far below": ([-9], [3], 1, {}),
        "first": ([0], [1], 1, {"shrink_axis_mask": 1}), "third": ([2], [3], 1, {"shrink_axis_mask": 1}), "last": ([-1], [0], 1, {"shrink_axis_mask": 1}),
        "last but two": ([-3], [-2], 1, {"shrink_axis_mask": 1}), "backwards to two": ([-1], [1], -1, {}),
    }  # fmt: skip
    for name, (begin, end, stride, masks) in spans.items():
        at = const(begin), const(end), const([stride])
        sweep("StridedSlice", name, [(rand(n, 2), *at) for n in range(6)], **masks)
        sweep("TensorStridedSliceUpdate", name, [(rand(n, 2), *at, rand(2, seed=1)) for n in range(6)], **masks)
    at = const([1]), const([-1]), const([1])
    sweep("TensorStridedSliceUpdate", "rows", [(rand(n, 2), *at, rand(k, 2, seed=1)) for n in range(3, 6) for k in range(5)])
    pairs = {"from its length less two": (X[0] - 2, 9), "to its length less two": (0, X[0] - 2), "from its length less one": (X[0] - 1, X[0])}
    for name, (begin, end) in pairs.items():
        operands = [(rand(n), Sizes([begin]), Sizes([end]), const([1])) for n in range(6)]
        sweep("StridedSlice", name, operands)
    sweep("StridedSlice", "single, its length less two", [(rand(n), Sizes([X[0] - 2]), Sizes([X[0] - 1]), const([1])) for n in range(6)], shrink_axis_mask=1)
    for shift in (-1, 2, 7):
        sweep("Roll", f"by {shift}", [(rand(n, 2), const([shift]), const([0])) for n in range(6)])


def table(rows):
    """A table of sizes, row by row."""
    return Sizes([entry for row in rows for entry in row], shape=(len(rows), len(rows[0])))


def pads():
    for op, more in (("Pad", ()), ("PadV2", (tensor(2.5),))):
        sweep(op, "one and two", [(rand(n, 2), const([[1, 2], [0, 0]]), *more) for n in SMALL])
        sweep(op, "by its length less one", [(rand(n), table([[X[0] - 1, 0]]), *more) for n in SMALL])
    for mode in ("REFLECT", "SYMMETRIC"):
        for low, high in ((1, 2), (2, 0), (0, 1), (0, 0)):
            sweep("MirrorPad", f"{mode} by {low} and {high}", [(rand(n, 2), const([[low, high], [0, 0]])) for n in SMALL], mode=mode)
        sweep("MirrorPad", f"{mode}, both axes", [(rand(n, m), const([[1, 0], [0, 1]])) for n in (0, 1, 2) for m in (0, 1, 2)], mode=mode)


def blocks():
    for name, shapes in {"rows": [(1, n, 4, 1) for n in range(6)], "batch": [(n, 2, 2, 1) for n in range(9)]}.items():
        xs = [rand(*shape) for shape in shapes]
        sweep("SpaceToBatchND", f"{name}, twos", [(x, const([2, 2]), const([[0, 0], [0, 0]])) for x in xs])
        sweep("SpaceToBatchND", f"{name}, padded", [(x, const([2, 2]), const([[1, 0], [1, 1]])) for x in xs])
        sweep("BatchToSpaceND", f"{name}, twos", [(x, const([2, 2]), const([[0, 0], [0, 0]])) for x in xs])
        sweep("SpaceToBatch", f"{name}, twos", [(x, const([[0, 0], [0, 0]])) for x in xs], block_size=2)
        sweep("BatchToSpace", f"{name}, twos", [(x, const([[0, 0], [0, 0]])) for x in xs], block_size=2)
        sweep("SpaceToDepth", f"{name}, twos", [(x,) for x in xs], block_size=2)
    deep = [rand(4, n, 2, 1) for n in SMALL]
    sweep("BatchToSpaceND", "cropped", [(x, const([2, 2]), const([[2, 3], [0, 1]])) for x in deep])
    sweep("BatchToSpace", "cropped", [(x, const([[2, 3], [0, 1]])) for x in deep], block_size=2)
    sweep("DepthToSpace", "depth", [(rand(1, 2, 2, n),) for n in range(10)], block_size=2)
    sweep("DepthToSpace", "rows", [(rand(1, n, 2, 4),) for n in range(4)], block_size=2)
    sweep("SpaceToDepth", "channels", [(rand(1, 2, 2, n),) for n in range(4)], block_size=2)


def picks():
    three = tensor([0, 2, 1], "i32")
    sweep("Gather", "of rows", [(rand(n, 2), three[:m]) for n in range(5) for m in (0, 1, 3)])
    sweep("GatherV2", "of columns", [(rand(2, n), three[:m], const(1)) for n in range(5) for m in (0, 1, 3)])
    sweep("GatherV2", "in batches", [(rand(b, n), tensor(np.zeros((c, m)), "i32"), const(1)) for b, c in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 1)) for n in (0, 2) for m in (0, 1)],
          batch_dims=1)  # fmt: skip
    sweep("GatherNd", "of pairs", [(rand(n, m), tensor(np.zeros((k, 2)), "i32")) for n in (0, 1, 2) for m in (0, 2) for k in (0, 1)])
    sweep("GatherNd", "of rows", [(rand(n, 2), tensor(np.full((k, 1), 1), "i32")) for n in SMALL for k in (0, 2)])
    sweep("OneHot", "as deep as long", [(tensor(np.arange(n), "i32"), Sizes(X[0]), const(1, "f32"), const(0, "f32")) for n in SMALL])
    sweep("OneHot", "two less", [(tensor(np.arange(n), "i32"), Sizes(X[0] - 2), const(1, "f32"), const(0, "f32")) for n in SMALL])
    sweep("InvertPermutation", "reversed", [(tensor(np.arange(n)[::-1], "i32"),) for n in SMALL])
    for op in ("ResizeNearestNeighbor", "ResizeBilinear"):
        sweep(op, "to three", [(rand(1, n, 2, 1), const([3, 3])) for n in SMALL])
        sweep(op, "batch", [(rand(n, 2, 2, 1), const([3, 3])) for n in (0, 1, 2)])
        sweep(op, "channels", [(rand(1, 2, 2, n), const([3, 3])) for n in (0, 1, 2)])
        sweep(op, "twice", [(rand(1, n, 2, 1), Sizes([2 * X[1], 4])) for n in SMALL])
        sweep(op, "one less", [(rand(1, n, 2, 1), Sizes([X[1] - 1, 4])) for n in SMALL])
        holes = [np.where(np.eye(n, 2) == 0, 1, INF).astype(np.float32).reshape(1, n, 2, 1) for n in (1, 2, 3, 4)]
        for flags in ({}, {"align_corners": True}, {"half_pixel_centers": True}):
            sweep(op, f"infinite to three {next(iter(flags), 'legacy')}", [(x, const([3, 2])) for x in holes], **flags)
        sweep(op, "corners", [(rand(1, n, 2, 1), const([3, 3])) for n in SMALL], align_corners=True)
    sweep("TopKV2", "two", [(distinct(3, n), const(2)) for n in SMALL])
    sweep("TopKV2", "all", [(distinct(2, n), Sizes(X[1])) for n in SMALL])
    sweep("TopKV2", "two less", [(distinct(2, n), Sizes(X[1] - 2)) for n in SMALL])
    sweep("TopKV2", "of no rows", [(distinct(n, 3), const(2)) for n in (0, 1, 2)])


def folds():
    shapes = [(0, 3), (2, 0), (0, 0), (1, 1), (2, 3)]
    for op in ("Sum", "Prod", "Max", "Min", "Mean", "EuclideanNorm"):
        for dtype in ("f32", "i32", "u8", "f16"):
            for axes, keep in (([0], False), ([1], True), ([0, 1], False)):
                sweep(op, f"axes {axes} {dtype}", [(rand(*shape, dtype=dtype), const(axes)) for shape in shapes], keep_dims=keep)
    for op in ("All", "Any"):
        for axes in ([0], [1], [0, 1]):
            sweep(op, f"axes {axes}", [(rand(*shape, dtype="bool"), const(axes)) for shape in shapes])
    for op in ("ArgMax", "ArgMin"):
        for axis in (0, 1):
            sweep(op, f"axis {axis}", [(rand(*shape), const(axis)) for shape in shapes])
    for op in ("Cumsum", "Cumprod"):
        sweep(op, "rows", [(rand(*shape), const(0)) for shape in shapes])
        sweep(op, "columns, exclusive", [(rand(*shape), const(1)) for shape in shapes], exclusive=True)
    for op in ("Softmax", "LogSoftmax"):
        sweep(op, "rows", [(rand(*shape),) for shape in shapes])
    sweep("L2Loss", "all", [(rand(*shape),) for shape in shapes])
    sweep("LRN", "channels", [(rand(1, 2, 2, n),) for n in SMALL], depth_radius=1)
    sweep("Bincount", "as many as there are", [(tensor(np.arange(n), "i32"), Sizes(X[0]), const([], "f32")) for n in SMALL])
    sweep("Bincount", "two less", [(tensor(np.zeros(n), "i32"), Sizes(X[0] - 2), const([], "f32")) for n in SMALL])
    sweep("Bincount", "weights", [(tensor(np.zeros(n), "i32"), const(2), rand(m)) for n in (0, 1, 3) for m in (0, 1, 3)])
    sweep("DenseBincount", "rows", [(tensor(np.zeros((n, m)), "i32"), const(2), const([], "f32")) for n in (0, 1, 3) for m in (0, 1, 3)])
    sweep("DenseBincount", "two less", [(tensor(np.zeros(n), "i32"), Sizes(X[0] - 2), const([], "f32")) for n in SMALL])
    sweep("DenseBincount", "weights", [(tensor(np.zeros(n), "i32"), const(2), rand(m)) for n in (0, 1, 3) for m in (0, 1, 3)])
    sweep("Bucketize", "two borders", [(rand(n, 2),) for n in SMALL], boundaries=[0.0, 1.0])


def products():
    quads = [(2, 3, 3, 2), (0, 3, 3, 2), (2, 0, 0, 2), (2, 3, 3, 0), (2, 3, 2, 2), (1, 1, 1, 1), (2, 1, 3, 2), (2, 3, 1, 2), (2, 0, 1, 2), (1, 0, 0, 1)]
    sweep("MatMul", "two matrices", [(rand(a, b), rand(c, d)) for a, b, c, d in quads])
    sweep("MatMul", "turned", [(rand(b, a), rand(d, c)) for a, b, c, d in quads], transpose_a=True, transpose_b=True)
    batches = [(1, 1), (2, 2), (0, 0), (1, 2), (2, 1), (0, 1), (1, 0), (2, 3), (0, 2)]
    for op in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        types = {"Tout": np.float32} if op == "BatchMatMulV3" else {}
        sweep(op, "batches", [(rand(a, 2, 3), rand(b, 3, 2)) for a, b in batches], **types)
        sweep(op, "inner", [(rand(2, 2, a), rand(2, b, 2)) for a, b in batches], **types)
    for equation, make in {
        "ab,bc->ac": lambda a, b: (rand(2, a), rand(b, 2)), "ab,ab->b": lambda a, b: (rand(a, 2), rand(b, 2)), "ab,cb->ac": lambda a, b: (rand(a, 2), rand(b, 2)),
        "...a,...a->...": lambda a, b: (rand(a, 2), rand(b, 2)), "ab->ba": lambda a, b: (rand(a, b),), "ab->a": lambda a, b: (rand(a, b),), "ab->": lambda a, b: (rand(a, b),),
        "aa->a": lambda a, b: (rand(a, b),), "aa->": lambda a, b: (rand(a, b),), "abc,abc->abc": lambda a, b: (rand(a, 2, 2), rand(b, 2, 2)),
    }.items():  # fmt: skip
        sweep("Einsum", "the trace" if equation == "aa->" else equation, [(list(make(a, b)),) for a, b in batches], equation=equation)


def diagonals():
    shapes = [(0, 3), (2, 0), (0, 0), (1, 1), (2, 3), (3, 2), (3, 3), (1, 3)]
    xs = [rand(*shape) for shape in shapes]
    lines = [rand(2, n) for n in SMALL]
    sweep("MatrixDiagPart", "matrices", [(x,) for x in xs])
    sweep("MatrixDiagPart", "rows", [(rand(n, 3),) for n in SMALL])
    sweep("MatrixDiag", "lines", [(x,) for x in lines])
    sweep("MatrixBandPart", "one below", [(x, const(1, "i64"), const(-1, "i64")) for x in xs])
    sweep("MatrixSetDiag", "matrices", [(x, rand(min(x.shape))) for x in xs] + [(rand(2, 3), rand(1)), (rand(2, 2), rand(3)), (rand(2, 2), rand(0))])
    sweep("Diag", "line", [(rand(n),) for n in SMALL])
    sweep("DiagPart", "matrix", [(x,) for x in xs])
    low = const(0, "f32")
    for v in ("V2", "V3"):
        for k in ([0], [-1], [1], [-1, 1], [1, 2]):
            sweep(f"MatrixDiagPart{v}", f"diagonals {k}", [(x, const(k), low) for x in xs])
            if len(k) == 1:
                sweep(f"MatrixDiag{v}", f"diagonals {k}", [(x, const(k), const(-1), const(-1), low) for x in lines])
                sweep(f"MatrixDiag{v}", f"diagonals {k} of three rows", [(x, const(k), const(3), const(-1), low) for x in lines])
                sweep(f"MatrixSetDiag{v}", f"diagonals {k}", [(rand(n, 3), rand(m), const(k)) for n in SMALL for m in SMALL])
        sweep(f"MatrixDiag{v}", "three diagonals", [(rand(m, n), const([-1, 1]), const(-1), const(-1), low) for m in (3, 2) for n in SMALL])


def broadcasts():
    """Every pair of extents; vectors of two meet matrices."""
    pairs = [(a, b) for a in (0, 1, 2, 3) for b in (0, 1, 2, 3)]
    for op in ARITHMETIC:
        sweep(op, "two vectors", [(rand(a, low=1), rand(b, low=1, seed=1)) for a, b in pairs])
        sweep(op, "a matrix and a vector", [(rand(2, a, low=1), rand(b, low=1, seed=1)) for a, b in pairs])
    for op in ("LogicalAnd", "LogicalOr"):
        sweep(op, "two vectors", [(rand(a, dtype="bool"), rand(b, dtype="bool", seed=1)) for a, b in pairs])
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift", "TruncateMod", "Mod"):
        dtype = "f32" if op == "Mod" else "i32"
        sweep(op, "two vectors", [(rand(a, dtype=dtype), rand(b, dtype=dtype, seed=1, low=4)) for a, b in pairs])
    sweep("ApproximateEqual", "two vectors", [(rand(a), rand(b)) for a, b in pairs])
    for op in ("AddN", "AccumulateNV2"):
        more = {"shape": [None]} if op == "AccumulateNV2" else {}
        sweep(op, "two vectors", [([rand(a), rand(b)],) for a, b in pairs], **more)
    sweep("Select", "of one length", [(rand(a, dtype="bool"), rand(b, 2), rand(c, 2, seed=1)) for a, b in pairs for c in (1, 2)])
    sweep("SelectV2", "condition", [(rand(a, dtype="bool"), rand(b), rand(b, seed=1)) for a, b in pairs])
    sweep("SelectV2", "values", [(rand(2, dtype="bool"), rand(a), rand(b, seed=1)) for a, b in pairs])
    sweep("ClipByValue", "bounds", [(rand(a), rand(b, high=-1), rand(b, low=1)) for a, b in pairs])
    for op in ("BiasAdd", "BiasAddV1"):
        sweep(op, "channels", [(rand(2, a), rand(b)) for a, b in pairs])
    for version in ("", "V2", "V3"):
        sweep(f"FusedBatchNorm{version}", "channels", [(rand(1, 2, 2, a), rand(b), rand(b), rand(b), rand(b, low=1)) for a, b in pairs], is_training=False)
        sweep(f"FusedBatchNorm{version}", "images", [(rand(a, b, 2, 2), rand(2), rand(2), rand(2), rand(2, low=1)) for a, b in pairs[:6]], is_training=False)
    for op in ("BroadcastArgs", "BroadcastGradientArgs"):
        sweep(op, "of shapes", [(Sizes([extent(2, 0), 2]), Sizes([extent(3, 0), 2]), Beside(rand(a)), Beside(rand(b))) for a, b in pairs])


def filters():
    bits = lambda *shape: rand(*shape, dtype="i32", low=0, high=2)
    sweep("Where", "of vectors", [(bits(n),) for n in (0, 1, 2, 7)])
    sweep("Where", "of matrices", [(bits(n, m),) for n in (0, 1, 3) for m in (0, 1, 2)])
    for op in ("Unique", "UniqueWithCounts"):
        sweep(op, "of vectors", [(bits(n),) for n in (0, 1, 2, 7)])
    for op in ("UniqueV2", "UniqueWithCountsV2"):
        sweep(op, "rows", [(bits(n, m), const([0])) for n in (0, 1, 3) for m in (0, 1, 2)])
    sweep("ListDiff", "of vectors", [(bits(n), bits(m)) for n in (0, 1, 4) for m in (0, 1, 2)])
    for merge in (False, True):
        runs = [(rand(t, n, c), tensor([t, 0, t - 1][:n], "i32")) for t in (0, 1, 4) for n in (0, 1, 3) for c in (0, 1, 3)]
        sweep("CTCGreedyDecoder", f"merged {merge}", runs, merge_repeated=merge)
    boxes = lambda n: np.concatenate([rand(n, 2, low=0, high=8), rand(n, 2, low=9, high=16)], 1)
    half = const(0.5, "f32")
    sizes = [(n, m) for n in (0, 1, 4) for m in (0, 1, 4) if n == m or n == 4]
    sweep("NonMaxSuppression", "boxes", [(boxes(n), rand(m), const(2)) for n, m in sizes])
    sweep("NonMaxSuppressionV2", "boxes", [(boxes(n), rand(m), const(2), half) for n, m in sizes])
    sweep("NonMaxSuppressionV3", "boxes", [(boxes(n), rand(m), Sizes(X[0] - 1), half, const(-64, "f32")) for n, m in sizes])
    for padded in (False, True):
        sweep("NonMaxSuppressionV4", f"padded {padded}", [(boxes(n), rand(m), const(2), half, const(0, "f32")) for n, m in sizes], pad_to_max_output_size=padded)
        sweep("NonMaxSuppressionV5", f"padded {padded}", [(boxes(n), rand(m), const(2), half, const(0, "f32"), half) for n, m in sizes], pad_to_max_output_size=padded)
    sweep("NonMaxSuppressionWithOverlaps", "boxes", [(rand(n, n), rand(m), const(2), half, const(-64, "f32")) for n, m in sizes])
    op, limits = "CombinedNonMaxSuppression", (half, const(-64, "f32"))
    images = lambda b, n, q: np.stack([np.stack([boxes(n) + i + 2 * j for j in range(q)], 1) for i in range(b)]) if b * q else rand(b, n, q, 4)
    three = (0, 1, 3)
    for padded in (False, True):
        attrs = {"pad_per_class": padded, "clip_boxes": False}
        scored = lambda b, n, c: distinct(b, n, c) / 8
        sweep(op, f"shared boxes, padded {padded}", [(images(b, n, 1), scored(b, n, c), const(2), const(4), *limits) for b in three for n in (0, 1, 5) for c in three], **attrs)
        sweep(op, f"boxes of two classes, padded {padded}", [(images(b, n, 2), scored(b, n, c), const(2), const(4), *limits) for b in three for n in (0, 1, 5) for c in (1, 2)], **attrs)
        sweep(op, f"boxes of classes, padded {padded}", [(images(b, n, q), scored(b, n, c), const(2), const(4), *limits) for b in (0, 2) for n in (0, 4) for q in (0, 2, 3) for c in (0, 2, 3)], **attrs)
        runs = [(images(b, n, 1), scored(b, n, c), Sizes(X[1] - 1), Sizes(X[1] * 2 - 3), *limits) for b in (0, 2) for n in (0, 1, 2, 5) for c in (0, 2)]
        sweep(op, f"one less of each, padded {padded}", runs, **attrs)
    sweep(op, "numbers", [(images(b, n, 1), scored(c, m, 2), const(2), const(4), *limits) for b, c in ((1, 1), (1, 2), (0, 1)) for n, m in sizes], clip_boxes=True)


def sparse():
    """As many elements as a run has, in rows that are in order or not, and of as many rows as something beside them has."""

    def elements(k, rows=3, columns=2):
        at = np.arange(k) % max(rows * columns, 1)
        return tensor(np.stack([at // max(columns, 1), at % max(columns, 1)], 1), "i64").reshape(k, 2)

    some, default = (0, 1, 3, 5), tensor(-1.0)
    for name, turn in {"in order": 1, "out of order": -1}.items():
        at = lambda k: elements(k)[::turn].copy()
        sweep("SparseFillEmptyRows", name, [(at(k), rand(m), const([3, 2], "i64"), default) for k in some for m in some])
        runs = [(at(k), rand(k), Sizes([extent(4, 0), 2], "i64"), default, Beside(rand(n))) for k in some for n in (0, 1, 2, 4)]
        sweep("SparseFillEmptyRows", f"{name}, open rows", runs)
        sweep("SparseReorder", name, [(at(k), rand(m), const([3, 2], "i64")) for k in some for m in some])
        runs = [(at(k), rand(k), Sizes([extent(3, 0), 2], "i64"), Beside(rand(n))) for k in some for n in (0, 3)]
        sweep("SparseReorder", f"{name}, open rows", runs)
        for new in ([6], [2, -1], [3, 2]):
            sweep("SparseReshape", f"{name} to {new}", [(at(k), const([3, 2], "i64"), const(new, "i64")) for k in some])
        runs = [(at(k), rand(m), const([3, 2], "i64"), rand(n, c)) for k in some for m in (0, 3) for n in (1, 2) for c in (0, 1, 4)]
        sweep("SparseTensorDenseMatMul", name, runs)
        runs = [(at(k), rand(k), Sizes([extent(4, 0), 2], "i64"), rand(2, 2), Beside(rand(n))) for k in some for n in (1, 2, 4)]
        sweep("SparseTensorDenseMatMul", f"{name}, open rows", runs)
        for validate in (False, True):
            more = {"validate_indices": validate}
            sweep("SparseToDense", f"{name}, {validate}", [(at(k), const([3, 2], "i64"), rand(m), default) for k in some for m in (0, 1, 3)], **more)
            runs = [(at(k), Sizes([extent(4, 0), 2], "i64"), rand(k), default, Beside(rand(n))) for k in some for n in (0, 1, 2, 4)]
            sweep("SparseToDense", f"{name}, open rows, {validate}", runs, **more)
    new = [[extent(3, 0), 2], [-1, extent(3, 0)], [2, extent(3, 0)]]
    for sizes in new:
        runs = [(elements(k, n), Sizes([extent(3, 0), 2], "i64"), Sizes(sizes, "i64"), Beside(rand(n))) for n in (0, 1, 3) for k in (0, 2 * n)]
        sweep("SparseReshape", f"open rows to {[form(size) for size in sizes]}", runs)
    sweep("SparseFillEmptyRowsGrad", "places", [(tensor(np.arange(k)[::-1], "i64"), rand(n)) for k in some for n in some])


windows()
transposed()
views()
fills()
joins()
slices()
pads()
blocks()
picks()
folds()
products()
diagonals()
broadcasts()
scatters()
segments()
partitions()
filters()
sparse()
