"""What TensorFlow makes of damaged examples: writes tests/records/damaged.json, which tests/tests/records.rs reads.

Every record is a valid one of few features in which some bytes are changed, missing or repeated. A line holds the record in hexadecimal,
and what TensorFlow parses of it: `a`, two i64 with a default, the strings of `b` and the bits of the f32 of `c`; or null where it raises.
"""

import json
import os
import pathlib
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from cases.records import entry, example, field, floats, ints, strings, varint

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "records" / "damaged.json"
COUNT = 4000


def valid(rng):
    number = lambda: rng.choice([0, 1, 127, 128, -1, 2**63 - 1, rng.getrandbits(rng.randrange(1, 64))])
    text = lambda: bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 3, 9])))
    some = [
        entry(b"a", ints(number(), number(), packed=rng.random() < 0.8)),
        entry(b"b", strings(*(text() for _ in range(rng.randrange(4))))),
        entry(b"c", floats(*(rng.randrange(-8, 8) / 4 for _ in range(rng.randrange(4))), packed=rng.random() < 0.8)),
        entry(b"other", ints(number())),
    ]
    rng.shuffle(some)
    record = example(*some[: rng.randrange(1, 5)])
    return record + field(9, text()) + b"\x18" + varint(number()) if rng.random() < 0.1 else record


def damaged(rng, record):
    record = bytearray(record)
    at = rng.randrange(len(record))
    kind = rng.randrange(6)
    if kind == 0:
        record[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        record[at] = rng.choice([0, 1, 0x0A, 0x12, 0x1A, 0x7F, 0x80, 0xFF])
    elif kind == 2:
        del record[at:]
    elif kind == 3:
        del record[at]
    elif kind == 4:
        record[at:at] = b"\xff" * rng.randrange(1, 12)
    else:
        record += record[at:]
    return bytes(record)


def parsed(record):
    try:
        found = tf.raw_ops.ParseExampleV2(
            serialized=[record], names=tf.constant([], tf.string), sparse_keys=["b"], dense_keys=["a"], ragged_keys=["c"],
            dense_defaults=[tf.constant([7, 8], tf.int64)], num_sparse=1, sparse_types=[tf.string], ragged_value_types=[tf.float32],
            ragged_split_types=[tf.int32], dense_shapes=[[2]],
        )  # fmt: skip
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # of a message that quotes the record
        return None
    bits = found.ragged_values[0].numpy().view(np.uint32).tolist()
    return [found.dense_values[0].numpy().ravel().tolist(), [text.hex() for text in found.sparse_values[0].numpy()], bits]


def main():
    rng, lines = random.Random(12), []
    for _ in range(COUNT):
        record = valid(rng)
        for _ in range(rng.choice([1, 1, 2])):
            record = damaged(rng, record) if record else record
        lines.append(json.dumps([record.hex(), parsed(record)], separators=(",", ":")))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{COUNT} records, of which TensorFlow takes {sum(not line.endswith('null]') for line in lines)}")


if __name__ == "__main__":
    main()
