"""Serialized records: examples with features of every kind and form, what parsers of protocol buffers find odd, and what is broken.

Messages are written byte by byte, so that they can be as no library writes them.
"""

import struct

import numpy as np

from .spec import Const, case, sweep, tensor


def varint(value):
    value %= 2**64
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, data):
    """A field that has a length."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def strings(*values):
    return field(1, b"".join(field(1, value) for value in values))


def floats(*values, packed=True):
    if packed:
        return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
    return field(2, b"".join(b"\x0d" + struct.pack("<f", value) for value in values))


def ints(*values, packed=True):
    if packed:
        return field(3, field(1, b"".join(map(varint, values))))
    return field(3, b"".join(b"\x08" + varint(value) for value in values))


def entry(key, feature):
    return field(1, field(1, key) + field(2, feature))


def features(*entries):
    return b"".join(entries)


def example(*entries):
    return field(1, features(*entries))


def words(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def const_words(*values):
    return Const(words(*values))


V2 = ("ParseExampleV2",)
TYPES = {"i64": 9, "f32": 1, "str": 7}  # numbers of TensorFlow's types
NONE = const_words()
WIDE = [0, 1, 127, 128, 300, 2**14 - 1, 2**14, 2**28 - 1, 2**35, 2**49 - 1, 2**56 - 1, 2**56, 2**62, 2**63 - 1, -1, -(2**63), -300]
RECORDS = [
    example(entry(b"a", ints(1, 2)), entry(b"b", strings(b"x", b"yy")), entry(b"c", floats(1.5))),
    example(entry(b"b", strings()), entry(b"c", floats(2.5, -3.5))),
    b"",
    example(entry(b"other", ints(9)), entry(b"a", ints(*WIDE)), entry(b"a longer name of a feature", strings(b"", b"\0\xff", b"z" * 200))),
    example(),
    example(entry(b"c", floats(float("nan"), float("inf"), -0.0, packed=False)), entry(b"a", ints(*WIDE, packed=False))),
]


def default(value, dtype):
    return Const(tensor(value, dtype))


def parse(name, records, dense=(), sparse=(), ragged=(), ops=("ParseExampleV2", "ParseExample"), **more):
    """A case of each operator: dense features as (key, dtype, default, shape), sparse and ragged ones as (key, dtype[, splits])."""
    records = records if isinstance(records, Const) else np.asarray(records, object)
    dense_types, sparse_types = [TYPES[f[1]] for f in dense], [TYPES[f[1]] for f in sparse]
    defaults = [f[2] if isinstance(f[2], (Const, np.ndarray)) else default(f[2], f[1]) for f in dense]
    shapes = [f[3] for f in dense]
    names = more.pop("names", NONE)
    if "ParseExampleV2" in ops:
        keys = [const_words(*(f[0] for f in part)) for part in (sparse, dense, ragged)]
        case(
            "ParseExampleV2", name, records, names, *keys, defaults, num_sparse=len(sparse), sparse_types=sparse_types, dense_shapes=shapes,
            ragged_value_types=[TYPES[f[1]] for f in ragged], ragged_split_types=[{"i32": 3, "i64": 9}[f[2]] for f in ragged], **more,
        )  # fmt: skip
    if "ParseExample" in ops and not ragged and np.ndim(records) == 1:
        keys = [[Const(np.array(f[0], object)) for f in part] for part in (sparse, dense)]
        case("ParseExample", name, records, names, *keys, defaults, sparse_types=sparse_types, dense_shapes=shapes, **more)
    if "ParseSingleExample" in ops or np.ndim(records) == 0 and not ragged and names is NONE:
        case(
            "ParseSingleExample", name, records, defaults, num_sparse=len(sparse), sparse_types=sparse_types, dense_shapes=shapes,
            sparse_keys=[f[0] for f in sparse], dense_keys=[f[0] for f in dense], **more,
        )  # fmt: skip


A, B, C = (b"a", "i64"), (b"b", "str"), (b"c", "f32")
FULL = [example(entry(b"b", strings(b"x%d" % n, b"y")), entry(b"c", floats(n, 0.5)), entry(b"a", ints(n, -n))) for n in range(5)]


def forms():
    for n in (0, 1, 5):
        both = {"dense": [(*A, [7, 8], [2]), (*C, [[0.5], [1.5]], [2, 1]), (*B, [], [2])]}
        parse(f"dense, {n} rows", FULL[:n], **both)
        parse(f"sparse, {n} rows", FULL[:n], sparse=[A, B, C, (b"none", "f32")])
    parse("dense of one value", [example(entry(b"a", ints(5)), entry(b"c", floats(6.5)), entry(b"b", strings(b"s")))] * 2,
          dense=[(*A, 0, []), (*C, 0.5, []), (*B, b"d", [])])  # fmt: skip
    parse("defaults", [b"", FULL[1], b""], dense=[(*A, [7, 8], [2]), (*C, [0.5, 1.5], [2]), (*B, [b"d", b""], [2])])
    parse("a default that is given", [b"", FULL[1]], dense=[(*A, tensor([[7, 8]], "i64"), [1, 2]), (*B, words(b"d", b"e"), [2])])
    parse("dense of no values", [b"", example(entry(b"a", ints()))], dense=[(*C, [], [0])], fails=True)
    parse("dense of no values that are there", [example(entry(b"a", ints()))], dense=[(*A, [], [0])])
    parse("of every size", RECORDS, sparse=[A, B, C, (b"a longer name of a feature", "str")])
    parse("padded", RECORDS, dense=[(*A, 7, [None]), (*B, b"d", [None]), (*C, [0.5], [None]), (b"none", "i64", 1, [None])])
    parse("padded pairs", FULL, dense=[(*A, 7, [None, 2]), (*B, b"d", [None, 1, 2]), (*C, 0.5, [None, 1])])
    parse("padded, no rows", [], dense=[(*A, 7, [None]), (*B, b"d", [None, 2])])
    parse("padded halves", RECORDS, dense=[(*A, 7, [None, 2])], fails=True)
    parse("padded by nothing", FULL, dense=[(*A, [], [None])], fails=True)
    parse("all forms", FULL, dense=[(*C, [], [2])], sparse=[A], ragged=[(*B, "i32")])
    for splits in ("i32", "i64"):
        parse(f"ragged {splits}", RECORDS, ragged=[(*A, splits), (*B, splits), (*C, splits), (b"none", "i64", splits)])
        parse(f"ragged, no rows {splits}", [], ragged=[(*A, splits)])
        parse(f"ragged of one {splits}", np.array(RECORDS[3], object), ragged=[(*A, splits), (*B, splits)])
    for n, record in enumerate(RECORDS):
        parse(f"one record {n}", np.array(record, object), sparse=[A, B, C], dense=[(b"none", "f32", [0.5, 1.0], [2]), (b"gone", "str", b"d", [None])])
    parse("one dense record", np.array(FULL[2], object), dense=[(*A, [], [2]), (*C, [], [1, 2]), (*B, b"", [None, 1])])
    parse("one record without what is needed", np.array(b"", object), dense=[(*A, [], [2])], fails=True)
    parse("one record of a wrong size", np.array(FULL[2], object), dense=[(*A, [1], [1])], fails=True)
    parse("names", FULL[:2], names=words(b"n", b"m"), sparse=[A])
    parse("nothing is asked for", FULL[:1])
    for op in ("ParseExampleV2", "ParseExample"):
        parse("missing", [FULL[0], b""], dense=[(*A, [], [2])], ops=(op,), fails=True)
    parse("a default of another shape", [b""], dense=[(*A, [7, 8], [2, 1])], fails=True)
    parse("a default of another rank", [b""], dense=[(*A, 7, [2])], fails=True)
    parse("names of others", FULL[:2], names=words(b"n"), sparse=[A], fails=True)
    many = [(b"feature number %d" % n, "i64") for n in range(40)]
    whole = example(*(entry(key, ints(n)) for n, (key, _) in enumerate(many)))
    parse("of damaged records", FULL[:2], dense=[(*A, [7, 8], [2])], sparse=[B], ragged=[(*C, "i32")])
    parse("many features", [whole, b""], dense=[(*key, -1, []) for key in many[:20]], sparse=many[20:])


def odd():
    """What parsers take, or do not."""
    five, six = entry(b"a", ints(5)), entry(b"a", ints(6))
    unset, wrong = entry(b"a", b""), entry(b"a", floats())
    fine = {
        "the last of two": example(five, six),
        "the last of two says nothing": example(five, unset),
        "the first of two is of another type": example(wrong, six),
        "two maps": example(five) + example(six),
        "two lists": example(entry(b"a", ints(5) + ints(6))),
        "another list behind": example(entry(b"a", ints(5) + floats())),
        "two runs": example(entry(b"a", field(3, field(1, b"\5") + field(1, b"\6")))),
        "a run and a value": example(entry(b"a", field(3, field(1, b"\5") + b"\x08\6"))),
        "the value before the key": example(field(1, field(2, ints(4)) + field(1, b"a"))),
        "two keys": example(field(1, field(1, b"b") + field(1, b"a"))),
        "two values": example(field(1, field(2, ints(3)) + field(2, ints(4)))),
        "unknown fields": field(9, b"zz") + b"\x18\x05" + example(five) + b"\x25abcd\x21abcdefgh" + varint(300 << 3 | 2) + b"\x01z",
        "ten bytes": example(entry(b"a", field(3, field(1, b"\xff" * 9 + b"\x01")))),
        "more than 64 bits": example(entry(b"a", field(3, field(1, b"\xff" * 9 + b"\x03")))),
        "a number that is longer than it need be": example(entry(b"a", field(3, field(1, b"\x85\x80\x00")))),
        "lengths that are longer than they need be": b"\x0a\x92\x80\x00\x0a\x8d\x80\x80\x00" + b"\x0a\x81\x00a\x12\x85\x80\x00\x1a\x03\x0a\x01\x07",
        "a tag that is longer than it need be": b"\x8a\x00" + example(five)[1:],
        "a tag of 0": b"\0\0" + example(five),
        "nothing": b"",
        "an empty map": example(),
        "nothing is set": example(unset),
        "another feature is broken": example(entry(b"b", b"\x55junk"), five),
    }
    broken = {
        "an unknown list before": example(entry(b"a", b"\x55"), six),
        "a value before a run": example(entry(b"a", field(3, b"\x08\6" + field(1, b"\5")))),
        "a key alone": example(field(1, field(1, b"a"))),
        "a value alone": example(field(1, field(2, ints(4)))),
        "three fields": example(field(1, field(1, b"a") + field(2, ints(4)) + field(3, b"z"))),
        "an unknown field in the map": example(field(2, b"zz"), five),
        "an unknown field in the feature": example(entry(b"a", field(9, b"") + ints(5))),
        "an unknown field in the list": example(entry(b"a", field(3, field(9, b"") + field(1, b"\5")))),
        "the end is missing": example(five)[:-1],
        "eleven bytes": example(entry(b"a", field(3, field(1, b"\xff" * 10 + b"\x01")))),
        "a group": b"\x1b\x1c" + example(five),
        "another type": example(wrong),
        "another type of strings": example(entry(b"a", strings(b"x"))),
    }
    for what, record in fine.items():
        for rank in (0, 1):
            shaped = np.array(record, object).reshape((1,) * rank)
            parse(f"{what}, sparse {rank}", shaped, sparse=[A, (b"", "i64")], ops=V2)
            parse(f"{what}, dense {rank}", shaped, dense=[(*A, 9, [])], ops=V2)
        parse(f"{what}, ragged", [record], ragged=[(*A, "i32")])
    for what, record in broken.items():
        for rank in (0, 1):
            shaped = np.array(record, object).reshape((1,) * rank)
            parse(f"{what}, sparse {rank}", shaped, sparse=[A], ops=V2, fails=True)
            parse(f"{what}, dense {rank}", shaped, dense=[(*A, 9, [])], ops=V2, fails=True)
    for what, feature in (("no values", ints()), ("no run", field(3, b"")), ("two values", ints(1, 2))):
        parse(f"{what} where one is wanted", [example(entry(b"a", feature))], dense=[(*A, 9, [])], fails=True)


def borders():
    """Rows of every number, with names or without."""
    rows = [words(*FULL[:n]) for n in (0, 1, 2, 5)] + [words(b"", FULL[3], b""), words(FULL[0], example(entry(b"a", ints(1))))]
    both = {"sparse_types": [7], "dense_shapes": [[2], [None]]}
    defaults = [default([7, 8], "i64"), default(0.5, "f32")]
    keys = [const_words(b"b"), const_words(b"a", b"c")]
    runs = [(records, NONE, keys[0], keys[1], const_words(), defaults) for records in rows]
    sweep("ParseExampleV2", "rows", runs, num_sparse=1, ragged_value_types=[], ragged_split_types=[], **both)
    names = [(words(*FULL[:n]), words(*[b"n"] * m), keys[0], const_words(), const_words(), []) for n, m in ((2, 2), (0, 0), (1, 1), (2, 1), (1, 3))]
    sweep("ParseExampleV2", "names", names, num_sparse=1, sparse_types=[7], dense_shapes=[], ragged_value_types=[], ragged_split_types=[])
    runs = [(records, NONE, [Const(np.array(b"b", object))], [Const(np.array(key, object)) for key in (b"a", b"c")], defaults) for records in rows]
    sweep("ParseExample", "rows", runs, **both)
    singles = [np.array(record, object) for record in [*RECORDS, *FULL]]
    runs = [(record, [default([7, 8], "i64"), default(0.5, "f32")]) for record in singles]
    sweep("ParseSingleExample", "records", runs, num_sparse=1, sparse_keys=[b"b"], dense_keys=[b"a", b"c"], **both)


forms()
odd()
borders()
