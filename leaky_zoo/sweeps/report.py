"""What a sweep found: one row for each run, and mean and spread over seeds."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import read_json
from leaky_zoo.sweeps.folder import Run, RunState, SweepFolder
from leaky_zoo.sweeps.spec import Sweep
from leaky_zoo.zoo.recipe import Recipe

SEED = "seed"


def open_sweep(folder: SweepFolder) -> Sweep:
    """The sweep that a folder holds.

    Raises:
        InvalidInputError: it holds none.
    """
    if not folder.sweep.is_file():
        raise InvalidInputError(f"{folder.path} holds no sweep: there is no sweep.yaml in it.")
    return Sweep.read(folder.sweep)


def collect_rows(folder: SweepFolder, sweep: Sweep) -> list[dict[str, Any]]:
    """One row for each run that has a recipe in the folder.

    Args:
        folder: the sweep's folder.
        sweep: what it holds, for the order of the swept fields.

    Returns:
        In the order of the grid, dicts with `run`, `state`, every swept field by its dotted path, `seed`, `objective`
        (data term plus penalty on the training data: as the L-BFGS phase reports it, else its mean over the last
        logged epoch), the metrics as `split/metric`, `seconds` (of all attempts), `attempts`, `threads`, `converged`
        (of an L-BFGS phase with a residual to reach), `device`, `host`, the versions as `version/package`, and
        `message` of what failed. What is not known is None.

    Raises:
        InvalidInputError: a damaged result; the message names the file.
    """
    place = {cell.name: row for row, cell in enumerate(sweep.cells())}
    runs = sorted(folder.runs(), key=lambda run: (place.get(run.name, len(place)), run.name))
    rows = [_row(run, sweep) for run in runs]
    columns: dict[str, None] = {}
    for row in rows:
        columns |= dict.fromkeys(row)
    # Metrics of every run in one place, whatever the first run has.
    order = sorted(columns, key=_rank)
    return [{name: row.get(name) for name in order} for row in rows]


def summarize_rows(rows: Sequence[dict[str, Any]], sweep: Sweep) -> list[dict[str, Any]]:
    """Mean and spread over seeds, for each combination of the other swept fields; finished runs only.

    Returns:
        Dicts with the swept fields but the seed, `runs`, and for each metric and the objective `<metric> mean` and
        `<metric> std` (of the sample, None for one run).
    """
    fields = [name for name in sweep.fields if name != SEED]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["state"] == RunState.DONE:
            groups.setdefault(repr([row[name] for name in fields]), []).append(row)
    result = []
    for group in groups.values():
        summary: dict[str, Any] = {name: group[0][name] for name in fields} | {"runs": len(group)}
        for metric in measures(rows):
            values = [row[metric] for row in group if row[metric] is not None]
            summary[f"{metric} mean"] = statistics.fmean(values) if values else None
            summary[f"{metric} std"] = statistics.stdev(values) if len(values) > 1 else None
        result.append(summary)
    return result


def measures(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The metrics that some finished run has, and the objective."""
    names = [name for name in (rows[0] if rows else ()) if "/" in name and not name.startswith("version/")]
    return [name for name in ("objective", *names) if any(row[name] is not None for row in rows)]


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["run"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(run: Run, sweep: Sweep) -> dict[str, Any]:
    recipe, status = Recipe.read(run.recipe), run.read_status()
    plain = recipe.model_dump(mode="json")
    row: dict[str, Any] = {"run": run.name, "state": run.state().value}
    row |= {path: _lookup(plain, path) for path in sweep.fields}
    row |= {SEED: recipe.seed, "objective": None, "seconds": status.get("seconds"), "attempts": status.get("attempts")}
    row |= {"threads": status.get("threads"), "converged": None, "device": None, "host": status.get("host")}
    row |= {f"version/{name}": number for name, number in status.get("versions", {}).items()}
    row["message"] = None if row["state"] == RunState.DONE else status.get("message")
    if row["state"] == RunState.DONE:
        result = read_json(run.result)
        metrics = result.get("metrics") if isinstance(result, dict) else None
        if not isinstance(metrics, dict) or not all(isinstance(values, dict) for values in metrics.values()):
            raise InvalidInputError(f"{run.result} must hold `metrics` by split.")
        row |= {f"{split}/{name}": value for split, values in metrics.items() for name, value in values.items()}
        row["device"] = result.get("device")
        row["objective"] = _objective(run, result)
        second = result.get("lbfgs")
        row["converged"] = second.get("converged") if isinstance(second, dict) else None
    return row


def _objective(run: Run, result: dict[str, Any]) -> float | None:
    second = result.get("lbfgs")
    for found in (result.get("objective"), second.get("objective") if isinstance(second, dict) else None):
        if isinstance(found, int | float):
            return float(found)
    return _last_loss(run.folder / "log.csv")


def _last_loss(log: Path) -> float | None:
    """`loss` of the last logged epoch: data term and penalty, as the optimiser saw them."""
    if not log.is_file():
        return None
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        value = float(rows[-1]["loss"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _lookup(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, str) and part == "name":  # a schedule by its name alone
            return value
        value = value.get(part) if isinstance(value, dict) else None
    # A schedule with its arguments stays readable in a cell of a table.
    if isinstance(value, dict) and "name" in value:
        arguments = ", ".join(f"{key}={item}" for key, item in value.items() if key != "name")
        return f"{value['name']}({arguments})" if arguments else value["name"]
    return value


def _rank(name: str) -> tuple[int, str]:
    """Order of the columns: what a run is, what it found, what it took, what it was done with."""
    first = ("run", "state")
    last = ("seconds", "attempts", "threads", "converged", "device", "host")
    if name in first:
        return 0, str(first.index(name))
    if name.startswith("version/"):
        return 5, name
    if name == "message":
        return 6, name
    if name in last:
        return 4, str(last.index(name))
    if name == "objective":
        return 2, ""
    return (3, name) if "/" in name else (1, "")
