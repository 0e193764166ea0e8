"""Figure 2 with critical nets: the comparison of step sizes where it is of minima, and not of where Adam stopped.

    python -m benchmarks.science.paper.figure2_critical train [--seeds 0-1] [--depths 6,18] [--jobs 1]
    python -m benchmarks.science.paper.figure2_critical measure      writes figure2_critical.csv

The nets of figure 2, each followed by L-BFGS in float64 with its step sizes as they are, until the Clarke residual of
every layer is 0.05, or 12,000 iterations (18 layers: 8,000). Three of the twelve were not there by then; they are
trained again from the start with means of 50 iterates in place of 10, at most 20,000 iterations. Expected before any
was trained: the differences of the objective keep their sign and shrink, since some of them are how fast Adam gets on;
those of the test error stay within their spread.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common import markdown, read_table, shown, write_table
from benchmarks.science.paper import figure2
from benchmarks.science.studies import finished, main

TABLE = Path(__file__).with_suffix(".csv")
DEPTHS = (6, 18)
ITERATIONS = {6: 12000, 18: 8000}
#: Layers, schedule and seed of the nets that are trained again with longer means.
AGAIN = {(6, "adaptive", 0), (18, "equidistant", 1), (18, "adaptive", 1)}
BASE = {**figure2.BASE, "converge": True, "lbfgs": {"criticality": 0.05}}


def cases(seeds: range, depths: tuple[int, ...]) -> Iterator[dict]:
    """Those of figure 2."""
    for case in figure2.cases(seeds, depths):
        depth = case["network.depth"]
        again = (depth, case["network.schedule"], case["seed"]) in AGAIN
        iterations, average = (20000, 50) if again else (ITERATIONS.get(depth, 12000), 10)
        yield {**case, "lbfgs.iterations": iterations, "lbfgs.average": average}


def measure() -> None:
    """Objective, losses and residuals of every net that is there."""
    rows = []
    for net in finished("figure2_critical"):
        phase, metrics, network = net.result["lbfgs"], net.result["metrics"], net.recipe.network
        schedule = network.schedule if isinstance(network.schedule, str) else network.schedule["name"]
        rows.append({
            "depth": network.depth, "schedule": schedule, "seed": net.recipe.seed, "objective": phase["objective"],
            "train_loss": metrics["train"]["loss"], "test_loss": metrics["test"]["loss"],
            "iterations": phase["iterations"], "worst_clarke_residual": max(phase["clarke_residuals"]),
            "worst_sign_residual": max(phase["criticality_residuals"]),
        })  # fmt: skip
    write_table(TABLE, rows, ("depth", "schedule", "seed"))


def table() -> str:
    """A line for each number of layers and schedule: change from equal steps, of these nets and of Adam's, paired."""
    after, before = read_table(TABLE), read_table(figure2.TABLE)
    lines = []
    for depth in sorted({int(row["depth"]) for row in after}):
        for schedule in figure2.SCHEDULES:
            nets = [row for row in after if (int(row["depth"]), row["schedule"]) == (depth, schedule)]
            if not nets:
                continue
            residuals = [float(row["worst_clarke_residual"]) for row in nets]
            lines.append((
                depth, schedule, len(nets), f"{min(residuals):.2g} to {max(residuals):.2g}",
                f"{np.mean([float(row['test_loss']) for row in nets]):.4f}",
                *(_change(rows, depth, schedule, [row["seed"] for row in nets]) for rows in (after, before)),
            ))  # fmt: skip
    columns = ("layers", "steps", "seeds", "worst residual", "test error", "objective, change", "the same after Adam")
    return markdown(columns, lines)


def _change(rows: list[dict[str, str]], depth: int, schedule: str, seeds: list[str]) -> str:
    """Of the objective from equal steps, in percent, over the seeds that both have."""
    found = {(row["schedule"], row["seed"]): float(row["objective"]) for row in rows if int(row["depth"]) == depth}
    pairs = [(found[schedule, seed], found["equidistant", seed]) for seed in seeds if ("equidistant", seed) in found]
    if schedule == "equidistant" or not pairs:
        return "-"
    return shown(100 * (np.array([new / old for new, old in pairs]) - 1), 2, "%", "+")


if __name__ == "__main__":
    main(__doc__, "figure2_critical", BASE, cases, measure, seeds=range(2), depths=DEPTHS)
