"""What scripts that check many models have in common: their arguments, a line for each model, and the sum at the end."""

import argparse
import pathlib
import sys
import tempfile
import time


class Wrong(Exception):
    """What is wrong with a model."""


def run(doc, what, known, check):
    """Checks those of the models that `--only` leaves, by `check(smc, name, folder)`, which returns what there is to say; returns
    the status of the process. Lines begin with `what`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smc", required=True, help="the compiler's binary")
    parser.add_argument("--only", default="", help="models whose name contains this")
    args = parser.parse_args()
    smc, started, failed = pathlib.Path(args.smc).resolve(), time.time(), 0
    names = [name for name in known if args.only in name]
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"{what} of {name}: ok, {check(smc, name, pathlib.Path(folder))}", flush=True)
            except Exception as wrong:
                failed += 1
                print(f"{what} of {name}: FAILED: {wrong if isinstance(wrong, Wrong) else repr(wrong)}", flush=True)
    seconds = time.time() - started
    print(f"\n{what}s: {len(names)} models, {seconds:.0f} s: {len(names) - failed} passed, {failed} failed")
    return 1 if failed or not names else 0
