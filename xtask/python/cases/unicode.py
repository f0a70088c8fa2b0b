"""Code points of strings: every kind of what is no UTF-8, and what becomes of it."""

from tensorflow.core.framework import types_pb2

from .spec import case, rand, sweep, tensor
from .text import ODD, strings

BROKEN = [
    b"\xe4\xb8", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xf5\x80", b"\xf4\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xe0\x9f\xbf", b"\xe0\xa0\x80",
    b"\xef\xbf\xbf", b"\xee\x80\x80", b"a\xe4\xb8b", b"\xf0\x9fa\xf0\x9f\x98\x80", b"\x80\x80a", b"\xff\xfe", b"\xe4\xe4\xb8\xad", b"\xc3\xc3\xa9", b"\xc3", b"\xdf\xbf", b"\xed\x9f\xbf", b"\xf1\x80\x80\x80",
    b"\xef\xbb\xbfbom", b"\xf0\x90\x80", b"\xf8\x88\x80\x80\x80",
]  # fmt: skip
CONTROL = [b"a\tb\n\r\0\x1f\x7f", "\u0085\u00a0".encode(), b"\x00\xff"]


def decoding():
    splits = types_pb2.DataType.Value
    for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets"):
        for errors in ("replace", "ignore"):
            for control in (False, True):
                rest = dict(input_encoding="UTF-8", errors=errors, replace_control_characters=control)
                case(op, f"odd strings, {errors}, control {control}", strings(ODD), **rest)
                case(op, f"broken strings, {errors}, control {control}", strings(BROKEN), **rest)
                case(op, f"control characters, {errors}, control {control}", strings(CONTROL), replacement_char=0x3F, **rest)
        rest = dict(input_encoding="UTF-8")
        case(op, "strict", strings([b"a", "grüße 日本 👍🏽".encode(), b"\t"]), errors="strict", **rest)
        case(op, "strict control characters", strings(CONTROL[:2]), errors="strict", replace_control_characters=True, **rest)
        for n, text in enumerate((b"\xff", b"a\xe4\xb8", b"\xe4\xb8b", b"\x80")):
            case(op, f"refuses {n}", strings([b"a", text]), errors="strict", fails=True, **rest)
        case(op, "another replacement", strings(BROKEN), replacement_char=0x1F600, **rest)
        if op == "UnicodeDecode":
            # The other one ends TensorFlow's process.
            case(op, "splits of 32 bits", strings(ODD[:12], 3, 4), Tsplits=splits("DT_INT32"), **rest)
        case(op, "a scalar", tensor("grün".encode(), "str"), **rest)
        case(op, "no strings", rand(0, 2, dtype="str"), **rest)
        case(op, "empty strings", strings([b"", b""]), **rest)
        sweep(op, "strings", [(strings(ODD[:n]),) for n in (0, 1, 3, 12)], **rest)


decoding()
