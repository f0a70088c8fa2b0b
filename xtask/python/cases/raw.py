"""Numbers whose bytes lie in strings: every type and both orders of bytes; lengths that do not fit, and those that are padded."""

from .spec import case, const, rand, sweep, tensor
from .text import strings

TYPES = ("f16", "f32", "f64", "i32", "u16", "u8", "i16", "i8", "i64", "bf16")
NAMES = {"f16": "DT_HALF", "f32": "DT_FLOAT", "f64": "DT_DOUBLE", "i32": "DT_INT32", "u16": "DT_UINT16", "u8": "DT_UINT8", "i16": "DT_INT16",
         "i8": "DT_INT8", "i64": "DT_INT64", "bf16": "DT_BFLOAT16", "bool": "DT_BOOL"}  # fmt: skip
LONG = [bytes((7 * n + 31 * k + 3) % 251 for k in range(48)) for n in range(3)]
# What is no denormal number from either end.
LETTERS = [bytes(65 + (7 * n + 11 * k) % 26 for k in range(48)) for n in range(3)]


def raw(op, name, *inputs, out="i32", fails=False, **attrs):
    from tensorflow.core.framework import types_pb2

    case(op, name, *inputs, fails=fails, out_type=types_pb2.DataType.Value(NAMES[out]), **attrs)


def whole():
    for little in (True, False):
        for out in (*TYPES, "bool"):
            raw("DecodeRaw", f"{out}, little {little}", strings(LETTERS if "f" in out else LONG), out=out, little_endian=little)
        raw("DecodeRaw", f"a scalar, little {little}", tensor(b"abcdefgh", "str"), little_endian=little)
        raw("DecodeRaw", f"a matrix, little {little}", strings([b"abcd", b"efgh"], 2, 1), out="i16", little_endian=little)
        raw("DecodeRaw", f"empty strings, little {little}", strings([b"", b""]), little_endian=little)
        raw("DecodeRaw", f"no strings, little {little}", rand(0, 3, dtype="str"), little_endian=little)
        for n, texts in enumerate(([b"a"], [b"abcde"], [b"abcd", b""], [b"", b"abcd"], [b"abcd", b"abcdefgh"], [b"ab", b"a"], [b"", b"a"])):
            raw("DecodeRaw", f"lengths {n}, little {little}", strings(texts), little_endian=little, fails=True)
    raw("DecodeRaw", "bytes of different lengths", strings([b"ab", b"a"]), out="u8", fails=True)
    raw("DecodeRaw", "odd bools", tensor(bytes(range(0, 256, 5)), "str"), out="bool")


def padded():
    texts = strings([*LONG, b"", b"a", b"abc", b"abcdefg", b"abcdefghi", b"abcdefghijklmnopqrstuvw"])
    whole = strings([*LETTERS, b"", LETTERS[0][:8], LETTERS[1][:16]])
    for little in (True, False):
        for out in TYPES:
            for length in (8, 24):
                raw("DecodePaddedRaw", f"{out} in {length}, little {little}", whole if "f" in out else texts, const(length), out=out, little_endian=little)
        raw("DecodePaddedRaw", f"a scalar, little {little}", tensor(b"abcdef", "str"), const(4), out="i16", little_endian=little)
        raw("DecodePaddedRaw", f"no strings, little {little}", rand(0, 2, dtype="str"), const(4), little_endian=little)
    raw("DecodePaddedRaw", "bytes", texts, const(5), out="u8")
    for length in (0, -4, 6, 2):
        raw("DecodePaddedRaw", f"{length} bytes", texts, const(length), fails=True)


def borders():
    from tensorflow.core.framework import types_pb2

    out = types_pb2.DataType.Value("DT_INT16")
    runs = [[b"abcd"] * n for n in (0, 1, 3)] + [[b"", b""], [b"ab", b"abcd"], [b"abc"], [b"abcd", b"ab"], [b"abcdef"]]
    sweep("DecodeRaw", "strings", [(strings(run),) for run in runs], out_type=out)
    sweep("DecodePaddedRaw", "strings", [(strings(run), const(4)) for run in runs], out_type=out)


whole()
padded()
borders()
