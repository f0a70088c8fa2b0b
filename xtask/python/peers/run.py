"""Measure all engines on all subjects in one run, interleaved: A B C A B C ...; writes what was measured as JSON.

Each engine with each number of threads is a process of its own, pinned to as many processors; only one of them works at a time.
An engine's output is compared with TensorFlow's before it is measured; an engine that is wrong or fails has no figures there.

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

# The largest difference from TensorFlow, relative to the output's largest magnitude.
TOLERANCE = {"network": 2e-4, "operation": 2e-5}

# What the engines load, of those for which the model is converted; IREE's is made for networks at batch 1 only.
FILES = {"litert": ".tflite", "onnxruntime": ".onnx", "openvino": ".onnx", "iree": ".vmfb"}

LARGE_KB = 1_000_000


class Worker:
    """A process that runs one engine with one number of threads."""

    def __init__(self, engine, threads, environment):
        self.engine, self.threads, self.environment = engine, threads, environment
        self.process = None

    def ask(self, **request):
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, HERE / "worker.py", self.engine, str(self.threads)]
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
    fixed = ["--batch", batch] if json.loads((folder / "facts.json").read_text())["kind"] == "network" else []
    cpu = ["--cpu", options.cpu] if options.cpu else []
    header = folder / "m.h"
    report = checked([options.smc, "compile", folder / "model", "-o", f"{stem}.o", "--header", header, "--name", "m", "--json", *fixed, *cpu])
    report = json.loads(report[report.index("{") :])
    checked(["cc", "-shared", "-o", f"{stem}.so", f"{stem}.o"])
    include = ["-I", folder, "-I", HERE.parents[2] / "runtime/include"]
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
            print(f"  {name} is left out: {answer['error']}", file=sys.stderr, flush=True)
        else:
            versions[name] = answer["version"]
    return versions


def load_all(workers, folder, batch, tolerance, missing):
    """Who has loaded the subject and computes it right, and what is wrong with the others. `missing` says why a file was not made."""
    ready, errors, differences = [], {}, {}
    for worker in workers:
        if (why := missing.get(f"b{batch}{FILES.get(worker.engine)}")) is not None:
            errors[worker.engine] = f"the model cannot be converted: {why}"
            continue
        answer = worker.ask(load=str(folder), batch=batch)
        found = answer.get("difference")
        if "error" in answer or isinstance(found, str):
            errors[worker.engine] = answer.get("error", found)
        elif found > tolerance:
            errors[worker.engine] = f"differs from TensorFlow by {found:.1e} of the largest magnitude, allowed are {tolerance:.0e}"
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
            able = [e for e in options.engines if (folders[name] / f"b1{FILES.get(e, '.so')}").exists() or e == "tensorflow"]
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
    program = folder / f"b{batch}.native"
    if not program.exists():
        return None
    fields = checked([program, folder / f"b{batch}.in.npy", seconds]).split()
    return {"wall_min": float(fields[0]), "wall_median": float(fields[1])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag in ("--cache", "--smc", "--runtime", "--out"):
        parser.add_argument(flag, type=pathlib.Path, required=True)
    parser.add_argument("--cpu", help="what smc compiles for")
    parser.add_argument("--engines", required=True, type=lambda text: text.split(","))
    parser.add_argument("--batches", default=[1, 8], type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--threads", default=[1, 2], type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one engine in one round on a network; an operation takes a third")
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    environment = {**os.environ, "SMC_RUNTIME": str(options.runtime), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["SMC_VERSION"] = checked([options.smc, "--version"]).strip()

    versions = available(options.engines, environment)
    options.engines = list(versions)
    workers = {(e, t): Worker(e, t, environment) for t in options.threads for e in options.engines}
    folders = {name: options.cache / name for name in options.names}
    facts = {name: json.loads((folder / "facts.json").read_text()) for name, folder in folders.items()}
    results, problems = [], []
    for count, name in enumerate(options.names, 1):
        fact, folder = facts[name], folders[name]
        network = fact["kind"] == "network"
        for batch in options.batches if network else [1]:
            failed = {}
            if "smc" in options.engines:
                try:
                    compile_smc(options, folder, batch)
                except Exception as error:
                    failed["smc"] = str(error)
            # An operation is a matter of one thread: the fraction of the peak is asked for.
            for threads in options.threads if network else options.threads[:1]:
                able = [workers[e, threads] for e in options.engines if e not in failed and (network and batch == 1 or e != "iree")]
                ready, errors, differences = load_all(able, folder, batch, TOLERANCE[fact["kind"]], fact["problems"])
                found, more = measure(ready, options.rounds, options.seconds if network else options.seconds / 3)
                for worker in able:
                    worker.unload()
                if "smc" in found and threads == 1:
                    try:
                        found["smc"]["native"] = native_times(folder, batch, options.seconds)
                    except RuntimeError as error:
                        more["smc-native"] = str(error)
                print(f"  [{count}/{len(options.names)}] {name}, batch {batch}, {threads} thread{'s' * (threads > 1)}: {shown(found)}", flush=True)
                results += [
                    {"model": name, "engine": e, "batch": batch, "threads": threads, "difference": differences[e], **r} for e, r in found.items()
                ]
                for engine, error in {**failed, **errors, **more}.items():
                    problems.append({"model": name, "engine": engine, "batch": batch, "threads": threads, "error": error})
                    print(f"    {engine}: {error}", file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.end()
    networks = [name for name in options.names if facts[name]["kind"] == "network"]
    if options.cold_rounds and networks:
        print(f"  cold start and memory of {len(networks)} networks", flush=True)
    starts = measure_cold(options, networks, folders, environment) if 1 in options.batches else []
    models = [{"name": name, **{key: facts[name][key] for key in ("kind", "title", "work")}} for name in options.names]
    for model in models:
        size = folders[model["name"]] / f"b{options.batches[0] if model['kind'] == 'network' else 1}.smc"
        model["object_bytes"] = int(size.read_text().split()[1]) if size.exists() else None
    options.out.write_text(
        json.dumps(
            {
                "versions": versions,
                "tolerance": TOLERANCE,
                "rounds": options.rounds,
                "seconds": options.seconds,
                "cpu": options.cpu,
                "models": models,
                "results": results,
                "problems": problems,
                "cold": starts,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
