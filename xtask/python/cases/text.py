"""Strings: their length, hashes, parts; bytes of every kind, lengths at the borders of words and of hashes, emptiness."""

from .spec import INF, INTS, NAN, case, const, rand, sweep, tensor

# What is easily wrong: zeros, white space, characters of several bytes, what is no UTF-8, bytes above 127 at either end.
ODD = [
    b"", b"a", b"\0", b"a\0b", b"\0\0", b" ", b" \t\n\v\f\r", b"  a b  ", b"\x1c a \xc2\xa0", "grüße".encode(), "日本語".encode(),
    "👍🏽".encode(), b"\xff", b"\x80abc", b"abc\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf",
]  # fmt: skip


def strings(values, *shape):
    return tensor(values, "str").reshape(shape or (len(values),))


def of_lengths():
    """A string of each length up to two blocks of a hash and some more."""
    return strings([bytes((7 * n + k * k) % 256 for k in range(n)) for n in [*range(0, 70), 71, 127, 128, 129, 191, 192, 193, 1000]])


def hashes():
    for op, attrs in (
        ("StringToHashBucket", {}),
        ("StringToHashBucketFast", {}),
        ("StringToHashBucketStrong", {"key": [1, 2]}),
        ("StringToHashBucketStrong", {"key": [-1, 1 << 62]}),
    ):
        what = f" {attrs['key']}" if attrs else ""
        for buckets in (1, 10, 2**62 + 1):
            case(op, f"of every length, {buckets} buckets{what}", of_lengths(), num_buckets=buckets, **attrs)
        case(op, f"odd strings{what}", strings(ODD), num_buckets=1000, **attrs)
        case(op, f"scalar{what}", tensor(b"hello", "str"), num_buckets=1000, **attrs)
        case(op, f"rank 3{what}", rand(2, 1, 3, dtype="str"), num_buckets=7, **attrs)
        case(op, f"empty{what}", rand(0, 2, dtype="str"), num_buckets=7, **attrs)


def lengths():
    for unit in ("BYTE", "UTF8_CHAR"):
        case("StringLength", f"odd strings {unit}", strings(ODD), unit=unit)
        case("StringLength", f"scalar {unit}", tensor("grüße".encode(), "str"), unit=unit)
        case("StringLength", f"empty {unit}", rand(3, 0, dtype="str"), unit=unit)
        case("StringLength", f"rank 2 {unit}", strings(ODD[:18], 3, 6), unit=unit)


def parts():
    case("StringStrip", "odd strings", strings(ODD))
    case("StringStrip", "scalar", tensor(b" \t a\n", "str"))
    case("StringStrip", "empty", rand(0, dtype="str"))
    word = strings([b"abcdef", b"", b"xyz", b"1234567890"])
    for dtype in ("i32", "i64"):
        case("Substr", f"for all {dtype}", strings([b"abcdef", b"xyz", b"1234567890"]), tensor(2, dtype), tensor(3, dtype))
        case("Substr", f"for each {dtype}", word, tensor([1, 0, -3, 10], dtype), tensor([2, 5, 2, 1], dtype))
        case("Substr", f"negative lengths {dtype}", word, tensor([-6, 0, 3, -1], dtype), tensor([-1, -1, -2, 0], dtype))
        for position in (4, -4, 100):
            case("Substr", f"outside at {position} {dtype}", strings([b"xyz"]), tensor([position], dtype), tensor([1], dtype), fails=True)
    case("Substr", "given", word, const([0, 0, 1, 2]), const([2, 2, 1, 100]))
    case("Substr", "of a scalar", tensor(b"abcdef", "str"), tensor(-2, "i32"), tensor(9, "i32"))
    case("Substr", "repeated strings", strings([b"abc"], 1, 1), tensor([[0], [1]], "i32"), tensor([[1], [2]], "i32"))
    case("Substr", "repeated positions", strings([b"abc", b"defg"]), tensor([1], "i32"), tensor([2], "i32"))
    case("Substr", "repeated along a matrix", strings([b"abc", b"defg"], 1, 2), tensor([[1], [2]], "i32"), tensor([[1], [1]], "i32"))
    case("Substr", "empty", rand(0, dtype="str"), rand(0, dtype="i32"), rand(0, dtype="i32"))
    case("Substr", "least and greatest", strings([b"abc", b"abc"]), tensor([0, 0], "i64"), tensor([-(2**63), 2**63 - 1], "i64"))
    case("Substr", "far outside", strings([b"abc"]), tensor([-(2**63)], "i64"), tensor([1], "i64"), fails=True)

    chars = strings([b"abc", "grüße".encode(), "日本語".encode(), b"\x80\x80ab\x80\x80c", b"a\xe2\x82", b"\xff\x80\x80"])
    in_chars = lambda name, *operands, **rest: case("Substr", f"characters: {name}", *operands, unit="UTF8_CHAR", **rest)
    for dtype in ("i32", "i64"):
        for position in (0, 1, 2, -1, -2):
            texts = chars if position not in (2, -2) else strings(chars[:5])
            for length in (0, 1, 2, 100):
                in_chars(f"{length} from {position} {dtype}", texts if position != -2 else strings(chars[:4]), tensor(position, dtype), tensor(length, dtype))
        in_chars(f"for each {dtype}", chars, tensor([0, 1, -2, 3, -1, 1], dtype), tensor([2, 3, 2, 1, 5, 0], dtype))
        in_chars(f"negative lengths {dtype}", chars, tensor([0, 1, 2, 3, 2, 1], dtype), tensor([-1, -2, -100, -1, -3, -1], dtype))
        for position, length in ((4, 1), (-4, 1), (100, 0), (-1, -1), (-3, -1), (4, -1)):
            in_chars(f"{length} at {position} {dtype}", strings([b"xyz"]), tensor([position], dtype), tensor([length], dtype), fails=True)
        in_chars(f"of nothing {dtype}", strings([b""]), tensor([0], dtype), tensor([3], dtype))
        in_chars(f"before nothing {dtype}", strings([b""]), tensor([-1], dtype), tensor([3], dtype), fails=True)
    in_chars("least and greatest", strings([b"abc"] * 3), tensor([0, 1, -2], "i64"), tensor([-(2**63), 2**63 - 1, 2**63 - 1], "i64"))
    in_chars("far outside", strings([b"abc"]), tensor([-(2**63)], "i64"), tensor([1], "i64"), fails=True)
    in_chars("repeated", chars.reshape(6, 1), tensor([0, 1], "i32"), tensor([2, 1], "i32"))
    in_chars("empty", rand(0, dtype="str"), rand(0, dtype="i32"), rand(0, dtype="i32"))

    words = lambda *shape: rand(*shape, dtype="str")
    ones = lambda *shape: (rand(*shape, dtype="i32", low=0, high=4), rand(*shape, dtype="i32", low=0, high=12, seed=1))
    runs = [(words(m), *ones(n)) for m, n in ((3, 3), (1, 1), (1, 4), (4, 1), (0, 0), (0, 1), (1, 0), (2, 3), (3, 2), (0, 2))]
    sweep("Substr", "vectors", runs)
    shapes = (((2, 3), (2, 3)), ((1, 3), (2, 1)), ((2, 3), (1, 1)), ((2, 1), (1, 3)), ((0, 3), (1, 3)), ((2, 3), (3, 2)))
    sweep("Substr", "matrices", [(words(*m), *ones(*n)) for m, n in shapes])


def equality():
    left, right = strings(ODD, 1, len(ODD)), strings(ODD, len(ODD), 1)
    long = strings([b"x" * n + b"y" for n in range(40)])
    for op in ("Equal", "NotEqual"):
        case(op, "odd strings", left, right)
        case(op, "long strings", long.reshape(1, 40), long.reshape(40, 1))
        case(op, "empty strings", rand(0, dtype="str"), rand(0, dtype="str"))
        case(op, "strings of other shapes", strings(ODD[:3]), strings(ODD[:2]), incompatible_shape_error=False)
        case(op, "strings of one shape", strings(ODD[:3]), strings(ODD[2::-1]), incompatible_shape_error=False)
        case(op, "strings that do not broadcast", strings(ODD[:3]), strings(ODD[:2]), fails=True)
        case(op, "a string", strings(ODD), tensor(b"a", "str"))


def moved():
    """Operators that move elements without looking at them, of strings of several bytes."""
    odd = strings(ODD[:12], 3, 4)
    case("Select", "odd strings", tensor([[True, False, True, False]] * 3, "bool"), odd, odd[::-1])
    case("SelectV2", "odd strings", tensor([True, False, False, True], "bool"), odd, tensor(b"other", "str"))
    case("PadV2", "odd strings", odd, const([[1, 0], [0, 2]]), tensor(b"-", "str"))
    case("TensorScatterUpdate", "odd strings", odd[0], tensor([[3], [0], [3]], "i32"), strings([b"new", b"", b"last"]))
    case("ReverseV2", "odd strings", odd, const([1]))
    case("DynamicStitch", "odd strings", [const([0, 2]), const([1])], [odd[0, :2], odd[1, :1]])
    case("Transpose", "odd strings", odd, const([1, 0]))
    flat = strings(ODD[:12])
    case("ConcatV2", "odd strings", [odd, odd[:, :1]], const(1))
    case("Pack", "odd strings", [flat, flat[::-1]], axis=1)
    case("Unpack", "odd strings", odd, num=4, axis=1)
    case("Split", "odd strings", const(1), odd, num_split=2)
    case("SplitV", "odd strings", odd, const([1, 3]), const(1), num_split=2)
    case("Tile", "odd strings", odd, const([2, 1]))
    case("BroadcastTo", "odd strings", odd[:1], const([2, 3, 4]))
    case("Fill", "an odd string", const([2, 2]), tensor(b"\0", "str"))
    case("ZerosLike", "odd strings", odd)
    case("GatherNd", "odd strings", odd, tensor([[2, 1], [0, 3]], "i32"))
    case("StridedSlice", "odd strings", odd, const([2, 0]), const([0, 4]), const([-1, 2]))
    case("DynamicPartition", "odd strings", flat, tensor([0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 2], "i32"), num_partitions=3, optional=True)
    case("ParallelDynamicStitch", "odd strings", [const([0, 2]), const([1])], [odd[0, :2], odd[1, :1]], optional=True)
    case("OneHot", "odd strings", tensor([1, 0, -1], "i32"), const(3), tensor(b"on", "str"), tensor(b"", "str"), optional=True)
    case("Roll", "odd strings", odd, const(1), const(1), optional=True)
    case("MirrorPad", "odd strings", odd, const([[1, 0], [0, 2]]), mode="REFLECT", optional=True)
    case("Pad", "odd strings", odd, const([[1, 0], [0, 2]]), optional=True)
    case("ReverseSequence", "odd strings", odd, tensor([2, 4, 1], "i64"), seq_dim=1, batch_dim=0, optional=True)
    case("SparseToDense", "odd strings", tensor([[0, 1], [2, 0]], "i64"), const([3, 2], "i64"), strings([b"a", b"\0"]), tensor(b"none", "str"))
    case("TensorScatterUpdate", "rows of odd strings", odd, tensor([[2], [0]], "i32"), odd[:2])
    twice = strings([b"b", b"", b"a", b"b", b"\0", b"", b"a" * 20, b"a" * 21, b"a" * 20])
    for op in ("Unique", "UniqueWithCounts"):
        case(op, "odd strings", twice)
        case(op, "no strings", strings([]))
    for op in ("UniqueV2", "UniqueWithCountsV2"):
        case(op, "odd strings", twice, const([], "i32"), optional=True)
        case(op, "rows of odd strings", twice.reshape(3, 3)[[0, 1, 0]], const([0], "i32"), optional=True)
    case("ListDiff", "odd strings", twice, strings([b"", b"c", b"a" * 20]))
    for dtype in INTS[2:4]:
        case("GatherV2", f"odd strings by {dtype}", odd, tensor([2, 0, 2], dtype), const(0))


def cases():
    for op in ("StringLower", "StringUpper"):
        case(op, "every byte", strings([bytes(range(n, n + 64)) for n in range(0, 256, 64)]))
        case(op, "odd strings", strings(ODD, 1, len(ODD)))
        case(op, "scalar", tensor(b"Hello, World", "str"))
        case(op, "empty", rand(0, 2, dtype="str"))
        case(op, "of every length", of_lengths())


def joins():
    odd = strings(ODD[:12], 3, 4)
    for separator in (b"", b" ", b"\0-"):
        case("StringJoin", f"two {separator}", [odd, odd[::-1]], separator=separator)
        case("StringJoin", f"three with a scalar {separator}", [odd, tensor(b"-", "str"), odd[::-1]], separator=separator)
        case("StringJoin", f"one {separator}", [odd], separator=separator)
    case("StringJoin", "scalars", [tensor(b"a", "str"), tensor(b"b", "str")], separator=b", ")
    case("StringJoin", "a vector of one and a scalar", [strings([b"a"]), tensor(b"b", "str")], separator=b"")
    case("StringJoin", "empty", [rand(0, 3, dtype="str"), rand(0, 3, dtype="str")], separator=b"x")
    case("StringJoin", "empty and a scalar", [rand(0, dtype="str"), tensor(b"b", "str")], separator=b"x")
    case("StringJoin", "many", [strings([b"%d" % n, b""]) for n in range(20)], separator=b",")
    case("StringJoin", "long strings", [of_lengths(), of_lengths()[::-1]], separator=b"\n")
    case("StringJoin", "other shapes", [rand(2, dtype="str"), rand(3, dtype="str")], separator=b"", fails=True)
    case("StringJoin", "other ranks", [rand(2, dtype="str"), rand(1, 2, dtype="str")], separator=b"", fails=True)
    words = lambda *shape: rand(*shape, dtype="str")
    sweep("StringJoin", "vectors", [([words(m), words(n)],) for m, n in ((2, 2), (1, 1), (0, 0), (2, 3), (1, 2))], separator=b"+")


def rows_joined():
    """Axes that are joined, in the order in which they are named."""
    cube = strings([b"%d%d%d" % (i, j, k) for i in range(2) for j in range(3) for k in range(2)], 2, 3, 2)
    for axes in ([0], [1], [2], [-1], [0, 1], [1, 0], [2, 0], [0, 1, 2], [2, 1, 0], [-1, -3], []):
        for keep in (False, True):
            case("ReduceJoin", f"axes {axes}, kept {keep}", cube, const(axes, "i32"), keep_dims=keep, separator=b"-")
    case("ReduceJoin", "one axis as a scalar", cube, const(1, "i32"), keep_dims=False, separator=b"")
    case("ReduceJoin", "odd strings", strings(ODD[:12], 3, 4), const([0], "i32"), keep_dims=False, separator=b", ")
    case("ReduceJoin", "an axis of none", rand(2, 0, dtype="str"), const([1], "i32"), keep_dims=False, separator=b"-")
    case("ReduceJoin", "none along another axis", rand(2, 0, dtype="str"), const([0], "i32"), keep_dims=False, separator=b"-")
    case("ReduceJoin", "an axis twice", cube, const([1, 1], "i32"), keep_dims=False, separator=b"-", fails=True)
    case("ReduceJoin", "an axis twice, from either end", cube, const([1, -2], "i32"), keep_dims=False, separator=b"-", fails=True)
    case("ReduceJoin", "no such axis", cube, const([3], "i32"), keep_dims=False, separator=b"-", fails=True)
    words = [(rand(m, n, dtype="str"),) for m, n in ((2, 3), (1, 1), (0, 2), (2, 0), (4, 1))]
    for axes in ([0], [1], [1, 0]):
        sweep("ReduceJoin", f"axes {axes}", [(x, const(axes, "i32")) for (x,) in words], keep_dims=False, separator=b"+")


def runs():
    """N-grams of rows of every length, with and without pads."""
    data = strings([b"a", b"bb", b"", b"d", b"e", b"f\xff", b"g"])
    rows = [0, 0, 1, 3, 7, 7]
    pads = {"left_pad": b"<", "right_pad": b">>"}
    for widths in ([1], [2], [3], [5], [1, 2], [3, 1, 2], [2, 2], [8, 4]):
        for pad_width in (-1, 0, 1, 2, 9):
            for short in (False, True):
                name = f"widths {widths}, {pad_width} pads{', short rows kept' if short else ''}"
                attrs = dict(separator=b" ", ngram_widths=widths, pad_width=pad_width, preserve_short_sequences=short, **pads)
                case("StringNGrams", name, data, tensor(rows, "i64"), **attrs)
    plain = dict(separator=b"|", ngram_widths=[2], left_pad=b"", right_pad=b"", pad_width=0, preserve_short_sequences=False)
    case("StringNGrams", "splits of i32", data, tensor(rows, "i32"), **plain)
    case("StringNGrams", "empty pads", data, tensor(rows, "i64"), **{**plain, "pad_width": 1})
    case("StringNGrams", "one row", data, tensor([0, 7], "i64"), **plain)
    case("StringNGrams", "no rows", rand(0, dtype="str"), tensor([0], "i64"), **plain)
    case("StringNGrams", "empty rows", rand(0, dtype="str"), tensor([0, 0, 0], "i64"), **{**plain, "pad_width": -1})
    for splits in ([0, 3], [1, 7], [0, 9], [0, 5, 3, 7], [0, -1, 7]):
        case("StringNGrams", f"splits {splits}", data, tensor(splits, "i64"), fails=True, **plain)
    sweep("StringNGrams", "of rows", [(rand(n, dtype="str"), tensor(s, "i64")) for n, s in ((3, [0, 3]), (1, [0, 1]), (0, [0, 0]), (4, [0, 1, 1, 4]), (2, [0, 0, 0, 2]), (2, [0, 1]))], **plain)


def numbers():
    border = {"i8": (-128, 127), "i16": (-(2**15), 2**15 - 1), "i32": (-(2**31), 2**31 - 1), "i64": (-(2**63), 2**63 - 1)}
    for dtype in INTS:
        low, high = border.get(dtype, (0, 2 ** int(dtype[1:]) - 1))
        values = [v for v in (0, 1, 7, 9, 10, 11, 99, 100, 101, -1, -10, -99, low, high, low + 1, high - 1) if low <= v <= high]
        case("AsString", f"plain {dtype}", tensor(values, dtype))
        for fill in ("", " ", "0", "-", "+"):
            case("AsString", f"{dtype} filled with `{fill}`", tensor(values, dtype), width=6, fill=fill)
            case("AsString", f"{dtype} filled with `{fill}`, without a width", tensor(values, dtype), fill=fill)
            case("AsString", f"{dtype} filled with `{fill}` in a width of 0", tensor(values, dtype), width=0, fill=fill)
        case("AsString", f"empty {dtype}", rand(2, 0, dtype=dtype))
        case("AsString", f"{dtype} with a precision", tensor([1], dtype), precision=2, fails=True)
    case("AsString", "bool", tensor([[True, False]], "bool"))
    case("AsString", "bool in a width", tensor([[True, False]], "bool"), width=9, fill="0")
    case("AsString", "str", strings(ODD))
    case("AsString", "a filling of two", tensor([1], "i32"), width=4, fill="00", fails=True)
    case("AsString", "another filling", tensor([1], "i32"), width=4, fill="x", fails=True)
    case("AsString", "two ways at once", tensor([1], "f32"), scientific=True, shortest=True, fails=True)
    plain = [0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 1 / 3, 0.1, 123456.789, 0.0000005, 0.0000015, 0.00000025, 999999.9999996, -0.99999951, 1e10, 1e-10]
    plain += [NAN, INF, -INF, 2.0**53, 2.0**53 - 1, 0.015625, 1.0000005, 1.0000015, 65504.0]
    large = [2.0**63, 2.0**64, -(2.0**64), 2.0**64 * 1.5, 1e19, 1e20, 1.8446744073709552e19, 1e27, 1e28, -1e35, 3.4e38, 1e36, 1.0e-45]
    huge = [1e100, -1e200, 1.7976931348623157e308, 2.0**1000, 5e-324, 1e-300, 1e45, 999999999e36]
    for dtype in ("f16", "bf16", "f32", "f64"):
        values = plain + (large if dtype != "f16" else []) + (huge if dtype == "f64" else [])
        least = {"f16": 2.0**-14, "f64": 2.0**-1022}.get(dtype, 2.0**-126)
        values = [v for v in values if v == 0 or not abs(v) < least]
        case("AsString", f"plain {dtype}", tensor(values, dtype))
        for precision in (0, 1, 3, 7, 15, 19):
            case("AsString", f"{dtype}, {precision} digits", tensor(values, dtype), precision=precision)
        for fill in ("", " ", "0", "-", "+"):
            case("AsString", f"{dtype} filled with `{fill}`", tensor(values, dtype), width=14, fill=fill)
            case("AsString", f"{dtype}, 2 digits, filled with `{fill}`", tensor(values, dtype), precision=2, width=9, fill=fill)
        case("AsString", f"empty {dtype}", rand(0, dtype=dtype))
    case("AsString", "drawn f32", rand(200, dtype="f32", seed=3), precision=4)


hashes()
lengths()
cases()
joins()
rows_joined()
runs()
numbers()
parts()
equality()
moved()
