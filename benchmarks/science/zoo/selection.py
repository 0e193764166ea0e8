"""How the recipes of the small presets were chosen: candidates on the first part of the training split.

    python -m benchmarks.science.zoo.selection train [--data mnist1d,wine]     in this process, one net at a time
    python -m benchmarks.science.zoo.selection measure                          writes selection.csv

Metrics are those of the rest of the training split; the test split is not looked at. `cases` has the candidates: a base
recipe for each data set and what each of them changes in it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import options, read_table, write_table
from benchmarks.science.studies import finished, run_here, sweep_of

TABLE = Path(__file__).with_suffix(".csv")
TABLES = {
    "data": {"batch_size": 32, "train": "train[:80%]", "validation": "train[80%:]"},
    "network": {"width": 32, "depth": 6, "effective_depth": 3.0},
    "objective": {"weight_decay": 1e-3, "io_weight_decay": 3e-3},
    "optimizer": {"learning_rate": 3e-3, "epochs": 60},
}


def _signal(
    stride: int = 2, width: int = 32, mixup: float = 0.0, noise: float = 0.0, mu: float = 1e-4, epochs: int = 20
) -> dict[str, Any]:
    """A candidate for `mnist1d`."""
    return {
        "network.stem_stride": stride, "network.width": width, "data.mixup": mixup, "data.noise": noise,
        "objective.weight_decay": mu, "optimizer.epochs": epochs,
    }  # fmt: skip


# For each data set: the recipe that all candidates change, and the candidates.
STUDIES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "mnist1d": (
        {
            "data": {"name": "mnist1d", "train": "train[:3600]", "validation": "train[3600:]", "batch_size": 100},
            "network": {"family": "conv", "width": 32, "depth": 6, "effective_depth": 3.0},
            "objective": {"weight_decay": 1e-4, "io_weight_decay": 3e-4},
            "optimizer": {"learning_rate": 4e-3, "epochs": 20, "schedule": "one_cycle", "average": 0.999},
        },
        [
            _signal(),
            _signal(stride=1, width=24),
            _signal(mixup=0.2),
            _signal(mu=1e-3),
            _signal(mixup=0.2, noise=0.02, epochs=40),
            _signal(stride=1, width=24, mixup=0.2, noise=0.02, epochs=40),
        ],
    ),
    **{
        name: (
            TABLES | {"data": TABLES["data"] | {"name": f"{name}/fold_0"}},
            [
                {
                    "objective.weight_decay": mu,
                    "objective.io_weight_decay": round(3 * mu, 3),
                    "data.input_dropout": dropout,
                }
                for mu in (1e-3, 1e-2, 5e-2)
                for dropout in (0.0, 0.1)
            ],
        )
        for name in ("breast_cancer", "wine", "diabetes")
    },
}


def cases(name: str) -> Iterator[dict[str, Any]]:
    """The candidates of a data set, each of the same seed."""
    yield from STUDIES[name][1]


def measure() -> None:
    """One row for each candidate."""
    rows = []
    for name in STUDIES:
        for net in finished(f"zoo_selection_{name}"):
            found = net.result["metrics"]["validation"]
            rows.append({
                "data": name, "candidate": net.name, "validation_loss": found["loss"],
                "validation_accuracy": found.get("accuracy"),
            })  # fmt: skip
    write_table(TABLE, rows, ("data", "candidate"))


def choice(data: str) -> str:
    """What a recipe says of its choice."""
    found = sorted(
        (float(row["validation_loss"]), row["candidate"]) for row in read_table(TABLE) if row["data"] == data
    )
    return f"Validation loss of {len(found)} candidates, lowest first: " + ", ".join(
        f"{name} {loss:.4f}" for loss, name in found
    )


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", data=tuple(STUDIES))
    if chosen.step == "measure":
        measure()
    else:
        for each in chosen.data:
            run_here(sweep_of(f"zoo_selection_{each}", STUDIES[each][0], cases(each)))
