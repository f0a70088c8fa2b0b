"""Resizing and the exchanges between batch, depth and space."""

import numpy as np

from .layout import first
from .spec import FLOATS, INF, INTS, NAN, NUMBERS, Run, Sizes, case, const, extent, rand, sweep


def resizes():
    sizes = ([4, 6], [3, 2], [5, 7], [1, 1], [2, 3], [8, 3])
    for op in ("ResizeBilinear", "ResizeNearestNeighbor"):
        for flags in ({}, {"align_corners": True}, {"half_pixel_centers": True}):
            name = next(iter(flags), "legacy").replace("_", " ")
            for size in sizes:
                case(op, f"{name} 2x3 to {size}", rand(1, 2, 3, 2), const(size), **flags)
            case(op, f"{name} 5x4 to 3x7", rand(2, 5, 4, 1), const([3, 7]), **flags)
            case(op, f"{name} 1x1 to 2x2", rand(1, 1, 1, 1), const([2, 2]), **flags)
            case(op, f"{name} 6x6 to 3x3", rand(1, 6, 6, 1), const([3, 3]), **flags)
        for dtype in FLOATS + INTS:
            case(op, f"of {dtype}", rand(1, 2, 2, 1, dtype=dtype), const([3, 3]), optional=True, half_pixel_centers=True)
        case(op, "no image", rand(0, 2, 2, 1), const([3, 3]), optional=True)
        for flags in ({}, {"align_corners": True}, {"half_pixel_centers": True}):
            name = next(iter(flags), "legacy").replace("_", " ")
            for value in (NAN, INF):
                for at in ((0, 0), (1, 1), (2, 2)):
                    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
                    image[0, at[0], at[1], 0] = value
                    for size in ([3, 3], [5, 5], [8, 3], [3, 8], [2, 2]):
                        case(op, f"{name}, {value} at {at} of 3x3 to {size}", image, const(size), **flags)
        case(op, "size zero", rand(1, 2, 2, 1), const([0, 3]), fails=True)
    case("ResizeBilinear", "both flags", rand(1, 2, 2, 1), const([3, 3]), align_corners=True, half_pixel_centers=True, fails=True)


FLAGS = {"legacy": {}, "align corners": {"align_corners": True}, "half pixel centers": {"half_pixel_centers": True}}


def resize_gradients():
    """From sizes of a result back to those of an image: taken once, often, not at all, and equally often."""
    near, between = "ResizeNearestNeighborGrad", "ResizeBilinearGrad"
    sizes = {"2x3": ([4, 6], [3, 2], [5, 7], [1, 1], [2, 3], [8, 3], [6, 12]), "5x4": ([3, 7], [10, 8]), "1x1": ([2, 2],), "6x6": ([3, 3], [6, 3])}
    for name, flags in FLAGS.items():
        for image, results in sizes.items():
            height, width = map(int, image.split("x"))
            for result in results:
                g = rand(2, *result, 3)
                case(near, f"{name} {image} from {result}", g, const([height, width]), **flags)
                case(between, f"{name} {image} from {result}", g, rand(2, height, width, 3), **flags)
        for value in (NAN, INF):
            for at in ((0, 0), (1, 1), (2, 2)):
                g = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
                g[0, at[0], at[1], 0] = value
                for size in ([3, 3], [2, 5]):
                    case(near, f"{name}, {value} at {at} of 3x3 for {size}", g, const(size), **flags)
                    case(between, f"{name}, {value} at {at} of 3x3 for {size}", g, rand(1, *size, 1), **flags)
        for dtype in FLOATS + INTS:
            for size in ([2, 2], [3, 4]):
                case(near, f"{name}, {size} of {dtype}", rand(1, 4, 4, 2, dtype=dtype), const(size), optional=True, **flags)
                case(between, f"{name}, {size} of {dtype}", rand(1, 4, 4, 2), rand(1, *size, 2, dtype=dtype), optional=True, **flags)
        rows = [(b, n, m) for b in (0, 1, 2) for n in (1, 2, 3) for m in (1, 2, 4)]
        sweep(near, f"{name}, as many rows", [(rand(b, n, 2, 2), Sizes([extent(0, 1), 3])) for b, n, _ in rows], **flags)
        sweep(near, f"{name}, twice the rows", [(rand(b, n, 2, 2), Sizes([extent(0, 1) * 2, 3])) for b, n, _ in rows], **flags)
        sweep(near, f"{name}, two rows", [(rand(b, n, 3, c), const([2, 2])) for b in (0, 1, 2) for n in range(5) for c in (0, 1)], **flags)
        sweep(between, f"{name}, rows", [(rand(b, n, 2, 2), rand(b, m, 3, 2)) for b, n, m in rows], **flags)
        sweep(between, f"{name}, none", [(rand(b, n, 2, c), rand(b, m, 3, c)) for b in (0, 1) for n in (0, 2) for m in (0, 2) for c in (0, 1)], **flags)
    case(near, "both flags", rand(1, 5, 5, 1), const([3, 3]), align_corners=True, half_pixel_centers=True)
    case(between, "both flags", rand(1, 2, 2, 1), rand(1, 3, 3, 1), align_corners=True, half_pixel_centers=True, fails=True)
    case(near, "size zero", rand(1, 2, 2, 1), const([0, 3]), fails=True)
    case(near, "size below zero", rand(1, 2, 2, 1), const([3, -1]), fails=True)
    case(near, "rank 3", rand(2, 2, 2), const([3, 3]), fails=True)
    case(between, "rank 3", rand(2, 2, 2), rand(1, 3, 3, 1), fails=True)


def blocks():
    def exchange(op, name, x, block, shape=None):
        case(op, name, x, block_size=block)
        via = Run(op, (x,), {"block_size": block}, lambda outputs: [first(outputs[0])])
        case(op, f"{name}, channels first", first(x), block_size=block, data_format="NCHW", via=via)

    for dtype in ("f32", "f64", "f16", "bf16", "i32", "u8", "i64", "bool"):
        case("SpaceToDepth", f"of {dtype}", rand(1, 2, 4, 2, dtype=dtype), block_size=2, optional=True)
        case("DepthToSpace", f"of {dtype}", rand(1, 2, 1, 8, dtype=dtype), block_size=2, optional=True)
    exchange("SpaceToDepth", "twos", rand(2, 4, 2, 3), 2)
    exchange("SpaceToDepth", "threes", rand(1, 3, 6, 1), 3)
    exchange("DepthToSpace", "twos", rand(2, 1, 2, 12), 2)
    exchange("DepthToSpace", "threes", rand(1, 2, 1, 9), 3)
    case("SpaceToDepth", "does not divide", rand(1, 3, 4, 1), block_size=2, fails=True)
    case("DepthToSpace", "does not divide", rand(1, 2, 2, 3), block_size=2, fails=True)
    for dtype in ("f32", "f64", "i32", "bool", "f16", "i64"):
        case("SpaceToBatchND", f"of {dtype}", rand(1, 4, 2, 1, dtype=dtype), const([2, 2]), const([[0, 0], [0, 0]]), optional=True)
        case("BatchToSpaceND", f"of {dtype}", rand(4, 2, 1, 1, dtype=dtype), const([2, 2]), const([[0, 0], [0, 0]]), optional=True)
    table = {
        "padded": (rand(1, 3, 4, 2), [2, 2], [[1, 0], [0, 2]]), "one dimension": (rand(2, 5, 3), [3], [[1, 0]]),
        "uneven blocks": (rand(1, 4, 6, 1), [2, 3], [[0, 0], [0, 0]]), "block of one": (rand(2, 2, 3, 1), [1, 3], [[1, 1], [0, 0]]),
        "three dimensions": (rand(1, 2, 2, 2, 1), [2, 1, 2], [[0, 0], [0, 0], [0, 0]]), "batch only": (rand(2, 2), [2], [[0, 0]]),
    }  # fmt: skip
    for name, (x, block, pads) in table.items():
        case("SpaceToBatchND", name, x, const(block), const(pads))
    crops = {
        "cropped": (rand(4, 2, 3, 2), [2, 2], [[1, 0], [0, 2]]), "one dimension": (rand(6, 2, 2), [3], [[1, 2]]),
        "uneven blocks": (rand(6, 2, 2, 1), [2, 3], [[0, 1], [1, 1]]), "two left": (rand(8, 1, 2, 1), [2, 2], [[0, 0], [1, 0]]),
        "all cropped": (rand(2, 1, 1), [2], [[1, 1]]),
    }  # fmt: skip
    for name, (x, block, cut) in crops.items():
        case("BatchToSpaceND", name, x, const(block), const(cut))
    case("SpaceToBatchND", "operands of 64 bits", rand(1, 4, 1), const([2], "i64"), const([[0, 0]], "i64"))
    case("BatchToSpaceND", "operands of 64 bits", rand(2, 2, 1), const([2], "i64"), const([[0, 1]], "i64"))
    case("SpaceToBatchND", "does not divide", rand(1, 3, 1), const([2]), const([[0, 0]]), fails=True)
    case("BatchToSpaceND", "batch does not divide", rand(3, 2, 1), const([2]), const([[0, 0]]), fails=True)
    case("SpaceToBatch", "padded", rand(1, 3, 4, 1), const([[1, 0], [0, 0]]), block_size=2)
    case("BatchToSpace", "cropped", rand(4, 2, 2, 1), const([[1, 0], [0, 0]]), block_size=2)


resizes()
resize_gradients()
blocks()
