"""Claims: what README.md and docs/ say in sentences, read again from the committed tables and presets.

    python -m benchmarks.claims            names the claims that do not hold, and ends with 1 if there are any

`docs/claims.yaml` has a list for each page: a fragment of a sentence, and for each of its numbers, as they are written,
an expression of what it must be. An expression knows numbers, arithmetic, comparisons, lists and these functions:

- `cells(table, column, **where)`: the numbers of a column (words, where they are none) of `benchmarks/<table>.csv`, in
  the rows whose cells equal what `where` says, or are one of a list of it;
- `paired(table, column, by, first, second)`: the differences first - second of a column, for each value of the column
  `by` that both have; `first` and `second` are calls `rows(**where)`;
- `preset(name, field)`: of `models/<name>`, a field by its path from `metadata`, `recipe` or `audit`; all matching
  presets, sorted by name, where the name has a `*`;
- `measured`: those of a column that are not empty; `mean`, `least`, `largest`, `deviation`, `half` (of the 95%
  interval), `count` (how many are true), `size`.

What is written must be what comes out, rounded to its digits, or within `tolerance` of it.
"""

import ast
import csv
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, interval, options
from leaky_zoo.io.reading import read_json, read_yaml

CLAIMS = ROOT / "docs" / "claims.yaml"
OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.USub: operator.neg, ast.Pow: pow,
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """One number of one sentence.

    Attributes:
        page: that it stands in.
        text: fragment of the sentence, its white space as in the file or not.
        written: the number as it is written in the fragment.
        expression: what it must be.
        tolerance: by how much it may differ; None: half of its last digit.
    """

    page: str
    text: str
    written: str
    expression: str
    tolerance: float | None = None


def read_claims(path: Path = CLAIMS) -> Iterator[Claim]:
    """The claims of a file, one for each number."""
    for page, entries in read_yaml(path, "claims").items():
        for entry in entries:
            for written, expression in entry["says"]:
                yield Claim(page, entry["text"], str(written), str(expression), entry.get("tolerance"))


class Source:
    """Where the numbers come from.

    Args:
        root: folder of `benchmarks/` and `models/`. Default: the repository.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._table = cache(self._read)
        self._stored = cache(self._read_preset)
        self._functions = {
            "cells": self.cells, "paired": self.paired, "preset": self.preset, "rows": dict, "mean": np.mean,
            "least": np.min, "largest": np.max, "deviation": lambda values: np.std(values, ddof=1),
            "half": lambda values: interval(np.asarray(values))[1], "count": np.count_nonzero, "size": np.size,
            "total": np.sum, "absolute": np.abs, "measured": lambda values: values[~np.isnan(values)],
        }  # fmt: skip

    def value(self, expression: str) -> Any:
        """What an expression comes to."""
        return self._walk(ast.parse(expression, mode="eval").body)

    def cells(self, table: str, column: str, **where: Any) -> np.ndarray:
        """See the module."""
        found = [row[column] for row in self._rows(table, where)]
        if not found:
            raise ValueError(f"no row of {table} has {where}")
        return _numbers(found)

    def paired(self, table: str, column: str, by: str, first: dict, second: dict) -> np.ndarray:
        """See the module."""
        one, other = ({row[by]: float(row[column]) for row in self._rows(table, w)} for w in (first, second))
        both = [key for key in one if key in other]
        if not both:
            raise ValueError(f"no pair in {table}: {first}, {second}")
        return np.array([one[key] - other[key] for key in both])

    def preset(self, name: str, field: str) -> Any:
        """See the module."""
        names = sorted(p.name for p in (self.root / "models").iterdir() if fnmatch(p.name, name))
        if not names:
            raise ValueError(f"no preset is called {name}")
        found = [self._field(each, field.split(".")) for each in names]
        return np.array([value for value in found if value is not None]) if "*" in name else found[0]

    def _field(self, name: str, path: list[str]) -> Any:
        value = self._stored(name, path[0])
        for key in path[1:]:
            value = value[int(key)] if isinstance(value, list) else value[key]
        return value

    def _rows(self, table: str, where: dict[str, Any]) -> list[dict[str, str]]:
        def fits(row: dict[str, str]) -> bool:
            return all(
                any(_same(row[key], each) for each in (value if isinstance(value, list) else [value]))
                for key, value in where.items()
            )

        return [row for row in self._table(table) if fits(row)]

    def _read(self, table: str) -> list[dict[str, str]]:
        with (self.root / "benchmarks" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _read_preset(self, name: str, part: str) -> Any:
        folder = self.root / "models" / name
        return read_yaml(folder / "recipe.yaml", part) if part == "recipe" else read_json(folder / f"{part}.json")

    def _walk(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.List):
            return [self._walk(each) for each in node.elts]
        if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](self._walk(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](self._walk(node.left), self._walk(node.right))
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in OPERATORS:
            return OPERATORS[type(node.ops[0])](self._walk(node.left), self._walk(node.comparators[0]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self._functions:
            named = {word.arg: self._walk(word.value) for word in node.keywords if word.arg}
            return self._functions[node.func.id](*map(self._walk, node.args), **named)
        raise ValueError(f"an expression cannot hold {ast.unparse(node)!r}")


def _same(cell: str, wanted: Any) -> bool:
    if isinstance(wanted, str | bool):
        return cell == str(wanted)
    try:
        return float(cell) == wanted
    except ValueError:
        return False


def _numbers(cells: list[str]) -> np.ndarray:
    """Numbers, an empty cell being NaN; words as they are."""
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return np.array(cells)


def problem(claim: Claim, source: Source) -> str | None:
    """What is wrong with a claim; None where it holds."""
    page = " ".join((source.root / claim.page).read_text(encoding="utf-8").split())
    text = " ".join(claim.text.split())
    where = f"{claim.page}: {text!r}"
    if page.count(text) != 1:
        return f"{where} stands there {page.count(text)} times, not once"
    if claim.written not in text:
        return f"{where} does not say {claim.written}"
    try:
        found = float(source.value(claim.expression))
    except (ValueError, TypeError, KeyError, OSError, SyntaxError) as error:
        return f"{where}: {claim.written} cannot be read again: {error}"
    written = float(claim.written.replace(",", ""))
    digits = len(claim.written.partition(".")[2])
    tolerance = 0.5000001 * 10.0**-digits if claim.tolerance is None else claim.tolerance
    return None if abs(found - written) <= tolerance else f"{where} says {claim.written}; it is {found:.6g}"


def problems(source: Source | None = None) -> list[str]:
    """Of all claims."""
    source = source or Source()
    return [words for claim in read_claims() if (words := problem(claim, source))]


if __name__ == "__main__":
    options(__doc__)
    wrong = problems()
    print("\n".join(wrong) or f"All {len(list(read_claims()))} claims hold.")
    if wrong:
        raise SystemExit(1)
