#!/bin/bash
# The cross entropy of bfloat16 logits is computed in bfloat16 and may be exactly 0.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  logits of half types are widened inside, as softmax, sums and batch norms do, and the result is rounded once.
# Seen:      every step rounds, sums included: the small probabilities vanish beside 1. A classifier that is sure has a loss
#            of exactly 0, and its own class no gradient, where the true values, 0.0015, are well within the type.
# Output:    float32  loss 0.00150 gradient [-0.0015, 0.0, 0.0015]
#            bfloat16 loss 0.00000 gradient [0.0, 0.0, 0.0015]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import tensorflow as tf

print("tensorflow", tf.__version__)
seen = {}
for dtype in (tf.float32, tf.bfloat16):
    loss, gradient = tf.raw_ops.SoftmaxCrossEntropyWithLogits(
        features=tf.constant([[10.0, -10.0, 3.5]], dtype), labels=tf.constant([[1.0, 0.0, 0.0]], dtype)
    )
    seen[dtype.name] = float(loss[0])
    rounded = [round(float(g), 4) for g in tf.cast(gradient[0], tf.float32)]
    print("%-8s loss %.5f gradient %s" % (dtype.name, seen[dtype.name], rounded))
assert 0.0014 < seen["float32"] < 0.0016 and seen["bfloat16"] == 0, "the behaviour has changed"
PY
