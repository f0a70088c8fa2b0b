"""Gradients of normalisations: training and inference, both layouts, half types, empty extents, what is refused."""

from .layout import FIRST, first
from .spec import Run, case, rand, sweep, tensor

OPS = ("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3")
# The last operand of the third version, which the kernels of processors do not read.
NONE = tensor([])


def operands(op, shape, dtype="f32"):
    """A gradient, an operand, a scale, means and variances."""
    channels = shape[-1]
    statistics = [rand(channels, seed=1), rand(channels, seed=2), rand(channels, seed=3, low=8)]
    return [rand(*shape, dtype=dtype, seed=5), rand(*shape, dtype=dtype), *statistics, *([NONE] if op.endswith("V3") else [])]


def batch_norms():
    for op in OPS:
        for training in (True, False):
            kind = "training" if training else "inference"

            def both(name, shape, layout="NHWC", epsilon=0.001):
                given, attrs = operands(op, shape), {"epsilon": epsilon, "is_training": training}
                case(op, f"{name}, {kind}", *given, data_format=layout, **attrs)
                via = Run(op, tuple(given), {**attrs, "data_format": layout}, lambda outputs: [first(outputs[0]), *outputs[1:]])
                case(op, f"{name}, channels first, {kind}", *map(first, given[:2]), *given[2:], data_format=FIRST[layout], via=via, **attrs)

            both("images", (2, 2, 3, 3))
            both("one element", (1, 1, 1, 2), epsilon=0.5)
            both("many channels", (2, 3, 2, 17))
            if op.endswith("V3"):
                both("volumes", (1, 2, 2, 3, 3), "NDHWC")
            for dtype in ("f16", "bf16") if op != "FusedBatchNormGrad" else ():
                case(op, f"of {dtype}, {kind}", *operands(op, (1, 2, 2, 3), dtype), epsilon=0.001, is_training=training, optional=True)
            for name, shape in (("no image", (0, 2, 2, 3)), ("no rows", (2, 0, 2, 3)), ("no channels", (1, 2, 2, 0))):
                case(op, f"{name}, {kind}", *operands(op, shape), is_training=training)
            given = operands(op, (2, 2, 2, 3))
            case(op, f"shapes differ, {kind}", given[0][:1], *given[1:], is_training=training, fails=True)
            for n, name in ((2, "scale"), (3, "mean"), (4, "variance")):
                short = [v[:2] if i == n else v for i, v in enumerate(given)]
                case(op, f"a short {name}, {kind}", *short, is_training=training, fails=True)
            extents = (0, 1, 3)
            sweep(op, f"rows and channels, {kind}", [operands(op, (b, 2, n, c)) for b in extents for n in (1, 2) for c in extents], is_training=training)
            attrs = {"data_format": "NHWC", "is_training": training}
            full = operands(op, (2, 1, 2, 3))
            sweep(op, f"channels and statistics, {kind}", [(*full[:2], full[2][:n], *full[3:]) for n in range(4)], **attrs)


def lrn():
    op = "LRNGrad"
    for dtype in ("f32", "f16", "bf16"):
        given = [rand(1, 2, 2, 7, dtype=dtype, seed=s) for s in (1, 2, 3)]
        case(op, f"default {dtype}", *given, optional=True)
        case(op, f"AlexNet {dtype}", *given, depth_radius=2, bias=1.0, alpha=2e-05, beta=0.75, optional=True)
        case(op, f"radius 1 {dtype}", *given, depth_radius=1, bias=2.0, alpha=0.5, beta=0.5, optional=True)
    given = [rand(2, 1, 2, 5, seed=s) for s in (1, 2, 3)]
    case(op, "radius 0", *given, depth_radius=0, bias=0.5, alpha=1.0, beta=1.0)
    case(op, "beta 0.6", *given, depth_radius=3, bias=1.5, alpha=0.25, beta=0.6)
    case(op, "roots of numbers below 0", *given, depth_radius=1, bias=-1.0, alpha=0.125, beta=0.5)
    case(op, "no image", *([rand(0, 1, 1, 2)] * 3))
    case(op, "no channels", *([rand(1, 1, 1, 0)] * 3))
    case(op, "a short operand", rand(1, 1, 1, 5), rand(1, 1, 1, 4), rand(1, 1, 1, 5), fails=True)
    case(op, "a short result", rand(1, 1, 1, 5), rand(1, 1, 1, 5), rand(1, 1, 1, 4), fails=True)
    case(op, "rank 3", *([rand(1, 1, 5)] * 3), fails=True)
    sweep(op, "channels", [[rand(b, 1, 2, n, seed=s) for s in (1, 2, 3)] for b in (0, 1, 2) for n in (0, 1, 2, 4)], depth_radius=1)
    sweep(op, "channels of operand and result", [(rand(1, 1, 1, n), rand(1, 1, 1, n), rand(1, 1, 1, m)) for n in (1, 2) for m in (1, 2)])


batch_norms()
lrn()
