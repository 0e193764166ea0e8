"""The files of a sweep: recipes and runs by name, and what became of each run."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.files import write_json, write_text
from leaky_zoo.io.reading import read_json, shown
from leaky_zoo.sweeps.spec import Cell, Sweep
from leaky_zoo.zoo.recipe import Recipe


class RunState(StrEnum):
    """What is known of a run when nothing is running.

    `WAITING` was never started; `STARTED` was interrupted and goes on from its last checkpoint; `FAILED` ended with an
    error and is run again on request only; `DONE` has a result.
    """

    WAITING = "waiting"
    STARTED = "started"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class Run:
    """Paths of one run.

    Attributes:
        name: the cell's name.
        recipe: its recipe file.
        folder: the folder that `leaky-zoo train` writes.
        status: what the sweep knows of it: attempts, seconds, exit code, message, host, versions.
        log: everything the trainer said, attempt after attempt.
    """

    name: str
    recipe: Path
    folder: Path
    status: Path
    log: Path

    @property
    def result(self) -> Path:
        """The trainer writes it last."""
        return self.folder / "result.json"

    def read_status(self) -> dict[str, Any]:
        """What the sweep knows of the run; `{}` before its first attempt.

        Raises:
            InvalidInputError: the file is damaged.
        """
        if not self.status.exists():
            return {}
        value = read_json(self.status)
        if not isinstance(value, dict):
            raise InvalidInputError(f"{self.status} must hold a JSON object. Received: {shown(value)}")
        return value

    def state(self) -> RunState:
        """See `RunState`."""
        if self.result.is_file():
            return RunState.DONE
        status = self.read_status()
        if status.get("state") == "failed":
            return RunState.FAILED
        return RunState.STARTED if status else RunState.WAITING


class SweepFolder:
    """A folder that holds a sweep.

    Args:
        path: the folder.

    Example:
    >>> SweepFolder("runs/mine").run("seed-0").result.as_posix()
    'runs/mine/runs/seed-0/result.json'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.sweep = self.path / "sweep.yaml"

    def run(self, name: str) -> Run:
        """Paths of the run of that name."""
        return Run(
            name,
            self.path / "recipes" / f"{name}.yaml",
            self.path / "runs" / name,
            self.path / "status" / f"{name}.json",
            self.path / "logs" / f"{name}.log",
        )

    def runs(self) -> list[Run]:
        """Every run that has a recipe here, sorted by name."""
        return [self.run(path.stem) for path in sorted((self.path / "recipes").glob("*.yaml"))]

    def check(self, cells: Sequence[Cell]) -> None:
        """Refuse a folder that holds other recipes under the names of these runs; writes nothing.

        Raises:
            InvalidInputError: it does; the message names run and field.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInputError(f"--out must be a folder. Received: {self.path}")
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not self.sweep.is_file() and not (self.path / "recipes").is_dir():
            raise InvalidInputError(f"{self.path} is neither empty nor a sweep's folder: choose another one.")
        for cell in cells:
            run = self.run(cell.name)
            for file in (run.recipe, run.folder / "recipe.yaml"):
                if file.exists() and cell.recipe is not None:
                    changed = _difference(Recipe.read(file), cell.recipe)
                    if changed:
                        raise InvalidInputError(
                            f"{file} is another recipe than the sweep's for this run ({changed}): "
                            "finished runs are kept, so give the changed sweep another folder."
                        )

    def prepare(self, sweep: Sweep, cells: Sequence[Cell]) -> None:
        """Write the sweep and the recipes that are not there yet."""
        import yaml

        for name in ("recipes", "runs", "status", "logs"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(sweep.model_dump(mode="json"), sort_keys=False)
        if not self.sweep.is_file() or self.sweep.read_text(encoding="utf-8") != text:
            write_text(self.sweep, text)
        for cell in cells:
            run = self.run(cell.name)
            if cell.recipe is not None and not run.recipe.exists():
                cell.recipe.write(run.recipe)

    def counts(self, cells: Sequence[Cell]) -> Counter[RunState]:
        """How many runs are in each state."""
        return Counter(self.run(cell.name).state() for cell in cells)


def write_status(run: Run, status: dict[str, Any]) -> None:
    """Write what the sweep knows of a run."""
    write_json(run.status, status)


def _difference(old: Recipe, new: Recipe) -> str:
    """The first field that differs, in words; empty where none does."""
    first, second = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    for path in [*first, *second]:
        if first.get(path) != second.get(path):
            return f"{path}: {shown(first.get(path))} there, {shown(second.get(path))} now"
    return ""


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat
