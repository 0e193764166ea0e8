"""Checkpoints: all that moves in a run, as plain arrays and JSON, written whole or not at all, verified when read.

One folder for each: `arrays.npz` (weights, optimiser, kept best weights, ...), `state.json` (counters, sums, the loss
scale, ...) and `manifest.json` with the sha256 of both. No pickles anywhere.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.io.files import making_folder, remove_asides, sha256

FORMAT = 1
_NAME = re.compile(r"^step-\d{9}(-trained(-lbfgs-\d{6})?)?$")


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds.

    Attributes:
        step: optimiser steps done.
        iteration: None while the optimiser trains; afterwards the L-BFGS iterations done.
        arrays: numpy arrays by name.
        state: JSON values by name.
    """

    step: int
    iteration: int | None
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run, newest last.

    Args:
        folder: where they are; made by the first `write`.
        keep: how many to keep, at least 1. Default 2: the newest, and one before it should it be damaged.

    Example:
    >>> import tempfile
    >>> checkpoints = Checkpoints(Path(tempfile.mkdtemp()), keep=1)
    >>> for step in (10, 20):
    ...     checkpoints.write(Checkpoint(step, None, {"w": np.ones(2)}, {"loss_scale": 1.0}))
    >>> checkpoints.names()
    ['step-000000020']
    >>> checkpoints.latest().arrays["w"]
    array([1., 1.])
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def names(self) -> list[str]:
        """Names of the checkpoints, oldest first; whether they are sound shows when they are read."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if _NAME.match(path.name))

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint atomically, then remove the oldest beyond `keep`.

        Raises:
            WriteFailedError: disk full or read-only; the checkpoints that were there are intact.
        """
        target = self.folder / name_of(checkpoint.step, checkpoint.iteration)
        if target.exists():
            try:
                self.read(target.name)
                return  # a run is a function of its recipe: what would be written is there
            except CheckFailedError:
                self._remove(target)  # the damaged one that this run has fallen back from
        arrays: dict[str, Any] = dict(checkpoint.arrays)
        with making_folder(target) as aside:
            with (aside / "arrays.npz").open("wb") as file:
                np.savez(file, **arrays)
            (aside / "state.json").write_text(json.dumps(checkpoint.state, allow_nan=False), encoding="utf-8")
            manifest = {
                "format": FORMAT,
                "step": checkpoint.step,
                "iteration": checkpoint.iteration,
                "sha256": {name: sha256(aside / name) for name in ("arrays.npz", "state.json")},
            }
            (aside / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        for name in self.names()[: -self.keep]:
            self._remove(self.folder / name)

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is sound, or None where there is none at all.

        Raises:
            CheckFailedError: there are checkpoints and none of them is sound; the message says what is wrong.
        """
        problems = []
        for name in reversed(self.names()):
            try:
                return self.read(name)
            except CheckFailedError as error:
                problems.append(str(error))
        if problems:
            raise CheckFailedError(
                f"No checkpoint in {self.folder} is sound: {'; '.join(problems)}. Train into another folder."
            )
        return None

    def read(self, name: str) -> Checkpoint:
        """Read one checkpoint and verify it against its manifest.

        Raises:
            CheckFailedError: a file is missing or is not the one that was written.
        """
        path = self.folder / name
        try:
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
            digests = dict(manifest["sha256"])
            step, iteration, number = int(manifest["step"]), manifest["iteration"], manifest["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckFailedError(f"{path / 'manifest.json'} is damaged or missing") from error
        if number != FORMAT:
            raise CheckFailedError(f"{path} has format {number!r}; this version reads {FORMAT}")
        for file in ("arrays.npz", "state.json"):
            try:
                found = sha256(path / file)
            except OSError as error:
                raise CheckFailedError(f"{path / file} is missing") from error
            if found != digests.get(file):
                raise CheckFailedError(f"{path / file} is not what its manifest says it is")
        with np.load(path / "arrays.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return Checkpoint(step, iteration, arrays, json.loads((path / "state.json").read_text(encoding="utf-8")))

    def clean(self) -> int:
        """Remove what killed writers left; returns how many there were. Only for the holder of the run's lock."""
        return remove_asides(self.folder)

    def _remove(self, path: Path) -> None:
        # Out of sight first: a kill halfway through must not leave half a checkpoint under its name.
        hidden = path.with_name(f".aside-removed-{path.name}")
        shutil.rmtree(hidden, ignore_errors=True)
        path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def name_of(step: int, iteration: int | None = None) -> str:
    """Folder name of a checkpoint; names sort by progress."""
    suffix = "" if iteration is None else "-trained" if iteration == 0 else f"-trained-lbfgs-{iteration:06d}"
    return f"step-{step:09d}{suffix}"
