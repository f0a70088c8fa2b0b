"""Random numbers that follow from a seed: every type, borders of seeds and ranges, groups that are not full, and what TensorFlow refuses."""

import numpy as np
import tensorflow as tf

from .spec import FLOATS, INF, NAN, NUMBERS, Beside, Sizes, case, const, extent, rand, sweep, tensor

WHOLE = ("i32", "i64", "u32", "u64")
LEAST, MOST = -(2**63), 2**63 - 1
SEEDS = ([0, 0], [1, 2], [-1, -1], [LEAST, MOST], [MOST, LEAST], [0, -1], [2**32, -(2**32)], [7, 7])
ALGORITHM = const(1)


def dtype_of(name):
    return {"i32": tf.int32, "i64": tf.int64, "u32": tf.uint32, "u64": tf.uint64, "f16": tf.float16, "bf16": tf.bfloat16, "f32": tf.float32, "f64": tf.float64}[name]


def start(key=0x123456789ABCDEF0, low=5, high=9):
    """A key and a counter."""
    return tensor([key], "u64"), tensor([low, high], "u64")


def keys():
    ops = ("StatelessRandomGetKeyCounter", "StatelessRandomGetKeyCounterAlg")
    for op in ops:
        for seed in SEEDS:
            case(op, f"seed {seed}", tensor(seed, "i64"))
        case(op, "constant seed", const([3, 4], "i64"))
        for seed in ([5, -6], [2**31 - 1, -(2**31)]):
            case(op, f"i32 seed {seed}", tensor(seed, "i32"))
        sweep(op, "numbers of a seed", [(tensor(np.arange(n), "i64"),) for n in (0, 1, 2, 3)])
        case(op, "one number", tensor([1], "i64"), fails=True)
        case(op, "a scalar", tensor(1, "i64"), fails=True)
        case(op, "a matrix", tensor([[1, 2]], "i64"), fails=True)
    case("StatelessRandomGetAlg", "alone")


def draws(op, dtypes, bounds=lambda dtype: (), large=True):
    """Cases of an operator with a seed and of that with a key and a counter; `bounds` are its further operands."""
    new = op + "V2"
    typed = (lambda dtype: {}) if op.endswith("UniformInt") else (lambda dtype: {"dtype": dtype_of(dtype)})
    seeded = {"seed": tensor([3, 5], "i64")}
    for dtype in dtypes:
        more, attrs = bounds(dtype), typed(dtype)
        for shape in ([], [0], [1], [2], [3], [5], [3, 5], [33]):
            case(new, f"{dtype} {shape}", const(shape), *start(), ALGORITHM, *more, **attrs)
        case(op, f"{dtype} [7]", const([7]), seeded["seed"], *more, **attrs)
        for name, low, high in (("carries", 2**64 - 2, 9), ("carries far", 2**64 - 1, 2**64 - 1), ("half", 2**32 - 1, 0)):
            case(new, f"{dtype} counter {name}", const([20]), *start(2**64 - 1, low, high), ALGORITHM, *more, **attrs)
        if large:
            case(new, f"{dtype} many", const([100003]), *start(), ALGORITHM, *more, **attrs)
    dtype = dtypes[-1]
    more, attrs = bounds(dtype), typed(dtype)
    case(op, "nothing", const([2, 0, 3]), seeded["seed"], *more, **attrs)
    case(op, "scalar", const([]), seeded["seed"], *more, **attrs)
    case(op, "a thousand", const([1000]), seeded["seed"], *more, **attrs)
    for seed in SEEDS:
        case(op, f"seed {seed}", const([6]), tensor(seed, "i64"), *more, **attrs)
    case(op, "shape of 64 bits", const([3], "i64"), seeded["seed"], *more, **attrs)
    case(op, "constant seed", const([5]), const([3, 5], "i64"), *more, **attrs)
    case(op, "i32 seed", const([5]), tensor([3, -5], "i32"), *more, **attrs)
    case(op, "negative extent", const([-1]), seeded["seed"], *more, fails=True, **attrs)
    case(op, "short seed", const([3]), tensor([1], "i64"), *more, fails=True, **attrs)
    case(new, "constant key", const([9]), const([7], "u64"), const([1, 2], "u64"), ALGORITHM, *more, **attrs)
    case(new, "any algorithm", const([5]), *start(), const(3), *more, **attrs)
    case(new, "longer counter", const([5]), start()[0], tensor([5, 9, 11], "u64"), ALGORITHM, *more, **attrs)
    case(new, "ThreeFry", const([5]), *start(), const(2), *more, fails=True, **attrs)
    case(new, "no such algorithm", const([5]), *start(), const(7), *more, fails=True, **attrs)
    case(new, "two keys", const([5]), tensor([5, 6], "u64"), start()[1], ALGORITHM, *more, fails=True, **attrs)
    case(new, "scalar key", const([5]), tensor(5, "u64"), start()[1], ALGORITHM, *more, fails=True, **attrs)
    case(new, "negative extent", const([-1]), *start(), ALGORITHM, *more, fails=True, **attrs)
    lengths = [Beside(rand(n)) for n in (0, 1, 2, 3, 5, 30)]
    given = 2 + len(more)
    sizes = Sizes([extent(given, 0), 3])
    sweep(op, "by three", [(sizes, seeded["seed"], *more, b) for b in lengths], **attrs)
    sweep(op, "two less", [(Sizes([extent(given, 0) - 2]), seeded["seed"], *more, b) for b in lengths], **attrs)
    sizes = Sizes([extent(given + 2, 0), 3])
    sweep(new, "by three", [(sizes, *start(), ALGORITHM, *more, b) for b in lengths], **attrs)


def limits(dtype):
    info = np.iinfo(np.int32 if dtype == "i32" else np.int64)
    return int(info.min), int(info.max)


def ranges():
    for op, lead in (("StatelessRandomUniformInt", (tensor([3, 5], "i64"),)), ("StatelessRandomUniformIntV2", (*start(), ALGORITHM))):
        for dtype in ("i32", "i64"):
            least, most = limits(dtype)
            for low, high in ((0, 1), (0, 7), (-5, 5), (least, most), (least, 0), (-1, most), (most - 1, most), (least, least + 1), (least, least + 3)):
                case(op, f"{dtype} from {low} to {high}", const([9]), *lead, tensor(low, dtype), tensor(high, dtype))
            case(op, f"{dtype} constant bounds", const([9]), *lead, const(-5, dtype), const(most, dtype))
            for low, high in ((0, 0), (1, 0), (most, least)):
                for given in (tensor, const):
                    name = f"{dtype} from {low} to {high}{' constant' if given is const else ''}"
                    case(op, name, const([9]), *lead, given(low, dtype), given(high, dtype), fails=True)
            case(op, f"{dtype} none from nothing", const([0]), *lead, tensor(1, dtype), tensor(1, dtype))
            case(op, f"{dtype} none from nothing constant", const([0]), *lead, const(1, dtype), const(1, dtype))
        case(op, "bounds of rank 1", const([9]), *lead, tensor([0], "i32"), tensor([1], "i32"), fails=True)


def truncated():
    draws("StatelessTruncatedNormal", FLOATS, large=False)


def classes():
    op, seed = "StatelessMultinomial", tensor([3, 5], "i64")
    for dtype in ("f16", "bf16", "f32", "f64"):
        case(op, f"{dtype}", rand(1, 6, dtype=dtype), const(20), seed)
        case(op, f"{dtype} rows", rand(3, 5, dtype=dtype), const(5), seed)
    for to in (tf.int32, tf.int64):
        case(op, f"to {to.name}", rand(2, 4), const(7), seed, output_dtype=to)
    case(op, "one class", rand(2, 1), const(3), seed)
    case(op, "i32 seed", rand(2, 3), const(3), tensor([3, -5], "i32"))
    special = [[-INF, 0, -INF], [-INF] * 3, [NAN, 0, 1], [INF, 0, 0], [NAN] * 3, [80, -80, 0], [-1000, -1001, -1002]]
    for dtype in ("f16", "f32", "f64"):
        case(op, f"special values {dtype}", tensor(special, dtype), const(6), seed)
    case(op, "large", tensor([[3e38, -3e38, 1]], "f32"), const(6), seed)
    case(op, "many", rand(1, 9), const(1000), seed)
    case(op, "constant seed", rand(2, 3), const(4), const([1, 2], "i64"))
    case(op, "no rows", rand(0, 3), const(4), seed)
    case(op, "no samples", rand(2, 3), const(0), seed)
    case(op, "no classes", rand(2, 0), const(4), seed, fails=True)
    case(op, "negative number", rand(2, 3), const(-1), seed, fails=True)
    case(op, "a vector", rand(3), const(1), seed, fails=True)
    case(op, "short seed", rand(2, 3), const(1), tensor([3], "i64"), fails=True)
    sweep(op, "as many as rows", [(rand(n, 3), Sizes(extent(0, 0)), seed) for n in (0, 1, 2, 3, 5)])
    sweep(op, "two less", [(rand(1, n), Sizes(extent(0, 1) - 2), seed) for n in (0, 1, 2, 3, 5)])


def shuffles():
    op = "StatelessShuffle"
    for dtype in (*NUMBERS, "bool"):
        case(op, f"{dtype}", rand(5, dtype=dtype, seed=2), *start(), ALGORITHM, optional=True)
    for shape in ((0,), (1,), (2,), (3, 2), (7, 2, 2), (4, 0), (1, 3), (100,), ()):
        case(op, f"{shape}", rand(*shape), *start(), ALGORITHM)
    case(op, "a thousand", tensor(np.arange(1000), "i32"), *start(), ALGORITHM)
    case(op, "any algorithm", rand(5), *start(), const(3))
    case(op, "constant key", rand(5), const([7], "u64"), const([1, 2], "u64"), ALGORITHM)
    case(op, "two keys", rand(5), tensor([5, 6], "u64"), start()[1], ALGORITHM, fails=True)
    case(op, "no such algorithm", rand(5), *start(), const(7), fails=True)
    sweep(op, "rows", [(rand(n, 2), *start(), ALGORITHM) for n in (0, 1, 2, 3, 6)])


def samples(op, dtype, parameters, attrs=None):
    """Numbers of laws with parameters, by a seed, in shapes that end as the parameters' do."""
    attrs, seed = attrs or {}, tensor([3, 5], "i64")
    given = [tensor(p, dtype) for p in parameters]
    n = max(np.shape(p)[0] for p in parameters)
    case(op, f"{dtype}", const([40, n]), seed, *given, **attrs)
    case(op, f"{dtype} constant", const([5, n]), seed, *(const(p, dtype) for p in parameters), **attrs)
    case(op, f"{dtype} one each", const([n]), seed, *given, **attrs)
    case(op, f"{dtype} two axes", const([3, 2, n]), seed, *given, **attrs)
    case(op, f"{dtype} none", const([0, n]), seed, *given, **attrs)
    case(op, f"{dtype} scalar", const([30]), seed, *(tensor(p[0], dtype) for p in parameters), **attrs)
    case(op, f"{dtype} scalar in scalar", const([]), seed, *(tensor(p[0], dtype) for p in parameters), **attrs)


def further(op, parameters, dtype="f64", attrs=None):
    attrs, seed = attrs or {}, tensor([3, 5], "i64")
    given = [tensor(p, dtype) for p in parameters]
    n = max(np.shape(p)[0] for p in parameters)
    for other in SEEDS:
        case(op, f"seed {other}", const([2, n]), tensor(other, "i64"), *given, **attrs)
    case(op, "i32 seed", const([2, n]), tensor([3, -5], "i32"), *given, **attrs)
    case(op, "shape of 64 bits", const([2, n], "i64"), seed, *given, **attrs)
    case(op, "other end", const([n, 2, n + 1]), seed, *given, fails=True, **attrs)
    case(op, "too short", const([]), seed, *given, fails=True, **attrs)
    case(op, "negative extent", const([-1, n]), seed, *given, fails=True, **attrs)
    case(op, "short seed", const([2, n]), tensor([1], "i64"), *given, fails=True, **attrs)
    sweep(op, "samples", [(Sizes([extent(2 + len(given), 0), n]), seed, *given, Beside(rand(k))) for k in (0, 1, 2, 5)], **attrs)
    if len(given) == 1:
        sweep(op, "parameters", [(Sizes([2, extent(2, 0)]), seed, tensor(np.resize(parameters[0], k), dtype)) for k in (1, 2, 5)], **attrs)


SHAPES = [0.125, 0.5, 0.9375, 1.0, 1.0625, 2.0, 7.5, 300.0]


def gammas():
    op = "StatelessRandomGammaV2"
    for dtype in ("f16", "f32", "f64"):
        samples(op, dtype, [SHAPES])
    further(op, [SHAPES])
    for shape in SHAPES:
        case(op, f"all of {shape}", const([50]), tensor([8, 9], "i64"), const(shape, "f64"))
    case(op, "no numbers", const([6]), tensor([8, 9], "i64"), tensor([0.0, -0.5, -2.0, NAN, 1e-30, 1e30], "f64"))
    new = "StatelessRandomGammaV3"
    for dtype in ("f16", "f32", "f64"):
        case(new, f"{dtype}", const([20, 8]), *start(), ALGORITHM, tensor(SHAPES, dtype))
    case(new, "carries", const([20, 8]), *start(2**64 - 1, 2**64 - 2000, 9), ALGORITHM, tensor(SHAPES, "f64"))
    case(new, "any algorithm", const([2, 8]), *start(), const(3), tensor(SHAPES, "f64"))
    case(new, "ThreeFry", const([2, 8]), *start(), const(2), tensor(SHAPES, "f64"), fails=True)
    case(new, "other end", const([8, 2]), *start(), ALGORITHM, tensor(SHAPES, "f64"), fails=True)
    runs = [(Sizes([extent(4, 0), 8]), *start(), ALGORITHM, tensor(SHAPES, "f64"), Beside(rand(k))) for k in (0, 1, 2, 5)]
    sweep(new, "samples", runs)


RATES = [0.0, 0.0625, 1.0, 3.5, 9.9375, 10.0, 10.5, 30.0, 1000.0, 1e7]


def poissons():
    op = "StatelessRandomPoisson"
    for to in (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64):
        # The kernel does not end where the number is beyond a half.
        case(op, f"to {to.name}", const([9, 9]), tensor([1, 2], "i64"), tensor(RATES[:9], "f64"), dtype=to)
    samples(op, "f64", [RATES], {"dtype": tf.int64})
    for dtype in ("i32", "i64"):
        case(op, f"{dtype}", const([9, 5]), tensor([1, 2], "i64"), tensor([0, 3, 9, 10, 50], dtype), dtype=tf.int64)
    for dtype in ("f16", "f32"):
        case(op, f"{dtype}", const([40, 9]), tensor([1, 2], "i64"), tensor(RATES[:9], dtype), dtype=tf.float32)
        case(op, f"{dtype} small", const([40, 5]), tensor([1, 2], "i64"), const(RATES[:5], dtype), dtype=tf.float32)
    case(op, "negative", const([3, 2]), tensor([1, 2], "i64"), tensor([-1.0, -200.0], "f64"), dtype=tf.int32)
    further(op, [RATES], attrs={"dtype": tf.float64})


def binomials():
    op = "StatelessRandomBinomial"
    counts = [0.0, -3.0, 1.0, 9.0, 30.0, 100.0, 1000.0, 1e6, 40.0, 1e6, 55.0, 5.0]
    probs = [0.5, 0.5, 0.25, 0.75, 0.5, 0.125, 0.9375, 1e-6, 0.0, 0.5, 1.0, 1.5]
    for dtype, to in (("f64", tf.int64), ("f32", tf.int32)):
        samples(op, dtype, [counts, probs], {"dtype": to})
    case(op, "f16", const([9, 7]), tensor([1, 2], "i64"), tensor(counts[:7], "f16"), tensor(probs[:7], "f16"), dtype=tf.int32)
    for to in (tf.float16, tf.float32, tf.float64):
        case(op, f"to {to.name}", const([9, 7]), tensor([1, 2], "i64"), tensor(counts[:7], "f64"), tensor(probs[:7], "f64"), dtype=to)
    case(op, "broadcast", const([4, 3, 2]), tensor([1, 2], "i64"), tensor([[20.0], [5.0], [400.0]], "f64"), tensor([0.25, 0.75], "f64"), dtype=tf.int32)
    case(op, "one probability", const([4, 3]), tensor([1, 2], "i64"), tensor([20.0, 5.0, 400.0], "f64"), tensor(0.75, "f64"), dtype=tf.int32)
    case(op, "does not broadcast", const([4, 3]), tensor([1, 2], "i64"), tensor([20.0, 5.0, 400.0], "f64"), tensor([0.75, 0.5], "f64"), dtype=tf.int32, fails=True)
    case(op, "no probability", const([4, 2]), tensor([1, 2], "i64"), tensor([20.0, 5.0], "f64"), tensor([NAN, 0.5], "f64"), dtype=tf.float64)
    further(op, [counts, probs], attrs={"dtype": tf.float64})


keys()
gammas()
poissons()
binomials()
truncated()
shuffles()
classes()
draws("StatelessRandomUniform", FLOATS)
draws("StatelessRandomUniformFullInt", WHOLE)
draws("StatelessRandomUniformInt", ("i32", "i64"), lambda dtype: (tensor(-3, dtype), tensor(11, dtype)))
draws("StatelessRandomNormal", FLOATS, large=False)
ranges()
