"""Views, joins, pads and fills: every mask, negative axes, zero sizes, and element types that only move."""

import numpy as np

from .spec import COMPLEX, DTYPES, FLOATS, INF, INTS, NAN, NUMBERS, case, const, rand, tensor

MOVED = ("bool", *NUMBERS)


def views():
    x = rand(2, 3, 4)
    for dtype in (*MOVED, "str"):
        case("Reshape", f"flatten {dtype}", rand(2, 3, dtype=dtype), const([-1]))
        case("Transpose", f"swap {dtype}", rand(2, 3, dtype=dtype), const([1, 0]))
        case("ExpandDims", f"front {dtype}", rand(2, dtype=dtype), const(0))
        case("Squeeze", f"all {dtype}", rand(1, 2, 1, dtype=dtype))
    for shape in ([6, 4], [-1, 2], [4, 3, 2], [2, -1, 2, 2], [1, 24, 1]):
        case("Reshape", f"to {shape}", x, const(shape))
    case("Reshape", "shape of 64 bits", x, const([3, -1], "i64"))
    case("Reshape", "scalar to vector", tensor(1.0), const([1, 1]))
    case("Reshape", "vector to scalar", tensor([1.0]), const([], "i32"))
    for source, shape in (((0, 3), [-1, 3]), ((0, 3), [-1, 0]), ((2, 0), [0, 5]), ((0,), [3, 0, 2]), ((0, 3), [0])):
        case("Reshape", f"empty {list(source)} to {shape}", rand(*source), const(shape))
    case("Reshape", "wrong count", x, const([5, 5]), fails=True)
    case("Reshape", "count does not divide", x, const([5, -1]), fails=True)
    case("Reshape", "two unknown", x, const([-1, -1]), fails=True)
    for perm in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        case("Transpose", f"perm {perm}", x, const(perm))
    case("Transpose", "perm of 64 bits", x, const([2, 0, 1], "i64"))
    case("Transpose", "NHWC to NCHW", rand(2, 2, 3, 4), const([0, 3, 1, 2]))
    case("Transpose", "rank 5", rand(1, 2, 3, 2, 2), const([4, 2, 0, 3, 1]))
    case("Transpose", "scalar", tensor(3.0), const([], "i32"))
    case("Transpose", "empty", rand(2, 0, 3), const([2, 1, 0]))
    case("Transpose", "entry repeated", x, const([0, 0, 1]), fails=True)
    for dtype in COMPLEX:
        case("ConjugateTranspose", f"swap {dtype}", rand(2, 3, dtype=dtype), const([1, 0]))
    for axis in (0, 1, 2, 3, -1, -4):
        case("ExpandDims", f"axis {axis}", x, const(axis))
    case("ExpandDims", "axis of 64 bits", x, const(1, "i64"))
    case("ExpandDims", "scalar", tensor(1.0), const(0))
    case("ExpandDims", "empty", rand(0, 2), const(1))
    case("ExpandDims", "axis out of range", x, const(4), fails=True)
    ones = rand(1, 3, 1, 2, 1)
    for axes in ([], [0], [2], [-1], [0, 4], [-5, 2]):
        case("Squeeze", f"axes {axes}", ones, squeeze_dims=axes)
    case("Squeeze", "to scalar", tensor([[2.5]]))
    case("Squeeze", "empty", rand(0, 1))
    case("Squeeze", "not one", ones, squeeze_dims=[1], fails=True)


def broadcasts():
    for dtype in (*MOVED, "str"):
        case("BroadcastTo", f"row {dtype}", rand(3, dtype=dtype), const([2, 3]))
        case("Tile", f"twice {dtype}", rand(2, dtype=dtype), const([2]), optional=True)
        case("Fill", f"of {dtype}", const([2, 2]), rand(dtype=dtype) if dtype != "str" else tensor(b"s", "str"))
    case("BroadcastTo", "column", rand(2, 1), const([2, 3]))
    case("BroadcastTo", "scalar", tensor(1.5), const([2, 1, 2]))
    case("BroadcastTo", "same", rand(2, 3), const([2, 3], "i64"))
    case("BroadcastTo", "middle", rand(2, 1, 3), const([2, 2, 2, 3]))
    case("BroadcastTo", "one to zero", rand(1, 2), const([0, 2]))
    case("BroadcastTo", "cannot", rand(2), const([3]), fails=True)
    for multiples in ([1, 1, 1], [2, 1, 3], [1, 3, 1], [2, 2, 2], [1, 0, 1]):
        case("Tile", f"by {multiples}", rand(2, 3, 2), const(multiples))
    case("Tile", "by 64 bits", rand(2, 2), const([1, 2], "i64"))
    case("Tile", "scalar", tensor(2.0), const([], "i32"))
    case("Tile", "empty", rand(0, 2), const([3, 2]))
    case("Fill", "scalar", const([], "i32"), tensor(2.5))
    case("Fill", "empty", const([3, 0]), tensor(2.5))
    case("Fill", "dimensions of 64 bits", const([2], "i64"), tensor(1.0))
    case("Fill", "negative", const([-1, 2]), tensor(1.0), fails=True)


def joins():
    for dtype in (*MOVED, "str"):
        a, b = rand(2, 2, dtype=dtype), rand(2, 3, dtype=dtype, seed=1)
        case("ConcatV2", f"two {dtype}", [a, b], const(1))
        case("Concat", f"two {dtype}", const(1), [a, b])
        case("Pack", f"two {dtype}", [a, rand(2, 2, dtype=dtype, seed=1)], axis=0)
        case("Unpack", f"rows {dtype}", a, num=2)
    parts = [rand(2, 3, 2, seed=s) for s in range(3)]
    for axis in (0, 1, 2, -1, -3):
        case("ConcatV2", f"axis {axis}", parts, const(axis))
    for axis in (0, 1, 2, 3, -1, -4):
        case("Pack", f"axis {axis}", parts, axis=axis)
    for axis in (0, 1, 2, -2):
        case("Concat", f"axis {axis}", const(axis), parts) if axis >= 0 else None
        case("Unpack", f"axis {axis}", parts[0], num=parts[0].shape[axis], axis=axis)
    case("ConcatV2", "axis of 64 bits", parts, const(1, "i64"))
    case("ConcatV2", "one part empty", [rand(2, 0), rand(2, 3), rand(2, 0)], const(1))
    case("ConcatV2", "all empty", [rand(0, 2), rand(0, 2)], const(0))
    case("ConcatV2", "sizes differ", [rand(1, 2), rand(3, 2), rand(2, 2)], const(0))
    case("ConcatV2", "shapes differ", [rand(2, 3), rand(3, 3)], const(1), fails=True)
    case("ConcatV2", "many", [rand(1, seed=s) for s in range(12)], const(0))
    case("Pack", "scalars", [tensor(1, "i32"), tensor(2, "i32"), tensor(3, "i32")])
    case("Pack", "one", [rand(2)], axis=1)
    case("Pack", "empty", [rand(0), rand(0)], axis=0)
    case("Pack", "shapes differ", [rand(2), rand(3)], fails=True)
    case("Unpack", "to scalars", rand(3), num=3)
    case("Unpack", "none", rand(0, 2), num=0)
    case("Unpack", "wrong count", rand(3), num=2, fails=True)
    x = rand(4, 6)
    for axis, count in ((0, 2), (0, 4), (1, 3), (-1, 2), (1, 1)):
        case("Split", f"axis {axis} in {count}", const(axis), x, num_split=count)
    for dtype in ("i32", "f64", "bool", "str"):
        case("Split", f"halves {dtype}", const(0), rand(4, dtype=dtype), num_split=2)
        case("SplitV", f"uneven {dtype}", rand(4, dtype=dtype), const([1, 3]), const(0), num_split=2)
    case("Split", "does not divide", const(1), x, num_split=4, fails=True)
    case("Split", "empty", const(0), rand(0, 2), num_split=2)
    for axis, sizes in ((0, [1, 3]), (1, [2, -1, 1]), (-1, [6]), (1, [0, 6, 0])):
        case("SplitV", f"axis {axis} sizes {sizes}", x, const(sizes), const(axis), num_split=len(sizes))
    case("SplitV", "sizes of 64 bits", x, const([4, 2], "i64"), const(1), num_split=2)
    case("SplitV", "wrong sum", x, const([4, 1]), const(1), num_split=2, fails=True)


MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
# Slices of a tensor of 3x4x5: begin, end, strides and masks.
SLICES = {
    "plain": ([0, 1, 2], [2, 3, 4], [1, 1, 1], {}),
    "stride 2": ([0, 0, 0], [3, 4, 5], [2, 2, 2], {}),
    "stride 3, odd": ([1, 0, 1], [3, 4, 5], [1, 3, 3], {}),
    "negative indices": ([-2, -3, -4], [-1, -1, -1], [1, 1, 1], {}),
    "clamped": ([-100, 2, 0], [100, 100, -100], [1, 1, 1], {}),
    "clamped, whole": ([-100, -9, -7], [100, 9, 7], [1, 1, 1], {}),
    "negative stride": ([2, 3, 4], [0, 0, 0], [-1, -1, -2], {}),
    "negative stride to the start": ([-1, -1, -1], [0, 0, 0], [-1, -2, -1], {"end_mask": 7}),
    "negative stride, all masked": ([9, 9, 9], [9, 9, 9], [-1, -1, -1], {"begin_mask": 7, "end_mask": 7}),
    "negative stride clamped": ([100, 100, 1], [-100, 1, -100], [-1, -1, -1], {}),
    "begin masked": ([9, 1, 9], [2, 3, 4], [1, 1, 1], {"begin_mask": 5}),
    "end masked": ([1, 1, 1], [0, 3, 0], [1, 1, 1], {"end_mask": 5}),
    "end before begin": ([2, 0, 0], [1, 4, 5], [1, 1, 1], {}),
    "fewer specs": ([1], [2], [1], {}),
    "shrink first": ([1, 0], [2, 2], [1, 1], {"shrink_axis_mask": 1}),
    "shrink negative": ([-1, 0, 0], [0, 4, 5], [1, 1, 1], {"shrink_axis_mask": 1}),
    "shrink all": ([1, 2, 3], [2, 3, 4], [1, 1, 1], {"shrink_axis_mask": 7}),
    "shrink ignores masks": ([1, 0, 0], [0, 2, 2], [1, 1, 1], {"shrink_axis_mask": 1, "end_mask": 1}),
    "new axis first": ([0, 1], [0, 3], [1, 1], {"new_axis_mask": 1}),
    "new axis last": ([0, 0, 0, 0], [3, 4, 5, 0], [1, 1, 1, 1], {"new_axis_mask": 8}),
    "new axis beats shrink": ([0, 1], [0, 2], [1, 1], {"new_axis_mask": 1, "shrink_axis_mask": 1}),
    "ellipsis first": ([0, 1], [0, 3], [1, 1], {"ellipsis_mask": 1}),
    "ellipsis middle": ([1, 0, 1], [3, 0, 4], [1, 1, 2], {"ellipsis_mask": 2}),
    "ellipsis of nothing": ([1, 0, 0, 0], [2, 0, 2, 2], [1, 1, 1, 1], {"ellipsis_mask": 2}),
    "ellipsis and new axis": ([0, 0, 1], [0, 0, 3], [1, 1, 1], {"ellipsis_mask": 1, "new_axis_mask": 2}),
    "ellipsis and shrink": ([0, 2], [0, 3], [1, 1], {"ellipsis_mask": 1, "shrink_axis_mask": 2}),
    "channels last": ([0, 0, 0], [0, 0, 2], [1, 1, 1], {"begin_mask": 3, "end_mask": 3}),
}


def slices():
    x = rand(3, 4, 5)
    for dtype in (*MOVED, "str"):
        case("Slice", f"inside {dtype}", rand(3, 3, dtype=dtype), const([1, 0]), const([2, 2]))
        case("StridedSlice", f"inside {dtype}", rand(4, dtype=dtype), const([1]), const([3]), const([1]))
        case("ReverseV2", f"last {dtype}", rand(2, 3, dtype=dtype), const([1]), optional=True)
    case("Slice", "to the end", x, const([1, 2, 0]), const([-1, -1, 2]))
    case("Slice", "everything", x, const([0, 0, 0], "i64"), const([-1, -1, -1], "i64"))
    case("Slice", "nothing", x, const([0, 4, 0]), const([3, 0, 5]))
    case("Slice", "scalar", tensor(1.0), const([], "i32"), const([], "i32"))
    case("Slice", "beyond the end", x, const([0, 2, 0]), const([3, 3, 5]), fails=True)
    for name, (begin, end, strides, given) in SLICES.items():
        case("StridedSlice", name, x, const(begin), const(end), const(strides), **{m: given.get(m, 0) for m in MASKS})
    case("StridedSlice", "no specs", x, const([], "i32"), const([], "i32"), const([], "i32"))
    case("StridedSlice", "of 64 bits", x, const([0, 1], "i64"), const([2, 3], "i64"), const([1, 1], "i64"))
    case("StridedSlice", "of a shape", tensor([7, 28, 28, 1], "i32"), const([0]), const([1]), const([1]), shrink_axis_mask=1)
    case("StridedSlice", "of nothing", rand(0, 3), const([0]), const([5]), const([2]))
    case("StridedSlice", "shrink out of range", x, const([3]), const([4]), const([1]), shrink_axis_mask=1, fails=True)
    case("StridedSlice", "stride zero", x, const([0]), const([3]), const([0]), fails=True)
    case("StridedSlice", "two ellipses", x, const([0, 0]), const([0, 0]), const([1, 1]), ellipsis_mask=3, fails=True)
    for axes in ([0], [1], [-1], [0, 2], [], [0, 1, 2]):
        case("ReverseV2", f"axes {axes}", x, const(axes, "i32"))
    case("ReverseV2", "axes of 64 bits", x, const([-2], "i64"))
    case("ReverseV2", "empty", rand(0, 2), const([0]))
    case("ReverseV2", "axis repeated", x, const([1, -2]), fails=True)
    case("Reverse", "mask", x, const([True, False, True], "bool"))
    case("Reverse", "mask of nothing", x, const([False, False, False], "bool"))
    for shift, axis in (([1], [0]), ([-2], [1]), ([7, 1], [1, 2]), ([1, 1], [0, 0]), ([-13], [-1])):
        case("Roll", f"by {shift} along {axis}", x, const(shift), const(axis))
    for shift, axis in [(np.array([7, -2], np.int32), [0, 2]), (np.array(-9, np.int64), 1), (np.array([2**62, -(2**63)], np.int64), [1, 1])]:
        case("Roll", f"by {shift} of data along {axis}", rand(3, 4, 2), shift, const(axis))
    case("Roll", "empty by data", rand(0, 2), np.array([1], np.int32), const([0]))
    case("Roll", "scalar shift", rand(5, dtype="i32"), const(2), const(0))
    case("Roll", "empty", rand(0, 2), const([1]), const([0]))


def pads():
    for dtype in (*MOVED,):
        case("Pad", f"row {dtype}", rand(2, dtype=dtype), const([[1, 2]]), optional=True)
        case("PadV2", f"row {dtype}", rand(2, dtype=dtype), const([[1, 2]]), rand(dtype=dtype, seed=3), optional=True)
        case("MirrorPad", f"row {dtype}", rand(3, dtype=dtype), const([[1, 2]]), mode="REFLECT", optional=True)
    x = rand(2, 3, 2)
    for paddings in ([[0, 0], [0, 0], [0, 0]], [[1, 0], [0, 2], [1, 1]], [[0, 0], [2, 2], [0, 0]]):
        case("Pad", f"by {paddings}", x, const(paddings))
        case("PadV2", f"by {paddings}", x, const(paddings), tensor(-1.5))
        for mode in ("REFLECT", "SYMMETRIC"):
            fits = paddings if mode == "SYMMETRIC" else np.minimum(paddings, [[1], [2], [1]]).tolist()
            case("MirrorPad", f"{mode} by {paddings}", x, const(fits), mode=mode)
    case("Pad", "images", rand(1, 2, 3, 2), const([[0, 0], [1, 1], [2, 1], [0, 0]], "i64"))
    case("Pad", "scalar", tensor(1.0), const(np.zeros((0, 2)), "i32"))
    case("Pad", "empty", rand(0, 2), const([[1, 1], [0, 0]]))
    case("Pad", "rank 5", rand(1, 2, 1, 2, 1), const([[0, 1], [1, 0], [0, 0], [1, 1], [0, 1]]))
    case("Pad", "negative", x, const([[0, 0], [-1, 0], [0, 0]]), fails=True)
    case("PadV2", "infinity", rand(2, 2), const([[0, 0], [1, 1]]), tensor(-INF))
    case("MirrorPad", "SYMMETRIC, as long as the axis", rand(2, 3), const([[2, 2], [3, 3]]), mode="SYMMETRIC")
    case("MirrorPad", "REFLECT, as long as allowed", rand(2, 3), const([[1, 1], [2, 2]]), mode="REFLECT")
    case("MirrorPad", "REFLECT, too long", rand(2, 3), const([[2, 0], [0, 0]]), mode="REFLECT", fails=True)


def sequences():
    for dtype, (start, limit, delta) in {
        "i32": (0, 5, 1), "i64": (3, 20, 4), "f32": (0.0, 1.0, 0.25), "f64": (1.0, 2.0, 0.3), "u32": (1, 6, 2), "i16": (5, 0, -2),
    }.items():  # fmt: skip
        case("Range", f"values {dtype}", const(start, dtype), const(limit, dtype), const(delta, dtype), optional=True)
    case("Range", "downward", const(5), const(-5), const(-3))
    case("Range", "nothing", const(3), const(3), const(1))
    case("Range", "not accumulated", const(0.0, "f32"), const(3.0, "f32"), const(0.1, "f32"))
    case("Range", "at run time", tensor(2, "i32"), tensor(9, "i32"), tensor(3, "i32"))
    case("Range", "wrong direction", const(0), const(5), const(-1), fails=True)
    case("Range", "delta zero", const(0), const(5), const(0), fails=True)
    for dtype in ("f32", "f64", "bf16"):
        case("LinSpace", f"five {dtype}", const(0, dtype), const(1, dtype), const(5), optional=True)
    case("LinSpace", "one", const(2.5, "f32"), const(9, "f32"), const(1))
    case("LinSpace", "thirds", const(0, "f32"), const(1, "f32"), const(4))
    case("LinSpace", "downward", const(3, "f32"), const(-3, "f32"), const(7, "i64"))
    for lower, upper in ((0, 0), (1, 1), (-1, 0), (0, -1), (-1, -1), (2, 1)):
        case("MatrixBandPart", f"{lower} below, {upper} above", rand(2, 3, 4), const(lower), const(upper))
    for dtype in ("f64", "i32", "bool", "i64"):
        case("MatrixBandPart", f"lower triangle {dtype}", rand(3, 3, dtype=dtype), const(-1, "i64"), const(0, "i64"))
    case("MatrixBandPart", "empty", rand(0, 2, 2), const(0), const(0))
    case("MatrixDiag", "batch", rand(2, 3))
    case("MatrixDiagPart", "batch", rand(2, 3, 4))
    case("Diag", "vector", rand(3))
    case("DiagPart", "matrix", rand(3, 3))
    for source, target, shape in (
        ("f32", "i32", (2, 2)), ("i32", "f32", (3,)), ("f64", "i64", (2,)), ("i16", "f16", (2,)), ("i32", "u8", (2,)), ("u8", "i32", (2, 4)),
        ("f32", "u16", (2, 2)), ("i64", "i32", (2,)), ("i8", "u8", (3,)), ("u16", "f32", (3, 2)), ("u32", "i32", (0, 2)), ("f32", "u32", ()),
    ):  # fmt: skip
        values = rand(*shape, dtype=source)
        values = values + tensor(1, source) if (source, target) == ("i32", "f32") else values
        if target == "f32":
            values = (np.frombuffer(rand(64, dtype="f32").tobytes(), DTYPES[source])[: int(np.prod(shape))]).reshape(shape)
        case("Bitcast", f"{source} {list(shape)} to {target}", values, type=DTYPES[target])


views()
broadcasts()
joins()
slices()
pads()
sequences()
