#!/usr/bin/env python3
"""Makes the reference values in tests/data/reference: SciPy's answers to the problems our own tests solve.

    python3 scripts/golden.py [mgh] [curves] [polynomials]        needs numpy, scipy and mpmath; without arguments: all

Every seed is fixed: curves_scipy.json comes out the same, byte for byte, wherever the same numpy and SciPy run on the same
kind of processor. mgh_scipy.json does not quite: MINPACK's lm differs in last digits from run to run, and where a path hangs
on them by some evaluations. The tests read the files, never SciPy.
"""

import json
import sys
from pathlib import Path

import numpy
import scipy

sys.path.insert(0, str(Path(__file__).parent))
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests/data/reference"


def write(name, content, items):
    """Writes JSON with one entry of `items` a line, so that changes can be read."""
    head = {"made_by": f"scripts/golden.py, scipy {scipy.__version__}, numpy {numpy.__version__}"}
    head |= {key: value for key, value in content.items() if key != items}
    lines = [json.dumps(entry, separators=(",", ":"), allow_nan=False) for entry in content[items]]
    opening = json.dumps(head, separators=(",", ":"), allow_nan=False)[:-1]
    text = f'{opening},"{items}":[\n' + ",\n".join(lines) + "\n]}\n"
    path = FOLDER / name
    path.write_text(text)
    print(f"{path.relative_to(ROOT)}: {len(lines)} entries, {len(text)} bytes")


def main():
    chosen = sys.argv[1:] or ["mgh", "curves", "polynomials"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    if "mgh" in chosen:
        from golden_data import mgh

        write("mgh_scipy.json", mgh.runs(ROOT), "runs")
    if "curves" in chosen:
        from golden_data import curves

        write("curves_scipy.json", curves.problems(), "problems")
    if "polynomials" in chosen:
        from golden_data import polynomials

        write("polynomials.json", polynomials.problems(), "problems")


if __name__ == "__main__":
    main()
