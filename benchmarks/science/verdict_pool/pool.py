"""The pool's nets: which they are, and how they are trained."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD
from benchmarks.science.verdict_pool import generators, tables
from leaky_zoo.io.files import replacing
from leaky_zoo.io.reading import read_yaml
from leaky_zoo.training import Recipe

RUNS = BUILD / "verdict_pool"
SAMPLES, TEST_SAMPLES = 300, 300
REAL = ("wine", "breast_cancer", "diabetes", "iris", "penguins", "cars", "seattle", "temperatures")


@dataclass(frozen=True)
class Case:
    """One net of the pool.

    Attributes:
        part: "calibration" or "confirmation".
        generator: name of the function that made its data, or of the table.
        arguments: of the generator.
        seed: of data and net.
        effective_depth: `L~`.
    """

    part: str
    generator: str
    arguments: dict[str, float]
    seed: int
    effective_depth: float

    @property
    def name(self) -> str:
        """What tells it from all others."""
        words = [f"{key}{value:g}" for key, value in self.arguments.items()]
        return "_".join([self.generator, *words, f"l{self.effective_depth:g}", f"seed{self.seed}"])

    @property
    def folder(self) -> Path:
        """Where its run is."""
        return RUNS / self.name

    def data(self) -> Path:
        """Its samples as a file, made when first asked for."""
        path = RUNS / "data" / f"{self.name}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            random = np.random.default_rng([self.seed, *map(ord, self.generator)])
            if self.generator in REAL:
                x, y = getattr(tables, self.generator, lambda: tables.sklearn_table(self.generator))()
                order = random.permutation(len(x))[: 2 * SAMPLES]
                x, y, train = x[order], y[order], min(SAMPLES, len(order) * 3 // 4)
            else:
                x, y = getattr(generators, self.generator)(random, SAMPLES + TEST_SAMPLES, **self.arguments)
                train = SAMPLES
            x, y = x.astype(np.float32), y.astype(np.int64 if y.ndim == 1 else np.float32)
            with replacing(path) as aside:
                np.savez_compressed(aside, x=x[:train], y=y[:train], x_test=x[train:], y_test=y[train:])
        return path

    @cached_property
    def recipe(self) -> Recipe:
        """One recipe for all: full batches, the paper's penalty, L-BFGS to a Clarke residual of 0.05."""
        with np.load(self.data()) as stored:
            task = "classification" if stored["y"].ndim == 1 else "regression"
        return Recipe.from_dict(
            {
                "name": self.name.replace(".", "_"),
                "data": {"name": str(self.data()), "batch_size": "full", "task": task},
                "network": {"width": 48, "depth": 14, "effective_depth": self.effective_depth},
                "objective": {"weight_decay": 1e-3, "ramp": 0.4},
                "optimizer": {"steps": 1200, "learning_rate": 4e-3},
                "lbfgs": {"iterations": 2400, "round": 200, "history": 20},
                "converge": True,
                "log_every": 400,
                "checkpoint_every": 1200,
                "seed": self.seed,
            }
        )


def cases(part: str | None = None) -> list[Case]:
    """The nets of a part, or of both, calibration first."""
    found: list[Case] = []
    stored: dict[str, Any] = read_yaml(Path(__file__).with_name("cases.yaml"), "cases of the pool")
    for name, groups in stored.items():
        for group in groups if part in (None, name) else ():
            depth, arguments = float(group.get("effective_depth", 7)), group.get("arguments", {})
            found += [Case(name, group["generator"], arguments, seed, depth) for seed in group["seeds"]]
    return found
