"""Audits of a run while it trains, from its recipe."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.analysis import AuditCallback
from leaky_zoo.geometry.subsample import even_rows
from leaky_zoo.training.building import data_of
from leaky_zoo.zoo.recipe import Recipe

SAMPLES = 1000


class HeldOutAudits(AuditCallback):
    """An `AuditCallback` on a held-out sample of a recipe's data, for `train(..., callbacks=[...])`.

    The sample is taken when training begins: reading data would set up TensorFlow's devices before the strategy does.

    Args:
        recipe: the run; its validation split is audited, or its test split where it has none: at most 1000 evenly
            spaced samples.
        every: epochs between two audits, at least 1.
        out: folder of the run; rows go to its `energies.csv`, TensorBoard's events to its `events/` where that package
            is installed.
        data_dir: TFDS folder. Default None: as `load_data`.
        live: show a table in the terminal. Default False.

    Raises:
        InvalidInputError: `every` below 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        every: int,
        out: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        live: bool = False,
    ) -> None:
        folder = Path(out)
        events = folder / "events" if find_spec("tensorboard") else None
        super().__init__(np.zeros(0), every=every, csv=folder / "energies.csv", tensorboard=events, live=live)
        self._recipe, self._data_dir = recipe, data_dir

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.x.size:
            split = self._recipe.data.validation or self._recipe.data.test
            data = data_of(self._recipe, self._data_dir)
            x, y = data.select(split)
            rows = even_rows(len(x), SAMPLES)
            self.x, self.y = x[rows], None if y is None else y[rows]
            self.data = {"name": data.identifier, "split": split}
        super().on_train_begin(logs)
