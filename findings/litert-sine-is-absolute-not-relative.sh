#!/bin/bash
# The sine of LiteRT is right next to 1, not next to 0, and has no value for large operands.
#
# Version:   ai-edge-litert 2.3.0, with tensorflow-cpu 2.21.0 as the converter, on Linux x86-64.
# Expected:  a float32 sine within a few units in the last place, as TensorFlow's own kernel gives it.
# Seen:      the error is about 3e-7 of 1, whatever the result is: the float32 nearest to pi gives 0 instead of -8.7e-8, 22 is
#            wrong in the fifth digit, and 1e20 gives NaN. A measurement of its speed compares another function.
# Output:    sin(3.1415927410125732) = 0.0, exactly -8.742277657347586e-08
#            sin(22.0) = -0.008851412683725357, exactly -0.008851309306919575
#            sin(1.0000000200408773e+20) = nan, exactly 0.6565766930580139
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 ai-edge-litert==2.3.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

print("tensorflow", tf.__version__)
x = np.array([np.pi, 22.0, 1e20], np.float32)
sine = tf.function(tf.sin, input_signature=[tf.TensorSpec(x.shape, tf.float32)])
model = tf.lite.TFLiteConverter.from_concrete_functions([sine.get_concrete_function()]).convert()
interpreter = Interpreter(model_content=model)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
seen = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
exact = np.sin(x.astype(np.float64)).astype(np.float32)
for operand, ours, right in zip(x, seen, exact):
    print(f"sin({operand}) = {ours}, exactly {right}")
units = np.abs(seen - exact)[:2] / np.spacing(np.abs(exact))[:2]
assert np.abs(tf.sin(x).numpy() - exact).max() < 1e-6, "TensorFlow's own sine has changed"
assert seen[0] == 0 and units[1] > 50 and np.isnan(seen[2]), "the behaviour has changed"
PY
