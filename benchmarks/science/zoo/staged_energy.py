"""The Hamiltonian of a staged net near a critical point: conserved along each stage, not across the transition.

    python -m benchmarks.science.zoo.staged_energy train [--seeds 0-2]     in this process, one net at a time
    python -m benchmarks.science.zoo.staged_energy measure                  writes staged_energy.csv

A `LeakyResNet` with two stages, an autoencoder of 40 optical digits; Adam and then L-BFGS in float64 on all of them.
Each stage is a geodesic of its own between two fixed ends: its Hamiltonian (momentum form, of that stage's kernels) is
conserved where the net is at a critical point, to first order in the step. The transition between them is a convolution
with a penalty of its own, not a step of the flow: nothing is conserved across it. The first stage has more layers,
because the digits' variance falls steeply at its beginning. One row for each layer. In the table *spread* is
(max - min) / |mean| of H over the layers of a stage, *largest residual* the worst layer's criticality residual there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown, options, read_table, write_table
from benchmarks.science.studies import finished, run_here, sweep_of

TABLE = Path(__file__).with_suffix(".csv")
STUDY = "zoo_staged_energy"
BASE = {
    "data": {"name": "optical_digits/fold_0", "train": "train[:40]", "batch_size": "full"},
    "network": {
        "family": "resnet", "task": "autoencoding", "widths": [4, 6], "depths": [100, 20], "effective_depth": 2.0,
        "stem_stride": 2,
    },
    "objective": {"weight_decay": 0.015, "ramp": 0.4},
    "optimizer": {"steps": 600, "learning_rate": 1e-2},
    "lbfgs": {"criticality": 0.02, "iterations": 12000},
    "converge": True,
    "log_every": 300,
}  # fmt: skip


def cases(seeds: range) -> Iterator[dict[str, Any]]:
    """A net for each seed."""
    yield from ({"seed": seed} for seed in seeds)


def measure() -> None:
    """One row for each layer of each net."""
    from leaky_zoo.analysis import analyze

    rows = []
    for run in finished(STUDY):
        network, data = run.load()
        split = run.recipe.data.train
        audit = analyze(network, data.select(split)[0], data={"name": data.identifier, "split": split})
        for layer in audit.layers:
            rows.append({
                "seed": run.recipe.seed, "stage": layer.path, "layer": layer.layer, "position": layer.position,
                "hamiltonian": layer.hamiltonian, "rank_from_hamiltonian": layer.rank_from_hamiltonian,
                "kinetic": layer.kinetic_energy, "potential": layer.potential_energy,
                "criticality_residual": layer.criticality_residual,
                "iterations": run.result["lbfgs"]["iterations"],
            })  # fmt: skip
    write_table(TABLE, rows, ("seed", "layer"))


def table() -> str:
    """For each net and stage the mean of H, its spread, and the largest residual."""
    stages: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in read_table(TABLE):
        stages.setdefault((row["seed"], row["stage"]), []).append(row)
    lines = []
    for (seed, stage), rows in stages.items():
        energy, residual = (
            np.array([float(row[key]) for row in rows]) for key in ("hamiltonian", "criticality_residual")
        )
        spread = 100 * np.ptp(energy) / abs(energy.mean())
        lines.append((seed, stage, len(rows), f"{energy.mean():.3f}", f"{spread:.2g}%", f"{residual.max():.3f}"))
    return markdown(("seed", "stage", "layers", "mean of H", "spread of H", "largest residual"), lines)


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", seeds=range(3))
    if chosen.step == "train":
        run_here(sweep_of(STUDY, BASE, cases(chosen.seeds)))
    else:
        measure()
        print(table())
