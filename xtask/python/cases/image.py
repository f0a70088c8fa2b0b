"""Resizing and the exchanges between batch, depth and space."""

import numpy as np

from .layout import first
from .spec import DTYPES, FLOATS, INF, INTS, NAN, NUMBERS, Run, Sizes, case, const, extent, rand, sweep, tensor


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


def cubic():
    """By cubic convolution, and back."""
    op, back = "ResizeBicubic", "ResizeBicubicGrad"
    sizes = ([4, 6], [3, 2], [5, 7], [1, 1], [2, 3], [8, 3])
    for name, flags in FLAGS.items():
        for size in sizes:
            case(op, f"{name} 2x3 to {size}", rand(1, 2, 3, 2), const(size), **flags)
            case(back, f"{name} 2x3 from {size}", rand(1, *size, 2), rand(1, 2, 3, 2), **flags)
        for shape, size in (((2, 5, 4, 1), [3, 7]), ((1, 1, 1, 1), [2, 2]), ((1, 6, 6, 3), [3, 3]), ((1, 3, 4, 3), [11, 9])):
            case(op, f"{name} {shape} to {size}", rand(*shape), const(size), **flags)
            case(back, f"{name} {shape} from {size}", rand(shape[0], *size, shape[3]), rand(*shape), **flags)
        for value in (NAN, INF):
            for at in ((0, 0), (1, 1), (2, 2)):
                image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
                image[0, at[0], at[1], 0] = value
                for size in ([3, 3], [5, 5], [2, 2]):
                    case(op, f"{name}, {value} at {at} of 3x3 to {size}", image, const(size), **flags)
        for dtype in FLOATS + INTS:
            case(op, f"{name} of {dtype}", rand(1, 2, 2, 1, dtype=dtype), const([3, 3]), optional=True, **flags)
            case(back, f"{name} of {dtype}", rand(1, 3, 3, 1), rand(1, 2, 2, 1, dtype=dtype), optional=True, **flags)
        rows = [(b, n, m) for b in (0, 1, 2) for n in (1, 2, 3) for m in (1, 2, 4)]
        sweep(op, f"{name}, twice the rows", [(rand(b, n, 2, c), Sizes([extent(0, 1) * 2, 3])) for b in (0, 1, 2) for n in (0, 1, 3) for c in (0, 1, 2)], **flags)
        sweep(op, f"{name}, two rows", [(rand(b, n, 3, 2), const([2, 2])) for b in (0, 1, 2) for n in range(5)], **flags)
        sweep(back, f"{name}, rows", [(rand(b, n, 2, 2), rand(b, m, 3, 2)) for b, n, m in rows], **flags)
        sweep(back, f"{name}, none", [(rand(b, n, 2, c), rand(b, m, 3, c)) for b in (0, 1) for n in (0, 2) for m in (0, 2) for c in (0, 1)], **flags)
    for name in (op, back):
        operand = const([3, 3]) if name == op else rand(1, 3, 3, 1)
        case(name, "both flags", rand(1, 2, 2, 1), operand, align_corners=True, half_pixel_centers=True, fails=True)
        case(name, "rank 3", rand(2, 2, 2), operand, fails=True)
    case(op, "size zero", rand(1, 2, 2, 1), const([0, 3]), fails=True)


def crops():
    """Boxes within an image, beyond it, turned over and without extent; and back."""
    op, of_image, of_boxes = "CropAndResize", "CropAndResizeGradImage", "CropAndResizeGradBoxes"
    boxes = tensor([[0, 0, 1, 1], [0.25, 0.125, 0.75, 0.875], [-0.25, 0.5, 0.5, 1.25], [1, 0.75, 0, 0.25], [0.3, 0.3, 0.3, 0.3], [2, 2, 3, 3]])
    index = tensor([0, 1, 1, 0, 1, 0], "i32")
    for method in ("bilinear", "nearest"):
        for size in ([3, 4], [1, 1], [1, 3], [5, 1], [2, 7]):
            name = f"{method} to {size}"
            for height, width in ((4, 5), (1, 1), (3, 1)):
                image, g = rand(2, height, width, 3), rand(6, *size, 3, seed=1)
                case(op, f"{name} of {height}x{width}", image, boxes, index, const(size), method=method)
                case(of_image, f"{name} of {height}x{width}", g, boxes, index, const([2, height, width, 3]), method=method, T=DTYPES["f32"])
                if method == "bilinear":
                    case(of_boxes, f"{name} of {height}x{width}", g, image, boxes, index, method=method)
        case(op, f"{method}, another value outside", rand(2, 4, 5, 1), boxes, index, const([3, 3]), method=method, extrapolation_value=-7.5)
        for dtype in FLOATS + INTS:
            case(op, f"{method} of {dtype}", rand(2, 3, 4, 2, dtype=dtype), boxes, index, const([3, 2]), method=method, optional=True)
        for dtype in ("f16", "f32", "f64"):
            case(of_image, f"{method} of {dtype}", rand(6, 3, 2, 2), boxes, index, const([2, 3, 4, 2]), method=method, T=DTYPES[dtype])
        half = tensor([[0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5]])
        case(op, f"{method}, halves", rand(1, 2, 4, 1), half, tensor([0, 0], "i32"), const([3, 7]), method=method)
        runs = [(rand(b, h, 3, c), boxes[:n], index[:n], const([2, 3])) for b in (0, 2) for h in (0, 1, 3) for n in (0, 1, 4) for c in (1, 2) if b or not n]
        sweep(op, method, runs, method=method)
        sweep(op, f"{method}, as large as the image", [(rand(2, h, 2, 1), boxes[:n], index[:n], Sizes([extent(0, 1), 2])) for h in (0, 1, 2, 3) for n in (1, 4)], method=method)
        rows = [(h, n, c) for h in (0, 1, 3) for n in (0, 1, 4) for c in (1, 2)]
        sweep(of_image, method, [(rand(n, h, 3, 2), boxes[:n], index[:n], const([2, 3, 2, 2])) for h, n, _ in rows], method=method, T=DTYPES["f32"])
    sweep(of_boxes, "bilinear", [(rand(n, h, 3, c), rand(2, m, 3, c, seed=1), boxes[:n], index[:n]) for h, n, c in rows for m in (0, 1, 3)])
    for dtype in FLOATS + INTS:
        case(of_boxes, f"of {dtype}", rand(6, 3, 2, 2), rand(2, 3, 4, 2, dtype=dtype), boxes, index, optional=True)
    image, g, size, extents = rand(2, 3, 3, 1), rand(6, 2, 2, 1), const([2, 2]), const([2, 3, 3, 1])
    for name, wrong in (("no such image", tensor([0, 1, 2, 0, 1, 0], "i32")), ("a negative image", tensor([0, 1, -1, 0, 1, 0], "i32")), ("fewer images than boxes", index[:5])):
        case(op, name, image, boxes, wrong, size, fails=True)
        case(of_image, name, g, boxes, wrong, extents, T=DTYPES["f32"], fails=True)
        case(of_boxes, name, g, image, boxes, wrong, fails=True)
    for name, value in (("NaN", NAN), ("infinite", INF)):
        bad = boxes.copy()
        bad[1, 2] = value
        case(op, name, image, bad, index, size, fails=True)
    case(op, "boxes of three", image, boxes[:, :3], index, size, fails=True)
    case(op, "size zero", image, boxes, index, const([0, 2]), fails=True)
    case(of_image, "other channels", rand(6, 2, 2, 2), boxes, index, extents, T=DTYPES["f32"], fails=True)
    case(of_boxes, "other channels", rand(6, 2, 2, 2), image, boxes, index, fails=True)
    case(of_boxes, "fewer crops than boxes", g[:4], image, boxes, index, fails=True)


def sampled():
    """By every kernel, smaller and larger, smoothed or not, moved, and back."""
    op, back = "ScaleAndTranslate", "ScaleAndTranslateGrad"
    kernels = ("lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic")
    pair = lambda a, b: const([a, b], "f32")
    for kernel in kernels:
        for smooth in (True, False):
            attrs = {"kernel_type": kernel, "antialias": smooth}
            for (h, w), (rows, columns) in (((6, 5), (3, 4)), ((3, 4), (7, 9)), ((5, 6), (5, 1)), ((1, 1), (2, 3)), ((9, 12), (2, 3))):
                name, scale = f"{kernel} {h}x{w} to {rows}x{columns}, smooth {smooth}", pair(rows / h, columns / w)
                case(op, name, rand(2, h, w, 2), const([rows, columns]), scale, pair(0, 0), **attrs)
                case(back, name, rand(2, rows, columns, 2), rand(2, h, w, 2), scale, pair(0, 0), **attrs)
            for move in ((0.5, -1.25), (-3, 2), (9, 0)):
                case(op, f"{kernel} moved by {move}, smooth {smooth}", rand(1, 4, 5, 1), const([5, 4]), pair(1.5, 0.5), pair(*move), **attrs)
                case(back, f"{kernel} moved by {move}, smooth {smooth}", rand(1, 5, 4, 1), rand(1, 4, 5, 1), pair(1.5, 0.5), pair(*move), **attrs)
    scale, still, size = pair(0.75, 1.5), pair(0, 0), const([3, 6])
    for dtype in FLOATS + INTS:
        case(op, f"of {dtype}", rand(1, 4, 4, 2, dtype=dtype), size, scale, still, kernel_type="triangle", optional=True)
    for value in (NAN, INF):
        image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
        image[0, 3, 1, 0] = value
        case(op, f"{value}", image, size, scale, still, kernel_type="triangle")
        case(op, f"{value}, lanczos", image, size, scale, still, kernel_type="lanczos3")
    case(op, "no image", rand(0, 4, 4, 1), size, scale, still, kernel_type="box")
    x = rand(1, 4, 4, 1)
    case(op, "no such kernel", x, size, scale, still, kernel_type="cubic", fails=True)
    case(op, "scale of zero", x, size, pair(0, 1), still, fails=True)
    case(op, "scale below zero", x, size, pair(1, -1), still, fails=True)
    case(op, "no channels", rand(1, 4, 4, 0), size, scale, still, fails=True)
    case(op, "no rows", rand(1, 0, 4, 1), size, scale, still, fails=True)
    case(op, "size zero", x, const([0, 3]), scale, still, fails=True)
    case(op, "rank 3", x[0], size, scale, still, fails=True)
    case(op, "three scales", x, size, const([1, 1, 1], "f32"), still, fails=True)
    case(back, "scale of zero", rand(1, 3, 6, 1), x, pair(0, 1), still, fails=True)
    for channels in (1, 2):
        sweep(op, f"batches, {channels} channels", [(rand(b, 4, 3, channels), size, scale, still) for b in (0, 1, 3)], kernel_type="triangle")
        sweep(back, f"batches, {channels} channels", [(rand(b, 3, 6, channels), rand(b, 4, 3, channels), scale, still) for b in (0, 1, 3)], kernel_type="triangle")


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
cubic()
crops()
sampled()
blocks()
