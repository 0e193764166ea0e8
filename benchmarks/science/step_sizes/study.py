"""Every schedule on every task, seed and mu: objective and test error after Adam and again after L-BFGS.

    python -m benchmarks.science.step_sizes.study train [--tasks T,..] [--schedules S,..] [--seeds 0-9] [--shard I/N]
    python -m benchmarks.science.step_sizes.study collect          writes results.csv and details.csv

Runs are resumable and none is done twice. Pairs share data, the random draws of the initial weights (the initialiser
scales them by the step), layers and optimiser steps.
The test error is the standardised mean squared error, or the share of wrong labels.
"""

# No sweep: a record between the phases, weights scaled at the start and schedules of its own are more than a recipe.

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import BUILD, options, read_table, write_table
from benchmarks.science.step_sizes.compare import DETAILS, RESULTS
from benchmarks.science.step_sizes.tasks import MUS, SCHEDULES, TASKS, recipe_of
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import read_json
from leaky_zoo.processes.progress import track
from leaky_zoo.processes.shards import shard_of

KEYS = ("task", "schedule", "seed", "mu", "phase")
FIELDS = ("objective", "test_error")
MORE = ("data_loss", "test_loss", "penalty", "iterations", "largest_residual", "step_sizes")
Case = tuple[str, str, int, float]


def cases(tasks: Iterable[str], schedules: Iterable[str], mus: Iterable[int], seeds: Iterable[int]) -> Iterator[Case]:
    """Pairs come together: all schedules of a seed before the next seed."""
    for seed, mu_place, task in product(seeds, mus, tasks):
        for schedule in schedules:
            yield task, schedule, seed, MUS[task][mu_place]


def folder_of(task: str, schedule: str, seed: int, mu: float) -> Path:
    """Where a run lives."""
    return BUILD / "step_sizes" / f"{task}_{schedule}_mu{mu:g}_seed{seed}"


def state_of(network, x, y, test) -> dict:
    """Objective and errors of a network at full mu, in float64."""
    from leaky_zoo.flow import evaluate_network
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

    depth = len(network.blocks)
    for block, rho in network.paths[0].steps:
        equal, own = (LeakyVariance(network.effective_depth, r).standard_deviation(1) for r in (1 / depth, float(rho)))
        block.kernel.assign(block.kernel * (equal / own))


def train_one(task: str, schedule: str, seed: int, mu: float) -> None:
    """One run, with a record after each phase."""
    import keras

    from leaky_zoo.data import load_data
    from leaky_zoo.training import train

    folder = folder_of(task, schedule, seed, mu)
    if (folder / "lbfgs.json").exists():
        return
    recipe = recipe_of(task, schedule, seed, mu)
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


def train_all(todo: Iterable[Case]) -> None:
    """Train what is in no table yet, one thread, so that two shards fill two cores."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    done = rows_of(RESULTS)
    for task, schedule, seed, mu in todo:
        if (task, schedule, str(seed), f"{mu:g}", "lbfgs") not in done:
            train_one(task, schedule, seed, mu)


def collect() -> None:
    """Bring the tables up to date with the runs that are done; rows of runs made elsewhere stay."""
    rows, more = rows_of(RESULTS), rows_of(DETAILS)
    for task, schedule, seed, mu in track("reading")(cases(TASKS, SCHEDULES, (0, 1), range(100))):
        folder = folder_of(task, schedule, seed, mu)
        if not (folder / "lbfgs.json").exists():
            continue
        for phase in ("adam", "lbfgs"):
            found = read_json(folder / f"{phase}.json")
            key = (task, schedule, str(seed), f"{mu:g}", phase)
            digits = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in found.items()}
            digits["step_sizes"] = " ".join(f"{step:.4f}" for step in found["step_sizes"])
            for place, fields in ((rows, FIELDS), (more, MORE)):
                place[key] = dict(zip(KEYS, key, strict=True)) | {name: digits.get(name) for name in fields}
    for path, values in ((RESULTS, rows), (DETAILS, more)):
        write_table(path, [values[key] for key in sorted(values)])
    print(f"{len(rows) // 2} runs")


def rows_of(path: Path) -> dict[tuple[str, ...], dict]:
    """The rows of a table by task, schedule, seed, mu and phase; none if there is no table."""
    return {tuple(row[name] for name in KEYS): row for row in (read_table(path) if path.exists() else [])}


if __name__ == "__main__":
    # The places of --mus are in each task's pair.
    chosen = options(__doc__, "train", "collect", tasks=TASKS, schedules=("equidistant",), mus=(0, 1), seeds=range(10),
                     shard="1/1")  # fmt: skip
    if chosen.step == "collect":
        collect()
    else:
        train_all(shard_of(list(cases(chosen.tasks, chosen.schedules, chosen.mus, chosen.seeds)), chosen.shard))
