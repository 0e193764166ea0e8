"""Width and mu, one at a time around a base: curves of docs/choosing.md.

    python -m benchmarks.science.choosing train [--seeds 0-2] [--jobs 2] [--shard I/N]
    python -m benchmarks.science.choosing measure      writes choosing.csv
    python -m benchmarks.science.choosing draw         writes docs/images/choosing.png from it

Teacher 30 -> 3 -> 30 (1000 samples) and optical digits (cross-entropy; the seed is the fold too): L~ = 7, 12 equal
steps, width 64, full batches, 2000 steps of Adam at 0.01 with cosine decay, mu_io = mu. No L-BFGS: these are nets as
Adam leaves them.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import draw_band, read_table, save, write_table
from benchmarks.science.studies import finished, main, teacher_file

TABLE = Path(__file__).with_suffix(".csv")
TASKS = {"teacher_k3": 1e-3, "digits": 3e-4}  # with the base's mu
CHOICES = {
    "width": (16, 32, 64, 128),
    "weight_decay": (0.1, 0.3, 1.0, 3.0, 10.0),  # times the base's
}
WIDTH = 64
BASE = {
    "data": {"batch_size": "full"},
    "network": {"depth": 12, "effective_depth": 7.0},
    "objective": {"ramp": 0.2},
    "optimizer": {"steps": 2000, "learning_rate": 1e-2},
    "log_every": 500,
}


def cases(seeds: range) -> Iterator[dict]:
    """The base belongs to both curves."""
    for seed, (choice, values), (task, mu) in product(seeds, CHOICES.items(), TASKS.items()):
        fold = f"optical_digits/fold_{seed % 5}"
        data = fold if task == "digits" else teacher_file(f"k3_seed{seed}", (30, 3, 30), seed=seed)
        for value in values:
            width, factor = (value, 1.0) if choice == "width" else (WIDTH, value)
            yield {"data.name": data, "network.width": width, "objective.weight_decay": mu * factor, "seed": seed}


def measure() -> None:
    """Losses and the sharpest gap of the weights of every net that is there."""
    from leaky_zoo.geometry import largest_gap

    rows = []
    for run in finished("choosing"):
        task = "digits" if run.recipe.data.name.startswith("optical_digits") else "teacher_k3"
        net, metrics = run.load()[0], run.result["metrics"]
        spectra = [np.linalg.svd(block.weight_matrix, compute_uv=False) for block in net.blocks]
        directions, gap = max(map(largest_gap, spectra), key=lambda found: found[1] or 0.0)
        test, chosen = metrics["test"], (run.recipe.network.width, run.recipe.objective.weight_decay)
        for choice, value, other in (("width", *chosen), ("weight_decay", *chosen[::-1])):
            if other == (TASKS[task] if choice == "width" else WIDTH):
                rows.append({
                    "task": task, "choice": choice, "value": float(value), "seed": run.recipe.seed,
                    "train_loss": metrics["train"]["loss"],
                    "test_error": 100 * (1 - test["accuracy"]) if "accuracy" in test else test["loss"],
                    "directions": directions, "gap": gap, "seconds": run.result["seconds"],
                })  # fmt: skip
    write_table(TABLE, rows, ("task", "choice", "value", "seed"))


def draw() -> None:
    """For each choice: test error and sharpest gap, mean and 95% interval over seeds."""
    from matplotlib.figure import Figure

    rows = read_table(TABLE)
    labels = {"width": "width", "weight_decay": "mu"}
    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = figure.subplots(2, 3)
    for row, choice in enumerate(CHOICES):
        lines = (
            (("teacher_k3",), "test_error", "test error, teacher"),
            (("digits",), "test_error", "errors on digits, %"),
            (tuple(TASKS), "gap", "sharpest gap of the weights"),
        )
        for axes, (tasks, field, label) in zip(panels[row], lines, strict=True):
            for task in tasks:
                chosen = [net for net in rows if (net["task"], net["choice"]) == (task, choice)]
                values = sorted({float(net["value"]) for net in chosen})
                groups = [[float(net[field]) for net in chosen if float(net["value"]) == value] for value in values]
                draw_band(axes, values, groups, task)
            if field == "gap":
                axes.set_yscale("log")
            axes.set(xlabel=labels[choice], ylabel=label, xscale="log")
            if choice == "width":
                axes.set_xticks(values, [f"{value:g}" for value in values], minor=False)
                axes.minorticks_off()
        panels[row, 2].legend(frameon=False, fontsize=8)
    save(figure, "choosing", dpi=100)


if __name__ == "__main__":
    main(__doc__, "choosing", BASE, cases, measure, draw, seeds=range(3))
