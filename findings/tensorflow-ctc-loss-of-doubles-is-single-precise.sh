#!/bin/bash
# The loss of connectionist temporal classification takes doubles, and computes it in single precision.
#
# Version:   tensorflow-cpu 2.21.0.
# Expected:  `tf.raw_ops.CTCLoss` of float64 is within some roundings of doubles of the sum over all paths.
# Seen:      the result has the type float64 and the error of float32: paths are added up by the functions of single precision.
# Output:    all paths 1.538991145569, of doubles 1.538991126725 (the first of five); off by 1.3e-08 at most
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import itertools

import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)
steps, classes, labels = 6, 3, [0, 1]
worst = 0.0
for seed in range(5):
    x = np.random.default_rng(seed).normal(size=(steps, 1, classes))
    probable = np.exp(x[:, 0]) / np.exp(x[:, 0]).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        # Equal neighbours are one, and the last class is none.
        merged = [c for c, _ in itertools.groupby(path) if c != classes - 1]
        if merged == labels:
            total += np.prod([probable[step, c] for step, c in enumerate(path)])
    right = -np.log(total)
    indices = np.array([[0, n] for n in range(len(labels))], np.int64)
    loss, _ = tf.raw_ops.CTCLoss(
        inputs=tf.constant(x, tf.float64), labels_indices=indices, labels_values=np.array(labels, np.int32), sequence_length=np.array([steps], np.int32)
    )
    assert loss.dtype == tf.float64
    print(f"all paths {right:.12f}, of doubles {loss[0].numpy():.12f}")
    worst = max(worst, abs(float(loss[0]) - right) / right)
print(f"off by {worst:.1e} at most")
assert worst > 1e-9, "the behaviour has changed"
PY
