"""The loss of connectionist temporal classification, with its gradient."""

import numpy as np

from .spec import INF, case, const, rand, sweep, tensor


def operands(steps, labels, lengths, classes, dtype="f32", seed=0):
    """Logits, the indices and values of the labels of each sequence, and lengths."""
    at = [(row, place) for row, some in enumerate(labels) for place in range(len(some))]
    indices = tensor(at, "i64") if at else np.zeros((0, 2), np.int64)
    return rand(steps, len(labels), classes, dtype=dtype, seed=seed), indices, tensor([label for some in labels for label in some], "i32"), tensor(lengths, "i32")


def losses():
    op = "CTCLoss"
    flags = {
        "plain": {}, "not merged": {"ctc_merge_repeated": False}, "collapsed": {"preprocess_collapse_repeated": True},
        "collapsed, not merged": {"preprocess_collapse_repeated": True, "ctc_merge_repeated": False},
        "longer ignored": {"ignore_longer_outputs_than_inputs": True},
    }  # fmt: skip
    for name, attrs in flags.items():
        case(op, name, *operands(6, [[0, 1, 2], [2, 1], [1]], [6, 4, 5], 4), **attrs)
        case(op, f"{name}, repeated", *operands(7, [[1, 1, 2, 2], [0, 0], [2, 1, 2]], [7, 3, 6], 4, seed=1), **attrs)
        case(op, f"{name}, no room between equals", *operands(4, [[1, 1, 1], [0, 1, 0]], [4, 3], 3), **attrs)
        case(op, f"{name}, blanks behind", *operands(5, [[1, 2, 3], [0, 3, 3]], [5, 4], 4), **attrs)
        case(op, f"{name}, one step", *operands(1, [[0], [1]], [1, 1], 3), **attrs)
        case(op, f"{name}, as many labels as steps", *operands(3, [[0, 1, 0], [2, 0, 1]], [3, 3], 4), **attrs)
        # TensorFlow adds up paths in single precision; where there is only one, nothing is added.
        case(op, f"{name}, f64", *operands(3, [[0, 1, 0], [2, 0, 1]], [3, 3], 4, "f64"), **attrs)
    ignored = flags["longer ignored"]
    case(op, "too long and none at all", *operands(3, [[0, 1, 0, 1], [1], [1, 0]], [3, 0, 3], 3), **ignored)
    case(op, "all too long", *operands(2, [[0, 1, 0], [1, 0, 1]], [2, 1], 3), **ignored)
    case(op, "more labels than steps", *operands(2, [[0, 1, 0, 1, 0], [1]], [2, 2], 3), **ignored)
    case(op, "columns with gaps", rand(4, 2, 4), tensor([[0, 0], [0, 5], [1, 3]], "i64"), tensor([1, 0, 2], "i32"), tensor([4, 3], "i32"))
    case(op, "two classes", *operands(4, [[0], [0, 0]], [2, 4], 2))
    case(op, "long", *operands(24, [[3, 1, 4, 1, 5, 2, 6, 5], [2, 7, 1, 8, 2, 8]], [24, 17], 10))
    logits, *rest = operands(3, [[0, 1], [1]], [3, 2], 3)
    for name, scale in (("large", 16), ("very large", 128)):
        case(op, f"{name} logits", logits * np.float32(scale), *rest)
    ruled_out = logits.copy()
    ruled_out[1, :, 1] = -INF
    case(op, "a class that is ruled out", ruled_out, *rest)
    fixed = [const(values, dtype) for values, dtype in ((rest[0], "i64"), (rest[1], "i32"), (rest[2], "i32"))]
    case(op, "constant labels", logits, *fixed[:2], rest[2])
    case(op, "constant labels and lengths", logits, *fixed)
    refused = {
        "no labels of one": operands(3, [[0], []], [3, 3], 3), "no labels": operands(3, [[], []], [3, 3], 3),
        "too many labels": operands(3, [[0, 1], [1, 0, 1]], [3, 2], 3), "no steps of one": operands(3, [[0], [1]], [3, 0], 3),
        "a negative label": operands(3, [[0, -1], [1]], [3, 3], 3), "a label behind a blank": operands(3, [[2, 1], [1]], [3, 3], 3),
        "a negative length": operands(3, [[0], [1]], [-1, 3], 3), "a length beyond the steps": operands(3, [[0], [1]], [4, 3], 3),
        "out of order": (logits, tensor([[0, 1], [0, 0], [1, 0]], "i64"), *rest[1:]), "twice at one place": (logits, tensor([[0, 0], [0, 0], [1, 0]], "i64"), *rest[1:]),
        "sequences out of order": (logits, tensor([[1, 0], [0, 0], [0, 1]], "i64"), *rest[1:]), "no such sequence": (logits, tensor([[0, 0], [0, 1], [2, 0]], "i64"), *rest[1:]),
        "a negative place": (logits, tensor([[0, -1], [0, 1], [1, 0]], "i64"), *rest[1:]), "more values than indices": (logits, rest[0][:2], *rest[1:]),
        "another batch": (*operands(3, [[0, 1], [1]], [3, 2], 3)[:3], tensor([3, 2, 1], "i32")), "no batch": (rand(3, 0, 3), np.zeros((0, 2), np.int64), tensor([], "i32"), tensor([], "i32")),
        "matrix": (rand(3, 2), *rest),
    }  # fmt: skip
    for name, given in refused.items():
        case(op, name, *given, fails=True)
    runs = [operands(steps, labels, lengths, classes) for steps, labels, lengths, classes in (
        (1, [[0]], [1], 2), (4, [[0, 1], [1]], [4, 2], 3), (5, [[1], [0, 1, 0], [1, 1]], [2, 5, 4], 4), (3, [[0, 1]], [3], 3), (2, [[0, 1, 0]], [2], 3))]  # fmt: skip
    for name in ("plain", "not merged", "longer ignored"):
        sweep(op, name, runs, **flags[name])


losses()
