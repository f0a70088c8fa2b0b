"""Gathers, one-hot vectors, partitions and reversed sequences: indices of both widths, batch dimensions, out of range."""

import itertools

import numpy as np

from .spec import DTYPES, NUMBERS, case, const, rand, tensor


def gathers():
    for dtype in ("bool", *NUMBERS, "str"):
        case("GatherV2", f"rows {dtype}", rand(3, 2, dtype=dtype), tensor([2, 0, 2], "i32"), const(0))
        case("Gather", f"rows {dtype}", rand(3, 2, dtype=dtype), tensor([2, 0, 2], "i32"))
        case("GatherNd", f"rows {dtype}", rand(3, 2, dtype=dtype), tensor([[2], [0]], "i32"), optional=True)
    x = rand(3, 4, 2)
    for index in ("i32", "i64"):
        case("GatherV2", f"indices {index}", x, tensor([1, 0], index), const(0))
        case("Gather", f"indices {index}", x, tensor([[1, 0], [2, 2]], index))
        case("GatherNd", f"indices {index}", x, tensor([[1, 0], [2, 3]], index))
    case("GatherV2", "indices i16", x, tensor([1, 0], "i16"), const(0), optional=True)
    for axis in (0, 1, 2, -1, -2):
        case("GatherV2", f"axis {axis}", x, tensor([1, 0, 1], "i32"), const(axis))
        case("GatherV2", f"axis {axis}, matrix of indices", x, tensor([[1, 0], [0, 1]], "i32"), const(axis))
        case("GatherV2", f"axis {axis}, scalar index", x, tensor(1, "i32"), const(axis))
    case("GatherV2", "axis of 64 bits", x, tensor([3], "i32"), const(1, "i64"))
    case("GatherV2", "batch of rows", x, tensor([[1, 0], [2, 3], [0, 0]], "i32"), const(1), batch_dims=1)
    case("GatherV2", "batch, later axis", x, tensor([[1, 0], [0, 1], [0, 0]], "i32"), const(2), batch_dims=1)
    case("GatherV2", "two batch dimensions", x, rand(3, 4, 3, dtype="bool").astype(DTYPES["i32"]), const(2), batch_dims=2)
    case("GatherV2", "negative batch", x, tensor([[1], [0], [2]], "i32"), const(1), batch_dims=-1)
    case("GatherV2", "no indices", x, tensor([], "i32"), const(1))
    case("GatherV2", "nothing from nothing", rand(0, 2), tensor([], "i32"), const(0))
    case("GatherV2", "constant indices", x, const([2, 1]), const(0))
    for name, indices in {"negative": [0, -1], "too large": [3, 0]}.items():
        case("GatherV2", f"{name} index", x, tensor(indices, "i32"), const(0), fails=True)
        case("Gather", f"{name} index", x, tensor(indices, "i32"), fails=True)
        case("GatherNd", f"{name} index", x, tensor([indices], "i32") if name == "negative" else tensor([[0, 4]], "i32"), fails=True)
    case("Gather", "vector, scalar index", rand(4), tensor(3, "i64"))
    case("Gather", "no indices", rand(4, 2), tensor([], "i32"))
    case("GatherNd", "elements", x, tensor([[0, 1, 1], [2, 3, 0]], "i32"))
    case("GatherNd", "whole", x, rand(2, 0, dtype="i32"))
    case("GatherNd", "one element", x, tensor([1, 1, 1], "i32"))
    case("GatherNd", "batch of indices", x, tensor([[[0, 1]], [[2, 2]]], "i64"))
    case("GatherNd", "no indices", x, rand(0, 2, dtype="i32"))


def one_hots():
    for dtype in ("f32", "f64", "i32", "i64", "bool", "u8", "f16", "bf16"):
        case("OneHot", f"values {dtype}", tensor([1, 0, 2], "i64"), const(3), const(1, dtype), const(0, dtype))
    for index in ("u8", "i32", "i64", "i8"):
        case("OneHot", f"indices {index}", tensor([1, 3], index), const(4), const(2.5, "f32"), const(-0.5, "f32"), optional=True)
    for axis in (-1, 0, 1, 2):
        case("OneHot", f"axis {axis}", tensor([[1, 0], [2, 1]], "i32"), const(3), const(1, "f32"), const(0, "f32"), axis=axis)
    case("OneHot", "outside", tensor([-1, 3, 2, -5], "i32"), const(3), const(1, "f32"), const(0, "f32"))
    case("OneHot", "scalar", tensor(2, "i32"), const(3), const(1, "f32"), const(0, "f32"))
    case("OneHot", "no depth", tensor([0, 1], "i32"), const(0), const(1, "f32"), const(0, "f32"))
    case("OneHot", "no indices", tensor([], "i32"), const(2), const(1, "f32"), const(0, "f32"))


def partitions():
    """Cutting into parts and stitching by constants: every rank of partitions and indices, empty parts, gaps and repetitions."""
    for dtype in ("bool", *NUMBERS):
        case("DynamicPartition", f"rows {dtype}", rand(4, 2, dtype=dtype), const([1, 0, 1, 1]), num_partitions=2, optional=True)
        for op in ("DynamicStitch", "ParallelDynamicStitch"):
            rows = [rand(2, 2, dtype=dtype), rand(1, 2, dtype=dtype, seed=1)]
            case(op, f"rows {dtype}", [const([2, 0]), const([1])], rows, optional=True)
    case("DynamicPartition", "vector", rand(5), const([2, 2, 0, 2, 0]), num_partitions=4)
    case("DynamicPartition", "matrix of partitions", rand(2, 3, 2), const([[0, 1, 1], [1, 0, 1]]), num_partitions=2)
    case("DynamicPartition", "scalar", rand(3), const(1), num_partitions=2)
    case("DynamicPartition", "one partition", rand(3, 2), const([0, 0, 0]), num_partitions=1)
    case("DynamicPartition", "nothing", rand(0, 2), const(np.zeros(0)), num_partitions=2)
    case("DynamicPartition", "too large", rand(2), const([0, 2]), num_partitions=2, fails=True)
    case("DynamicPartition", "negative", rand(2), const([0, -1]), num_partitions=2, fails=True)
    case("DynamicPartition", "shapes differ", rand(3), const([0, 1]), num_partitions=2, fails=True)
    for op in ("DynamicStitch", "ParallelDynamicStitch"):
        case(op, "one", [const([1, 0])], [rand(2, 3)])
        case(op, "scalars", [const(1), const(0)], [rand(3), rand(3, seed=1)])
        case(op, "scalar of scalar", [const(0)], [rand()])
        case(op, "matrix of indices", [const([[3, 1], [0, 2]]), const(4)], [rand(2, 2, 2), rand(2, seed=1)])
        case(op, "gap", [const([0, 3])], [rand(2, 2)])
        case(op, "empty part", [const(np.zeros(0)), const([0, 1])], [rand(0, 2), rand(2, 2)])
        case(op, "nothing", [const(np.zeros(0))], [rand(0, 2)])
        case(op, "negative", [const([-1, 0])], [rand(2, 2)], fails=True)
        case(op, "rows differ", [const([1]), const([0])], [rand(1, 2), rand(1, 3)], fails=True)
        case(op, "shapes differ", [const([1, 0])], [rand(3, 2)], fails=True)
    case("DynamicStitch", "repeated", [const([0, 1, 1]), const([1, 2])], [rand(3, 2), rand(2, 2, seed=1)])


def sequences():
    """Reversed beginnings: every place of both axes, lengths of nothing, of everything, and of too much."""
    op, x = "ReverseSequence", rand(3, 4, 2)
    for dtype in ("bool", *NUMBERS, "str"):
        case(op, f"rows {dtype}", rand(3, 4, dtype=dtype), tensor([2, 4, 0], "i32"), seq_dim=1, optional=True)
    for index in ("i32", "i64"):
        case(op, f"lengths {index}", x, tensor([3, 1, 4], index), seq_dim=1)
        case(op, f"constant lengths {index}", x, const([3, 1, 4], index), seq_dim=1)
    for batch, seq in itertools.permutations(range(3), 2):
        lengths = tensor([1, 2, 2, 1][: x.shape[batch]], "i32")
        case(op, f"along {seq} in {batch}", x, lengths, seq_dim=seq, batch_dim=batch)
    case(op, "four axes", rand(2, 3, 2, 4), tensor([4, 3], "i32"), seq_dim=3, batch_dim=2)
    case(op, "five axes", rand(2, 1, 3, 2, 2), tensor([1, 3], "i64"), seq_dim=2)
    case(op, "six axes", rand(2, 1, 3, 2, 2, 1), tensor([1, 3], "i64"), seq_dim=2, fails=True)
    case(op, "nothing", rand(0, 3), tensor([], "i32"), seq_dim=1)
    case(op, "empty sequences", rand(2, 0), tensor([0, 0], "i32"), seq_dim=1)
    case(op, "too long", x, tensor([2, 5, 0], "i32"), seq_dim=1, fails=True)
    case(op, "negative", x, tensor([2, -1, 0], "i32"), seq_dim=1, fails=True)
    case(op, "too few lengths", x, tensor([2, 1], "i32"), seq_dim=1, fails=True)
    case(op, "matrix of lengths", x, tensor([[2, 1, 1]], "i32"), seq_dim=1, fails=True)
    case(op, "one axis for both", x, tensor([2, 1, 1], "i32"), seq_dim=0, fails=True)
    case(op, "axis out of range", x, tensor([2, 1, 1], "i32"), seq_dim=3, fails=True)
    case(op, "negative axis", x, tensor([2, 1, 1], "i32"), seq_dim=-1, fails=True)


gathers()
one_hots()
partitions()
sequences()
