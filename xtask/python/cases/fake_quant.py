"""Numbers rounded as if they were quantised, and the gradients of that."""

import itertools

import numpy as np

from .spec import INF, NAN, case, rand, sweep, tensor

OPS = ("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
RANGES = ((-6.0, 6.0), (0.0, 1.0), (-1.0, 0.0), (-0.1, 0.9), (0.5, 2.0), (-3.0, -0.25), (-0.3, 10.0), (-1.7, 0.03))


def numbers(low, high, *shape):
    """Numbers in a range, at its ends, halfway between steps, and beyond it."""
    count, width = int(np.prod(shape)), np.float32(high - low)
    steps = np.linspace(low - width / 4, high + width / 4, count, dtype=np.float32)
    return np.random.default_rng([1, *shape]).permutation(steps).reshape(shape)


def forwards_and_back(name, x, ends, shape_of_ends, **attrs):
    """The three kinds and their gradients; `ends` are those of one range or of several."""
    low, high = (np.broadcast_to(np.asarray(end, np.float32), shape_of_ends) for end in zip(*ends))
    g = rand(*x.shape, seed=2)
    if len(ends) == 1:
        args = {"min": ends[0][0], "max": ends[0][1], **attrs}
        if ends[0][0] < ends[0][1]:
            case(OPS[0], name, x, **args)
            case(OPS[0] + "Gradient", name, g, x, **args)
        case(OPS[1], name, x, low.reshape(()), high.reshape(()), **attrs)
        case(OPS[1] + "Gradient", name, g, x, low.reshape(()), high.reshape(()), **attrs)
    channels = x.shape[-1]
    low, high = (np.resize(end, channels).astype(np.float32) for end in (low, high))
    case(OPS[2], name, x, low, high, **attrs)
    case(OPS[2] + "Gradient", name, g, x, low, high, **attrs)


def quantisations():
    for (low, high), narrow in itertools.product(RANGES, (False, True)):
        for bits in (8, 2, 16):
            forwards_and_back(f"{low} to {high}, {bits} bits, narrow {narrow}", numbers(low, high, 4, 9), [(low, high)], (1,), num_bits=bits, narrow_range=narrow)
    for bits in (3, 4, 7, 15):
        forwards_and_back(f"{bits} bits", numbers(-1, 2, 3, 5), [(-1.0, 2.0)], (1,), num_bits=bits)
    forwards_and_back("no range", numbers(-1, 1, 3, 4), [(0.0, 0.0)], (1,))
    forwards_and_back("images, a range for each channel", numbers(-2, 2, 2, 3, 2, 3), [(-1.0, 1.0), (0.0, 0.0), (-0.1, 1.5)], (3,))
    forwards_and_back("vector, a range for each channel", numbers(-2, 2, 4), [(-1.0, 1.0), (0.0, 2.0), (-2.0, 0.0), (-0.3, 0.2)], (4,))
    forwards_and_back("no numbers", numbers(-1, 1, 0, 3), [(-1.0, 1.0)], (1,))
    special = tensor([[NAN, INF, -INF, 0.0, -0.0, 1.0]])
    forwards_and_back("not finite", special, [(-1.0, 2.0)], (1,))
    x, g, scalar = rand(2, 3), rand(2, 3, seed=1), tensor(1.0)
    for bits in (1, 17):
        case(OPS[0], f"{bits} bits", x, num_bits=bits, fails=True)
        case(OPS[0] + "Gradient", f"{bits} bits", g, x, num_bits=bits, fails=True)
        case(OPS[1], f"{bits} bits", x, -scalar, scalar, num_bits=bits, fails=True)
        case(OPS[2] + "Gradient", f"{bits} bits", g, x, rand(3), rand(3), num_bits=bits, fails=True)
    case(OPS[0], "ends exchanged", x, min=1.0, max=-1.0, fails=True)
    case(OPS[0], "ends equal", x, min=1.0, max=1.0, fails=True)
    case(OPS[2], "fewer ranges than channels", x, rand(2), rand(2), fails=True)
    case(OPS[2] + "Gradient", "fewer ranges than channels", g, x, rand(2), rand(2), fails=True)
    for op in OPS:
        ends = {"Channel": (tensor([-1.0] * 3), tensor([1.0] * 3)), "Vars": (-scalar, scalar), "Args": ()}[op[-7:] if op.endswith("Channel") else op[-4:]]
        case(op + "Gradient", "another shape", rand(3, 3), x, *ends, fails=True)
        shapes = [(n, m) for n in (0, 1, 3) for m in (0, 1, 2)]
        ends_for = lambda m: (tensor([-1.0] * m), tensor([1.0] * m)) if op.endswith("Channel") else ends
        sweep(op, "extents", [(rand(n, m), *ends_for(m)) for n, m in shapes])
        sweep(op + "Gradient", "extents", [(rand(n, m), rand(k, m, seed=1), *ends_for(m)) for n, m in shapes for k in {n, 1}])


quantisations()
