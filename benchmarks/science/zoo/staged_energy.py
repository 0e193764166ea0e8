"""The Hamiltonian of a staged net at a critical point: conserved along each stage, not across the transition.

    python -m benchmarks.science.zoo.staged_energy train [--seeds 0-2]     in this process, one net at a time
    python -m benchmarks.science.zoo.staged_energy measure                  writes staged_energy.csv

A `LeakyResNet` with two stages on 40 images of optical digits, Adam and then L-BFGS in float64 on all of them. Each
stage is a geodesic of its own between two fixed ends: its Hamiltonian (momentum form, of that stage's kernels) is
conserved where the net is at a critical point, to first order in the step. The transition between them is a convolution
with a penalty of its own, not a step of the flow: nothing is conserved across it. One row for each layer; `spread` is
(max - min) / |mean| over the layers of a stage, `between` the difference of the stages' means over the mean of both.
"""

from pathlib import Path

import numpy as np

from benchmarks.common import markdown, options, read_table, write_table
from benchmarks.science.studies import finished, run_here, sweep_of

TABLE = Path(__file__).with_suffix(".csv")
STUDY = "zoo_staged_energy"
BASE = {
    "data": {"name": "optical_digits/fold_0", "train": "train[:40]", "batch_size": "full"},
    "network": {"family": "resnet", "widths": [4, 6], "depths": [10, 10], "effective_depth": 1.0, "stem_stride": 2},
    "objective": {"weight_decay": 5e-3, "ramp": 0.4},
    "optimizer": {"steps": 600, "learning_rate": 1e-2},
    "lbfgs": {"iterations": 15_000, "criticality": 0.02},
    "converge": True,
    "log_every": 300,
}


def measure() -> None:
    """One row for each layer of each net."""
    from leaky_zoo.analysis import analyze

    rows = []
    for run in finished(STUDY):
        network, data = run.load()
        split = run.recipe.data.train
        audit = analyze(network, *data.select(split), data={"name": data.identifier, "split": split})
        for layer in audit.layers:
            rows.append({
                "seed": run.recipe.seed, "stage": layer.path, "layer": layer.layer, "position": layer.position,
                "hamiltonian": layer.hamiltonian, "rank_from_hamiltonian": layer.rank_from_hamiltonian,
                "kinetic": layer.kinetic_energy, "potential": layer.potential_energy,
                "criticality_residual": layer.criticality_residual,
                "iterations": run.result["lbfgs"]["iterations"],
            })  # fmt: skip
    write_table(TABLE, rows, ("seed", "layer"))


def spreads() -> list[dict[str, float]]:
    """For each seed the spread of each stage, the difference between them, and the largest residual."""
    found: dict[str, dict[str, list[float]]] = {}
    residuals: dict[str, list[float]] = {}
    for row in read_table(TABLE):
        found.setdefault(row["seed"], {}).setdefault(row["stage"], []).append(float(row["hamiltonian"]))
        residuals.setdefault(row["seed"], []).append(float(row["criticality_residual"]))
    result = []
    for seed, stages in found.items():
        first, second = (np.array(values) for values in stages.values())
        means = np.array([first.mean(), second.mean()])
        result.append({
            "seed": int(seed),
            "first": float(np.ptp(first) / abs(means[0])),
            "second": float(np.ptp(second) / abs(means[1])),
            "between": float(abs(means[1] - means[0]) / abs(means.mean())),
            "residual": max(residuals[seed]),
        })  # fmt: skip
    return result


def table() -> str:
    """The spreads as a page has them."""
    lines = [
        (row["seed"], *(f"{100 * row[key]:.1f}%" for key in ("first", "second", "between")), f"{row['residual']:.3f}")
        for row in spreads()
    ]
    columns = ("seed", "spread of H, first stage", "second stage", "between the stages", "largest residual")
    return markdown(columns, lines)


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", seeds=range(3))
    if chosen.step == "train":
        run_here(sweep_of(STUDY, BASE, [{"seed": seed} for seed in chosen.seeds]))
    else:
        measure()
        print(table())
