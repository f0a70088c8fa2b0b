"""Elements of four bits and floats of eight, which TensorFlow moves and converts and does nothing else with."""

import numpy as np

from .spec import DTYPES, FLOATS, INF, INTS, NAN, NARROW, Const, case, const, edges, rand, tensor

EIGHT = [name for name in NARROW if name.startswith("f8")]
FOUR = [name for name in NARROW if name not in EIGHT]


def every(name):
    """Each element of the type once; of a float each pattern of bits."""
    if name in EIGHT:
        return np.arange(256, dtype=np.uint8).view(NARROW[name])
    return np.arange(-8, 8).astype(NARROW[name]) if name == "i4" else np.arange(16).astype(NARROW[name])


def around(name, dtype):
    """The numbers at which rounding to a small float decides: those it has, the middles between them, and what lies just beside."""
    numbers = every(name).astype(np.float64)
    numbers = np.unique(numbers[np.isfinite(numbers) & (numbers > 0)])
    middles = (np.append(0, numbers[:-1]) + numbers) / 2
    beyond = numbers[-1] + (numbers[-1] - numbers[-2]) * np.array([0.25, 0.5, 0.75, 1, 2, 3])
    found = [numbers, middles, beyond]
    if dtype in ("f32", "f64"):
        exact = middles.astype(DTYPES[dtype])
        found += [np.nextafter(exact, DTYPES[dtype].type(INF)), np.nextafter(exact, DTYPES[dtype].type(0))]
    found = np.concatenate([*found, [0, INF, NAN, 1e-4, 1e4]])
    with np.errstate(over="ignore"):
        return np.concatenate([found, -found]).astype(DTYPES[dtype])


def conversions():
    for name in EIGHT:
        for target in ("bool", *FLOATS, *INTS):
            held = every(name)
            if target in ("u32", "u64"):
                # What has no sign holds none of the others, and C leaves open what they become.
                held = held[(held.astype(np.float32) >= 0) & np.isfinite(held.astype(np.float32))]
            case("Cast", f"every {name} to {target}", Const(held), DstT=DTYPES[target])
        for target in EIGHT:
            case("Cast", f"every {name} to {target}", Const(every(name)), DstT=NARROW[target])
        for source in FLOATS:
            case("Cast", f"around {name} from {source}", around(name, source), DstT=NARROW[name])
            case("Cast", f"truncating {source} to {name}", around(name, source), DstT=NARROW[name], Truncate=True)
        case("Cast", f"large f64 to {name}", tensor([1e300, -1e300, 1e-300, 480.0, 61440.0], "f64"), DstT=NARROW[name])
        case("Cast", f"large f32 to {name}", tensor([3e38, -3e38, 2e-38, -2e-38, 464.0, -465.0], "f32"), DstT=NARROW[name])
    for name in FOUR:
        for target in INTS:
            case("Cast", f"every {name} to {target}", Const(every(name)), DstT=DTYPES[target])
        for target in FOUR:
            case("Cast", f"every {name} to {target}", Const(every(name)), DstT=NARROW[target])
        for source in INTS:
            small = np.arange(-20, 40).astype(DTYPES[source])
            case("Cast", f"wraps {source} to {name}", np.concatenate([edges(source), small]), DstT=NARROW[name])


def moves():
    for name in NARROW:
        whole = every(name)
        rows = Const(whole[-6:].reshape(2, 3))
        case("Identity", f"elements {name}", Const(whole))
        case("Reshape", f"elements {name}", rows, const([3, 2]))
        case("ExpandDims", f"elements {name}", rows, const(1))
        case("Squeeze", f"elements {name}", Const(whole[-3:].reshape(1, 3)))
        case("Split", f"elements {name}", const(1), rows, num_split=3)
        case("Shape", f"elements {name}", rows)
    for name in EIGHT:
        rows = Const(every(name)[60:66].reshape(2, 3))
        case("Transpose", f"elements {name}", rows, const([1, 0]))
        case("ConcatV2", f"elements {name}", [rows, rows], const(0))
        case("Pack", f"elements {name}", [rows, rows])
        case("Slice", f"elements {name}", rows, const([0, 1]), const([2, 2]))
        case("GatherV2", f"elements {name}", rows, tensor([1, 0, 1], "i32"), const(0))
        case("BroadcastTo", f"elements {name}", rows, const([2, 2, 3]))


conversions()
moves()
