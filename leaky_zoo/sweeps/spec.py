"""A sweep file: one base recipe, and the fields that change from run to run."""

import copy
import hashlib
import itertools
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from leaky_zoo.data.places import beside
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import read_fields, read_yaml, shown
from leaky_zoo.zoo.recipe import Recipe

MAX_RUNS = 10_000
MAX_NAME = 120

FieldPath = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$", max_length=200)]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: of its folder, made of the swept fields and values alone: it does not change when the grid grows.
        fields: `{dotted path: value}` of what is swept.
        recipe: the recipe; None where it is no valid one.
        problem: why it is none; None for a valid one.
    """

    name: str
    fields: dict[str, Any]
    recipe: Recipe | None
    problem: str | None = None


class Sweep(BaseModel):
    """A grid over any fields of a recipe.

    Attributes:
        name: of the sweep; `[a-z0-9_.-]`.
        recipe: the base recipe: a mapping, or the path of a recipe, relative to the sweep's file.
        grid: `{dotted path: values}`; every combination is run.
        cases: mappings of dotted paths to values that change together, as a depth with its effective depth; each is
            combined with the whole grid. Default: none.
        invalid: "fail" refuses a sweep in which some recipe is not valid, "skip" leaves such runs out. Default "fail".

    Example:
    >>> base = {"name": "trial", "data": {"name": "optical_digits"}, "optimizer": {"epochs": 3}}
    >>> sweep = Sweep.from_dict({"name": "trial", "recipe": base, "grid": {"network.depth": [4, 8], "seed": [0, 1]}})
    >>> [cell.name for cell in sweep.cells()]
    ['depth-4__seed-0', 'depth-4__seed-1', 'depth-8__seed-0', 'depth-8__seed-1']
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.\-]*$", max_length=80)
    recipe: dict[str, Any] | Annotated[str, Field(min_length=1)]
    grid: dict[FieldPath, Annotated[list[Any], Field(min_length=1)]] = {}
    cases: list[dict[FieldPath, Any]] = []
    invalid: Literal["fail", "skip"] = "fail"

    @field_validator("grid")
    @classmethod
    def _distinct(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for path, values in grid.items():
            if len({_key(value) for value in values}) < len(values):
                raise ValueError(f"{path} has a value twice")
        return grid

    @model_validator(mode="after")
    def _sweeps_something(self) -> "Sweep":
        if not self.grid and not self.cases:
            raise ValueError("give `grid` or `cases`")
        cased = {path for case in self.cases for path in case}
        if any(case.keys() != cased for case in self.cases):
            raise ValueError("cases: each case must set the same fields")
        if any(path.split(".")[0] == "name" for path in (*self.grid, *cased)):
            raise ValueError("name: cannot be swept; the sweep names its runs")
        both = cased & self.grid.keys()
        if both:
            raise ValueError(f"{', '.join(sorted(both))}: in `grid` and in `cases`")
        if self.size > MAX_RUNS:
            raise ValueError(f"{self.size:,} runs are more than {MAX_RUNS:,}")
        return self

    @property
    def size(self) -> int:
        """Number of runs, invalid ones included."""
        return math.prod(len(values) for values in self.grid.values()) * max(len(self.cases), 1)

    @property
    def fields(self) -> list[str]:
        """Dotted paths of what is swept, in the file's order."""
        return [*(self.cases[0] if self.cases else ()), *self.grid]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Sweep":
        """Read a sweep from YAML; a base recipe that is named by its path is read too.

        Raises:
            InvalidInputError: no such file, not plain YAML, or a field that is wrong; the message names file and field.
        """
        sweep = cls.from_dict(read_yaml(path, "sweep"), str(path))
        if isinstance(sweep.recipe, dict):
            return sweep
        base = read_yaml(Path(path).parent / sweep.recipe, f"recipe named by {path}")
        if not isinstance(base, dict):
            raise InvalidInputError(f"{path}: recipe: {sweep.recipe} must hold a mapping. Received: {shown(base)}")
        data = base.get("data")
        if isinstance(data, dict) and isinstance(data.get("name"), str):
            base["data"] = {**data, "name": beside(data["name"], (Path(path).parent / sweep.recipe).parent)}
        return sweep.model_copy(update={"recipe": base})

    @classmethod
    def from_dict(cls, value: Any, source: str = "sweep") -> "Sweep":
        """A sweep from plain data, with errors that name `source` and the field."""
        return read_fields(cls, value, source, "sweep")

    def cells(self) -> list[Cell]:
        """Every run, with its recipe or the reason why it has none.

        Raises:
            InvalidInputError: the base recipe was not read from its file yet, or two runs would share a name.
        """
        if not isinstance(self.recipe, dict):
            raise InvalidInputError(f"The base recipe must be read first: use Sweep.read. Received: {self.recipe!r}")
        cells = []
        for case in self.cases or [{}]:
            for values in itertools.product(*self.grid.values()):
                cells.append(self._cell({**case, **dict(zip(self.grid, values, strict=True))}))
        names = [cell.name for cell in cells]
        twice = next((name for row, name in enumerate(sorted(names)) if row and sorted(names)[row - 1] == name), None)
        if twice is not None:
            raise InvalidInputError(f"Two runs of the sweep are the same: {twice}.")
        return cells

    def _cell(self, fields: dict[str, Any]) -> Cell:
        name = cell_name(fields)
        base = copy.deepcopy(self.recipe)
        assert isinstance(base, dict)
        try:
            for path, value in fields.items():
                _assign(base, path, value)
            base["name"] = f"{self.name}.{name}"
            return Cell(name, fields, Recipe.from_dict(base, name))
        except InvalidInputError as error:
            return Cell(name, fields, None, str(error).removeprefix(f"{name}: "))


def cell_name(fields: dict[str, Any]) -> str:
    """Folder name of a run: the last part of each field and its value, in the order of the paths.

    >>> cell_name({"seed": 2, "network.effective_depth": 3.0})
    'effective_depth-3__seed-2'
    """
    last = [path.rpartition(".")[2] for path in fields]
    parts = []
    for path in sorted(fields):
        short = path.rpartition(".")[2]
        parts.append(f"{short if last.count(short) == 1 else path}-{_slug(fields[path])}")
    name = "__".join(parts)
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 11]}__{_digest(fields)}"


def _slug(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return (f"{value:g}" if float(f"{value:g}") == value else repr(value)).replace("+", "")
    text = str(value.get("name", "")) if isinstance(value, dict) else str(value)
    slug = re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-.")[:40]
    # What was lost in the name is kept in a hash, so that two values never share a folder.
    return slug if slug == value else f"{slug}-{_digest(value)}".strip("-")


def _assign(base: dict[str, Any], path: str, value: Any) -> None:
    *parts, last = path.split(".")
    target = base
    for row, part in enumerate(parts):
        inner = target.setdefault(part, {})
        if part == "schedule" and isinstance(inner, str):
            inner = target[part] = {"name": inner}
        if not isinstance(inner, dict):
            raise InvalidInputError(f"{path}: {'.'.join(parts[: row + 1])} is not a mapping in the base recipe")
        target = inner
    target[last] = copy.deepcopy(value)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _digest(value: Any) -> str:
    return hashlib.sha256(_key(value).encode()).hexdigest()[:8]
