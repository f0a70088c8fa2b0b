"""Measure all engines on all subjects in one run, interleaved: A B C A B C ...; writes what was measured as JSON.

Each engine with each number of threads is a process of its own, pinned to as many processors; only one of them works at a time.
An engine's output is compared with TensorFlow's before it is measured, of training the losses of the first steps with Keras'; an
engine that is wrong or fails has no figures there.

    python run.py --cache DIR --smc FILE --runtime FILE --out FILE [options] NAME...
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent

# The largest difference from TensorFlow, relative to the output's largest magnitude; of training, to the largest loss.
TOLERANCE = {"network": 2e-4, "operation": 2e-5, "training": 1e-4}

# Who trains.
TRAINERS = ("smc", "litert", "tensorflow", "xla", "pytorch")

# PyPI's PyTorch brings a gigabyte for other processors; distributions have one for this kind alone, for their own Python.
INTERPRETERS = {"pytorch": "/usr/bin/python3"}
HINTS = {"pytorch": "Debian's packages python3-torch and libopenblas0 are what it needs"}

# What the engines load, of those for which the model is converted; IREE's is made for networks at batch 1 only.
FILES = {"litert": ".tflite", "onnxruntime": ".onnx", "openvino": ".onnx", "iree": ".vmfb"}

LARGE_KB = 1_000_000


def with_openblas(environment, threads):
    """PyTorch's threads are those of its products too, which on a processor that OpenBLAS does not know are slow by default."""
    cpu = pathlib.Path("/proc/cpuinfo")
    wide = cpu.exists() and "avx512dq" in cpu.read_text()
    return {"OPENBLAS_NUM_THREADS": str(threads), **({"OPENBLAS_CORETYPE": "SkylakeX"} if wide else {}), **environment}


class Worker:
    """A process that runs one engine with one number of threads."""

    def __init__(self, engine, threads, environment):
        self.engine, self.threads = engine, threads
        self.environment = with_openblas(environment, threads) if engine in INTERPRETERS else environment
        python = INTERPRETERS.get(engine, sys.executable)
        self.python = python if pathlib.Path(python).exists() else sys.executable
        self.process = None

    def ask(self, **request):
        if self.process is None or self.process.poll() is not None:
            command = [self.python, HERE / "worker.py", self.engine, str(self.threads)]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment
            )
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"error": f"the process ended with status {self.process.wait()}"}
        return json.loads(line)

    def unload(self):
        """Frees the subject. Some engines keep what they loaded; a process that has grown large makes place for a new one."""
        answer = self.ask(unload=True) if self.process is not None else {}
        if "error" in answer or answer.get("peak_kb", 0) > LARGE_KB:
            self.end()
            self.process = None

    def end(self):
        if self.process is not None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


def checked(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{pathlib.Path(command[0]).name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def compile_smc(options, folder, batch):
    """The subject's shared library and native program; facts about the object. An object of an older smc is made anew."""
    stem, facts = folder / f"b{batch}", folder / f"b{batch}.smc"
    compiler = options.smc.stat()
    wanted = f"{compiler.st_mtime_ns} {compiler.st_size} {options.cpu}"
    made = facts.read_text().split(maxsplit=2) if facts.exists() else []
    if len(made) == 3 and made[2].strip() == wanted:
        return
    fact = json.loads((folder / "facts.json").read_text())
    fixed = [] if fact["kind"] == "operation" else ["--batch", batch]
    if trains := fact["kind"] == "training":
        fixed += ["--train", "--loss", "sparse_categorical_crossentropy", "--optimizer", "adam", *fact["train_options"]]
    cpu = ["--cpu", options.cpu] if options.cpu else []
    header = folder / "m.h"
    report = checked([options.smc, "compile", folder / "model", "-o", f"{stem}.o", "--header", header, "--name", "m", "--json", *fixed, *cpu])
    report = json.loads(report[report.index("{") :])
    include = ["-I", folder, "-I", HERE.parents[2] / "runtime/include"]
    checked(["cc", "-O2", "-fPIC", "-shared", *include, "-o", f"{stem}.so", *([HERE / "step.c"] if trains else []), f"{stem}.o"])
    if not trains:
        checked(["cc", "-O2", *include, "-o", f"{stem}.native", HERE / "native.c", f"{stem}.o"])
    facts.write_text(f"{report['entries'][0]['function']} {report['object_bytes']} {wanted}")


def available(names, environment):
    """The engines that can be loaded, with their versions."""
    versions = {}
    for name in names:
        worker = Worker(name, 1, environment)
        answer = worker.ask(version=True)
        worker.end()
        if "error" in answer:
            hint = f"; {HINTS[name]}" if name in HINTS else ""
            print(f"  {name} is left out: {answer['error']}{hint}", file=sys.stderr, flush=True)
        else:
            versions[name] = answer["version"]
    return versions


def load_all(workers, folder, batch, trains, tolerance, missing):
    """Who has loaded the subject and computes it right, and what is wrong with the others. `missing` says why a file was not made."""
    ready, errors, differences = [], {}, {}
    for worker in workers:
        if (why := missing.get(f"b{batch}{FILES.get(worker.engine)}")) is not None:
            errors[worker.engine] = f"the model cannot be converted: {why}"
            continue
        answer = worker.ask(load=str(folder), batch=batch, trains=trains)
        found = answer.get("difference")
        if "error" in answer or isinstance(found, str):
            errors[worker.engine] = answer.get("error", found)
        elif found > tolerance:
            errors[worker.engine] = f"differs from TensorFlow by {found:.1e} of the largest {'loss' if trains else 'magnitude'}, allowed are {tolerance:.0e}"
        else:
            ready.append(worker)
            differences[worker.engine] = found
    return ready, errors, differences


def measure(workers, rounds, seconds):
    """By engine the minimum over all rounds, and the median of the rounds' medians."""
    samples = {worker.engine: [] for worker in workers}
    errors = {}
    for _ in range(rounds):
        for worker in workers:
            answer = worker.ask(measure=seconds)
            if "error" in answer:
                errors[worker.engine] = answer["error"]
            else:
                samples[worker.engine].append(answer)
    results = {}
    for engine, found in samples.items():
        if engine in errors:
            continue
        middle = lambda key: sorted(one[key] for one in found)[len(found) // 2]
        least = lambda key: min(one[key] for one in found)
        figures = {"wall_min": least("wall_min"), "wall_median": middle("wall_median"), "cpu_min": least("cpu_min"), "cpu_median": middle("cpu_median")}
        results[engine] = {key: value / 1e3 for key, value in figures.items()}
    return results, errors


def shown(results):
    best = min((r["wall_min"], e) for e, r in results.items()) if results else None
    figures = "  ".join(f"{engine} {r['wall_min']:.1f}" for engine, r in results.items())
    return f"{figures} us" + (f"  (best: {best[1]})" if best else "")


def cold(command, environment):
    """Seconds from the start of a process to its first result, and its peak of memory in kilobytes."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    first = process.stdout.readline()
    took = time.monotonic() - start
    memory = process.stdout.readline()
    process.wait()
    if first.strip() != "first" or not memory.strip():
        return None
    return took, int(memory)


def measure_cold(options, names, folders, environment):
    """In rounds too, so that no engine alone finds the files in memory or the machine busy."""
    found = {}
    for round in range(options.cold_rounds):
        for name in names:
            # XLA compiles in every process anew, and would show that alone.
            asked = [e for e in options.engines if e != "xla"]
            able = [e for e in asked if (folders[name] / f"b1{FILES.get(e, '.so')}").exists() or e == "tensorflow"]
            commands = {engine: [sys.executable, HERE / "cold.py", engine, folders[name]] for engine in able}
            if "smc" in commands:
                commands["smc-native"] = [folders[name] / "b1.native", folders[name] / "b1.in.npy"]
            for engine, command in commands.items():
                if (taken := cold(command, environment)) is not None:
                    before = found.get((name, engine), taken)
                    found[name, engine] = (min(before[0], taken[0]), min(before[1], taken[1]))
    return [{"model": m, "engine": e, "seconds": s, "peak_kb": kb} for (m, e), (s, kb) in found.items()]


def native_times(folder, batch, seconds):
    """Microseconds of a call from C, minimum and median."""
    pin = (lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])) if hasattr(os, "sched_setaffinity") else None
    program = [str(folder / f"b{batch}.native"), str(folder / f"b{batch}.in.npy"), str(seconds)]
    done = subprocess.run(program, capture_output=True, text=True, preexec_fn=pin)
    if done.returncode != 0:
        raise RuntimeError(f"the program in C ended with status {done.returncode}")
    least, middle = done.stdout.split()
    return {"wall_min": float(least), "wall_median": float(middle)}


class Run:
    """What is measured, and what was found so far."""

    def __init__(self, options, environment):
        self.options, self.environment = options, environment
        self.folders = {name: options.cache / name for name in options.names}
        self.facts = {name: json.loads((folder / "facts.json").read_text()) for name, folder in self.folders.items()}
        self.workers = {(e, t): Worker(e, t, environment) for t in options.threads for e in options.engines}
        self.results, self.problems = [], []

    def ways(self, name):
        """Batches and threads. An operation is a matter of one thread: the fraction of the peak is asked for."""
        kind = self.facts[name]["kind"]
        if kind == "operation":
            return [(1, self.options.threads[0])]
        if kind == "training":
            return [(self.facts[name]["batch"], threads) for threads in self.options.threads]
        return [(batch, threads) for batch in self.options.batches for threads in self.options.threads]

    def compile(self, name):
        """What goes wrong, by batch."""
        failed = {}
        for batch in {batch for batch, _ in self.ways(name)} if "smc" in self.options.engines else ():
            try:
                compile_smc(self.options, self.folders[name], batch)
            except Exception as error:
                failed[batch] = str(error)
        return failed

    def measure(self, name, batch, threads, failed):
        """All engines on one subject; the figures by engine."""
        fact, folder, options = self.facts[name], self.folders[name], self.options
        network, trains = fact["kind"] == "network", fact["kind"] == "training"
        left_out = {"smc": failed[batch]} if batch in failed else {}
        of = {"iree": network and batch == 1, "xla": bool(fact["family"]), "pytorch": False}
        has = lambda engine: engine not in left_out and (engine in TRAINERS if trains else of.get(engine, True))
        able = [self.workers[engine, threads] for engine in options.engines if has(engine)]
        ready, errors, differences = load_all(able, folder, batch, trains, TOLERANCE[fact["kind"]], fact["problems"])
        found, more = measure(ready, options.rounds, options.seconds / 3 if fact["kind"] == "operation" else options.seconds)
        for worker in able:
            worker.unload()
        if "smc" in found and threads == 1 and not trains:
            try:
                found["smc"]["native"] = native_times(folder, batch, options.seconds)
            except (RuntimeError, OSError) as error:
                more["smc-native"] = str(error)
        place = {"model": name, "batch": batch, "threads": threads}
        self.results += [{**place, "engine": e, "difference": differences[e], **figures} for e, figures in found.items()]
        for engine, error in {**left_out, **errors, **more}.items():
            self.problems.append({**place, "engine": engine, "error": error})
            print(f"    {engine}: {error}", file=sys.stderr, flush=True)
        return found

    def model(self, name):
        """What the page says of a subject."""
        fact = self.facts[name]
        made = self.folders[name] / f"b{self.ways(name)[0][0]}.smc"
        size = int(made.read_text().split()[1]) if made.exists() else None
        return {"name": name, "kind": fact["kind"], "family": fact["family"], "title": fact["title"], "work": fact["work"], "object_bytes": size}

    def all(self):
        options = self.options
        for count, name in enumerate(options.names, 1):
            failed = self.compile(name)
            for batch, threads in self.ways(name):
                found = self.measure(name, batch, threads, failed)
                way = f"batch {batch}, {threads} thread{'s' * (threads > 1)}"
                print(f"  [{count}/{len(options.names)}] {name}, {way}: {shown(found)}", flush=True)
        for worker in self.workers.values():
            worker.end()
        # The families add many of a kind.
        starts = lambda fact: fact["kind"] == "network" and not fact["family"]
        networks = [name for name in options.names if starts(self.facts[name]) and 1 in options.batches]
        if options.cold_rounds and networks:
            print(f"  cold start and memory of {len(networks)} networks", flush=True)
        starts = measure_cold(options, networks, self.folders, self.environment)
        return {
            "tolerance": TOLERANCE,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "cpu": options.cpu,
            "models": [self.model(name) for name in options.names],
            "results": self.results,
            "problems": self.problems,
            "cold": starts,
        }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = lambda text: [int(n) for n in text.split(",")]
    for flag in ("--cache", "--smc", "--runtime", "--out"):
        parser.add_argument(flag, type=pathlib.Path, required=True)
    parser.add_argument("--cpu", help="what smc compiles for")
    parser.add_argument("--engines", required=True, type=lambda text: text.split(","))
    parser.add_argument("--batches", default=[1, 8], type=numbers)
    parser.add_argument("--threads", default=[1, 2], type=numbers)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one engine in one round on a network; an operation takes a third")
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument("names", nargs="+")
    return parser.parse_args()


def main():
    options = arguments()
    environment = {**os.environ, "SMC_RUNTIME": str(options.runtime), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["SMC_VERSION"] = checked([options.smc, "--version"]).strip()
    versions = available(options.engines, environment)
    options.engines = list(versions)
    found = {"versions": versions, **Run(options, environment).all()}
    options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
