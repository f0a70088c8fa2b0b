"""Biases, normalisations and softmaxes."""

import numpy as np

from .layout import FIRST, both_layouts, first
from .spec import FLOATS, INF, NAN, NUMBERS, Run, case, const, rand, sweep, tensor


def biases():
    for dtype in NUMBERS:
        case("BiasAdd", f"rank 2 {dtype}", rand(2, 3, dtype=dtype), rand(3, dtype=dtype, seed=1), optional=True)
    for shape in ((2, 4, 3), (1, 2, 2, 3), (1, 2, 1, 2, 3)):
        bias = rand(3, seed=1)
        run = Run("BiasAdd", (rand(*shape), bias), {}, lambda outputs: [first(outputs[0])])
        case("BiasAdd", f"rank {len(shape)}", rand(*shape), bias, data_format="NHWC")
        case("BiasAdd", f"rank {len(shape)}, channels first", first(rand(*shape)), bias, data_format="NCHW", via=run)
        case("BiasAddV1", f"rank {len(shape)}", rand(*shape), bias)
    case("BiasAdd", "empty", rand(0, 3), rand(3))
    case("BiasAdd", "sizes differ", rand(2, 3), rand(2), fails=True)
    case("BiasAddV1", "i32", rand(2, 3, dtype="i32"), rand(3, dtype="i32", seed=1))


def batch_norms():
    """Inference only."""
    parts = [rand(3, seed=s, low=8) for s in (1, 2, 3, 4)]
    for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        both_layouts(op, "images", (rand(2, 2, 3, 3), *parts), epsilon=0.001, is_training=False)
        both_layouts(op, "one image", (rand(1, 1, 2, 3), *parts), epsilon=0.0, is_training=False)
        case(op, "default epsilon", rand(1, 2, 2, 3), *parts, is_training=False)
        case(op, "no image", rand(0, 2, 2, 3), *parts, is_training=False)
        case(op, "variance zero", rand(1, 2, 1, 1), *(tensor([v]) for v in (1.5, 0.5, 0.25, 0.0)), epsilon=0.0, is_training=False)
    for op in ("FusedBatchNormV2", "FusedBatchNormV3"):
        for dtype in ("f16", "bf16"):
            case(op, f"of {dtype}", rand(1, 2, 2, 3, dtype=dtype), *parts, epsilon=0.001, is_training=False, optional=True)
    volume = (rand(1, 2, 2, 2, 3), *parts)
    both_layouts("FusedBatchNormV3", "volumes", volume, layout="NDHWC", epsilon=0.001, is_training=False)
    for dtype in ("f32", "f16", "bf16"):
        x = rand(1, 2, 2, 7, dtype=dtype)
        case("LRN", f"default {dtype}", x, optional=True)
        case("LRN", f"AlexNet {dtype}", x, depth_radius=2, bias=1.0, alpha=2e-05, beta=0.75, optional=True)
    case("LRN", "radius 1", rand(2, 1, 2, 5), depth_radius=1, bias=2.0, alpha=0.5, beta=0.5)
    case("LRN", "radius 0", rand(1, 1, 1, 4), depth_radius=0, bias=0.5, alpha=1.0, beta=1.0)
    case("LRN", "beta 0.6", rand(1, 2, 1, 6), depth_radius=3, bias=1.5, alpha=0.25, beta=0.6)


def softmaxes():
    for op in ("Softmax", "LogSoftmax"):
        for dtype in FLOATS:
            case(op, f"rows {dtype}", rand(3, 5, dtype=dtype))
        case(op, "vector", rand(7))
        case(op, "rank 4", rand(2, 1, 2, 3))
        case(op, "one class", rand(3, 1))
        case(op, "large", tensor([[1000.0, 1001.0, 999.0], [-1000.0, -1001.0, -999.5]]))
        case(op, "minus infinity", tensor([[-INF, 0.0, 1.0], [2.0, -INF, -INF]]))
        case(op, "all minus infinity", tensor([[-INF, -INF]]))
        case(op, "no rows", rand(0, 3))
        case(op, "no classes", rand(2, 0))
        case(op, "scalar", tensor(1.0), fails=True)


def cross_entropies():
    """Both outputs: the loss, and its gradient by the logits."""
    dense, sparse = "SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"
    for dtype in FLOATS:
        labels = tensor([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25]], dtype)
        case(dense, f"rows {dtype}", rand(2, 3, dtype=dtype), labels)
        case(dense, f"sharp {dtype}", tensor([[10.0, -10.0, 3.5]], dtype), tensor([[1.0, 0.0, 0.0]], dtype))
        for index in ("i32", "i64"):
            case(sparse, f"rows {dtype} {index}", rand(2, 3, dtype=dtype), tensor([2, 0], index))
        case(sparse, f"sharp {dtype}", tensor([[10.0, -10.0, 3.5], [-10.0, 10.0, 4.5]], dtype), tensor([0, 0], "i64"))
    for value in (NAN, INF, -INF):
        logits = tensor([[value, 0, 1], [0, value, 1], [1, 0, value]])
        case(dense, f"{value}", logits, tensor([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
        case(dense, f"{value} of labels", rand(3, 3), logits)
        case(sparse, f"{value}", logits, tensor([0, 1, 1], "i32"))
    for op, labels in ((dense, tensor([[0.0, 1.0]])), (sparse, tensor([0], "i32"))):
        case(op, "all minus infinity", tensor([[-INF, -INF]]), labels)
    case(dense, "large", tensor([[1000.0, -1000.0, 999.0]]), tensor([[0.0, 1.0, 0.0]]))
    case(dense, "labels below 0 and above 1", rand(2, 3), rand(2, 3, seed=2))
    case(dense, "many classes", rand(3, 37), rand(3, 37, seed=1, low=0))
    case(sparse, "many classes", rand(4, 37), tensor([0, 36, 5, 17], "i64"))
    case(sparse, "one class", rand(2, 1), tensor([0, 0], "i32"))
    shapes = ((2, 2), (1, 2)), ((1, 3), (2, 3)), ((2, 1), (1, 3)), ((1, 1), (2, 3)), ((3,), (2, 3)), ((2, 3), (3,)), ((2, 3), (1,)), ((), (2, 3)), ((1, 3), (0, 3)), ((2, 1), (2, 0))
    for logits, labels in shapes:
        case(dense, f"{list(logits)} with {list(labels)}", rand(*logits), rand(*labels, seed=1, low=0))
    for shape in ((0, 3), (2, 0), (0, 0)):
        case(dense, f"empty {list(shape)}", rand(*shape), rand(*shape))
    case(dense, "shapes differ", rand(2, 3), rand(2, 2), fails=True)
    for shape in ((3,), (2, 1, 3), ()):
        case(dense, f"rank {len(shape)}", rand(*shape), rand(*shape), fails=True)
    case(sparse, "no rows", rand(0, 3), tensor([], "i32"))
    case(sparse, "no classes", rand(2, 0), tensor([0, 0], "i32"), fails=True)
    case(sparse, "neither rows nor classes", rand(0, 0), tensor([], "i32"), fails=True)
    for label in (-1, 3):
        for index in ("i32", "i64"):
            case(sparse, f"label {label} of {index}", rand(2, 3), tensor([1, label], index), fails=True)
    case(sparse, "numbers of rows differ", rand(2, 3), tensor([1], "i64"), fails=True)
    case(sparse, "logits of rank 1", rand(3), tensor(1, "i64"), fails=True)
    case(sparse, "logits of rank 3", rand(2, 1, 3), tensor([1, 0], "i64"), fails=True)
    case(sparse, "labels of rank 2", rand(2, 3), tensor([[1], [0]], "i64"), fails=True)
    extents = (0, 1, 3)
    sweep(dense, "rows and classes", [(rand(n, c), rand(n, c, seed=1, low=0)) for n in extents for c in extents])
    sweep(dense, "labels of one row", [(rand(n, 3), rand(m, 3, seed=1)) for n in extents for m in extents])
    sweep(sparse, "rows and classes", [(rand(n, c), tensor([0] * m, "i32")) for n in extents for c in extents for m in extents])
    sweep(sparse, "constant labels", [(rand(2, c), const([1, 2], "i64")) for c in range(5)])


biases()
batch_norms()
softmaxes()
cross_entropies()
