#!/bin/bash
# SegmentMax of rows with NaN answers differently for the columns of one tensor.
#
# Version:   tensorflow-cpu 2.21.0 on Linux x86-64, a processor with AVX.
# Expected:  equal columns have equal results.
# Seen:      nine equal columns, NaN in the middle row: eight pass over it, and the ninth, which lies behind the last whole
#            vector, starts anew after it. With NaN in the last row the ninth is NaN. So the width of a tensor, and where in
#            it a column lies, decides about numbers; so it is in SegmentMin.
# Output:    5, nan, 1: [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 1.0]
#            5, 1, nan: [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, nan]
#
# Ends with 0 while that is so, and with 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PY' 2> "$folder/log" || { cat "$folder/log" >&2; exit 1; }
import math

import numpy as np
import tensorflow as tf

print("tensorflow", tf.__version__)


def columns(rows):
    data = np.repeat(np.array(rows, np.float32)[:, None], 9, axis=1)
    return tf.raw_ops.SegmentMax(data=data, segment_ids=[0, 0, 0]).numpy()[0].tolist()


between, last = columns([5, math.nan, 1]), columns([5, 1, math.nan])
print("5, nan, 1:", between)
print("5, 1, nan:", last)
as_seen = between == [5.0] * 8 + [1.0] and last[:8] == [5.0] * 8 and math.isnan(last[8])
assert as_seen, "the behaviour has changed"
PY
