#!/bin/bash
# A method with an input_signature is taken for one only where its first argument is called `self`.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64.
# Expected:  a method is a method by where it is defined: Python leaves the name of the first argument to the author.
# Seen:      specs with names are matched by the arguments' names, and a first argument of another name counts as one that
#            lacks a spec. The error names an argument that has one.
# Output:    self: traced
#            me: TypeError: input_signature missing type constraint for x
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
spec = [tf.TensorSpec([None, 3], name="x")]


def usual():
    class Usual(tf.Module):
        @tf.function(input_signature=spec)
        def double(self, x):
            return x * 2

    return Usual()


def other():
    class Other(tf.Module):
        @tf.function(input_signature=spec)
        def double(me, x):
            return x * 2

    return Other()


seen = []
for name, make in (("self", usual), ("me", other)):
    try:
        make().double.get_concrete_function()
        seen.append("traced")
    except TypeError as error:
        seen.append(f"TypeError: {error}")
    print(f"{name}: {seen[-1]}")
assert seen[0] == "traced" and seen[1].startswith("TypeError"), "the behaviour has changed"
PY
