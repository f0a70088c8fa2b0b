"""Gradients of convolutions by their operands and their filters: paddings, strides, dilations, groups, both layouts, no images."""

import itertools

import numpy as np

from .layout import both_layouts
from .spec import FLOATS, Run, case, const, rand, sweep

ONCE = [1, 1, 1, 1]


def places(size, k, stride, padding, dilation=1, pads=(0, 0)):
    """How many places a window has along an axis."""
    if padding == "SAME":
        return -(-size // stride)
    return max((size + sum(pads) - (k - 1) * dilation - 1) // stride + 1, 0)


def both(name, size, filter, strides=(1, 1), padding="SAME", dilations=(1, 1), dtype="f32", pads=None, **more):
    """The gradients by the operand of shape `size` and by the filter, and by either where the sizes are a shape."""
    x, w = rand(*size, dtype=dtype), rand(*filter, dtype=dtype, seed=1)
    around = ((0, 0), (0, 0)) if pads is None else (pads[:2], pads[2:])
    out = [places(n, k, s, padding, d, p) for n, k, s, d, p in zip(size[1:3], filter, strides, dilations, around)]
    g = rand(size[0], *out, filter[3], dtype=dtype, seed=2)
    attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *dilations, 1], **more}
    if pads:
        attrs["explicit_paddings"] = [0, 0, *pads, 0, 0]
    both_layouts("Conv2DBackpropFilter", name, (x, const(filter), g), moved=(0, 2), moves_result=False, **attrs)
    # No kernel takes the second versions on a processor; the first ones give the same.
    plain = {**attrs, "data_format": "NHWC"}
    by_filter = Run("Conv2DBackpropFilter", (x, const(filter), g), plain, list)
    case("Conv2DBackpropFilterV2", name, x, w, g, via=by_filter, **plain)
    by_input = Run("Conv2DBackpropInput", (const(size), w, g), plain, list)
    case("Conv2DBackpropInputV2", name, x, w, g, via=by_input, **plain)
    return x, w, g, plain


def flat():
    for dtype in FLOATS:
        both(f"3x3 {dtype}", (2, 4, 5, 2), (3, 3, 2, 3), dtype=dtype)
    for padding, strides, size in itertools.product(("SAME", "VALID"), ((1, 1), (2, 2), (3, 2)), ((5, 6), (4, 7))):
        both(f"{padding} strides {strides} on {size}", (2, *size, 2), (3, 2, 2, 3), strides, padding)
    for padding, dilations in itertools.product(("SAME", "VALID"), ((2, 2), (1, 3), (3, 2))):
        both(f"{padding} dilations {dilations}", (1, 7, 8, 2), (3, 3, 2, 2), padding=padding, dilations=dilations)
    both("strides and dilations", (1, 8, 7, 2), (2, 2, 2, 1), (2, 2), "SAME", (2, 3))
    both("explicit", (1, 4, 4, 1), (3, 3, 1, 2), padding="EXPLICIT", pads=[1, 0, 2, 1])
    both("explicit, strides", (1, 5, 4, 2), (3, 2, 2, 1), (2, 3), "EXPLICIT", pads=[0, 2, 1, 1])
    both("1x1", (2, 3, 3, 4), (1, 1, 4, 3))
    both("1x1, strides", (1, 5, 5, 2), (1, 1, 2, 3), (2, 2))
    both("even kernel", (1, 5, 5, 1), (4, 2, 1, 1))
    both("kernel as large as the image", (2, 3, 4, 2), (3, 4, 2, 3), padding="VALID")
    both("kernel larger, SAME", (1, 2, 2, 1), (5, 5, 1, 1))
    both("stride beyond kernel", (1, 7, 7, 1), (2, 2, 1, 1), (3, 3), "VALID")
    both("two groups", (2, 4, 4, 4), (3, 3, 2, 6))
    both("as many groups as channels", (2, 4, 4, 3), (2, 2, 1, 6), (2, 2), "VALID")
    both("as many filters as groups", (2, 4, 4, 8), (3, 3, 1, 8))
    both("wide channels", (2, 3, 3, 17), (2, 2, 17, 9))
    both("many images", (33, 3, 3, 3), (3, 3, 3, 13))
    both("one filter", (2, 6, 6, 17), (3, 3, 17, 1))
    both("no images", (0, 4, 4, 2), (3, 3, 2, 3))
    x, w, g = rand(1, 4, 4, 2), rand(3, 3, 2, 3), rand(1, 4, 4, 3)
    by_filter = {"channels of the gradient": (x, const([3, 3, 2, 4]), g), "channels": (x, const([3, 3, 5, 3]), g), "rows": (x, const([3, 3, 2, 3]), g[:, :3]),
                 "batch": (rand(2, 4, 4, 2), const([3, 3, 2, 3]), g)}  # fmt: skip
    for name, operands in by_filter.items():
        case("Conv2DBackpropFilter", f"wrong {name}", *operands, strides=ONCE, padding="SAME", fails=True)


def cubes():
    def cube(name, size, filter, strides=(1, 1, 1), padding="SAME", dilations=(1, 1, 1), dtype="f32"):
        x, w = rand(*size, dtype=dtype), rand(*filter, dtype=dtype, seed=1)
        out = [places(n, k, s, padding, d) for n, k, s, d in zip(size[1:4], filter, strides, dilations)]
        g = rand(size[0], *out, filter[4], dtype=dtype, seed=2)
        attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *dilations, 1]}
        both_layouts("Conv3DBackpropFilterV2", name, (x, const(filter), g), moved=(0, 2), moves_result=False, layout="NDHWC", **attrs)
        # The first versions are gone, but old graphs have them.
        gone = {"via": Run("Conv3DBackpropFilterV2", (x, const(filter), g), {**attrs, "data_format": "NDHWC"}, list, gone=True), **attrs}
        case("Conv3DBackpropFilter", name, x, w, g, **gone)
        gone = {"via": Run("Conv3DBackpropInputV2", (const(size), w, g), {**attrs, "data_format": "NDHWC"}, list, gone=True), **attrs}
        case("Conv3DBackpropInput", name, x, w, g, **gone)

    for dtype in FLOATS:
        cube(f"2x2x2 {dtype}", (2, 3, 3, 3, 2), (2, 2, 2, 2, 2), dtype=dtype)
    for padding in ("SAME", "VALID"):
        cube(f"{padding} strides", (1, 4, 5, 3, 1), (3, 2, 2, 1, 2), (2, 2, 1), padding)
        cube(f"{padding} dilations", (1, 4, 5, 5, 1), (2, 2, 2, 1, 1), padding=padding, dilations=(1, 2, 2))
    cube("1x1x1", (2, 2, 2, 2, 3), (1, 1, 1, 3, 2))
    cube("no images", (0, 2, 3, 3, 1), (2, 2, 2, 1, 2))


def depthwise():
    def each(name, size, filter, stride=1, padding="SAME", dtype="f32", pads=None):
        x, w = rand(*size, dtype=dtype), rand(*filter, dtype=dtype, seed=1)
        around = ((0, 0), (0, 0)) if pads is None else (pads[:2], pads[2:])
        out = [places(n, k, stride, padding, 1, p) for n, k, p in zip(size[1:3], filter, around)]
        g = rand(size[0], *out, filter[2] * filter[3], dtype=dtype, seed=2)
        attrs = {"strides": [1, stride, stride, 1], "padding": padding}
        if pads:
            attrs["explicit_paddings"] = [0, 0, *pads, 0, 0]
        both_layouts("DepthwiseConv2dNativeBackpropInput", name, (const(size), w, g), moved=(2,), shape_operand=0, **attrs)
        both_layouts("DepthwiseConv2dNativeBackpropFilter", name, (x, const(filter), g), moved=(0, 2), moves_result=False, **attrs)

    for dtype in FLOATS:
        each(f"3x3 {dtype}", (2, 4, 5, 2), (3, 3, 2, 1), dtype=dtype)
    for padding, stride, size in itertools.product(("SAME", "VALID"), (1, 2, 3), ((5, 6), (4, 7))):
        each(f"{padding} stride {stride} on {size}", (2, *size, 2), (3, 3, 2, 1), stride, padding)
    each("multiplier 3", (2, 4, 4, 2), (2, 3, 2, 3))
    each("multiplier 2 of many channels", (2, 4, 4, 9), (3, 3, 9, 2))
    each("explicit", (1, 4, 4, 2), (3, 3, 2, 1), padding="EXPLICIT", pads=[1, 2, 0, 1])
    each("many channels", (2, 3, 3, 19), (3, 3, 19, 1))
    each("many images", (5, 7, 7, 16), (3, 3, 16, 1))
    each("1x1", (1, 3, 3, 4), (1, 1, 4, 2))
    each("one channel", (2, 4, 4, 1), (3, 3, 1, 2))
    size, filter = (0, 4, 4, 2), (3, 3, 2, 1)
    x, w, g = rand(*size), rand(*filter), rand(*size)
    case("DepthwiseConv2dNativeBackpropInput", "no images", const(size), w, g, strides=ONCE, padding="SAME")
    # The kernel for double precision leaves what lay in memory.
    zeros = Run("DepthwiseConv2dNativeBackpropFilter", (x, const(filter), g), {"strides": ONCE, "padding": "SAME"}, lambda outputs: [np.zeros_like(outputs[0])], always=True)
    case("DepthwiseConv2dNativeBackpropFilter", "no images", x, const(filter), g, strides=ONCE, padding="SAME", via=zeros)
    x, w, g = rand(1, 4, 4, 2), rand(3, 3, 2, 2), rand(1, 4, 4, 4)
    for name, sizes in {"channels": [3, 3, 4, 1], "multiplier": [3, 3, 2, 1]}.items():
        case("DepthwiseConv2dNativeBackpropFilter", f"wrong {name}", x, const(sizes), g, strides=ONCE, padding="SAME", fails=True)
    for name, sizes in {"channels": [1, 4, 4, 4], "rows": [1, 5, 4, 2], "batch": [2, 4, 4, 2]}.items():
        case("DepthwiseConv2dNativeBackpropInput", f"wrong {name}", const(sizes), w, g, strides=ONCE, padding="SAME", fails=True)


def borders():
    """Open batches and open rows: those that the stride takes to a whole number, and others; windows that do not fit."""
    for (k, s), padding in itertools.product(((3, 1), (3, 2), (2, 3)), ("VALID", "SAME")):
        name = f"{padding} {k} by {s}"
        width = places(4, k, s, padding)

        def runs(filter, channels):
            for n, rows, more in itertools.product((0, 1, 2), (2, 3, 4, 5), (0, 1)):
                out = places(rows, k, s, padding) + more
                # TensorFlow's kernel crashes on images without a place for the window.
                if n > 0 and out == 0:
                    continue
                yield rand(n, rows, 4, 2, dtype="f64"), const(filter), rand(n, out, width, channels, dtype="f64", seed=1)

        sweep("Conv2DBackpropFilter", name, list(runs((k, k, 2, 3), 3)), strides=[1, s, s, 1], padding=padding)
        sweep("DepthwiseConv2dNativeBackpropFilter", name, [run for run in runs((k, k, 2, 2), 4) if len(run[0])], strides=[1, s, s, 1], padding=padding)
        cube = [(rand(n, rows, 4, 4, 1, dtype="f64"), const((k, k, k, 1, 2)), rand(n, places(rows, k, s, padding) + more, width, width, 2, dtype="f64", seed=1))
                for n in (1, 2) for rows in (3, 4, 5) for more in (0, 1)]  # fmt: skip
        sweep("Conv3DBackpropFilterV2", name, cube, strides=[1, s, s, s, 1], padding=padding)
        filter = rand(k, k, 2, 2, dtype="f64")
        sizes = [(const([2, 4, 4, 2]), filter, rand(n, rows, width, 4, dtype="f64")) for n in (1, 2) for rows in (1, 2, 3, 4)]
        sweep("DepthwiseConv2dNativeBackpropInput", name, sizes, strides=[1, s, s, 1], padding=padding)


flat()
cubes()
depthwise()
borders()
