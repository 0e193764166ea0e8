"""Time from where Adam stops to a critical point: plain L-BFGS against Kronecker-factored coordinates.

    python benchmarks/convergence_time.py [--seeds 0-1]    writes convergence_time.csv; needs a quiet machine

Teacher 30 -> 3 -> 30, L~ = 7, 12 equal steps, width 64, mu = mu_io = 1e-3: 3000 or 1000 steps of Adam, then L-BFGS in
float64 from the same weights, once with each preconditioner, until every layer of the middle half of the path has a
criticality residual of at most 0.05. It is looked at every 100 iterations, when the factors are renewed, and every 500
without them (a round starts with an empty history); the looks are in the time of both. Plain L-BFGS gets 4000
iterations. `ratio` is to the factors from the same weights; `ratio_with_adam` is of the sum with Adam's time, to the
least sum of the seed.
"""

import argparse
import csv
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parent
TABLE, RUNS = Path(__file__).with_suffix(".csv"), ROOT.parent / "build" / "convergence_time"
FIELDS = ("seed", "adam_steps", "preconditioner", "reached", "seconds", "iterations", "objective", "residual_middle",
          "residual_elsewhere", "adam_seconds", "ratio", "ratio_with_adam")  # fmt: skip
WANTED, ADAM_STEPS = 0.05, (3000, 1000)
SETTINGS = {
    "kronecker": {"iterations": 3000, "round": 100},
    "none": {"iterations": 4000, "round": 500},
}


class ReachedError(Exception):
    """The residual is small enough."""


def run(network, x, y, preconditioner: str) -> dict:
    """One phase from the weights of `network`, which is changed."""
    import numpy as np

    from leaky_zoo.training.lbfgs import criticality_residuals, minimize_objective
    from leaky_zoo.training.recipe import LBFGSPart

    part = LBFGSPart(preconditioner=preconditioner, criticality=1e-9, **SETTINGS[preconditioner])
    started, found = time.perf_counter(), {}
    depth = network.settings["depth"]
    middle = np.zeros(depth, bool)
    middle[depth // 4 : depth - depth // 4] = True
    criticality_residuals(network, x, y)  # the first call traces

    def look(progress) -> None:
        nonlocal found
        residuals = np.array(progress.criticality_residuals)
        found = {"seconds": time.perf_counter() - started, "iterations": progress.iterations,
                 "objective": progress.objective, "residual_middle": residuals[middle].max(),
                 "residual_elsewhere": residuals[~middle].max()}  # fmt: skip
        if found["residual_middle"] <= WANTED:
            raise ReachedError

    try:
        minimize_objective(network, x, y, part, on_round=look)
    except ReachedError:
        return {"reached": True, **found}
    return {"reached": False, **found}


def main(seeds: range) -> None:
    """Measure, and write the table."""
    from leaky_zoo.cli.console import track

    rows = []
    for seed in track("seeds")(list(seeds)):
        rows += one_seed(seed)
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def one_seed(seed: int) -> list[dict]:
    """Both preconditioners from both starts."""
    from teachers import teacher_file

    from leaky_zoo.data import load_data
    from leaky_zoo.training import Recipe, train

    rows = []
    data = teacher_file(RUNS / f"teacher_seed{seed}.npz", (30, 3, 30), seed=seed)
    for steps in ADAM_STEPS:
        recipe = Recipe.from_dict({
            "name": f"convergence_seed{seed}", "seed": seed, "data": {"name": str(data), "batch_size": "full"},
            "network": {"width": 64, "depth": 12, "effective_depth": 7.0},
            "objective": {"weight_decay": 1e-3, "ramp": 0.2}, "optimizer": {"steps": steps, "learning_rate": 1e-2},
            "log_every": 500,
        })  # fmt: skip
        network, result = train(recipe, RUNS / f"seed{seed}_{steps}", resume=True)
        x, y = load_data(str(data)).select("train")
        both = {name: run(network.astype("float64"), x, y, name) for name in SETTINGS}
        for name, found in both.items():
            found |= {"seed": seed, "adam_steps": steps, "preconditioner": name, "adam_seconds": result.seconds,
                      "ratio": found["seconds"] / both["kronecker"]["seconds"]}  # fmt: skip
            rows.append(found)
            print(found, flush=True)
    least = min(row["seconds"] + row["adam_seconds"] for row in rows)
    for row in rows:
        row["ratio_with_adam"] = (row["seconds"] + row["adam_seconds"]) / least
    return [{key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-1")
    first, _, last = parser.parse_args().seeds.partition("-")
    main(range(int(first), int(last or first) + 1))
