"""Every schedule on every task, seed and mu: objective and test error after Adam and again after L-BFGS.

    python benchmarks/science/step_sizes/study.py train [--tasks T,..] [--schedules S,..] [--seeds 0-9] [--shard I/N]
    python benchmarks/science/step_sizes/study.py collect          writes results.csv and details.csv

Runs are resumable and none is done twice. Pairs share data, the random draws of the initial weights (the initialiser
scales them by the step), layers and optimiser steps.
The test error is the standardised mean squared error, or the share of wrong labels.
"""

import argparse
import csv
import json
import os
from itertools import product
from pathlib import Path

from tasks import MUS, SCHEDULES, TASKS, recipe_of

from leaky_zoo.cli.console import track
from leaky_zoo.io.files import replacing

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parent
RUNS = ROOT.parents[1] / "build" / "step_sizes"
RESULTS, DETAILS = ROOT / "results.csv", ROOT / "details.csv"
FIELDS = ("task", "schedule", "seed", "mu", "phase", "objective", "test_error")
MORE = ("task", "schedule", "seed", "mu", "phase", "data_loss", "test_loss", "penalty", "iterations",
        "largest_residual", "step_sizes")  # fmt: skip


def cases(tasks, schedules, mus, seeds):
    """Pairs come together: all schedules of a seed before the next seed."""
    for seed, mu_place, task in product(seeds, mus, tasks):
        for schedule in schedules:
            yield task, schedule, seed, MUS[task][mu_place]


def folder_of(task: str, schedule: str, seed: int, mu: float) -> Path:
    """Where a run lives."""
    return RUNS / f"{task}_{schedule}_mu{mu:g}_seed{seed}"


def state_of(network, x, y, test) -> dict:
    """Objective and errors of a network at full mu, in float64."""
    import numpy as np

    from leaky_zoo.networks.evaluation import evaluate_network
    from leaky_zoo.training.lbfgs import Objective

    twin = network.astype("float64")
    objective = Objective(twin, x, y)
    value = objective(objective.get())[0]
    held, seen = evaluate_network(twin, *test), evaluate_network(twin, x, y)
    error = 1 - held["accuracy"] if "accuracy" in held else held["loss"]
    return {
        "objective": value, "test_error": error, "data_loss": seen["loss"], "test_loss": held["loss"],
        "penalty": value - seen["loss"], "step_sizes": np.round(twin.paths[0].step_sizes, 6).tolist(),
    }  # fmt: skip


def start_like_equal_steps(network) -> None:
    """Scale the first weights to the variance that equal steps would have started with."""
    from leaky_zoo.layers.initializers import LeakyVariance

    depth = network.settings["depth"]
    for block, rho in network.paths[0].steps:
        equal, own = (LeakyVariance(network.effective_depth, r).standard_deviation(1) for r in (1 / depth, float(rho)))
        block.kernel.assign(block.kernel * (equal / own))


def train_one(task: str, schedule: str, seed: int, mu: float) -> None:
    """One run, with a record after each phase."""
    import keras

    from leaky_zoo.data import load_data
    from leaky_zoo.io.files import write_json
    from leaky_zoo.training import train

    folder = folder_of(task, schedule, seed, mu)
    if (folder / "lbfgs.json").exists():
        return
    recipe = recipe_of(task, schedule, seed, mu, RUNS)
    data = load_data(recipe.data.name)
    (x, y), test = data.select(recipe.data.train), data.select(recipe.data.test)

    class Record(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            if schedule.endswith("_same_start"):  # a checkpoint, if there is one, is restored after this
                start_like_equal_steps(self.model)

        def on_train_end(self, logs=None):
            write_json(folder / "adam.json", state_of(self.model, x, y, test))

    network, result = train(recipe, folder, resume=True, callbacks=[Record()])
    found = state_of(network.astype("float64"), x, y, test)
    residuals = result.lbfgs["criticality_residuals"]
    found |= {"iterations": result.lbfgs["iterations"], "largest_residual": max(residuals)}
    # What the float64 phase reached; the saved net is rounded to float32.
    found["objective"] = result.lbfgs["objective"]
    write_json(folder / "lbfgs.json", found)
    print(folder.name, f"{result.seconds:.0f} s", f"{found['objective']:.5f} {found['test_error']:.5f}",
          f"residual {max(residuals):.3f} after {found['iterations']}", flush=True)  # fmt: skip


def train_all(arguments: argparse.Namespace) -> None:
    """Train what is missing, one thread, so that two shards fill two cores."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    place, count = map(int, arguments.shard.split("/"))
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    todo = cases(arguments.tasks.split(","), arguments.schedules.split(","), map(int, arguments.mus.split(",")), seeds)
    done = read_table(RESULTS)
    for row, (task, schedule, seed, mu) in enumerate(todo):
        if row % count == place - 1 and (task, schedule, str(seed), f"{mu:g}", "lbfgs") not in done:
            train_one(task, schedule, seed, mu)


def collect() -> None:
    """Bring the tables up to date with the runs that are done; rows of runs made elsewhere stay."""
    rows, more = read_table(RESULTS), read_table(DETAILS)
    known = product(TASKS, SCHEDULES, (0, 1), range(100))
    for task, schedule, mu_place, seed in track("reading")(list(known)):
        mu = MUS[task][mu_place]
        folder = folder_of(task, schedule, seed, mu)
        if not (folder / "lbfgs.json").exists():
            continue
        for phase in ("adam", "lbfgs"):
            found = json.loads((folder / f"{phase}.json").read_text(encoding="utf-8"))
            key = (task, schedule, str(seed), f"{mu:g}", phase)
            about = dict(zip(FIELDS, key, strict=False))
            digits = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in found.items()}
            digits["step_sizes"] = " ".join(f"{step:.4f}" for step in found["step_sizes"])
            rows[key] = about | {name: digits[name] for name in FIELDS[5:]}
            more[key] = about | {name: digits.get(name, "") for name in MORE[5:]}
    for path, fields, values in ((RESULTS, FIELDS, rows), (DETAILS, MORE, more)):
        with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: values[key].get(name, "") for name in fields} for key in sorted(values))
    print(f"{len(rows) // 2} runs")


def read_table(path: Path) -> dict[tuple[str, ...], dict]:
    """The rows of a table by task, schedule, seed, mu and phase; none if there is no table."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {tuple(row[name] for name in FIELDS[:5]): row for row in csv.DictReader(file)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train", "collect"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--schedules", default="equidistant")
    parser.add_argument("--mus", default="0,1", help="places in the task's pair of mu")
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--shard", default="1/1")
    chosen = parser.parse_args()
    collect() if chosen.command == "collect" else train_all(chosen)
