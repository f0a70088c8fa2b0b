"""One engine with one number of threads in a process of its own: it loads, verifies and measures what it is told to.

Requests come as lines of JSON, answers go back as such: `{"load": FOLDER, "batch": N, "trains": false}`, `{"measure": SECONDS}`,
`{"unload": true}`.
An answer with `error` says what went wrong; the process lives on.

    python worker.py ENGINE THREADS
"""

import gc
import itertools
import json
import os
import resource
import sys
import time

# Engines write to standard output as they please; the answers have a way of their own.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

# A sample is at least this long, so that reading the clocks does not show in it.
SAMPLE_NS = 200_000

# So many steps of training in a row: further on, nothing is left to learn from the one batch, and numbers become denormal.
MOST_STEPS = 200


def pin(threads):
    """Onto the last processors that this process may use, whose interrupts are fewest."""
    if hasattr(os, "sched_setaffinity"):
        mine = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, mine[-threads:])


def difference(found, expected):
    """The largest difference, relative to the largest magnitude expected."""
    import numpy as np

    found = np.asarray(found, np.float64)
    if found.shape != expected.shape:
        return f"the output has shape {found.shape}, expected {expected.shape}"
    if not np.isfinite(found).all():
        return "the output is not finite"
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def measure(call, seconds, reset=None):
    """Minimum and median over samples of the nanoseconds of one call: wall clock and time of all threads of the process. What
    training has changed, `reset` puts back between samples."""
    wall, cpu = time.perf_counter_ns, time.process_time_ns
    if reset:
        reset()
    start = wall()
    call()
    calls = max(1, SAMPLE_NS // max(1, wall() - start))
    end, walls, cpus, steps = start + int(seconds * 1e9), [], [], 1
    while len(walls) < 3 or wall() < end:
        if reset and steps + calls > MOST_STEPS:
            reset()
            steps = 0
        steps += calls
        cpu_start, start = cpu(), wall()
        for _ in itertools.repeat(None, calls):
            call()
        walls.append((wall() - start) / calls)
        cpus.append((cpu() - cpu_start) / calls)
    middle = len(walls) // 2
    return {"wall_min": min(walls), "wall_median": sorted(walls)[middle], "cpu_min": min(cpus), "cpu_median": sorted(cpus)[middle]}


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    pin(threads)
    import numpy as np

    import engines
    import trainers

    engine = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "version" in request:
                answer = {"version": {**trainers.TRAINERS, **engines.ENGINES}[name].version()}
            elif folder := request.get("load"):
                engine = None
                engine = (trainers if request["trains"] else engines).load(name, folder, request["batch"], threads)
                # Warm: caches, lazily made plans, the clock of the processor.
                end = time.monotonic() + 0.03
                while time.monotonic() < end:
                    engine.call()
                answer = {"difference": difference(engine.output(), np.load(f"{folder}/b{request['batch']}.out.npy"))}
            elif seconds := request.get("measure"):
                answer = measure(engine.call, seconds, getattr(engine, "reset", None))
            else:
                engine = None
                gc.collect()
                answer = {"peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        except Exception as error:
            engine = None
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
