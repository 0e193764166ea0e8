"""The Hamiltonian of a staged net near a critical point: conserved along each stage, not across the transition.

    python -m benchmarks.science.zoo.staged_energy train [--seeds 0-2]     in this process, one net at a time
    python -m benchmarks.science.zoo.staged_energy measure                  writes staged_energy.csv

A `LeakyResNet` with two stages on optical digits, a classifier of 400 and an autoencoder of 40; Adam and then L-BFGS in
float64 on all of them. Each stage is a geodesic of its own between two fixed ends: its Hamiltonian (momentum form, of
that stage's kernels) is conserved where the net is at a critical point, to first order in the step. The transition
between them is a convolution with a penalty of its own, not a step of the flow: nothing is conserved across it. One
row for each layer. In the table *spread* is (max - min) / |mean| over the layers of a stage, *of K* the same max - min
over that of the kinetic energy, *between* the difference of the stages' means over the mean of both.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown, options, read_table, write_table
from benchmarks.science.studies import finished, run_here, sweep_of

TABLE = Path(__file__).with_suffix(".csv")
STUDY = "zoo_staged_energy"
BASE = {
    "data": {"name": "optical_digits/fold_0", "batch_size": "full"},
    "network": {"family": "resnet", "widths": [4, 6], "depths": [10, 10], "effective_depth": 1.0, "stem_stride": 2},
    "objective": {"ramp": 0.4},
    "optimizer": {"steps": 600, "learning_rate": 1e-2},
    "lbfgs": {"criticality": 0.02},
    "converge": True,
    "log_every": 300,
}
TASKS = {
    "classification": {
        "data.train": "train[:400]", "objective.weight_decay": 0.04, "lbfgs.iterations": 2500, "network.task": None,
    },
    "autoencoding": {
        "data.train": "train[:40]", "objective.weight_decay": 0.005, "lbfgs.iterations": 4000,
        "network.task": "autoencoding",
    },
}  # fmt: skip


def cases(seeds: range) -> Iterator[dict[str, Any]]:
    """A net for each task and seed."""
    for task, seed in product(TASKS.values(), seeds):
        yield {**task, "seed": seed}


def measure() -> None:
    """One row for each layer of each net."""
    from leaky_zoo.analysis import analyze

    rows = []
    for run in finished(STUDY):
        network, data = run.load()
        split = run.recipe.data.train
        x, y = data.select(split)
        targets = None if network.task.from_inputs else y
        audit = analyze(network, x, targets, data={"name": data.identifier, "split": split})
        for layer in audit.layers:
            rows.append({
                "task": network.task.name, "seed": run.recipe.seed,
                "stage": layer.path, "layer": layer.layer, "position": layer.position,
                "hamiltonian": layer.hamiltonian, "rank_from_hamiltonian": layer.rank_from_hamiltonian,
                "kinetic": layer.kinetic_energy, "potential": layer.potential_energy,
                "criticality_residual": layer.criticality_residual,
                "iterations": run.result["lbfgs"]["iterations"],
            })  # fmt: skip
    write_table(TABLE, rows, ("task", "seed", "layer"))


def table() -> str:
    """For each net the spread of each stage, the difference between them, and the residuals."""
    nets: dict[tuple[str, str], dict[str, list[dict[str, str]]]] = {}
    for row in read_table(TABLE):
        nets.setdefault((row["task"], row["seed"]), {}).setdefault(row["stage"], []).append(row)
    lines = []
    for (task, seed), stages in nets.items():
        cells, means = [], []
        for rows in stages.values():
            energy, kinetic, residual = (
                np.array([float(row[key]) for row in rows])
                for key in ("hamiltonian", "kinetic", "criticality_residual")
            )
            means.append(energy.mean())
            spread = 100 * np.ptp(energy) / abs(energy.mean())
            cells += [f"{spread:.2g}%", f"{100 * np.ptp(energy) / np.ptp(kinetic):.2g}%", f"{residual.max():.2f}"]
        cells.append(f"{100 * abs(means[1] - means[0]) / abs(np.mean(means)):.0f}%")
        lines.append((task, seed, *cells))
    stages = (
        f"{words}, {stage} stage" for stage in ("first", "second") for words in ("spread of H", "of K", "residual")
    )
    return markdown(("task", "seed", *stages, "between"), lines)


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", seeds=range(3))
    if chosen.step == "train":
        run_here(sweep_of(STUDY, BASE, cases(chosen.seeds)))
    else:
        measure()
        print(table())
