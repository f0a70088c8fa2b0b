"""Convolutions and pooling: strides, dilations, every padding, odd sizes, groups, both layouts, no rows and no output."""

import itertools

import numpy as np

from .layout import both_layouts
from .spec import DTYPES, FLOATS, INF, INTS, NAN, Const, Run, case, const, distinct, rand, tensor


def conv2d():
    def conv(name, x, w, strides=(1, 1), padding="VALID", dilations=(1, 1), pads=None, **more):
        attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *dilations, 1], **more}
        if pads:
            attrs["explicit_paddings"] = [0, 0, *pads, 0, 0]
        both_layouts("Conv2D", name, (x, w), **attrs)

    for dtype in FLOATS:
        conv(f"3x3 {dtype}", rand(1, 4, 5, 2, dtype=dtype), rand(3, 3, 2, 3, dtype=dtype, seed=1))
    case("Conv2D", "3x3 i32", rand(1, 4, 4, 2, dtype="i32"), rand(3, 3, 2, 2, dtype="i32", seed=1), strides=[1, 1, 1, 1], padding="SAME")
    for padding, strides, size in itertools.product(("SAME", "VALID"), ((1, 1), (2, 2), (3, 2)), ((5, 6), (4, 7))):
        conv(f"{padding} strides {strides} on {size}", rand(1, *size, 1), rand(3, 2, 1, 2, seed=1), strides, padding)
    for padding, dilations in itertools.product(("SAME", "VALID"), ((2, 2), (1, 3), (3, 2))):
        conv(f"{padding} dilations {dilations}", rand(1, 7, 8, 1), rand(3, 3, 1, 2, seed=1), padding=padding, dilations=dilations)
    conv("strides and dilations", rand(1, 8, 7, 1), rand(2, 2, 1, 1, seed=1), (2, 2), "SAME", (2, 3))
    conv("explicit", rand(1, 4, 4, 1), rand(3, 3, 1, 2, seed=1), padding="EXPLICIT", pads=[1, 0, 2, 1])
    conv("explicit, strides", rand(1, 5, 4, 2), rand(3, 2, 2, 1, seed=1), (2, 3), "EXPLICIT", pads=[0, 2, 1, 1])
    conv("1x1", rand(2, 3, 3, 4), rand(1, 1, 4, 3, seed=1))
    conv("1x1, strides", rand(1, 5, 5, 2), rand(1, 1, 2, 3, seed=1), (2, 2), "SAME")
    conv("even kernel SAME", rand(1, 5, 5, 1), rand(4, 2, 1, 1, seed=1), padding="SAME")
    conv("kernel as large as the image", rand(2, 3, 4, 2), rand(3, 4, 2, 3, seed=1))
    conv("kernel larger, SAME", rand(1, 2, 2, 1), rand(5, 5, 1, 1, seed=1), padding="SAME")
    conv("stride beyond kernel", rand(1, 7, 7, 1), rand(2, 2, 1, 1, seed=1), (3, 3))
    conv("two groups", rand(1, 4, 4, 4), rand(3, 3, 2, 6, seed=1), padding="SAME")
    conv("as many groups as channels", rand(1, 4, 4, 3), rand(2, 2, 1, 6, seed=1), (2, 2))
    conv("wide channels", rand(1, 3, 3, 17), rand(2, 2, 17, 9, seed=1))
    conv("batch of three", rand(3, 4, 3, 2), rand(2, 2, 2, 2, seed=1), padding="SAME")
    # oneDNN's kernel takes the output's channels from the input when there is no image.
    one, kernel, attrs = rand(1, 4, 4, 2), rand(3, 3, 2, 3, seed=1), {"strides": [1, 1, 1, 1], "padding": "SAME"}
    run = Run("Conv2D", (one, kernel), attrs, lambda outputs: [outputs[0][:0]], always=True)
    case("Conv2D", "no image", one[:0], kernel, via=run, **attrs)
    case("Conv2D", "NaN and infinity", tensor([[[[1.0], [NAN]], [[INF], [2.0]]]]), tensor([[[[1.0]]]]), strides=[1, 1, 1, 1], padding="VALID")
    case("Conv2D", "channels differ", rand(1, 3, 3, 3), rand(2, 2, 2, 4), strides=[1, 1, 1, 1], padding="VALID", fails=True)


def depthwise():
    def conv(name, x, w, strides=(1, 1), padding="VALID", dilations=(1, 1), pads=None):
        attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *dilations, 1]}
        if pads:
            attrs["explicit_paddings"] = [0, 0, *pads, 0, 0]
        both_layouts("DepthwiseConv2dNative", name, (x, w), **attrs)

    for dtype in FLOATS:
        conv(f"3x3 {dtype}", rand(1, 4, 5, 2, dtype=dtype), rand(3, 3, 2, 1, dtype=dtype, seed=1))
    for padding, stride, size in itertools.product(("SAME", "VALID"), (1, 2, 3), ((5, 6), (4, 7))):
        conv(f"{padding} stride {stride} on {size}", rand(1, *size, 2), rand(3, 3, 2, 1, seed=1), (stride, stride), padding)
    conv("multiplier 3", rand(2, 4, 4, 2), rand(2, 3, 2, 3, seed=1), padding="SAME")
    conv("dilations", rand(1, 7, 7, 2), rand(3, 3, 2, 1, seed=1), padding="SAME", dilations=(2, 2))
    conv("dilations differ", rand(1, 8, 7, 1), rand(2, 3, 1, 2, seed=1), dilations=(3, 2))
    conv("strides differ", rand(1, 6, 7, 2), rand(3, 2, 2, 1, seed=1), (2, 1), "SAME")
    conv("explicit", rand(1, 4, 4, 2), rand(3, 3, 2, 1, seed=1), padding="EXPLICIT", pads=[1, 2, 0, 1])
    conv("many channels", rand(1, 3, 3, 19), rand(3, 3, 19, 1, seed=1), padding="SAME")
    conv("1x1", rand(1, 3, 3, 4), rand(1, 1, 4, 2, seed=1))


def transposed():
    """Convolutions run backwards: what Conv2DTranspose and Conv3DTranspose are in inference."""

    def conv(name, size, w, y, strides=(1, 1), padding="SAME", dilations=(1, 1), **more):
        attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *dilations, 1], **more}
        both_layouts("Conv2DBackpropInput", name, (const(size), w, y), moved=(2,), shape_operand=0, **attrs)

    for dtype in FLOATS:
        conv(f"3x3 {dtype}", [1, 4, 4, 2], rand(3, 3, 2, 3, dtype=dtype), rand(1, 4, 4, 3, dtype=dtype, seed=1))
    conv("stride 2 to even", [1, 6, 6, 1], rand(3, 3, 1, 2), rand(1, 3, 3, 2, seed=1), (2, 2))
    conv("stride 2 to odd", [1, 5, 5, 1], rand(3, 3, 1, 2), rand(1, 3, 3, 2, seed=1), (2, 2))
    conv("strides differ", [2, 6, 5, 2], rand(2, 3, 2, 1), rand(2, 2, 3, 1, seed=1), (3, 2))
    conv("VALID", [1, 5, 6, 2], rand(3, 3, 2, 2), rand(1, 3, 4, 2, seed=1), padding="VALID")
    conv("VALID stride 2", [1, 7, 7, 1], rand(3, 3, 1, 2), rand(1, 3, 3, 2, seed=1), (2, 2), "VALID")
    conv("VALID stride 2, one more", [1, 8, 8, 1], rand(3, 3, 1, 2), rand(1, 3, 3, 2, seed=1), (2, 2), "VALID")
    conv("stride beyond kernel", [1, 6, 6, 1], rand(2, 2, 1, 1), rand(1, 2, 2, 1, seed=1), (3, 3))
    conv("1x1 stride 2", [1, 4, 4, 2], rand(1, 1, 2, 2), rand(1, 2, 2, 2, seed=1), (2, 2))
    conv("dilations", [1, 6, 6, 1], rand(3, 3, 1, 2), rand(1, 6, 6, 2, seed=1), dilations=(2, 2))
    conv("explicit", [1, 4, 5, 1], rand(3, 3, 1, 1), rand(1, 3, 4, 1, seed=1), padding="EXPLICIT", explicit_paddings=[0, 0, 1, 0, 0, 1, 0, 0])
    wrong = (const([1, 9, 9, 1]), rand(3, 3, 1, 1), rand(1, 3, 3, 1))
    case("Conv2DBackpropInput", "wrong size", *wrong, strides=[1, 2, 2, 1], padding="SAME", fails=True)
    for size, name in (([1, 4, 4, 4, 1], "even"), ([1, 3, 4, 3, 1], "odd")):
        for padding in ("SAME", "VALID"):
            out = [-(-n // 2) if padding == "SAME" else (n - 2) // 2 + 1 for n in size[1:4]]
            operands = (const(size), rand(2, 2, 2, 1, 2), rand(1, *out, 2, seed=1))
            case("Conv3DBackpropInputV2", f"stride 2 to {name} {padding}", *operands, strides=[1, 2, 2, 2, 1], padding=padding)
    operands = (const([1, 3, 3, 3, 2], "i64"), rand(3, 3, 3, 2, 1), rand(1, 3, 3, 3, 1, seed=1))
    case("Conv3DBackpropInputV2", "size of 64 bits", *operands, strides=[1, 1, 1, 1, 1], padding="SAME")


def conv3d():
    def conv(name, x, w, strides=(1, 1, 1), padding="VALID", dilations=(1, 1, 1)):
        attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *dilations, 1]}
        both_layouts("Conv3D", name, (x, w), layout="NDHWC", **attrs)

    for dtype in ("f32", "f64", "f16", "bf16"):
        conv(f"2x2x2 {dtype}", rand(1, 3, 3, 3, 2, dtype=dtype), rand(2, 2, 2, 2, 2, dtype=dtype, seed=1))
    for padding in ("SAME", "VALID"):
        conv(f"{padding} strides", rand(1, 4, 5, 3, 1), rand(3, 2, 2, 1, 2, seed=1), (2, 2, 1), padding)
        conv(f"{padding} dilations", rand(1, 4, 5, 5, 1), rand(2, 2, 2, 1, 1, seed=1), padding=padding, dilations=(1, 2, 2))
    conv("1x1x1", rand(2, 2, 2, 2, 3), rand(1, 1, 1, 3, 2, seed=1))


def pooling():
    for op in ("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D"):
        layout, rank = ("NDHWC", 3) if "3D" in op else ("NHWC", 2)
        size = (3, 4, 5)[3 - rank :]

        def pool(name, x, ksize, strides, padding, **more):
            both_layouts(op, name, (x,), layout=layout, ksize=[1, *ksize, 1], strides=[1, *strides, 1], padding=padding, **more)

        for dtype in FLOATS:
            pool(f"twos {dtype}", rand(1, *size, 2, dtype=dtype), (2,) * rank, (2,) * rank, "VALID", optional=True)
        for padding in ("SAME", "VALID"):
            pool(f"{padding} 3 stride 2", rand(1, *size, 2), (3,) * rank, (2,) * rank, padding)
            pool(f"{padding} 2 stride 1", rand(2, *size, 1), (2,) * rank, (1,) * rank, padding)
            pool(f"{padding} uneven", rand(1, *size, 1), (3, 1, 2)[:rank], (1, 2, 3)[:rank], padding)
            pool(f"{padding} stride beyond window", rand(1, *size, 1), (1,) * rank, (2,) * rank, padding)
        pool("whole", rand(2, *size, 3), size, (1,) * rank, "VALID")
        pool("window larger, SAME", rand(1, *(2,) * rank, 1), (5,) * rank, (1,) * rank, "SAME")
        case(op, "no image", rand(0, *size, 1), ksize=[1] + [2] * rank + [1], strides=[1] * (rank + 2), padding="VALID")
    for dtype in INTS:
        case("MaxPool", f"integers {dtype}", rand(1, 4, 4, 1, dtype=dtype), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID", optional=True)
    explicit = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 0, 0, 1, 0, 0]}
    both_layouts("MaxPool", "explicit", (rand(1, 5, 4, 2, high=0),), **explicit)
    negative = tensor(np.full((1, 3, 3, 1), -5.0))
    both_layouts("MaxPool", "padding is not zero", (negative,), ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    case("MaxPool", "channels", rand(1, 2, 2, 4), ksize=[1, 1, 1, 2], strides=[1, 1, 1, 2], padding="VALID")
    window = {"ksize": [1, 1, 2, 1], "strides": [1, 1, 2, 1], "padding": "VALID"}
    case("MaxPool", "infinity", tensor([1.0, INF, -INF, 2.0]).reshape(1, 1, 4, 1), **window)
    case("AvgPool", "NaN and infinity", tensor([1.0, NAN, INF, 2.0, INF, -INF]).reshape(1, 1, 6, 1), **window)
    case("MaxPoolV2", "sizes as operands", rand(1, 4, 4, 1), const([1, 2, 2, 1]), const([1, 2, 2, 1]), padding="VALID")


def argmax_pooling():
    """Both outputs: ties, NaN and infinities in every place of a window, windows over the border, places within the image or the batch."""
    op, two = "MaxPoolWithArgmax", {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1]}
    for index in ("i32", "i64"):
        for batch in (False, True):
            options = {"Targmax": tensor(0, index).dtype, "include_batch_in_index": batch}
            case(op, f"indices {index}, batch {batch}", distinct(2, 4, 4, 2), padding="SAME", **two, **options)
            case(op, f"odd, indices {index}, batch {batch}", distinct(2, 5, 3, 1), ksize=[1, 3, 2, 1], strides=[1, 2, 1, 1], padding="SAME", **options)
    for dtype in (*FLOATS, *INTS):
        case(op, f"values {dtype}", rand(1, 5, 6, 2, dtype=dtype), padding="VALID", optional=True, **two)
        case(op, f"ties {dtype}", (rand(2, 5, 4, 2, seed=1) > 0).astype(DTYPES[dtype]), padding="SAME", include_batch_in_index=True,
             optional=True, ksize=[1, 3, 3, 1], strides=[1, 1, 2, 1])  # fmt: skip
    for padding in ("SAME", "VALID"):
        for size, stride in (((1, 1), (1, 1)), ((3, 3), (2, 2)), ((2, 3), (3, 1)), ((1, 4), (2, 5)), ((4, 1), (1, 1))):
            window = {"ksize": [1, *size, 1], "strides": [1, *stride, 1], "padding": padding}
            case(op, f"{padding} {size} by {stride}", distinct(2, 6, 5, 3), **window)
        odd = tensor([NAN, 1, 2, 3, 5, 5, 5, 5, -INF, -INF, -INF, NAN, 1, NAN, 5, INF, NAN, NAN, NAN, NAN, -INF, -INF, -INF, -INF, 0, NAN])
        case(op, f"NaN and infinity {padding}", np.resize(odd, (2, 5, 4, 2)), padding=padding, **two)
        case(op, f"large window {padding}", distinct(1, 7, 6, 1), ksize=[1, 5, 5, 1], strides=[1, 1, 1, 1], padding=padding)
        case(op, f"empty batch {padding}", rand(0, 4, 4, 2), padding=padding, fails=True, **two)
        case(op, f"no channels {padding}", rand(2, 4, 4, 0), padding=padding, fails=True, **two)
    case(op, "window over the whole border", distinct(1, 2, 2, 1), ksize=[1, 5, 5, 1], strides=[1, 1, 1, 1], padding="SAME")


def places(n, k, stride, rate, padding):
    return -(-n // stride) if padding == "SAME" else max((n - (k - 1) * rate - 1) // stride + 1, 0)


def morphology():
    """The greatest sum of a window and a filter, and where its gradient goes."""
    ops = ("Dilation2D", "Dilation2DBackpropInput", "Dilation2DBackpropFilter")

    def three(name, x, f, strides=(1, 1), rates=(1, 1), padding="SAME", dtype="f32", **more):
        attrs = {"strides": [1, *strides, 1], "rates": [1, *rates, 1], "padding": padding}
        out = [places(n, k, s, r, padding) for n, k, s, r in zip(x.shape[1:3], f.shape, strides, rates)]
        g = rand(x.shape[0], *out, x.shape[3], dtype=dtype, seed=5)
        weights = {name: Const(f)} | ({f"{name}, filter of data": f} if name.endswith("apart VALID") else {})
        for name, f in weights.items():
            case(ops[0], name, x, f, **attrs, **more)
            for op in ops[1:]:
                case(op, name, x, f, g, **attrs, **more)

    for padding in ("SAME", "VALID"):
        for dtype in (*FLOATS, *INTS):
            three(f"{dtype} {padding}", rand(2, 4, 5, 2, dtype=dtype), rand(2, 3, 2, dtype=dtype, seed=1), padding=padding, dtype=dtype, optional=True)
            three(f"{dtype} zeros {padding}", np.zeros((1, 3, 3, 1), DTYPES[dtype]), np.zeros((2, 2, 1), DTYPES[dtype]), padding=padding, dtype=dtype, optional=True)
        for strides, rates, size in (((2, 2), (1, 1), (3, 3)), ((1, 1), (2, 2), (2, 3)), ((2, 1), (1, 3), (2, 2)), ((3, 2), (2, 1), (1, 2)), ((1, 2), (1, 1), (1, 1))):
            three(f"{size} by {strides}, {rates} apart {padding}", distinct(2, 6, 7, 3), rand(*size, 3, seed=1), strides, rates, padding)
        odd = np.resize(tensor([NAN, 1, 2, 3, 5, 5, -INF, -INF, -INF, -INF, NAN, NAN, INF, NAN, -INF, 0]), (1, 4, 5, 2))
        three(f"NaN and infinity {padding}", odd, rand(2, 2, 2, seed=1), padding=padding)
        three(f"an infinite filter {padding}", rand(1, 3, 3, 1), tensor([[[-INF], [-INF]], [[-INF], [1]]]), padding=padding)
        three(f"nothing that counts {padding}", np.full((1, 3, 4, 1), -INF, np.float32), rand(2, 2, 1), padding=padding)
        three(f"empty batch {padding}", rand(0, 4, 4, 2), rand(2, 2, 2), padding=padding)
    three("a large filter", distinct(1, 3, 4, 1), rand(5, 5, 1, seed=1))
    x, f, one = rand(1, 4, 4, 2), rand(2, 2, 2), {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "VALID"}
    case(ops[0], "other channels", x, rand(2, 2, 3), fails=True, **one)
    case(ops[0], "a window too large", x, rand(6, 6, 2), fails=True, **one)
    case(ops[0], "over the batch", x, f, fails=True, **{**one, "strides": [2, 1, 1, 1]})
    case(ops[0], "rank 3", rand(4, 4, 2), f, fails=True, **one)
    for op in ops[1:]:
        case(op, "gradient of another size", x, f, rand(1, 4, 4, 2), fails=True, **one)


conv2d()
depthwise()
transposed()
conv3d()
pooling()
argmax_pooling()
morphology()
