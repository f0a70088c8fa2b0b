#!/bin/bash
# The operator Round gives 0 for every integer.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  Round's definition takes int8 to int64, and a whole number is its own rounding.
# Seen:      zeros, eagerly and in a graph. `tf.math.round` hides it, since it returns integers before it reaches the
#            operator; graphs that hold the operator itself (raw_ops, converters' output) do not escape.
#            Floor and Rint are no way round: they refuse integers.
# Output:    Round int32 [0, 0, 0, 0]
#            Round int64 [0, 0, 0, 0]
#            tf.math.round [1, -2, 3, 40]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import tensorflow as tf

values = [1, -2, 3, 40]
print("tensorflow", tf.__version__)
seen = {}
for dtype in (tf.int32, tf.int64):
    graph = tf.function(lambda x: tf.raw_ops.Round(x=x))
    eager = tf.raw_ops.Round(x=tf.constant(values, dtype)).numpy().tolist()
    seen[dtype.name] = (eager, graph(tf.constant(values, dtype)).numpy().tolist())
    print("Round", dtype.name, eager)
wrapper = tf.math.round(tf.constant(values)).numpy().tolist()
print("tf.math.round", wrapper)
zeros = [0] * len(values)
assert wrapper == values and all(s == (zeros, zeros) for s in seen.values()), "the behaviour has changed"
PY
