"""Run the Python of docs/getting-a-model.md as a reader would, and compile every SavedModel that it writes.

    python documented.py --smc target/release/smc
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/getting-a-model.md"


def main():
    """Prints a line for each model; fails when the page's code does or a model does not compile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smc", required=True, help="the compiler's binary")
    smc = pathlib.Path(parser.parse_args().smc).resolve()
    started = time.time()
    text = PAGE.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    promised = set(re.findall(r'"(from_\w+)/1"', text))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        names = {"__name__": "documented"}
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), names)
        failed = 0
        for model in sorted(promised):
            done = subprocess.run([smc, "compile", model, "-o", f"{model}.o"], capture_output=True, text=True, timeout=300)
            print(f"docs/{PAGE.name}: {model}: {'ok' if done.returncode == 0 else done.stderr.strip()}")
            failed += done.returncode != 0
        seconds = time.time() - started
        print(f"\ndocs/{PAGE.name}: {len(promised)} models, {seconds:.0f} s: {len(promised) - failed} passed, {failed} failed")
        return 1 if failed or not promised else 0


if __name__ == "__main__":
    sys.exit(main())
