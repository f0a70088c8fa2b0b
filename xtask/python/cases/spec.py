"""How a recorded case is specified: an operator, a name, operands and attributes. `record.py` runs what is collected here.

Values are multiples of a sixteenth wherever the operator allows it: sums of products are then exact in every float type, files stay
short, and a comparison may ask for equality.
"""

import dataclasses
import math
import typing

import ml_dtypes
import numpy as np

DTYPES = {
    "bool": np.dtype(np.bool_),
    "i8": np.dtype(np.int8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "u32": np.dtype(np.uint32),
    "u64": np.dtype(np.uint64),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "c64": np.dtype(np.complex64),
    "c128": np.dtype(np.complex128),
    "str": np.dtype(object),
}
# Types that C lacks: an operand is given as a constant, by its bytes; a result is recorded by its values.
NARROW = {
    "i4": np.dtype(ml_dtypes.int4),
    "u4": np.dtype(ml_dtypes.uint4),
    "f8e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "f8e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
}
FLOATS = ("f16", "bf16", "f32", "f64")
INTS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
COMPLEX = ("c64", "c128")
NUMBERS = FLOATS + INTS + COMPLEX
NAN, INF = float("nan"), float("inf")


@dataclasses.dataclass
class Const:
    """An operand that a model gives as a Const node: a shape, an axis, a permutation."""

    value: np.ndarray


@dataclasses.dataclass
class Run:
    """Another run that gives the case's outputs, for a case TensorFlow's CPU kernels refuse; `back` maps its outputs.

    `always`: the kernel does not refuse but is known to be wrong. `gone`: this TensorFlow only loads graphs with the operator.
    """

    op: str
    inputs: tuple
    attrs: dict
    back: typing.Callable
    always: bool = False
    gone: bool = False


@dataclasses.dataclass
class Case:
    op: str
    name: str
    inputs: tuple
    attrs: dict
    fails: bool = False
    optional: bool = False
    via: Run | None = None


@dataclasses.dataclass(frozen=True)
class Extent:
    """`times * x[axis] * .. + plus`: a number that a model computes from the extents of its operands, by (operand, axis)."""

    of: tuple = ()
    times: int = 1
    plus: int = 0

    def __mul__(self, other):
        if isinstance(other, Extent):
            return Extent(self.of + other.of, self.times * other.times)
        return Extent(self.of, self.times * other, self.plus * other)

    def __add__(self, other):
        return Extent(self.of, self.times, self.plus + other)

    def __sub__(self, other):
        return self + -other

    __rmul__ = __mul__


def extent(operand, axis):
    return Extent(((operand, axis),))


@dataclasses.dataclass
class Sizes:
    """An operand that a model computes from extents: a vector of whole numbers and `Extent`s, or one of them alone."""

    entries: list | int | Extent
    dtype: str = "i32"
    shape: tuple | None = None

    def forms(self):
        entries = self.entries if isinstance(self.entries, list) else [self.entries]
        return [entry if isinstance(entry, Extent) else Extent((), 0, entry) for entry in entries]

    def value(self, operands):
        """The numbers for these operands, as an array."""
        numbers = [f.times * math.prod(operands[n].shape[axis] for n, axis in f.of) + f.plus for f in self.forms()]
        values = tensor(numbers if isinstance(self.entries, list) else numbers[0], self.dtype)
        return values.reshape(values.shape if self.shape is None else self.shape)


@dataclasses.dataclass
class Beside:
    """An input of the model that is no operand of the node: sizes are computed from its extents."""

    value: np.ndarray


@dataclasses.dataclass
class Sweep:
    """One node whose operands have other extents in every run: it is compiled once, with those extents open."""

    op: str
    name: str
    runs: list
    attrs: dict


CASES: list[Case] = []
SWEEPS: list[Sweep] = []


def case(op, name, *inputs, fails=False, optional=False, via=None, **attrs):
    """Specify a case. An operand is an array, a `Const`, or a list of those where the operator is variadic there.

    `fails`: TensorFlow raises, and its message is recorded. `optional`: leave the case out if there is no CPU kernel for its types.
    """
    CASES.append(Case(op, name, inputs, attrs, fails, optional, via))


def sweep(op, name, runs, **attrs):
    """Specify runs of one node; each is a tuple of operands as `case` takes them, `Sizes` or `Beside`. TensorFlow decides which raise."""
    SWEEPS.append(Sweep(op, f"borders: {name}", list(runs), attrs))


def tensor(values, dtype="f32"):
    return np.asarray(values, DTYPES[dtype])


def const(values, dtype="i32"):
    return Const(tensor(values, dtype))


def name_of(dtype):
    return next(name for name, known in DTYPES.items() if known == dtype)


def rand(*shape, dtype="f32", seed=0, low=-32, high=32):
    """Seeded values: sixteenths in -2..2 for floats, small whole numbers for integers, letters for strings."""
    rng = np.random.default_rng([seed, *shape])
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype == "str":
        return np.array([b"s%d" % v for v in rng.integers(0, 100, shape).flat] + [None], object)[:-1].reshape(shape)
    if dtype in COMPLEX:
        return (rng.integers(low, high, shape) / 16 + 1j * rng.integers(low, high, shape) / 16).astype(DTYPES[dtype])
    whole = rng.integers(low, high, shape)
    if dtype in INTS:
        return np.abs(whole // 4).astype(DTYPES[dtype]) if dtype[0] == "u" else (whole // 4).astype(DTYPES[dtype])
    return (whole / 16).astype(DTYPES[dtype])


def distinct(*shape, dtype="f32", seed=0):
    """Seeded values without ties, for what sorts or selects."""
    size = int(np.prod(shape))
    return ((np.random.default_rng([seed, size]).permutation(size) - size // 2) / 4).astype(DTYPES[dtype]).reshape(shape)


def edges(dtype):
    """The values at which an element-wise operator is most likely to be wrong."""
    if dtype == "bool":
        return tensor([False, True], dtype)
    if dtype in INTS:
        info = np.iinfo(DTYPES[dtype])
        values = [0, 1, 2, 3, 5, 7, 100, info.max - 1, info.max]
        return tensor(values if info.min == 0 else [info.min, info.min + 1, -100, -7, -3, -2, -1, *values], dtype)
    if dtype in COMPLEX:
        return tensor([0, 1, -1, 1j, -1j, 0.5 + 0.25j, -2.5 + 1.5j, 3 - 4j, -1.25 - 0.75j], dtype)
    info = ml_dtypes.finfo(DTYPES[dtype])
    values = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.5, -2.5, 3.0, -7.0, 0.1, -0.3, 10.0, -20.0]
    return tensor([*values, float(info.max), -float(info.max), float(info.tiny), INF, -INF, NAN], dtype)
