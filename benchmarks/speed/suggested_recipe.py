"""A recipe that `leaky-zoo suggest` writes, trained to its critical point: seconds, iterations, residuals.

    python -m benchmarks.speed.suggested_recipe [--data diabetes,...] [--seeds 3-5] [--old PATH]

Writes suggested_recipe.csv. `leaky-zoo train` in a process of its own, on one thread. Seeds 0 to 2 were looked at when
the suggestion was chosen. With --old, another checkout of this project trains what it
suggests itself, by its own rule for when to stop. Processor seconds (user and system) and seconds on the clock, which
count on a quiet machine alone.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import yaml

from benchmarks.common import ROOT, options, seconds_of, write_table

TABLE = Path(__file__).with_suffix(".csv")
THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def leaky_zoo(checkout: Path, *words: str) -> str:
    """Standard output of the command line of a checkout."""
    environment = {**os.environ, **THREADS, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "leaky_zoo", *words]
    return subprocess.run(command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def processor_seconds() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train(data: str, checkout: Path, seed: int) -> dict[str, object]:
    """One training of the suggestion of a checkout, by its code."""
    with tempfile.TemporaryDirectory() as place:
        recipe = Path(place) / "recipe.yaml"
        leaky_zoo(checkout, "suggest", "--data", data, "--out", str(recipe))
        recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | {"seed": seed}))
        before, words = processor_seconds(), ("train", str(recipe), "--out", f"{place}/run")
        clock = seconds_of(lambda: leaky_zoo(checkout, *words))
        phase = json.loads((Path(place) / "run" / "result.json").read_text())["lbfgs"]
        return {
            "data": data,
            "code": "ours" if checkout == ROOT else "old",
            "seed": seed,
            "processor_seconds": processor_seconds() - before,
            "clock": clock,
            "iterations": phase["iterations"],
            "objective": phase["objective"],
            "worst_sign_residual": max(phase["criticality_residuals"]),
            "worst_clarke_residual": max(phase.get("clarke_residuals") or [None]),
        }


def main(data: tuple[str, ...], seeds: range, old: Path | None) -> None:
    """Both checkouts, one after the other, for each data set and seed."""
    for name, seed in product(data, seeds):
        for checkout in (ROOT, *([old.resolve()] if old else [])):
            row = train(name, checkout, seed)
            print(row, flush=True)
            write_table(TABLE, [row], ("data", "code", "seed"), threads=1)


if __name__ == "__main__":
    chosen = options(__doc__, data=("bottleneck_teacher/k3",), seeds=range(3, 6), old=Path)
    main(chosen.data, chosen.seeds, chosen.old)
