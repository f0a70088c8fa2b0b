"""From the start of a process to the first result, and what it has resident then: prints a line when the result is there, then
runs a little on, prints the peak of its memory in kilobytes, and ends.

    python cold.py ENGINE FOLDER
"""

import os
import sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import engines

engines.TensorFlow.freezes = False
engine = engines.load(sys.argv[1], sys.argv[2], 1, 1)
engine.output()
print("first", file=answers, flush=True)
for _ in range(3):
    engine.call()
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=answers, flush=True)
# Engines may take their time to end, which is not measured.
os._exit(0)
