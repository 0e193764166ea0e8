"""The files of one training run: which run a folder holds, its log and its checkpoints."""

import csv
import json
import time
from pathlib import Path
from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.files import replacing, write_json, write_text
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.callbacks import StepSizeUpdate
from leaky_zoo.training.recipe import Recipe


class RunFolder:
    """Paths of a run, and the checks that keep two runs apart.

    Args:
        path: the folder; made by `start`.
        recipe: the recipe to run.
        resume: whether to go on from a checkpoint in it.

    Raises:
        InvalidInputError: the folder holds a run and `resume` is False, or a run of another recipe.
    """

    def __init__(self, path: Path, recipe: Recipe, resume: bool) -> None:
        self.path, self.recipe, self.resume = path, recipe, resume
        self.recipe_file, self.log = path / "recipe.yaml", path / "log.csv"
        self.checkpoint, self.trace = path / "checkpoint.keras", path / "step_sizes.json"
        self.model, self.result = path / "model.keras", path / "result.json"
        if path.exists() and not path.is_dir():
            raise InvalidInputError(f"{path} is a file; a run needs a folder.")
        if self.recipe_file.exists():
            if not resume:
                raise InvalidInputError(f"{path} holds a run already: add --resume to go on, or choose another folder.")
            if _same_training(Recipe.read(self.recipe_file)) != _same_training(recipe):
                raise InvalidInputError(f"{self.recipe_file} is not the recipe to resume: they differ.")

    def start(self) -> None:
        """Make the folder and write the recipe into it."""
        self.recipe.write(self.recipe_file)

    def load_checkpoint(self) -> LeakyNetwork | None:
        """The network with its optimiser at the last checkpoint, or None for a run that starts."""
        if not (self.resume and self.checkpoint.exists()):
            return None
        return keras.models.load_model(self.checkpoint, safe_mode=True)

    def step_size_trace(self, step: int) -> list[dict[str, Any]]:
        """Updates of the step sizes that were made up to a step."""
        if not step or not self.trace.exists():
            return []
        return [entry for entry in json.loads(self.trace.read_text()) if entry["step"] <= step]


def _same_training(recipe: Recipe) -> Recipe:
    """The recipe without what does not change its result: where it runs."""
    return recipe.model_copy(update={"strategy": "auto", "devices": None})


def steps_done(network: keras.Model) -> int:
    """Optimiser steps so far; by way of a tensor, for a counter that is mirrored over replicas."""
    return int(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(network.optimizer.iterations)))


class EpochLog(keras.callbacks.Callback):
    """One CSV row for each epoch; resuming keeps the rows before its first epoch.

    Args:
        path: the file.
        first_epoch: epoch at which this `fit` begins.
    """

    def __init__(self, path: Path, first_epoch: int) -> None:
        super().__init__()
        self.path, self.first_epoch = path, first_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        rows: list[str] = []
        if self.first_epoch and self.path.exists():
            rows = self.path.read_text(encoding="utf-8").splitlines(keepends=True)[: self.first_epoch + 1]
        write_text(self.path, "".join(rows))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        values = {name: float(value) for name, value in sorted((logs or {}).items())}
        # Opened for each row: an interrupted run leaves whole rows and no open file.
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(["epoch", "step", *values])
            writer.writerow([epoch + 1, steps_done(self.model), *values.values()])


class Checkpoint(keras.callbacks.Callback):
    """Save network and optimiser, atomically, at the end of an epoch and at most every so many seconds.

    Args:
        folder: where to.
        updates: whose trace of step sizes is saved beside.
        seconds: least time between two checkpoints. Default 30.
    """

    def __init__(self, folder: RunFolder, updates: StepSizeUpdate, seconds: float = 30.0) -> None:
        super().__init__()
        self.folder, self.updates, self.seconds = folder, updates, seconds
        self._last = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if time.monotonic() - self._last >= self.seconds:
            self.save()

    def on_train_end(self, logs: Any = None) -> None:
        self.save()

    def save(self) -> None:
        """Write the checkpoint now; the trace first: entries after the checkpoint's step are ignored on reading."""
        write_json(self.folder.trace, self.updates.trace)
        with replacing(self.folder.checkpoint) as aside:
            self.model.save(aside)
        self._last = time.monotonic()
