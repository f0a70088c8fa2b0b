#!/bin/bash
# In a graph, what is not less than a number becomes what is at least as great: NaN is neither, and a guard against it fails.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  `not x < y` is true where x or y is NaN, as no order holds between NaN and a number (IEEE 754), whether it runs
#            eagerly or in a tf.function (or in a SavedModel).
# Seen:      eagerly, and in a graph without the graph optimiser, it is true. The optimiser makes one GreaterEqual of
#            LogicalNot and Less, which is false. All four orders are affected: <, <=, > and >=, in bfloat16, float16,
#            float32 and float64; == and != are not. AutoGraph writes `not` so: a branch for what is not positive is not
#            taken by NaN, and a loop over what is not positive stops at it.
# Output:    one line for each comparison of NaN with 1 that is negated: eagerly, in a graph, in one without the optimiser
#            Less: True False True
#            LessEqual: True False True
#            Greater: True False True
#            GreaterEqual: True False True
#            Equal: True True True
#            NotEqual: False False False
#            [nan, nan, 2.0], 1.0 in place of a first one that is not positive: 1.0 nan 1.0
#            [nan, nan, 2.0], index of the first one that is positive: 2 0 2
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
# AutoGraph reads functions from a file.
cat > "$folder/not.py" <<'PY'
import tensorflow as tf

print("tensorflow", tf.__version__)
DTYPES = [tf.bfloat16, tf.float16, tf.float32, tf.float64]


def first_or_one(x):
    y = x[0]
    if not x[0] > 0:
        y = tf.ones_like(y)
    return y


def first_positive(x):
    i = 0
    while not x[i] > 0:
        i += 1
    return tf.convert_to_tensor(i)


def three_ways(f, x):
    """Eagerly, in a graph, and in a graph that is not optimised."""
    runs = [f(x)]
    for off in [False, True]:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": off})
        runs.append(tf.function(lambda x: f(x))(x))
    return [run.numpy().item() for run in runs]


seen = {}
for op in ["Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"]:
    negated = lambda x: tf.logical_not(getattr(tf.raw_ops, op)(x=x[0], y=x[1]))
    by_dtype = [three_ways(negated, tf.constant([float("nan"), 1.0], dtype)) for dtype in DTYPES]
    assert all(row == by_dtype[0] for row in by_dtype), "the types differ"
    seen[op] = by_dtype[0]
x = tf.constant([float("nan"), float("nan"), 2.0])
seen["[nan, nan, 2.0], 1.0 in place of a first one that is not positive"] = three_ways(first_or_one, x)
seen["[nan, nan, 2.0], index of the first one that is positive"] = three_ways(first_positive, x)
lines = [f"{what}: " + " ".join(map(str, row)) for what, row in seen.items()]
print("\n".join(lines))
wrong = "True False True"
expected = [wrong] * 4 + ["True True True", "False False False", "1.0 nan 1.0", "2 0 2"]
assert [line.split(": ")[1] for line in lines] == expected, "the behaviour has changed"
PY
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/not.py" 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
