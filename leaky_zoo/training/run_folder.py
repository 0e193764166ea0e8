"""The files of one training run: which run a folder holds, who trains in it, its log, its checkpoints, its result."""

import csv
import io
import json
import os
import socket
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import remove_asides, write_json, writing
from leaky_zoo.io.reading import shown
from leaky_zoo.training.callbacks import StepCallback
from leaky_zoo.training.checkpoint import Checkpoints
from leaky_zoo.zoo.recipe import Recipe

# What does not change the result of a run: where it runs, how often it is saved, what is said of it.
_FREE = ("strategy", "devices", "checkpoint_every", "keep_checkpoints", "publish")


class RunFolder:
    """Paths of a run, and the checks that keep two runs apart. Entered, it holds the folder's lock.

    Args:
        path: the folder; made when entered.
        recipe: the recipe to run.
        resume: whether to go on with a run in it; an empty folder starts one.

    Raises:
        InvalidInputError: the folder holds a run and `resume` is False, or a run of another recipe.
    """

    def __init__(self, path: Path, recipe: Recipe, resume: bool) -> None:
        self.path, self.recipe, self.resume = path, recipe, resume
        self.recipe_file, self.log = path / "recipe.yaml", path / "log.csv"
        self.model, self.result = path / "model.keras", path / "result.json"
        self.checkpoints = Checkpoints(path / "checkpoints", recipe.keep_checkpoints)
        # The operating system releases it when its process dies, whatever the cause.
        self._lock = FileLock(path / ".lock", thread_local=False)
        self._owner = path / ".lock-owner.json"
        self.check()

    def check(self) -> None:
        """Refuse a folder that cannot hold this run."""
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInputError(f"{self.path} is a file; a run needs a folder.")
        if not self.recipe_file.exists():
            if self.checkpoints.names():
                raise InvalidInputError(f"{self.path} holds checkpoints of an unknown recipe: choose another folder.")
            return
        if not self.resume:
            raise InvalidInputError(
                f"{self.path} holds a run already: add --resume to go on, or choose another folder."
            )
        kept = Recipe.read(self.recipe_file)
        there, here = (same_training(recipe).model_dump(mode="json") for recipe in (kept, self.recipe))
        if there != here:
            raise InvalidInputError(
                f"{self.recipe_file} is not the recipe to resume: {_first_difference(there, here)}. A run goes on as "
                "it began; for another recipe choose another folder."
            )

    @property
    def finished(self) -> bool:
        """Whether the run has ended: its result is the last thing it writes."""
        return self.result.exists() and self.model.exists()

    def __enter__(self) -> "RunFolder":
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(blocking=False)
            except Timeout as error:
                raise InvalidInputError(f"{self.path} is in use: {self._holder()} trains in it.") from error
        try:
            self.check()  # again: another process may have started a run in between
            remove_asides(self.path)
            self.checkpoints.clean()
            write_json(self._owner, {"pid": os.getpid(), "host": socket.gethostname()})
            if not self.recipe_file.exists():
                self.recipe.write(self.recipe_file)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _holder(self) -> str:
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            return f"process {owner['pid']} on {owner['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def same_training(recipe: Recipe) -> Recipe:
    """The recipe without what does not change its result."""
    return recipe.model_copy(update={name: Recipe.model_fields[name].default for name in _FREE})


class EpochLog(StepCallback):
    """One CSV row for each epoch. A resumed run cuts off the rows that were written after its checkpoint.

    Args:
        path: the file.
        first_step: step at which training begins; at 0 the file starts empty. Default 0.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        super().__init__(first_step)
        self.path = path

    def on_train_begin(self, logs: Any = None) -> None:
        if self.step == 0:
            with writing(self.path):
                self.path.write_bytes(b"")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        values = {name: float(value) for name, value in sorted((logs or {}).items())}
        row = io.StringIO(newline="")
        writer = csv.writer(row, lineterminator="\n")
        # Opened for each row: an interrupted run leaves whole rows and no open file.
        with writing(self.path), self.path.open("ab") as file:
            before = file.tell()
            if before == 0:
                writer.writerow(["epoch", "step", *values])
            writer.writerow([epoch + 1, self.step, *values.values()])
            try:
                file.write(row.getvalue().encode())
                file.flush()
            except OSError:
                os.ftruncate(file.fileno(), before)  # a full disk takes half a row
                raise

    def get_state(self) -> dict[str, Any]:
        with writing(self.path), self.path.open("rb") as file:
            os.fsync(file.fileno())  # a checkpoint must not outlive the rows it counts
            return {"bytes": file.seek(0, os.SEEK_END)}

    def set_state(self, state: dict[str, Any]) -> None:
        try:
            with writing(self.path), self.path.open("r+b") as file:
                if file.seek(0, os.SEEK_END) < state["bytes"]:
                    raise CheckFailedError(
                        f"{self.path} has lost rows since the checkpoint: train into another folder."
                    )
                file.truncate(state["bytes"])
        except FileNotFoundError as error:
            raise CheckFailedError(f"{self.path} is missing: train into another folder.") from error


def _first_difference(there: Any, here: Any, place: str = "") -> str:
    """The first field in which two recipes, as plain data, differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}, key=str):
            if there.get(key) != here.get(key):
                return _first_difference(there.get(key), here.get(key), f"{place}.{key}" if place else str(key))
    return f"{place} is {shown(there)} there and {shown(here)} here"
