"""Results whose sizes data decide: what holds, of every type, and nothing, everything and empty operands."""

import numpy as np

from .spec import FLOATS, INF, INTS, NAN, case, const, distinct, rand, tensor


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
    case("NonMaxSuppression", "a vector of numbers", boxes, scores, tensor([3], "i32"), fails=True)
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


def combined():
    """Classes have boxes of their own or share them. Scores differ, but where ties are the case."""
    op = "CombinedNonMaxSuppression"
    f32 = lambda value: const(value, "f32")

    def boxes(batch, n, q, seed=0):
        first = rand(batch, n, q, 2, low=-4, high=12, seed=seed)
        return np.concatenate([first, first + rand(batch, n, q, 2, low=4, high=16, seed=seed + 1)], 3)

    def scores(batch, n, classes):
        return distinct(batch, n, classes) / 64

    def run(name, batch, n, q, classes, each, total, iou=0.25, score=-0.25, fails=False, **attrs):
        sizes = [size if not isinstance(size, int) else const(size) for size in (each, total)]
        limits = [limit if not isinstance(limit, float) else f32(limit) for limit in (iou, score)]
        case(op, name, boxes(batch, n, q), scores(batch, n, classes), *sizes, *limits, fails=fails, **attrs)

    for padded in (False, True):
        for clipped in (False, True):
            for q in (1, 3):
                run(f"{q} of 3 classes, padded {padded}, clipped {clipped}", 2, 7, q, 3, 3, 5, pad_per_class=padded, clip_boxes=clipped)
        for each, total in ((1, 1), (2, 100), (100, 2), (100, 100), (1, 2), (7, 21)):
            run(f"{each} of each, {total} of all, padded {padded}", 2, 7, 1, 3, each, total, pad_per_class=padded)
        for name, sizes in {"no images": (0, 4, 1, 2), "no boxes": (2, 0, 1, 2), "no classes": (2, 4, 1, 0), "no classes of boxes": (2, 4, 0, 0), "one box": (2, 1, 1, 1)}.items():
            run(f"{name}, padded {padded}", *sizes, 3, 4, pad_per_class=padded)
        run(f"given sizes, padded {padded}", 2, 5, 1, 2, tensor(2, "i32"), const(3), pad_per_class=padded)
        run(f"a great given size, padded {padded}", 2, 5, 1, 2, tensor(2**31 - 1, "i32"), const(3), pad_per_class=padded)
        run(f"nothing good enough, padded {padded}", 2, 5, 1, 2, 2, 3, score=64.0, pad_per_class=padded)
    run("one class", 3, 9, 1, 1, 4, 4)
    run("many", 1, 40, 4, 4, 20, 50, iou=0.5, score=-64.0)
    for iou in (0.0, 1.0):
        run(f"threshold {iou}", 1, 9, 1, 2, 9, 18, iou=iou, score=-64.0)
    run("given thresholds", 2, 7, 1, 3, 3, 5, iou=tensor(0.5), score=tensor(0.0))
    run("infinite threshold", 1, 5, 1, 2, 3, 5, score=-INF)
    run("threshold NaN", 1, 5, 1, 2, 3, 5, score=NAN)
    for iou in (-0.25, 1.5, NAN):
        run(f"no such threshold {iou}", 1, 5, 1, 2, 3, 5, iou=iou, fails=True)
        run(f"no such given threshold {iou}", 1, 5, 1, 2, 3, 5, iou=tensor(iou), fails=True)
    for each, total in ((0, 3), (3, 0), (-1, 3), (3, -1)):
        run(f"{each} of each, {total} of all", 1, 5, 1, 2, each, total, fails=True)
    run("none given", 1, 5, 1, 2, tensor(0, "i32"), const(3), fails=True)
    run("none given, no boxes", 1, 0, 1, 2, tensor(0, "i32"), const(3), fails=True)
    run("a vector of sizes", 1, 5, 1, 2, tensor([3], "i32"), const(3), fails=True)
    run("a vector of sizes of all", 1, 5, 1, 2, const(3), tensor([3], "i32"), fails=True)
    run("a vector of thresholds", 1, 5, 1, 2, 3, 3, iou=tensor([0.5]), fails=True)
    run("a vector of thresholds of scores", 1, 5, 1, 2, 3, 3, score=tensor([0.5]), fails=True)
    run("other classes of boxes", 1, 5, 2, 3, 3, 3, fails=True)
    run("no classes of boxes, but scores", 1, 5, 0, 3, 3, 3, fails=True)
    more = (const(3), const(4), f32(0.25), f32(-0.25))
    case(op, "too few scores", boxes(1, 5, 1), scores(1, 4, 2), *more, fails=True)
    case(op, "other images", boxes(2, 5, 1), scores(1, 5, 2), *more, fails=True)
    case(op, "too few corners", rand(1, 5, 1, 3), scores(1, 5, 2), *more, fails=True)
    # Scores without classes end the process.
    case(op, "boxes without classes", rand(1, 5, 4), scores(1, 5, 2), *more, fails=True)
    apart = np.stack([np.arange(6), np.zeros(6), np.arange(6) + 0.5, np.ones(6)], 1).astype(np.float32)[None, :, None]
    for name, values in {"two": [1, 3, 3, 0, -1, -2], "three, and two": [1, 3, 3, 2, 3, 1], "none": [6, 5, 4, 3, 2, 1]}.items():
        both = np.stack([tensor(values), tensor(values[::-1])], 1)[None]
        case(op, f"ties of {name}", apart, both, const(6), const(12), f32(0.5), f32(0), clip_boxes=False)
        case(op, f"ties of {name}, the best", apart, both, const(6), const(4), f32(0.5), f32(0), clip_boxes=False)
    case(op, "NaN and infinities", boxes(1, 6, 1), tensor([NAN, 0.5, -INF, INF, NAN, 0.0]).reshape(1, 6, 1), const(6), const(6), f32(0.5), f32(-INF))
    case(op, "boxes of NaN and infinity", np.array([[NAN, 0, 1, 1], [0, 0, NAN, 1], [0, 0, 1, 1], [-INF, 0, INF, INF], [0, 0, 1, 1], [-0.0, -0.0, 2, 0.0]], np.float32)[None, :, None],
         tensor([6, 5, 4, 3, 2, 1]).reshape(1, 6, 1), const(6), const(6), f32(0.5), f32(0))  # fmt: skip
    flipped = boxes(1, 7, 1)[..., [2, 1, 0, 3]]
    case(op, "flipped boxes", flipped, scores(1, 7, 2), const(7), const(9), f32(0.25), f32(-64), clip_boxes=False)
    case(op, "no area", np.zeros((1, 3, 1, 4), np.float32), tensor([1, 3, 2]).reshape(1, 3, 1), const(3), const(3), f32(0.5), f32(0))


where()
unique()
list_diff()
greedy()
suppression()
combined()
