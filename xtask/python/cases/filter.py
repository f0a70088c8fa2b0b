"""Results whose sizes data decide: what holds, of every type, and nothing, everything and empty operands."""

import numpy as np

from .spec import FLOATS, INTS, NAN, case, const, rand, tensor


def where():
    for dtype in [*FLOATS, *INTS, "bool"]:
        case("Where", f"vector {dtype}", tensor([0, 1, 0, 3, 1], dtype), optional=True)
        case("Where", f"matrix {dtype}", tensor([[0, 1, 0], [2, 0, 1]], dtype), optional=True)
    for name, shape in (("rank 3", (2, 3, 2)), ("rank 4", (2, 1, 3, 2)), ("rank 5", (1, 2, 2, 1, 3))):
        case("Where", name, rand(*shape, dtype="i32", low=0, high=2))
    case("Where", "nothing", tensor(np.zeros((2, 3)), "bool"))
    case("Where", "everything", tensor(np.ones((2, 3)), "bool"))
    case("Where", "empty", tensor(np.zeros(0), "bool"))
    case("Where", "no rows", tensor(np.zeros((0, 3)), "bool"))
    case("Where", "no columns", tensor(np.zeros((3, 0)), "bool"))
    case("Where", "zeros and NaN", tensor([0.0, -0.0, NAN, 1.0]))
    case("Where", "constant", const([0, 1, 1, 0], "bool"))
    case("Where", "scalar", tensor(True, "bool"), fails=True)




def unique():
    for dtype in [*FLOATS, *INTS, "bool"]:
        for op in ("Unique", "UniqueWithCounts"):
            case(op, f"vector {dtype}", tensor([1, 0, 1, 3, 0, 2, 1], dtype), optional=True)
        for op in ("UniqueV2", "UniqueWithCountsV2"):
            case(op, f"rows {dtype}", tensor([[1, 0], [0, 1], [1, 0], [1, 1]], dtype), const([0]), optional=True)
    for op in ("Unique", "UniqueWithCounts"):
        case(op, "wide indices", tensor([3, 3, 1], "i32"), out_idx=np.int64)
        case(op, "nothing", rand(0))
        case(op, "zeros and NaN", tensor([0.0, NAN, -0.0, NAN, 1.0, 0.0]))
        case(op, "negative zero first", tensor([-0.0, 0.0, 1.0]))
        case(op, "constant", const([4, 4, 2]))
        case(op, "matrix", rand(2, 2), fails=True)
    for op in ("UniqueV2", "UniqueWithCountsV2"):
        case(op, "no axis", tensor([3, 1, 3], "i32"), const(np.zeros(0)))
        case(op, "columns", rand(2, 5, dtype="i32", low=0, high=2), const([1], "i64"), out_idx=np.int64)
        case(op, "last axis", rand(2, 2, 3, dtype="i32", low=0, high=2), const([-1]))
        case(op, "middle axis", rand(2, 3, 1, dtype="i32", low=0, high=2), const([1]))
        case(op, "rows of nothing", rand(3, 0), const([0]))
        case(op, "no rows", rand(0, 2), const([0]))
        case(op, "rows with NaN", tensor([[NAN, 1], [NAN, 1], [0.0, 1], [-0.0, 1]]), const([0]))
        case(op, "matrix without axis", rand(2, 2), const(np.zeros(0)), fails=True)


def list_diff():
    for dtype in [*FLOATS, *INTS]:
        case("ListDiff", f"vectors {dtype}", tensor([1, 2, 3, 2, 5], dtype), tensor([2, 7], dtype), optional=True)
    case("ListDiff", "wide indices", tensor([1, 2], "i32"), tensor([1], "i32"), out_idx=np.int64)
    case("ListDiff", "of nothing", tensor([], "i32"), tensor([1], "i32"))
    case("ListDiff", "without anything", tensor([1, 1], "i32"), tensor([], "i32"))
    case("ListDiff", "zeros and NaN", tensor([0.0, NAN, 1, -0.0]), tensor([-0.0, NAN]))
    case("ListDiff", "matrix", rand(2, 2), rand(2), fails=True)


def greedy():
    steps, lengths = (6, 3, 4), tensor([6, 0, 4], "i32")
    for dtype in ("f32", "f64"):
        for merge in (False, True):
            case("CTCGreedyDecoder", f"{dtype}, merged {merge}", rand(*steps, dtype=dtype), lengths, merge_repeated=merge)
    for blank in (0, 2, 3, -1, -4):
        for merge in (False, True):
            case("CTCGreedyDecoder", f"blank {blank}, merged {merge}", rand(*steps), lengths, merge_repeated=merge, blank_index=blank)
    case("CTCGreedyDecoder", "all blank", tensor([[[0, 1]], [[0, 2]], [[1, 1.5]]]), tensor([3], "i32"))
    case("CTCGreedyDecoder", "repeated and ties", tensor([[[1, 1, 0]], [[2, 0, 0]], [[0, 0, 3]], [[5, 5, 5]]]), tensor([4], "i32"), merge_repeated=True)
    case("CTCGreedyDecoder", "negative length", rand(2, 2, 3), tensor([-1, 2], "i32"))
    case("CTCGreedyDecoder", "one class", rand(2, 2, 1), tensor([1, 2], "i32"))
    case("CTCGreedyDecoder", "one step", rand(1, 2, 3), tensor([1, 1], "i32"), merge_repeated=True)
    case("CTCGreedyDecoder", "NaN", tensor([[[NAN, 1, 2]], [[1, NAN, 2]], [[NAN, NAN, NAN]], [[-np.inf, NAN, -np.inf]]]), tensor([4], "i32"))
    for blank in (4, -5):
        case("CTCGreedyDecoder", f"blank {blank}", rand(*steps), lengths, blank_index=blank, fails=True)
    for name, shape in (("no steps", (0, 2, 3)), ("no batch", (2, 0, 3)), ("no classes", (2, 2, 0))):
        case("CTCGreedyDecoder", name, rand(*shape), tensor([0] * shape[1], "i32"), fails=True)
    case("CTCGreedyDecoder", "too long", rand(2, 2, 3), tensor([1, 3], "i32"), fails=True)
    case("CTCGreedyDecoder", "another batch", rand(2, 2, 3), tensor([1], "i32"), fails=True)
    case("CTCGreedyDecoder", "matrix", rand(2, 2), tensor([1, 2], "i32"), fails=True)


BOXES = [[0, 0, 1, 1], [0, 0.125, 1, 1.125], [0, -0.125, 1, 0.875], [0, 10, 1, 11], [0, 10.25, 1, 11.25], [1, 101, 0, 100]]
SCORES = [0.875, 0.75, 0.625, 0.9375, 0.5, 0.25]


def suppression():
    f32 = lambda value: const(value, "f32")
    for dtype in ("f32", "f16"):
        boxes, scores = tensor(BOXES, dtype), tensor(SCORES, dtype)
        half = const(0.5, dtype)
        for most in (0, 2, 6, 10):
            case("NonMaxSuppressionV2", f"{most} of {dtype}", boxes, scores, const(most), half, optional=True)
            case("NonMaxSuppressionV3", f"{most} of {dtype}", boxes, scores, const(most), half, const(0.375, dtype), optional=True)
            for padded in (False, True):
                case("NonMaxSuppressionV4", f"{most} of {dtype}, padded {padded}", boxes, scores, const(most), half, const(0.375, dtype), pad_to_max_output_size=padded, optional=True)
                for sigma in (0, 0.5):
                    case("NonMaxSuppressionV5", f"{most} of {dtype}, padded {padded}, sigma {sigma}", boxes, scores, const(most), half, const(0.125, dtype), const(sigma, dtype),
                         pad_to_max_output_size=padded, optional=True)  # fmt: skip
    boxes, scores = tensor(BOXES), tensor(SCORES)
    for threshold in (0.0, 0.25, 1.0):
        case("NonMaxSuppression", f"threshold {threshold}", boxes, scores, const(6), iou_threshold=threshold)
    case("NonMaxSuppression", "default", boxes, scores, const(3))
    case("NonMaxSuppression", "given number", boxes, scores, tensor(3, "i32"))
    case("NonMaxSuppression", "no such threshold", boxes, scores, const(3), iou_threshold=1.5, fails=True)
    case("NonMaxSuppression", "negative number", boxes, scores, const(-1), fails=True)
    case("NonMaxSuppression", "too few scores", boxes, tensor(SCORES[1:]), const(3), fails=True)
    case("NonMaxSuppression", "too few corners", rand(3, 3), rand(3), const(3), fails=True)
    case("NonMaxSuppression", "nothing", rand(0, 4), rand(0), const(3))
    case("NonMaxSuppressionV2", "given threshold", boxes, scores, const(6), tensor(0.25))
    case("NonMaxSuppressionV2", "no such given threshold", boxes, scores, const(6), tensor(-0.5), fails=True)
    case("NonMaxSuppressionV3", "equal scores", boxes, tensor([0.5] * 6), const(6), f32(0.5), f32(0.25))
    case("NonMaxSuppressionV3", "the scores of the threshold", boxes, tensor([0.5] * 6), const(6), f32(0.5), f32(0.5))
    case("NonMaxSuppressionV3", "NaN and infinities", boxes, tensor([NAN, 0.5, -np.inf, np.inf, NAN, 0.0]), const(6), f32(0.5), f32(-np.inf))
    case("NonMaxSuppressionV3", "no area", tensor(np.zeros((3, 4))), tensor([1, 3, 2]), const(6), f32(0.5), f32(0))
    overlaps = rand(5, 5, low=0, high=32) / 32
    case("NonMaxSuppressionWithOverlaps", "overlaps", overlaps, rand(5), const(5), f32(0.5), f32(-64))
    case("NonMaxSuppressionWithOverlaps", "some", overlaps, rand(5), const(2), f32(0.25), f32(0))
    case("NonMaxSuppressionWithOverlaps", "no square", rand(3, 2), rand(3), const(2), f32(0.25), f32(0), fails=True)


where()
unique()
list_diff()
greedy()
suppression()
