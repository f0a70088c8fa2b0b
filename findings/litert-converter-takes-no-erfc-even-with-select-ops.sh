#!/bin/bash
# LiteRT's converter refuses Erfc even where TensorFlow's own operators are allowed.
#
# Version:   tensorflow-cpu 2.21.0.
# Expected:  with SELECT_TF_OPS, an operator that LiteRT lacks is kept for TensorFlow's kernel, as the documentation says.
# Seen:      `tf.math.erfc` is refused either way: ConverterError, `'tf.Erfc' op is neither a custom op nor a flex op`. Erf,
#            and gelu as one call, convert; a model that spells gelu with erfc, as graphs of Keras 3 do, does not.
# Output:    erf: converted
#            erfc: refused
#            erfc with SELECT_TF_OPS: refused
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
cat > convert.py <<'PY'
import tensorflow as tf

print("tensorflow", tf.__version__)
BUILTIN, SELECT = tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS


def convert(compute, operators):
    traced = tf.function(compute, input_signature=[tf.TensorSpec([4], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()])
    converter.target_spec.supported_ops = operators
    try:
        converter.convert()
        return "converted"
    except Exception as error:
        assert "'tf.Erfc' op is neither a custom op nor a flex op" in str(error), error
        return "refused"


seen = {
    "erf": convert(lambda x: tf.math.erf(x), [BUILTIN]),
    "erfc": convert(lambda x: tf.math.erfc(x), [BUILTIN]),
    "erfc with SELECT_TF_OPS": convert(lambda x: tf.math.erfc(x), [BUILTIN, SELECT]),
}
for what, became in seen.items():
    print(f"{what}: {became}")
assert [*seen.values()] == ["converted", "refused", "refused"], "the behaviour has changed"
PY
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" convert.py 2> "$folder/log" || { tail -5 "$folder/log" >&2; exit 1; }
