#!/bin/bash
# Whether 0.25 counts as true for a boolean feature depends on the engine that YDF's operator picks for the model.
#
# Version:   ydf 0.16.1 and ydf-tf 2.21.0.post1 with tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  one rule for all models: a BOOLEAN "can be a float", as ydf.Semantic has it, and only the log tells which engine
#            runs. The slow one does where no fast one can do the model.
# Seen:      the fast engine takes all numbers but 0 for true, the slow one those from 0.5 on. Both models have the same trees,
#            of data without missing values: the policy for such values alone takes the second one to the slow engine.
# Output:    b:                         [0.0, 0.25, 0.5, 1.0, -1.0]
#            GLOBAL_IMPUTATION, fast:   [0.0, 100.0, 100.0, 100.0, 100.0]
#            LOCAL_IMPUTATION, slow:    [0.0, 0.0, 100.0, 100.0, 0.0]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 ydf==0.16.1
# It asks for the package tensorflow, whose place tensorflow-cpu takes.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps ydf-tf==2.21.0.post1
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import numpy as np
import tensorflow as tf
import ydf

print("tensorflow", tf.__version__, "ydf", ydf.__version__)
ydf.verbose(0)
n = np.arange(200)
b, x = n % 2 == 1, (n // 2).astype(np.float32)
data = {"b": b, "x": x, "y": (100 * b + x // 10).astype(np.float32)}
given = np.array([0, 0.25, 0.5, 1, -1], np.float32)
print(f"{'b:':26}", given.tolist())
seen, trees = {}, {}
for policy in ["GLOBAL_IMPUTATION", "LOCAL_IMPUTATION"]:
    learner = ydf.CartLearner("y", task=ydf.Task.REGRESSION, features=["b", "x"], missing_value_policy=policy)
    model = learner.train(data)
    engine = "fast" if model.list_compatible_engines() else "slow"
    trees[policy] = [line.split(" [score")[0] for line in model.get_tree(0).pretty(model.data_spec()).splitlines()]
    model.to_tensorflow_saved_model(policy, mode="tf", feature_dtypes={"b": tf.float32})
    serve = tf.saved_model.load(policy).signatures["serving_default"]
    (answer,) = serve(b=given, x=np.zeros(5, np.float32)).values()
    seen[engine] = answer.numpy().ravel().tolist()
    print(f"{policy + ', ' + engine + ':':26}", seen[engine])
assert trees["GLOBAL_IMPUTATION"] == trees["LOCAL_IMPUTATION"]
assert seen["fast"] == [0, 100, 100, 100, 100], "the behaviour has changed"
assert seen["slow"] == [0, 0, 100, 100, 0], "the behaviour has changed"
PY
