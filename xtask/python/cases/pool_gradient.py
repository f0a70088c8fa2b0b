"""Gradients of pooling: overlaps, gaps and margins of windows, ties, NaN and infinities, both layouts, empty extents."""

import itertools

import numpy as np

from .layout import FIRST, first, first_list
from .spec import DTYPES, FLOATS, INF, INTS, NAN, Run, Sizes, case, const, extent, rand, sweep, tensor

AVG = {2: "AvgPoolGrad", 3: "AvgPool3DGrad"}
MAX = {2: "MaxPoolGrad", 3: "MaxPool3DGrad"}
TWICE = {2: "MaxPoolGradGrad", 3: "MaxPool3DGradGrad"}
IMAGE = {2: (6, 5), 3: (3, 4, 5)}
LAYOUT = {2: "NHWC", 3: "NDHWC"}


def spread(size, stride, padding):
    """The attributes of a window; an extent for each spatial axis."""
    return {"ksize": [1, *size, 1], "strides": [1, *stride, 1], "padding": padding}


def places(extents, size, stride, padding):
    if padding == "SAME":
        return tuple(-(-n // s) for n, s in zip(extents, stride))
    return tuple(max(0, (n - k) // s + 1) for n, k, s in zip(extents, size, stride))


def maxima(x, size, stride, padding):
    """The greatest element of each window of an image, channels last."""
    extents, rank = x.shape[1:-1], len(size)
    of = places(extents, size, stride, padding)
    low = [max(0, (o - 1) * s + k - n) // 2 if padding == "SAME" else 0 for o, s, k, n in zip(of, stride, size, extents)]
    y = np.zeros((x.shape[0], *of, x.shape[-1]), x.dtype)
    for at in np.ndindex(*of):
        span = [slice(max(0, at[a] * stride[a] - low[a]), max(0, at[a] * stride[a] - low[a] + size[a])) for a in range(rank)]
        y[(slice(None), *at)] = x[(slice(None), *span)].max(axis=tuple(range(1, rank + 1)))
    return y


def operands(op, x, y, g, g_twice):
    """What an operator takes of an image, its maxima, a gradient of these and one of the image's shape."""
    if op in AVG.values():
        return (const(x.shape), g)
    return (x, y, g_twice if op in TWICE.values() else g)


def windows(op, name, x, size, stride, padding, both=True, optional=False):
    """The case, in both layouts where asked."""
    y = maxima(x, size, stride, padding)
    g, g_twice = rand(*y.shape, dtype=name_of(x), seed=7), rand(*x.shape, dtype=name_of(x), seed=8)
    given, attrs = operands(op, x, y, g, g_twice), spread(size, stride, padding)
    layout = LAYOUT[len(size)]
    case(op, name, *given, data_format=layout, optional=optional, **attrs)
    if both:
        turned = [const(first_list(list(v.value))) if hasattr(v, "value") else first(v) for v in given]
        via = Run(op, given, {**attrs, "data_format": layout}, lambda outputs: [first(outputs[0])])
        swapped = {**attrs, "ksize": first_list(attrs["ksize"]), "strides": first_list(attrs["strides"])}
        case(op, f"{name}, channels first", *turned, data_format=FIRST[layout], via=via, optional=optional, **swapped)


def name_of(x):
    return next(name for name, dtype in DTYPES.items() if dtype == x.dtype)


def few(*shape, dtype="f32"):
    """An image of few values, which has ties in most windows."""
    return (rand(*shape, seed=3) > 0).astype(DTYPES[dtype])


def overlaps():
    for rank, ops in itertools.product((2, 3), (AVG, MAX, TWICE)):
        op, image = ops[rank], IMAGE[rank]
        types = FLOATS if ops is AVG or rank == 3 else (*FLOATS, *INTS)
        for dtype in types:
            windows(op, f"twos {dtype}", rand(1, *image, 2, dtype=dtype), (2,) * rank, (2,) * rank, "VALID", dtype == "f32", optional=True)
            windows(op, f"overlaps {dtype}", rand(1, *image, 2, dtype=dtype), (3,) * rank, (2,) * rank, "SAME", False, optional=True)
            if ops is not AVG:
                windows(op, f"ties {dtype}", few(1, *image, 2, dtype=dtype), (3,) * rank, (2,) * rank, "VALID", False, optional=True)
        for padding in ("SAME", "VALID"):
            for size, stride in ((3, 2), (2, 1), (3, 3), (1, 2), (2, 3), (1, 1), (3, 1)):
                windows(op, f"{padding} {size} by {stride}", rand(2, *image, 2), (size,) * rank, (stride,) * rank, padding, (size, stride) == (3, 2))
            windows(op, f"{padding} uneven", rand(1, *image, 3), (3, 1, 2)[:rank], (1, 2, 3)[:rank], padding)
        windows(op, "five by two", rand(1, *(7, 6, 2)[:rank], 1), (5, 5, 1)[:rank], (2, 2, 1)[:rank], "SAME", False)
        windows(op, "whole", rand(2, *(5, 3, 2)[:rank], 3), (5, 3, 2)[:rank], (1,) * rank, "VALID", False)
        windows(op, "window larger", rand(1, *(2,) * rank, 1), (4,) * rank, (1,) * rank, "SAME", False)
        windows(op, "many channels", rand(1, *image, 19), (2,) * rank, (2,) * rank, "SAME", False)
        # This kernel raises where there is nothing to do; oneDNN's takes no image without channels.
        if op != "MaxPool3DGradGrad":
            windows(op, "no image", rand(0, *image, 2), (2,) * rank, (2,) * rank, "VALID", False)
        if op not in ("AvgPoolGrad", "MaxPool3DGradGrad"):
            windows(op, "no channels", rand(1, *image, 0), (2,) * rank, (2,) * rank, "VALID", False)
    for padding, stride in (("VALID", 1), ("SAME", 4)):
        windows("MaxPoolGrad", f"{padding} large window", rand(2, 11, 9, 2), (9, 8), (stride,) * 2, padding)


def row(*values, dtype="f32"):
    return tensor(values, dtype).reshape(1, 1, -1, 1)


def odd_values():
    """Which element of a window counts where some are NaN or infinite."""
    for values in itertools.product((NAN, -INF, 1), repeat=3):
        x, g = row(*values, 1, 2), row(5, 7, 9)
        attrs = spread((1, 3), (1, 2), "SAME")
        largest = tensor([np.fmax.reduce(x[0, 0, max(0, 2 * i - 1) : 2 * i + 2, 0]) for i in range(3)]).reshape(1, 1, 3, 1)
        case("MaxPoolGrad", f"of {values}", x, largest, g, **attrs)
        case("MaxPoolGradGrad", f"of {values}", x, largest, rand(1, 1, 5, 1), **attrs)
        cube = [v[:, None] for v in (x, largest, g, rand(1, 1, 5, 1))]
        attrs = spread((1, 1, 3), (1, 1, 2), "SAME")
        case("MaxPool3DGrad", f"of {values}", *cube[:3], **attrs)
        case("MaxPool3DGradGrad", f"of {values}", cube[0], cube[1], cube[3], **attrs)
    wide = spread((1, 3), (1, 1), "SAME")
    case("MaxPoolGrad", "gradients not finite", row(1, 2, 3), row(2, 3, 3), row(INF, NAN, 1), **wide)
    case("AvgPoolGrad", "gradients not finite", const([1, 1, 5, 1]), row(INF, 2, NAN, 1, -INF), **spread((1, 2), (1, 1), "SAME"))
    case("MaxPoolGrad", "maxima are others", row(1, 2, 3), row(9, 9, 9), row(1, 2, 4), **wide)
    case("MaxPoolGradGrad", "maxima are others", row(1, 2, 1), row(1, 9, 1), row(7, 8, 9), **wide)
    case("MaxPoolGradGrad", "maxima of integers are 0", *(row(*v, dtype="i32") for v in ((0, 0), (0, 0), (7, 8))), **wide)
    for dtype, one in itertools.product(("f32", "bf16"), (1000, 1, 1e-3, 0)):
        x = row(*(one - less for less in (0, 1e-7, 9.9e-6, 1.01e-5, -9.9e-6, -1.01e-5, 1e-4, 1e-2)), dtype=dtype)[:, None]
        case("MaxPool3DGrad", f"near {one} {dtype}", x, x[:, :, :, :1], row(1, dtype=dtype)[:, None], **spread((1, 1, 8), (1, 1, 8), "VALID"))
    case("MaxPool3DGrad", "maxima are others", *(row(*v)[:, None] for v in ((1, 2, 3), (1, 9, 2), (5, 6, 7))), **spread((1, 1, 3), (1, 1, 1), "SAME"))


def forms():
    """Sizes as operands, explicit paddings, and what is refused."""
    x = rand(1, 6, 5, 2)
    for padding, (size, stride) in itertools.product(("SAME", "VALID"), (((2, 2), (2, 2)), ((3, 2), (2, 1)))):
        y, sizes = maxima(x, size, stride, padding), (const([1, *size, 1]), const([1, *stride, 1]))
        case("MaxPoolGradV2", f"{padding} {size} by {stride}", x, y, rand(*y.shape, seed=1), *sizes, padding=padding)
        case("MaxPoolGradGradV2", f"{padding} {size} by {stride}", x, y, rand(*x.shape, seed=1), *sizes, padding=padding)
    for dtype in (*FLOATS, *INTS):
        twos, image = (const([1, 2, 2, 1]), const([1, 2, 2, 1])), rand(1, 4, 4, 1, dtype=dtype)
        y = maxima(image, (2, 2), (2, 2), "VALID")
        case("MaxPoolGradV2", f"of {dtype}", image, y, rand(1, 2, 2, 1, dtype=dtype, seed=1), *twos, padding="VALID", optional=True)
        case("MaxPoolGradGradV2", f"of {dtype}", image, y, rand(1, 4, 4, 1, dtype=dtype, seed=1), *twos, padding="VALID", optional=True)
    explicit = {**spread((3, 2), (2, 2), "EXPLICIT"), "explicit_paddings": [0, 0, 2, 1, 1, 0, 0, 0]}
    case("MaxPoolGrad", "explicit", rand(1, 5, 5, 2, high=0), rand(1, 3, 3, 2), rand(1, 3, 3, 2, seed=1), **explicit)
    twos = spread((2, 2), (2, 2), "VALID")
    image, y = rand(1, 4, 4, 1), rand(1, 2, 2, 1)
    for op in ("MaxPoolGrad", "MaxPoolGradGrad"):
        g = image if op == "MaxPoolGradGrad" else y
        case(op, "maxima of another shape", image, rand(1, 3, 2, 1), g, fails=True, **twos)
        case(op, "gradient of another shape", image, y, rand(1, 3, 3, 1), fails=True, **twos)
        case(op, "rank 3", rand(4, 4, 1), rand(2, 2, 1), rand(*g.shape[1:]), fails=True, **twos)
        depth = {"ksize": [1, 1, 1, 2], "strides": [1, 1, 1, 2], "padding": "VALID"}
        case(op, "channels", rand(1, 1, 1, 4), rand(1, 1, 1, 2), rand(1, 1, 1, 4 if "GradGrad" in op else 2), fails=True, **depth)
    cubes, volume = spread((2, 2, 2), (1, 1, 1), "VALID"), rand(1, 2, 2, 2, 1)
    case("MaxPool3DGrad", "maxima of another shape", volume, rand(1, 1, 1, 2, 1), rand(1, 1, 1, 1, 1), fails=True, **cubes)
    case("MaxPool3DGrad", "gradient of another shape", volume, rand(1, 1, 1, 1, 1), rand(1, 1, 1, 2, 1), fails=True, **cubes)
    case("AvgPoolGrad", "batch differs", const([2, 4, 4, 1]), y, fails=True, **twos)


def by_places():
    op, twos = "MaxPoolGradWithArgmax", spread((2, 2), (2, 2), "VALID")

    def at(*values, shape=(2, 2, 2, 1), index="i64"):
        return tensor(values, index).reshape(shape)

    ones = rand(2, 2, 2, 1, seed=1)
    for batch in (False, True):
        for name, values in {"in windows": (0, 6, 8, 15, 5, 2, 12, 10), "one for all": (3,) * 8, "anywhere": (15, 14, 13, 12, 0, 0, 1, 1)}.items():
            case(op, f"{name}, batch {batch}", rand(2, 4, 4, 1), ones, at(*values), include_batch_in_index=batch, **twos)
    case(op, "of the batch", rand(2, 4, 4, 1), ones, at(31, 30, 16, 0, 0, 5, 31, 31), include_batch_in_index=True, **twos)
    case(op, "of another image", rand(2, 4, 4, 1), ones, at(16, *(0,) * 7), **twos)
    for dtype in (*FLOATS, *INTS):
        case(op, f"values {dtype}", rand(1, 4, 4, 1, dtype=dtype), rand(1, 2, 2, 1, dtype=dtype, seed=1), at(0, 2, 2, 10, shape=(1, 2, 2, 1)), optional=True, **twos)
    case(op, "indices i32", rand(1, 4, 4, 1), rand(1, 2, 2, 1, seed=1), at(0, 2, 8, 10, shape=(1, 2, 2, 1), index="i32"), optional=True, **twos)
    case(op, "SAME", rand(1, 3, 3, 2), rand(1, 2, 2, 2), at(0, 1, 2, 3, 4, 5, 16, 17, shape=(1, 2, 2, 2)), **{**twos, "padding": "SAME"})
    case(op, "no image", rand(0, 4, 4, 1), rand(0, 2, 2, 1), at(shape=(0, 2, 2, 1)), **twos)
    case(op, "no channels", rand(1, 4, 4, 0), rand(1, 2, 2, 0), at(shape=(1, 2, 2, 0)), **twos)
    case(op, "places of another shape", rand(1, 4, 4, 1), rand(1, 2, 2, 1), at(0, 2, shape=(1, 1, 2, 1)), fails=True, **twos)
    case(op, "gradient of another shape", rand(1, 4, 4, 1), rand(1, 1, 2, 1), at(0, 2, shape=(1, 1, 2, 1)), fails=True, **twos)
    sweep(op, "rows", [(rand(b, n, 4, 1), rand(b, n // 2, 2, 1), at(*(0,) * (b * (n // 2) * 2), shape=(b, n // 2, 2, 1))) for b in (0, 1, 2) for n in (2, 3, 4, 5)], **twos)


def borders():
    """Images of an open number of rows, down to the window."""
    for rank, padding, (size, stride) in itertools.product((2, 3), ("SAME", "VALID"), ((2, 2), (3, 1), (3, 2), (2, 3))):
        attrs, name = spread((size,) * rank, (stride,) * rank, padding), f"{padding} {size} by {stride}"
        rest = (4,) if rank == 2 else (2, 3)
        # There is no kernel for doubles of volumes.
        dtype = "f64" if rank == 2 else "f32"
        # A maximum over an image that holds no window leaves the result as it was.
        rest = rest if padding == "SAME" else tuple(max(n, size) for n in rest)
        rows = range(1 if padding == "SAME" else size, 7)
        images = [rand(b, n, *rest, 1, dtype=dtype) for b in (1, 2) for n in rows]
        for ops in (MAX, TWICE):
            given = [(x, maxima(x, *((size,) * rank, (stride,) * rank, padding))) for x in images]
            runs = [(x, y, rand(*(x if ops is TWICE else y).shape, dtype=dtype, seed=1)) for x, y in given]
            sweep(ops[rank], name, runs, **attrs)
        if rank == 2 and padding == "SAME":
            # The number of rows of the image follows from the gradient's: as many as the stride says, and one less.
            for less in (0, 1) if stride > 1 else (0,):
                shape = Sizes([extent(1, 0), extent(1, 1) * stride - less, 4, extent(1, 3)])
                width = -(-4 // stride)
                runs = [(shape, rand(b, n, width, c, dtype=dtype)) for b in (1, 2) for n in range(1, 5) for c in (1, 2)]
                sweep(AVG[rank], f"{name}, {less} less", runs, **attrs)
        if rank == 3 and padding == "SAME":
            shape = Sizes([extent(1, 0), extent(1, 1) * stride, 2, 3, extent(1, 4)])
            runs = [(shape, rand(b, n, -(-2 // stride), -(-3 // stride), 2)) for b in (1, 2) for n in range(1, 5)]
            sweep(AVG[rank], name, runs, **attrs)
    two = (const([1, 2, 2, 1]), const([1, 2, 2, 1]))
    images = [rand(1, n, 4, 1) for n in range(2, 6)]
    pairs = [(x, maxima(x, (2, 2), (2, 2), "VALID")) for x in images]
    sweep("MaxPoolGradV2", "rows", [(x, y, rand(*y.shape, seed=1), *two) for x, y in pairs], padding="VALID")
    sweep("MaxPoolGradGradV2", "rows", [(x, y, rand(*x.shape, seed=1), *two) for x, y in pairs], padding="VALID")


overlaps()
odd_values()
forms()
by_places()
borders()
