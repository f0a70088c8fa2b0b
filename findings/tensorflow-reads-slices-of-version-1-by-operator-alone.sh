#!/bin/bash
# A partitioned variable in a checkpoint of version 1 can be restored, but not looked at.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  the reader of checkpoints gives whatever the restoring operator gives.
# Seen:      `tf.train.load_checkpoint(...).get_tensor` refuses a tensor that is stored in slices (UnimplementedError), though
#            it lists it with its full shape; the operator RestoreV2 reads the same tensor from the same file. Tools that
#            convert old models through the reader lose their partitioned embeddings.
# Output:    listed: {'table': [4, 2]}
#            reader: UnimplementedError
#            RestoreV2: [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)
tf1 = tf.compat.v1
values = np.arange(8, dtype=np.float32).reshape(4, 2)
with tf1.Graph().as_default(), tf1.Session() as session:
    parts = tf1.get_variable("table", (4, 2), partitioner=tf1.fixed_size_partitioner(2), use_resource=False)
    session.run([part.assign(part_values) for part, part_values in zip(parts, np.split(values, 2))])
    path = tf1.train.Saver(write_version=tf1.train.SaverDef.V1).save(session, "./old")
reader = tf.train.load_checkpoint(path)
listed = reader.get_variable_to_shape_map()
print("listed:", listed)
try:
    reader.get_tensor("table")
    refused = None
except Exception as error:
    refused = type(error).__name__
print("reader:", refused)
[restored] = tf.raw_ops.RestoreV2(prefix=path, tensor_names=["table"], shape_and_slices=[""], dtypes=[tf.float32])
print("RestoreV2:", restored.numpy().ravel().tolist())
assert listed == {"table": [4, 2]} and refused == "UnimplementedError", "the behaviour has changed"
assert (restored.numpy() == values).all(), "the behaviour has changed"
PY
