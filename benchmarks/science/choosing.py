"""Width and mu, one at a time around a base: curves of docs/choosing.md.

    python benchmarks/science/choosing.py train [--seeds 0-2] [--shard I/N]
    python benchmarks/science/choosing.py measure      writes choosing.csv
    python benchmarks/science/choosing.py draw         writes docs/images/choosing.png from it

Teacher 30 -> 3 -> 30 (1000 samples) and optical digits (cross-entropy; the seed is the fold too): L~ = 7, 12 equal
steps, width 64, full batches, 2000 steps of Adam at 0.01 with cosine decay, mu_io = mu. No L-BFGS: these are nets as
Adam leaves them.
"""

from itertools import product
from pathlib import Path

from runs import BUILD, IMAGES, ROOT, draw_band, parse, read_rows, train_missing, write_rows
from teachers import teacher_file

RUNS, TABLE = BUILD / "choosing", ROOT / "benchmarks" / "choosing.csv"
TASKS = {"teacher_k3": 1e-3, "digits": 3e-4}  # with the base's mu
CHOICES = {
    "width": (16, 32, 64, 128),
    "weight_decay": (0.1, 0.3, 1.0, 3.0, 10.0),  # times the base's
}
BASE = {"width": 64, "weight_decay": 1.0}
FIELDS = ("task", "choice", "value", "seed", "train_loss", "test_error", "directions", "gap", "seconds")


def cases(seeds: range):
    """Every net once: the base belongs to both curves."""
    seen = set()
    for seed, (choice, values), task in product(seeds, CHOICES.items(), TASKS):
        for value in values:
            settings = tuple(sorted((BASE | {choice: value}).items()))
            if (seed, task, settings) not in seen:
                seen.add((seed, task, settings))
                yield seed, task, settings


def folder_of(seed: int, task: str, settings: tuple) -> Path:
    """Where a run lives."""
    return RUNS / "_".join([task, *(f"{name}{value:g}" for name, value in settings), f"seed{seed}"])


def recipe_of(seed: int, task: str, settings: tuple):
    """The base with one choice changed."""
    from leaky_zoo.training import Recipe

    chosen = dict(settings)
    if task == "digits":
        data = f"optical_digits/fold_{seed % 5}"
    else:
        data = str(teacher_file(RUNS / f"teacher_seed{seed}.npz", (30, 3, 30), seed=seed))
    return Recipe.from_dict({
        "name": f"choosing_{task}", "data": {"name": data, "batch_size": "full"}, "seed": seed, "log_every": 500,
        "network": {"width": chosen["width"], "depth": 12, "effective_depth": 7.0},
        "objective": {"weight_decay": TASKS[task] * chosen["weight_decay"], "ramp": 0.2},
        "optimizer": {"steps": 2000, "learning_rate": 1e-2},
    })  # fmt: skip


def measure_all() -> None:
    """Losses and the sharpest gap of the weights of every net that is there."""
    import numpy as np

    from leaky_zoo.cli.console import track
    from leaky_zoo.geometry import largest_gap
    from leaky_zoo.io.reading import read_json
    from leaky_zoo.zoo import load_model

    rows = []
    for task, (choice, values), seed in track("measuring")(list(product(TASKS, CHOICES.items(), range(20)))):
        for value in values:
            folder = folder_of(seed, task, tuple(sorted((BASE | {choice: value}).items())))
            if not (folder / "result.json").exists():
                continue
            run, net = read_json(folder / "result.json"), load_model(folder / "model.keras")
            spectra = [np.linalg.svd(block.weight_matrix, compute_uv=False) for block in net.blocks]
            directions, gap = max(map(largest_gap, spectra), key=lambda found: found[1] or 0.0)
            test = run["metrics"]["test"]
            rows.append({
                "task": task, "choice": choice, "seed": seed, "directions": directions, "gap": gap,
                "value": value * TASKS[task] if choice == "weight_decay" else float(value),
                "train_loss": run["metrics"]["train"]["loss"],
                "test_error": 100 * (1 - test["accuracy"]) if "accuracy" in test else test["loss"],
                "seconds": run["seconds"],
            })  # fmt: skip
    write_rows(TABLE, FIELDS, rows, ("task", "choice", "value", "seed"))
    print(f"{len(rows)} rows")


def draw() -> None:
    """For each choice: test error and sharpest gap, mean and 95% interval over seeds."""
    from matplotlib.figure import Figure

    from leaky_zoo.io.files import replacing

    rows = read_rows(TABLE)
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
    with replacing(IMAGES / "choosing.png") as aside:
        figure.savefig(aside, dpi=100)


if __name__ == "__main__":
    chosen = parse(__doc__, "0-2")
    if chosen.step == "train":
        train_missing(cases(chosen.seeds), folder_of, recipe_of, chosen.shard)
    else:
        {"measure": measure_all, "draw": draw}[chosen.step]()
