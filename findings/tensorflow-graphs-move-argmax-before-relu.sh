#!/bin/bash
# In a graph, ArgMax and ArgMin of an elementwise function are taken of what goes into the function: ties are decided by
# values that are no longer there.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  tf.argmin(tf.nn.relu(x)) is one index, whether it runs eagerly or in a tf.function (or in a SavedModel).
# Seen:      eagerly it is the first of the equal elements. In a graph the optimiser takes ArgMin of x itself, as the
#            function never falls; but it is constant in places (relu below 0, relu6 also above 6, sign, and tanh, sigmoid
#            and erf where they saturate), so the index is another one. Functions that always rise keep theirs.
# Output:    one line for each function: index of the most and of the least, eagerly and in a graph
#            sign: 0 4, 3 5
#            relu: 3 4, 3 5
#            relu6: 3 4, 3 5
#            tanh: 1 4, 3 5
#            elu: 3 5, 3 5
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
x = tf.constant([0.25, 3.0, 0.5, 5.0, -1.0, -7.0])
FUNCTIONS = {"sign": tf.sign, "relu": tf.nn.relu, "relu6": tf.nn.relu6, "tanh": lambda v: tf.tanh(v * 10.0), "elu": tf.nn.elu}


def in_a_graph(function):
    return tf.function(function, input_signature=[tf.TensorSpec([6])], autograph=False)


seen = {}
for name, function in FUNCTIONS.items():
    pair = [lambda v, arg=arg: arg(function(v)) for arg in (tf.argmax, tf.argmin)]
    seen[name] = [tuple(int(run(x)) for run in runs) for runs in (pair, [in_a_graph(run) for run in pair])]
    print(f"{name}: " + ", ".join(f"{most} {least}" for most, least in seen[name]))
expected = {
    "sign": [(0, 4), (3, 5)],
    "relu": [(3, 4), (3, 5)],
    "relu6": [(3, 4), (3, 5)],
    "tanh": [(1, 4), (3, 5)],
    "elu": [(3, 5), (3, 5)],
}
assert seen == expected, "the behaviour has changed"
PY
