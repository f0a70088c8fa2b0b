#!/bin/bash
# A feature whose numbers come in two packed runs loses the second one in `tf.io.parse_example`.
#
# Version:   tensorflow-cpu 2.21.0.
# Expected:  Protocol Buffers lets a packed field occur several times in one message, as it does where serialized messages are
#            put behind each other, and a parser concatenates the runs. `tf.train.Example.FromString` does.
# Seen:      the same record has three numbers by `tf.train.Example` and two by `tf.io.parse_example`, which raises nothing. The
#            numbers of unpacked fields are all there.
# Output:    {'by the message': [1.0, 2.0, 3.0], 'parsed, packed': [1.0, 2.0], 'parsed, unpacked': [1.0, 2.0, 3.0]}
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import struct

import tensorflow as tf


def field(number, payload):
    """A field with a length."""
    return bytes([number << 3 | 2, len(payload)]) + payload


def record(numbers):
    """An example whose feature `x` is a list of floats with these bytes."""
    feature = field(2, numbers)
    return field(1, field(1, field(1, b"x") + field(2, feature)))


floats = lambda *values: struct.pack(f"<{len(values)}f", *values)
packed = record(field(1, floats(1, 2)) + field(1, floats(3)))
unpacked = record(b"".join(bytes([1 << 3 | 5]) + floats(value) for value in (1, 2, 3)))
parsed = lambda text: tf.io.parse_example([text], {"x": tf.io.VarLenFeature(tf.float32)})["x"].values.numpy().tolist()
print("tensorflow", tf.__version__)
found = {
    "by the message": list(tf.train.Example.FromString(packed).features.feature["x"].float_list.value),
    "parsed, packed": parsed(packed),
    "parsed, unpacked": parsed(unpacked),
}
print(found)
assert found["by the message"] == found["parsed, unpacked"] == [1, 2, 3], "the behaviour has changed"
assert found["parsed, packed"] == [1, 2], "the behaviour has changed"
PY
