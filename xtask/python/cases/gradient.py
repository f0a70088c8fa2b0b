"""Gradients of activations, roots, biases, slices and mirrored borders."""

import numpy as np

from .array import MASKS, SLICES
from .layout import first
from .spec import FLOATS, INF, NAN, NUMBERS, Run, Sizes, case, const, extent, rand, sweep, tensor

# What the results may be. The sign of a zero of RsqrtGrad depends on its place in a vector, and f16 overflows between the steps.
BY_RESULT = {
    "TanhGrad": (-1, 1), "SigmoidGrad": (0, 1), "SqrtGrad": (0, 1e3), "RsqrtGrad": (0.1, 1e3), "InvGrad": (-100, 100), "ReciprocalGrad": (-100, 100),
}  # fmt: skip
BY_OPERAND = ("ReluGrad", "Relu6Grad", "LeakyReluGrad", "EluGrad", "SeluGrad", "SoftplusGrad", "SoftsignGrad")


def together(values, gradients):
    """Each value with each gradient, in two matrices of one shape."""
    return np.repeat(values[:, None], len(gradients), 1), np.repeat(gradients[None], len(values), 0)


def pointwise():
    for dtype in FLOATS:
        gradients = tensor([0.0, -0.0, 1.0, -2.5, 0.1, INF, -INF, NAN], dtype)
        for op, (low, high) in BY_RESULT.items():
            values = np.array([0.0, -0.0, 0.5, -0.5, 0.1, 0.9, 1.0, -1.0, 7.5, -12.0, 640.0, INF, NAN])
            values = tensor(values[~np.isfinite(values) | ((values >= low) & (values <= high))], dtype)
            case(op, f"edges {dtype}", *together(values, gradients))
        for op in BY_OPERAND:
            values = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, -0.998, 6.0, 5.75, 6.25, -20.0, 40.0, INF, -INF, NAN]
            if (op, dtype) == ("SoftplusGrad", "f16"):
                values = [x for x in values if not x < -10]
            values, beside = together(tensor(values, dtype), gradients)
            case(op, f"edges {dtype}", beside, values)
    for alpha in (0.0, 1.5, -0.5):
        case("LeakyReluGrad", f"alpha {alpha}", rand(2, 5), rand(2, 5, seed=1), alpha=alpha)
    for op in (*BY_RESULT, *BY_OPERAND):
        case(op, "empty", rand(0, 3), rand(0, 3))
        case(op, "scalar", tensor(0.75), tensor(0.5))
        case(op, "rank 4", rand(2, 1, 3, 2), np.abs(rand(2, 1, 3, 2, seed=1)))
        rows = [(rand(n, 2), np.abs(rand(m, 2, seed=1)) + tensor(1)) for n in range(3) for m in range(3)]
        sweep(op, "rows", [pair if op in BY_OPERAND else pair[::-1] for pair in rows if op in BY_OPERAND or len(pair[0]) == len(pair[1])])
    for op in BY_OPERAND:
        case(op, "extents differ", rand(2, 3), rand(2, 2), fails=True)


def biases():
    for dtype in NUMBERS:
        case("BiasAddGrad", f"rank 2 {dtype}", rand(4, 3, dtype=dtype), optional=True)
    for shape in ((2, 4, 3), (1, 2, 2, 3), (1, 2, 1, 2, 3)):
        run = Run("BiasAddGrad", (rand(*shape),), {}, list)
        case("BiasAddGrad", f"rank {len(shape)}", rand(*shape), data_format="NHWC")
        case("BiasAddGrad", f"rank {len(shape)}, channels first", first(rand(*shape)), data_format="NCHW", via=run)
    case("BiasAddGrad", "no rows", rand(0, 3))
    case("BiasAddGrad", "no channels", rand(3, 0))
    sweep("BiasAddGrad", "rows", [(rand(n, m),) for n in range(4) for m in range(3)])
    case("BiasAddGrad", "vector", rand(3), fails=True)


def taken(shape, begin, end, strides, given):
    """The shape of a slice of a tensor of this shape."""
    at = []
    for n, (first, last, step) in enumerate(zip(begin, end, strides)):
        has = {mask for mask in MASKS if given.get(mask, 0) >> n & 1}
        if "ellipsis_mask" in has:
            at.append(Ellipsis)
        elif "new_axis_mask" in has:
            at.append(None)
        elif "shrink_axis_mask" in has:
            at.append(first)
        else:
            at.append(slice(None if "begin_mask" in has else first, None if "end_mask" in has else last, step))
    return np.zeros(shape)[tuple(at)].shape


def slices():
    for name, (begin, end, strides, given) in SLICES.items():
        # numpy counts an end below the first element from the back.
        if name == "negative stride clamped":
            shape = (3, 2, 2)
        else:
            shape = taken((3, 4, 5), begin, end, strides, given)
        masks = {mask: given.get(mask, 0) for mask in MASKS}
        case("StridedSliceGrad", name, const([3, 4, 5]), const(begin), const(end), const(strides), rand(*shape), **masks)
    for dtype in (*NUMBERS, "bool"):
        case("StridedSliceGrad", f"inside {dtype}", const([4]), const([1]), const([3]), const([1]), rand(2, dtype=dtype), optional=True)
    case("StridedSliceGrad", "of 64 bits", const([3, 4], "i64"), const([0, 1], "i64"), const([2, 3], "i64"), const([1, 1], "i64"), rand(2, 2))
    for at in (0, 2, -1, -3):
        where, behind = tensor([at], "i32"), tensor([at + 1], "i32")
        case("StridedSliceGrad", f"single by data, {at}", const([3, 2]), where, behind, const([1]), rand(2), shrink_axis_mask=1)
    where, behind = tensor([0, 1], "i32"), tensor([0, 2], "i32")
    masks = {"shrink_axis_mask": 2, "begin_mask": 1, "end_mask": 1}
    case("StridedSliceGrad", "single by data on the second axis", const([3, 2]), where, behind, const([1, 1]), rand(3), **masks)
    case("StridedSliceGrad", "single by data out of range", const([3, 2]), tensor([3], "i32"), tensor([4], "i32"), const([1]), rand(2), shrink_axis_mask=1, fails=True)
    case("StridedSliceGrad", "extents differ", const([4]), const([1]), const([3]), const([1]), rand(3), fails=True)
    case("StridedSliceGrad", "ranks differ", const([4]), const([1]), const([3]), const([1]), rand(2, 1), fails=True)
    rows = extent(4, 0)
    spans = {
        "all but the first": ([rows + 1, 2], [1], [0], [1], {"end_mask": 1}), "all but the last two": ([rows + 2, 2], [0], [-2], [1], {"begin_mask": 1}),
        "every other": ([rows * 2, 2], [0], [0], [2], {"begin_mask": 1, "end_mask": 1}), "backwards": ([rows, 2], [0], [0], [-1], {"begin_mask": 1, "end_mask": 1}),
        "every third backwards": ([rows * 3, 2], [-1], [0], [-3], {"end_mask": 1}),
    }  # fmt: skip
    for name, (shape, begin, end, strides, given) in spans.items():
        runs = [(Sizes(shape), const(begin), const(end), const(strides), rand(n, 2)) for n in range(5)]
        sweep("StridedSliceGrad", name, runs, **given)


def mirrors():
    for dtype in NUMBERS:
        case("MirrorPadGrad", f"row {dtype}", rand(6, dtype=dtype), const([[1, 2]]), mode="REFLECT", optional=True)
    for paddings in ([[0, 0], [0, 0], [0, 0]], [[1, 0], [0, 2], [1, 1]], [[0, 0], [2, 2], [0, 0]]):
        for mode in ("REFLECT", "SYMMETRIC"):
            fits = np.array(paddings if mode == "SYMMETRIC" else np.minimum(paddings, [[1], [2], [1]]))
            shape = np.array([2, 3, 2]) + fits.sum(1)
            case("MirrorPadGrad", f"{mode} by {paddings}", rand(*shape), const(fits.tolist()), mode=mode)
    case("MirrorPadGrad", "SYMMETRIC, as long as the axis", rand(6, 9), const([[2, 2], [3, 3]]), mode="SYMMETRIC")
    case("MirrorPadGrad", "REFLECT, as long as allowed", rand(4, 7), const([[1, 1], [2, 2]], "i64"), mode="REFLECT")
    case("MirrorPadGrad", "REFLECT, too long", rand(4, 3), const([[2, 0], [0, 0]]), mode="REFLECT", fails=True)
    for mode in ("REFLECT", "SYMMETRIC"):
        for low, high in ((1, 2), (2, 0), (0, 1), (0, 0)):
            sweep("MirrorPadGrad", f"{mode} by {low} and {high}", [(rand(n, 2), const([[low, high], [0, 0]])) for n in range(7)], mode=mode)


pointwise()
biases()
slices()
mirrors()
