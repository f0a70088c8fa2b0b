#!/bin/bash
# A stateless random operator of TensorFlow gives other samples with two threads than with one, for the same seed.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  "stateless" operators promise the same results for the same seed, whatever the machine; uniform and normal
#            numbers keep that promise.
# Seen:      StatelessMultinomial shares the rows among the threads of an operator, and each share begins with words of its
#            own: 64 rows of 50 samples differ between one and two threads, while one row, which nobody shares, does not.
#            Samples that were recorded on one machine cannot be repeated on another.
# Output:    uniform the same
#            one row the same
#            64 rows different
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
cat > draw.py <<'PY'
import sys

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
rows = lambda n: tf.raw_ops.StatelessMultinomial(logits=tf.zeros([n, 5]), num_samples=50, seed=[3, 4]).numpy()
np.savez(sys.argv[2], uniform=tf.random.stateless_uniform([3200], [3, 4]).numpy(), one=rows(1), many=rows(64))
PY
for threads in 1 2; do
  TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" draw.py "$threads" "$threads.npz" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
done
"$folder/venv/bin/python" - <<'PY'
import numpy as np

one, two = np.load("1.npz"), np.load("2.npz")
same = {name: bool((one[name] == two[name]).all()) for name in one.files}
for name, title in (("uniform", "uniform"), ("one", "one row"), ("many", "64 rows")):
    print(title, "the same" if same[name] else "different")
assert same == {"uniform": True, "one": True, "many": False}, "the behaviour has changed"
PY
