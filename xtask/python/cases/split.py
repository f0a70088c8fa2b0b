"""Strings that fall into tokens: white space, separators of one and of several bytes, limits, bytes of a set, rows without tokens."""

import numpy as np

from .spec import case, const, rand, sweep, tensor
from .text import ODD, strings

SPACED = [
    b"", b" ", b"a", b" a", b"a ", b"a b", b" a  b  c ", b"\t\n\v\f\r", b"a\tb\nc\vd\fe\rf", b"  a", b"a  ", b"one two three four",
    b"a\xc2\xa0b", b"a\xe3\x80\x80b", b"a\xc2\x85b", b"a\x1cb", b"a\0b", "grüße 日本 語".encode(), b"x" * 40 + b" " + b"y" * 33,
]  # fmt: skip
LISTED = [
    b"", b",", b",,", b"a", b"a,b", b",a,,b,", b"aaa", b"aaaa", b"aaaaa", b"abab", b"ababa", b"ab", b"a,b;c,d", b";,;", b"a<>b<><>c",
    b"<", b"<>", b"<><", b"\0,\0", "ü,ö".encode(), b"\xff\xfe", b"no separator at all in here",
]  # fmt: skip
LIMITS = (-1, -5, 0, 1, 2, 3, 100, 2**31 - 1)


def words():
    op = "StringSplitV2"
    for limit in LIMITS:
        case(op, f"white space, limit {limit}", strings(SPACED), const(b"", "str"), maxsplit=limit)
        for sep in (b",", b"a", b"aa", b"ab", b"<>", b" ", b"\0", "ü".encode(), b"\xff"):
            if limit in (-1, 1, 2) or sep in (b",", b"aa"):
                case(op, f"separator {sep.hex()}, limit {limit}", strings(LISTED), const(sep, "str"), maxsplit=limit)
        case(op, f"no strings, limit {limit}", strings([]), const(b"", "str"), maxsplit=limit)
        case(op, f"no strings by a comma, limit {limit}", strings([]), const(b",", "str"), maxsplit=limit)
    case(op, "no tokens", strings([b"", b"  "]), const(b"", "str"))
    case(op, "odd strings", strings(ODD), const(b"", "str"))
    case(op, "one string", strings([b"a b"]), const(b"", "str"))
    case(op, "a long separator", strings([b"-" * 64, b"-" * 63, b"a" + b"-" * 130]), const(b"-" * 64, "str"))
    case(op, "a scalar", tensor(b"a b", "str"), const(b"", "str"), fails=True)
    case(op, "a matrix", strings(SPACED[:4], 2, 2), const(b"", "str"), fails=True)


def sets():
    op = "StringSplit"
    for skip in (False, True):
        for delimiter in (b"", b",", b",;", b"a", b"ab", b"<>", b" ", b"\0", "ü".encode(), bytes(range(0x80, 0x100)), b",,"):
            case(op, f"at {delimiter.hex()[:16]}, skip {skip}", strings(LISTED), const(delimiter, "str"), skip_empty=skip)
        case(op, f"white space, skip {skip}", strings(SPACED), const(b" ", "str"), skip_empty=skip)
        case(op, f"no strings, skip {skip}", strings([]), const(b" ", "str"), skip_empty=skip)
        case(op, f"no tokens, skip {skip}", strings([b"", b""]), const(b",", "str"), skip_empty=skip)
    case(op, "a scalar", tensor(b"a b", "str"), const(b" ", "str"), fails=True)


def borders():
    some = lambda n: strings([b" a b"[: k + 1] + b" c" * k for k in range(n)])
    for op, attrs in (("StringSplitV2", {}), ("StringSplitV2", {"maxsplit": 1}), ("StringSplitV2", {"maxsplit": 0}), ("StringSplit", {})):
        what = f" {attrs['maxsplit']}" if attrs else ""
        sweep(op, f"words{what}", [(some(n), const(b" ", "str")) for n in (0, 1, 2, 5)], **attrs)
    sweep("StringSplitV2", "white space", [(some(n), const(b"", "str")) for n in (0, 1, 2, 5)])
    sweep("StringSplitV2", "no tokens", [(strings([b" "] * n), const(b"", "str")) for n in (0, 1, 3)])


TYPES = {"f32": "DT_FLOAT", "f64": "DT_DOUBLE", "i32": "DT_INT32", "i64": "DT_INT64", "u32": "DT_UINT32", "u64": "DT_UINT64"}
WHOLE = [b"0", b"1", b"+1", b"007", b" 12\t", b"\n\v\f\r5", b"6 ", b"+0", b"1234567890", b"2147483647", b"0" * 50 + b"3"]
LIMITED = {
    "i32": ([b"-1", b"-0", b" -2147483648"], [b"2147483648", b"-2147483649", b"99999999999999999999999"]),
    "i64": ([b"-1", b"-0", b"-9223372036854775808", b"9223372036854775807"], [b"9223372036854775808", b"-9223372036854775809", b"9" * 40]),
    "u32": ([b"4294967295"], [b"-0", b"-1", b"4294967296"]),
    "u64": ([b"18446744073709551615", b"9999999999999999999"], [b"-0", b"-1", b"18446744073709551616", b"18446744073709551620", b"99999999999999999999"]),
}  # fmt: skip
NO_NUMBERS = [
    b"", b" ", b"+", b"-", b"+-1", b"--1", b"- 1", b"1 2", b"1_0", b"1x", b"x", b"1\0", b"\x001", b"1\x1c", b"\xc2\xa01", b"1,5", "１".encode(), b"0x", b"0b1",
]  # fmt: skip
NO_FLOATS = [
    b"1e", b"1e+", b"e5", b".e5", b".", b"1e5.", b"1e5 5", b"1.2.3", b"1.0f", b"1l", b"1d5", b"infi", b"infinit", b"in", b"i", b"na", b"nan(", b"nan(-)", b"nan (1)", b"nan()x", b"00x1",
    b"0x.", b"0x.p1", b"0xp1", b"0x1p", b"0x1g", b"0x 1", b"0x1p1.", b"infinity1",
]  # fmt: skip
FLOATS = [
    b"1.5", b"-2.25", b".5", b"1.", b"-.5e1", b"1e5", b"1E+5", b"1e-5", b"0e999999999999", b"00001.5", b"1e0000005", b"-0", b"-0.0", b"0.1", b"123456789", b"1e22", b"1e23", b"3.14159265358979",
    b"9007199254740993", b"9007199254740992.9999", b"9007199254740993.0000000000", b"1" + b"0" * 30, b"0." + b"0" * 30 + b"1e30", b"123456789012345678901234567890", b"0.1000000000000000055511151231257827021181583404541015625",
    b"2.2250738585072014e-308", b"1.7976931348623157e308", b"8.5e37", b"1.17549435e-38", b"3.4028234e38", b"16777217", b"16777219", b"1.000000059604644775", b"0.3e-5 ", b"\t7",
    b"1e999", b"-1e400", b"1e99999999999", b"1e-99999999999", b"-1e-400", b"1" + b"0" * 400, b"0." + b"0" * 400 + b"1",
    b"inf", b"-INF", b"+Infinity ", b"nan", b"NaN(a_1)", b"-nan() ",
    b"0x10", b"0X1P3", b"0x1.8p1", b"-0x.8", b"0x1.", b"0x1e5", b"0x1p-3", b"0x1.00000000000008p0", b"0x1.000000000000080000000000000001p0", b"0x1.00000100000000000001p0", b"0x1.000001p0", b"0x1p1024",
    b"0x1.fffffffffffff8p1023", b"0x1.fffffffffffff7ffp1023", b"0x" + b"0" * 40 + b"1", b"0x1" + b"0" * 20, b"0x1p-5000",
]  # fmt: skip


def numbers():
    from tensorflow.core.framework import types_pb2

    def number(name, values, dtype, **rest):
        case("StringToNumber", f"{name} {dtype}", values, out_type=types_pb2.DataType.Value(TYPES[dtype]), **rest)

    rng = np.random.default_rng(7)
    drawn = [b"%d.%de%d" % (a, b, c) for a, b, c in zip(rng.integers(0, 10**9, 200), rng.integers(0, 10**10, 200), rng.integers(-30, 28, 200))]
    halves = [repr(float(x) * (1 + 2.0**-24)).encode() for x in rng.integers(2**23, 2**24, 40).astype(np.float32)]
    for dtype in TYPES:
        number("plain", strings(WHOLE), dtype)
        number("scalar", tensor(b"17", "str"), dtype)
        number("empty", rand(0, 2, dtype="str"), dtype)
        good, bad = LIMITED.get(dtype, ([b"1e3"], []))
        number("limits", strings(good), dtype)
        for text in [*bad, *NO_NUMBERS, *(NO_FLOATS if dtype[0] == "f" else [b"1.", b"1e3", b"0x10", b"inf"])]:
            number(f"refuses {text.hex()}", strings([b"1", text]), dtype, fails=True)
    for dtype in ("f32", "f64"):
        number("floats", strings(FLOATS), dtype)
        number("drawn", strings(drawn), dtype)
        number("halves", strings(halves), dtype)


numbers()
words()
sets()
borders()
