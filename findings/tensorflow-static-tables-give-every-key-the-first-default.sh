#!/bin/bash
# A look-up takes one default per key, but tables that never change give all missing keys the first one.
#
# Version:   tensorflow-cpu 2.21.0.
# Expected:  `tf.raw_ops.LookupTableFindV2` with defaults of the keys' shape gives each missing key its own, or raises where a
#            table knows only one default: the shape is checked, and any other one raises.
# Seen:      a MutableHashTable gives each key its own; a StaticHashTable and a DenseHashTable give all keys the first.
# Output:    {'MutableHashTable': [10, 5, 30], 'DenseHashTable': [10, 5, 10], 'StaticHashTable': [10, 5, 10]}
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import tensorflow as tf

print("tensorflow", tf.__version__)
names, numbers = tf.constant(["known"]), tf.constant([5], tf.int64)
mutable = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
dense = tf.lookup.experimental.DenseHashTable(tf.string, tf.int64, -1, "empty", "deleted")
mutable.insert(names, numbers)
dense.insert(names, numbers)
static = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, numbers), -1)
found = {}
for table in (mutable, dense, static):
    defaults = tf.constant([10, 20, 30], tf.int64)
    values = tf.raw_ops.LookupTableFindV2(table_handle=table.resource_handle, keys=["a", "known", "c"], default_value=defaults)
    found[type(table).__name__] = values.numpy().tolist()
print(found)
assert found["MutableHashTable"] == [10, 5, 30], "the behaviour has changed"
assert found["DenseHashTable"] == found["StaticHashTable"] == [10, 5, 10], "the behaviour has changed"
PY
