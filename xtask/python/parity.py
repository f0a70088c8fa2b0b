"""Compare compiled models with TensorFlow: build every model, run smc on it at several batch sizes, print a table, fail on any miss.

    python parity.py --smc target/release/smc --cache target/parity [--only PATTERN] [--jobs N] [--corpus DIR]

Tolerance. Both TensorFlow's float32 result and ours are measured against the same graph evaluated in double precision
(`reference.py`), in two ways: the largest error in units of the output's largest magnitude, and the largest relative error of an
element, where elements below a 16th of that magnitude count as that large (the relative error of what nearly cancels is chance).
TensorFlow's error is its worst over the batch sizes.
By the first measure ours may be twice that plus one unit in the last place. At the levels without fused multiply-adds it may be three
times that: TensorFlow's error here is that of sums whose products are not rounded, and theirs are. By the second it may be four
times that plus four units: the worst of quotients whose divisors are chance is spread more widely (an output of a recurrent layer has
84 elements in all; at x86-64-v3 nine of the 921 outputs exceed twice, none by a fault).
Where there is no finer truth (a double; a model with recorded outputs that the evaluator cannot run) it is 256 units in the last place
from TensorFlow's, and as much again for each earlier call whose variables a call goes on with: ten steps of training pass their
roundings on. Infinities and NaN stand where TensorFlow has them; integers, booleans and strings are equal.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import ml_dtypes
import numpy as np

import models.spec
import prepare

HERE = pathlib.Path(__file__).resolve().parent
TIME_LIMIT = 300
# How much larger than TensorFlow's errors ours may be.
TIMES = 3 if os.environ.get("SMC_CPU") in ("x86-64", "x86-64-v2") else 2


@dataclasses.dataclass
class Row:
    """One line of the table."""

    model: str
    signature: str
    label: str
    ops: int
    theirs: float = 0.0
    ours: float = 0.0
    verdict: str = "ok"

    def failed(self):
        return not self.verdict.startswith(("ok", "not covered"))


def batches_of_work(tasks):
    """The tasks of one process each: a few models, so that what TensorFlow hoards is given back now and then."""
    large = [task for task in tasks if isinstance(task, pathlib.Path) or task.file.endswith("applications.py")]
    small = [task for task in tasks if task not in large]
    return [[task] for task in large] + [small[i : i + 12] for i in range(0, len(small), 12)]


def prepare_tasks(tasks, cache):
    """Prepares models in a process of its own. Per task, what went wrong, or an empty string."""
    command = [sys.executable, str(HERE / "prepare.py"), str(cache), *map(prepare.name_of, tasks)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * TIME_LIMIT)
        output, ending = done.stdout, f"the preparing process ended with {done.returncode}: {done.stderr[-300:]}"
    except subprocess.TimeoutExpired as late:
        output, ending = (late.stdout or b"").decode(), f"not prepared after {2 * TIME_LIMIT} s"
    said = dict(line.split("\t", 1) for line in output.splitlines() if "\t" in line)
    return [said.get(str(prepare.folder_of(task, cache)), ending) for task in tasks]


def errors(result, truth):
    """The two measures of how far a result is from the truth, over the finite elements."""
    with np.errstate(invalid="ignore", over="ignore"):
        result, truth = np.asarray(result, np.float64), np.asarray(truth, np.float64)
        finite = np.isfinite(result) & np.isfinite(truth)
        if not finite.any():
            return 0.0, 0.0
        distance, magnitude = np.abs(result - truth)[finite], np.abs(truth)[finite]
    scale = magnitude.max() or 1.0
    return distance.max() / scale, (distance / np.maximum(magnitude, scale / 16)).max()


def is_float(array):
    return array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16


def same_text(ours, theirs):
    as_bytes = lambda array: [v.encode() if isinstance(v, str) else bytes(v) for v in array.flat]
    return as_bytes(ours) == as_bytes(theirs)


def judge(ours, theirs, truth, allowed, calls):
    """Our error and what is wrong with the output, if anything. `allowed` holds TensorFlow's two errors, worst over the batches; it is
    None where `truth` is no finer than `theirs`. `calls`: so many have left their roundings in the variables, this one included."""
    if ours.shape != theirs.shape:
        return 0.0, f"shape {list(ours.shape)}, TensorFlow has {list(theirs.shape)}"
    if theirs.dtype.kind in "OSU":
        return 0.0, None if same_text(ours, theirs) else "strings differ"
    if ours.dtype != theirs.dtype:
        return 0.0, f"dtype {ours.dtype}, TensorFlow has {theirs.dtype}"
    if not is_float(theirs):
        wrong = np.count_nonzero(ours != theirs)
        return 0.0, f"{wrong} of {theirs.size} values differ" if wrong else None
    wide, wide_theirs = ours.astype(np.float64), theirs.astype(np.float64)
    odd = ~np.isfinite(wide_theirs) | ~np.isfinite(wide)
    if not np.array_equal(wide[odd], wide_theirs[odd], equal_nan=True):
        return float("inf"), "infinities or NaN where TensorFlow has none, or the other way round"
    unit = float(ml_dtypes.finfo(theirs.dtype).eps)
    coarse = allowed is None or theirs.dtype == np.float64
    limits = (256 * unit * calls, 256 * unit * calls) if coarse else (TIMES * allowed[0] + unit, 4 * (allowed[1] + unit))
    found = errors(ours, truth)
    if found[0] > limits[0]:
        return found[0], f"error {found[0]:.1e} of the output's scale, allowed {limits[0]:.1e}"
    if found[1] > limits[1]:
        return found[0], f"relative error {found[1]:.1e}, allowed {limits[1]:.1e}"
    return found[0], None


def load(path):
    with np.load(path, allow_pickle=True) as arrays:
        return {key: arrays[key] for key in arrays.files}


def run_smc(smc, model, signature, inputs, outputs, arguments):
    """None, or why there are no outputs."""
    command = [smc, "run", str(model), "--signature", signature, "--inputs", str(inputs), "--outputs", str(outputs), *arguments]
    outputs.unlink(missing_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return f"no answer after {TIME_LIMIT} s"
    if done.returncode == 0 and outputs.exists():
        return None
    text = " ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
    return f"smc exit status {done.returncode}: {text[:400]}"


def refusal(wrong, expected, optional):
    """The verdict on a call without outputs. `expected`: what the model is to be refused with."""
    if expected:
        return f"ok, refused: {expected}" if wrong.startswith("smc exit status 1:") and expected in wrong else f"FAILED: not refused with {expected!r}: {wrong}"
    covered = not (optional and ("not supported" in wrong or "unsupported" in wrong))
    return f"FAILED: {wrong}" if covered else f"not covered: {wrong}"


def compare(smc, folder, model=None, optional=False):
    """The table's rows for one prepared model, whose calls are made in order. `optional`: unsupported operators are no failure."""
    folder = pathlib.Path(folder)
    facts, rows = json.loads((folder / "facts.json").read_text()), []
    theirs, truth = ({(s, c): load(folder / f"{s}.{c}.{kind}.npz") for s, c in facts["calls"]} for kind in ("tf", "true"))
    arguments, state = list(facts["arguments"]), folder / "smc.state"
    if facts["state"]:
        state.unlink(missing_ok=True)
        arguments += ["--state", str(state)]
    for number, (signature, label) in enumerate(facts["calls"], 1):
        found, call, refused = facts["signatures"][signature], (signature, label), facts["refused"].get(signature)
        allowed = {}
        for key in found["outputs"]:
            pairs = [errors(theirs[c][key], truth[c][key]) for c in theirs if c[0] == signature and is_float(theirs[c][key])] or [(0.0, 0.0)]
            allowed[key] = tuple(max(column) for column in zip(*pairs))
        row = Row(folder.name, signature, label, len(facts["ops"]))
        rows.append(row)
        row.theirs = max((allowed[key][0] for key in found["outputs"]), default=0.0)
        outputs = folder / f"{signature}.{label}.smc.npz"
        given = found.get("flag", signature)
        if not given:
            row.verdict = "not covered: no signature has the case's inputs and outputs"
            continue
        wrong = run_smc(smc, model or folder / "model", given, folder / f"{signature}.{label}.in.npz", outputs, arguments)
        if wrong:
            row.verdict = refusal(wrong, refused, optional)
            continue
        if refused:
            row.verdict = f"FAILED: not refused with {refused!r}"
            continue
        ours = load(outputs)
        if sorted(ours) != found["outputs"]:
            row.verdict = f"FAILED: outputs {sorted(ours)}, TensorFlow has {found['outputs']}"
            continue
        for key in found["outputs"]:
            error, wrong = judge(ours[key], theirs[call][key], truth[call][key], allowed[key] if found["exact"] else None, number if facts["state"] else 1)
            row.ours = max(row.ours, error)
            if not found["exact"] and not row.failed():
                row.verdict = "ok, by recorded outputs alone"
            if wrong and not row.failed():
                row.verdict = f"FAILED: {key}: {wrong}"
    return rows


def print_table(rows):
    titles = ("model.route", "signature", "call", "ops", "TensorFlow", "ours", "verdict")
    lines = [(r.model, r.signature, r.label, str(r.ops), f"{r.theirs:.1e}", f"{r.ours:.1e}", r.verdict) for r in rows]
    widths = [max(len(line[i]) for line in [titles, *lines]) for i in range(6)]
    for line in [titles, *lines]:
        print("  ".join(text.ljust(width) for text, width in zip(line, [*widths, 0])).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smc", help="the compiler's binary; without it the models are only prepared")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="where models and their values are kept")
    parser.add_argument("--only", default="", help="models whose name or route contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--corpus", type=pathlib.Path, help="a folder of models with recorded inputs")
    args = parser.parse_args()
    started, cache = time.time(), args.cache.resolve()
    tasks = [entry for entry in models.spec.MODELS if args.only in prepare.name_of(entry)]
    if args.corpus:
        sources = sorted(path.parent.resolve() for path in args.corpus.glob("*/model"))
        tasks += [source for source in sources if args.only in source.name]
    rows = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as workers:

        def work(part):
            """Prepares a few models and runs them, so that building and running overlap."""
            stale = [task for task in part if not prepare.is_fresh(task, cache)]
            problems = dict(zip(map(prepare.name_of, stale), prepare_tasks(stale, cache) if stale else []))
            found = []
            for task in part:
                folder, problem = prepare.folder_of(task, cache), problems.get(prepare.name_of(task))
                if problem:
                    found.append(Row(folder.name, "", "", 0, verdict=f"FAILED: the model could not be prepared: {problem}"))
                elif args.smc:
                    from_corpus = isinstance(task, pathlib.Path)
                    found += compare(args.smc, folder, task / "model" if from_corpus else None, from_corpus)
            return found

        working = [workers.submit(work, part) for part in batches_of_work(tasks)]
        for number, done in enumerate(concurrent.futures.as_completed(working), 1):
            rows += done.result()
            print(f"{number} of {len(working)} groups of models done, {time.time() - started:.0f} s", file=sys.stderr, flush=True)
    rows = sorted(rows, key=lambda r: r.model)
    print_table(rows)
    failed = sum(row.failed() for row in rows)
    left = sum(row.verdict.startswith("not covered") for row in rows)
    seconds = time.time() - started
    print(f"\n{len(tasks)} models, {seconds:.0f} s: {len(rows) - failed - left} passed, {failed} failed" + f", {left} not covered" * bool(left))
    (cache / "results.json").write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    return 1 if failed or (args.smc and not rows) else 0


if __name__ == "__main__":
    sys.exit(main())
