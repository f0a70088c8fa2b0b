"""Slices changed at computed indices: every depth of the indices, repetitions in order, nothing, both ends of the range."""

import numpy as np

from .array import MASKS, MOVED, SLICES
from .gradient import taken
from .spec import FLOATS, INF, NAN, NUMBERS, case, const, rand, tensor

CHANGES = ("TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMax", "TensorScatterMin", "ScatterNdNonAliasingAdd")
POLICIES = ("", "DEFAULT", "ERROR", "IGNORE")


def changes():
    x = rand(4, 3, 2)
    for op in CHANGES:
        for dtype in ("bool", *NUMBERS):
            rows, twice = rand(2, 2, dtype=dtype, seed=1), rand(5, dtype=dtype, seed=2)
            case(op, f"constant rows {dtype}", rand(4, 2, dtype=dtype), const([[3], [1]]), rows, optional=True)
            case(op, f"given rows {dtype}", rand(4, 2, dtype=dtype), tensor([[3], [1]], "i32"), rows, optional=True)
            case(op, f"in order {dtype}", rand(3, dtype=dtype), tensor([[1], [0], [1], [1], [0]], "i32"), twice, optional=True)
        for given, index in (("constant", const), ("given", tensor)):
            for width in ("i32", "i64"):
                case(op, f"{given} elements {width}", x, index([[0, 1, 1], [3, 2, 0]], width), rand(2, seed=1))
                case(op, f"{given} pairs {width}", x, index([[0, 1], [3, 2], [0, 0]], width), rand(3, 2, seed=1))
            case(op, f"{given} repeated", rand(4), index([[1], [3], [1], [1]], "i32"), rand(4, seed=1))
            case(op, f"{given} matrix of indices", x, index([[[0], [1]], [[3], [0]]], "i32"), rand(2, 2, 3, 2, seed=1))
            # The kernel without an alias takes a vector, and leaves out all updates but the first.
            if op != "ScatterNdNonAliasingAdd":
                case(op, f"{given} vector of indices", x, index([3, 0], "i32"), rand(2, 3, 2, seed=1), fails=True)
            case(op, f"{given} whole", rand(3), index(np.zeros((1, 0)), "i32"), rand(1, 3, seed=1), fails=True)
            case(op, f"{given} one", rand(5), index([2], "i32"), rand(seed=1), fails=True)
            case(op, f"{given} nothing", rand(3, 2), index(np.zeros((0, 1)), "i32"), rand(0, 2))
            case(op, f"{given} nothing into nothing", rand(0, 2), index(np.zeros((0, 1)), "i32"), rand(0, 2))
            case(op, f"{given} every row", rand(2, 2), index([[1], [0]], "i32"), rand(2, 2, seed=1))
            case(op, f"{given} negative", rand(3), index([[-1]], "i32"), rand(1), fails=True)
            case(op, f"{given} too large", rand(3, 2), index([[0, 2]], "i32"), rand(1), fails=True)
            case(op, f"{given} into nothing", rand(0, 2), index([[0]], "i32"), rand(1, 2), fails=True)
            case(op, f"{given} rows of nothing", rand(3, 0), index([[0]], "i32"), rand(1, 0), fails=True)
            case(op, f"{given} shapes differ", rand(3, 2), index([[0]], "i32"), rand(1, 3), fails=True)
            case(op, f"{given} numbers differ", rand(3, 2), index([[0], [1]], "i32"), rand(1, 2), fails=True)
        case(op, "seven axes", rand(1, 2, 1, 2, 1, 2, 1), tensor([[0, 1, 0, 0, 0, 1, 0]], "i32"), rand(1, seed=1))
        case(op, "eight axes", rand(1, 2, 1, 2, 1, 2, 1, 1), tensor([[0, 1, 0, 0, 0, 1, 0, 0]], "i32"), rand(1, seed=1), fails=True)
        case(op, "long rows", rand(3, 70), tensor([[2], [0], [2]], "i32"), rand(3, 70, seed=1))
        pairs = tensor([[0, 1], [1, 5], [2, 0], [-1, 0]], "i32")
        for policy in POLICIES:
            named = f"policy {policy}".strip()
            case(op, f"{named} in range", rand(3, 2), pairs[::2], rand(2, seed=1), bad_indices_policy=policy)
            case(op, f"{named} out of range", rand(3, 2), pairs, rand(4, seed=1), bad_indices_policy=policy, fails=policy != "IGNORE")
        case(op, "policy IGNORE into nothing", rand(0, 2), tensor([[0]], "i32"), rand(1, 2), bad_indices_policy="IGNORE", fails=True)
        case(op, "policy unknown", rand(3), tensor([[0]], "i32"), rand(1), bad_indices_policy="ignore", fails=True)
    for op in ("TensorScatterMax", "TensorScatterMin"):
        for dtype in FLOATS:
            odd = tensor([NAN, 1, 0.0, -0.0, INF, -INF, NAN, 2], dtype)
            for first in (1, NAN, 0.0, -0.0, INF, -INF):
                case(op, f"special values over {first} {dtype}", tensor([first, 5], dtype), tensor(np.zeros((8, 1)), "i32"), odd)


def sums():
    """ScatterNd: the same into zeros of a shape that is an operand."""
    op = "ScatterNd"
    for dtype in ("bool", *NUMBERS):
        case(op, f"repeated {dtype}", tensor([[1], [3], [1]], "i32"), rand(3, dtype=dtype), const([5]), optional=True)
    for index in ("i32", "i64"):
        case(op, f"rows {index}", tensor([[2], [0]], index), rand(2, 3), const([3, 3], index))
        case(op, f"elements {index}", tensor([[0, 1], [1, 0]], index), rand(2), const([2, 2], index))
    case(op, "vector of indices", tensor([2, 0, 2], "i32"), rand(3, 2), const([4, 2]), fails=True)
    case(op, "constant indices", const([[1], [3], [1]]), rand(3), const([5]))
    case(op, "matrix of indices", tensor([[[2], [0]], [[2], [2]]], "i32"), rand(2, 2, 3), const([3, 3]))
    case(op, "seven axes", tensor([[0, 1, 0, 0, 0, 1, 0]], "i32"), rand(1), const([1, 2, 1, 2, 1, 2, 1]))
    case(op, "eight axes", tensor([[0] * 8], "i32"), rand(1), const([1] * 8), fails=True)
    case(op, "nothing", rand(0, 1, dtype="i32"), rand(0, 2), const([2, 2]))
    case(op, "nothing into nothing", rand(0, 1, dtype="i32"), rand(0, 2), const([0, 2]))
    case(op, "minus zero", tensor([[0]], "i32"), tensor([-0.0]), const([2]))
    case(op, "into nothing", tensor([[0]], "i32"), rand(1, 2), const([0, 2]), fails=True)
    case(op, "rows of nothing", tensor([[0]], "i32"), rand(1, 0), const([2, 0]), fails=True)
    case(op, "out of range", tensor([[5]], "i32"), rand(1), const([5]), fails=True)
    case(op, "negative", tensor([[-1]], "i32"), rand(1), const([5]), fails=True)
    case(op, "negative extent", tensor([[0]], "i32"), rand(1), const([-3]), fails=True)
    case(op, "into a scalar", rand(1, 0, dtype="i32"), rand(1), const([], "i32"), fails=True)
    case(op, "whole", rand(2, 0, dtype="i32"), rand(2, 2), const([2]), fails=True)
    case(op, "too deep", tensor([[0, 0]], "i32"), rand(1), const([2]), fails=True)
    case(op, "shapes differ", tensor([[0]], "i32"), rand(1, 3), const([2, 2]), fails=True)
    for policy in POLICIES:
        named = f"policy {policy}".strip()
        case(op, f"{named} in range", tensor([[1], [0]], "i32"), rand(2), const([3]), bad_indices_policy=policy)
        case(op, f"{named} out of range", tensor([[1], [3], [-1]], "i32"), rand(3), const([3]), bad_indices_policy=policy, fails=policy != "IGNORE")
    case(op, "policy unknown", tensor([[0]], "i32"), rand(1), const([3]), bad_indices_policy="ignore", fails=True)


def rows():
    """The rows of TensorFlow 1 that are changed in place; indices count modulo their number."""
    for op in ("InplaceUpdate", "InplaceAdd", "InplaceSub"):
        for dtype in NUMBERS if op != "InplaceUpdate" else ("bool", *NUMBERS):
            case(op, f"rows {dtype}", rand(3, 2, dtype=dtype), tensor([2, 0], "i32"), rand(2, 2, dtype=dtype, seed=1))
        case(op, "repeated", rand(3, 2), tensor([2, 0, 2], "i32"), rand(3, 2, seed=1))
        case(op, "around", rand(3, 2), tensor([-1, 3, -7, 100], "i32"), rand(4, 2, seed=1))
        case(op, "constant", rand(3, 2), const([1, -1]), rand(2, 2, seed=1))
        case(op, "elements", rand(4), tensor([3, 1], "i32"), rand(2, seed=1))
        case(op, "three axes", rand(2, 2, 3), tensor([1], "i32"), rand(1, 2, 3, seed=1))
        case(op, "nothing", rand(3, 2), tensor([], "i32"), rand(0, 2))
        case(op, "into nothing", rand(0, 2), tensor([0, 4], "i32"), rand(2, 2))
        case(op, "rows of nothing", rand(3, 0), tensor([1], "i32"), rand(1, 0))
        case(op, "scalar index", rand(3), tensor(1, "i32"), rand(), fails=True)
        case(op, "matrix of indices", rand(3), tensor([[1]], "i32"), rand(1), fails=True)
        case(op, "shapes differ", rand(3, 2), tensor([1], "i32"), rand(1, 3), fails=True)
        case(op, "numbers differ", rand(3, 2), tensor([1], "i32"), rand(2, 2), fails=True)
        case(op, "ranks differ", rand(3, 2), tensor([1], "i32"), rand(2), fails=True)


def spans():
    """What a strided slice takes, replaced by what repeats to its shape."""
    op, x = "TensorStridedSliceUpdate", rand(3, 4, 5)
    for name, (begin, end, strides, given) in SLICES.items():
        # numpy counts an end below the first element from the back.
        shape = (3, 2, 2) if name == "negative stride clamped" else taken((3, 4, 5), begin, end, strides, given)
        at, masks = (const(begin), const(end), const(strides)), {mask: given.get(mask, 0) for mask in MASKS}
        case(op, name, x, *at, rand(*shape, seed=1), **masks)
        case(op, f"{name}, one number", x, *at, rand(seed=1), **masks)
    for dtype in MOVED:
        case(op, f"inside {dtype}", rand(4, dtype=dtype), const([1]), const([3]), const([1]), rand(2, dtype=dtype, seed=1), optional=True)
    case(op, "no specs", x, const([], "i32"), const([], "i32"), const([], "i32"), rand(3, 4, 5, seed=1))
    case(op, "of 64 bits", x, const([0, 1], "i64"), const([2, 3], "i64"), const([1, 1], "i64"), rand(2, 2, 5, seed=1))
    case(op, "of nothing", rand(0, 3), const([0]), const([5]), const([2]), rand(0, 3))
    for shape in ([2], [1, 2], [2, 1], [1, 1, 2], [1, 1, 2, 2], [1], [0, 2], [3], [2, 2, 2], [3, 2]):
        case(op, f"repeated from {shape}", rand(3, 2), const([0]), const([2]), const([1]), rand(*shape, seed=1), fails=shape in ([0, 2], [3], [2, 2, 2], [3, 2]))
    for at in (0, 2, -1, -3):
        where, behind = tensor([at], "i32"), tensor([at + 1], "i32")
        case(op, f"single by data, {at}", rand(3, 2), where, behind, const([1]), rand(2, seed=1), shrink_axis_mask=1)
        case(op, f"single by data on the second axis, {at}", rand(2, 3, 2), tensor([0, at], "i32"), tensor([0, at + 1], "i32"), const([1, 1]), rand(2, 1, seed=1),
             shrink_axis_mask=2, begin_mask=1, end_mask=1)  # fmt: skip
        case(op, f"two by data, {at}", rand(3, 3), tensor([at, 1], "i32"), tensor([0, 0], "i32"), const([1, 1]), rand(seed=1), shrink_axis_mask=3)
        case(op, f"span by data from {at}", rand(4, 2), where, const([3]), const([1]), rand(1, 2, seed=1))
    case(op, "single by data out of range", rand(3, 2), tensor([3], "i32"), tensor([4], "i32"), const([1]), rand(2), shrink_axis_mask=1, fails=True)
    case(op, "single out of range", rand(3, 2), const([3]), const([4]), const([1]), rand(2), shrink_axis_mask=1, fails=True)


changes()
sums()
rows()
spans()
