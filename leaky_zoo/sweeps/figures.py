"""Figures of a sweep: mean and spread over seeds, against each swept field."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaky_zoo.sweeps.folder import RunState
from leaky_zoo.sweeps.report import SEED, measures
from leaky_zoo.sweeps.spec import Sweep

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
WORDS = {
    "effective_depth": "effective depth $\\tilde{L}$",
    "depth": "depth $L$ (blocks)",
    "schedule": "step-size schedule",
    "weight_decay": "weight decay $\\mu$",
    "io_weight_decay": "weight decay of stem and head $\\mu_{io}$",
    "learning_rate": "peak learning rate",
    "objective": "objective (data term + penalty)",
}


def plot_sweep(rows: Sequence[dict[str, Any]], sweep: Sweep, field: str, measure: str) -> Figure:
    """One metric against one swept field; a line for each combination of the other fields.

    Args:
        rows: from `collect_rows`; finished runs are drawn.
        sweep: the sweep.
        field: dotted path for the horizontal axis.
        measure: column of `rows` for the vertical axis, as `test/loss` or `objective`.

    Returns:
        A figure: single runs as faint points, their mean as a line, plus and minus one standard deviation over seeds
        as a band (numbers) or bars (names).
    """
    done = [row for row in rows if row["state"] == RunState.DONE and row[measure] is not None]
    others = [name for name in sweep.fields if name not in (field, SEED)]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in done:
        groups.setdefault(tuple(_text(row[name]) for name in others), []).append(row)
    numeric = all(isinstance(row[field], int | float) and not isinstance(row[field], bool) for row in done)
    places = {_text(value): value for value in sorted({row[field] for row in done})} if numeric else {}
    if not numeric:
        named = list(dict.fromkeys(_text(row[field]) for row in done))
        places = {name: place for place, name in enumerate(named)}
    figure = Figure(figsize=(6.4 if len(groups) < 2 else 8.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for order, (label, group) in enumerate(sorted(groups.items())):
        shift = 0.0 if numeric else 0.5 * ((order + 0.5) / len(groups) - 0.5)
        points: dict[float, list[float]] = {}
        for row in group:
            points.setdefault(places[_text(row[field])] + shift, []).append(row[measure])
        _line(axes, points, numeric, order, _legend_words(others, label))
    axes.set_xlabel(_words(field))
    axes.set_ylabel(_words(measure))
    if not numeric:
        axes.set_xticks(list(places.values()), list(places))
    seeds = sorted({row[SEED] for row in done})
    spread = f"mean and standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else f"seed {seeds[0]}"
    axes.set_title(f"{sweep.name}: {spread}", fontsize=10)
    axes.grid(alpha=0.3)
    if others and groups:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def plots(rows: Sequence[dict[str, Any]], sweep: Sweep) -> list[tuple[str, str, str]]:
    """`(file name without suffix, field, measure)` of every figure: swept fields with several values, test metrics.

    Training metrics are drawn where there are no others; the objective always.
    """
    done = [row for row in rows if row["state"] == RunState.DONE]
    if not done:
        return []
    fields = [name for name in sweep.fields if name != SEED and len({_text(row[name]) for row in done}) > 1]
    names = measures(done)
    held = [name for name in names if name.startswith(("test/", "validation/"))] or names
    chosen = [name for name in names if name in held or name == "objective"]
    return [
        (f"{measure.replace('/', '_')}_by_{name.replace('.', '_')}", name, measure)
        for name in fields
        for measure in chosen
    ]


def _line(axes: Axes, points: dict[float, list[float]], numeric: bool, order: int, label: str | None) -> None:
    colour, marker = COLOURS[order % len(COLOURS)], MARKERS[(order // len(COLOURS) + order) % len(MARKERS)]
    at = sorted(points)
    means = [sum(points[x]) / len(points[x]) for x in at]
    errors = [_deviation(points[x]) for x in at]
    for x in at:
        axes.plot([x] * len(points[x]), points[x], marker, color=colour, alpha=0.3, markersize=4, markeredgewidth=0)
    if numeric:
        low, high = ([m + side * e for m, e in zip(means, errors, strict=True)] for side in (-1, 1))
        axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(at, means, "-", marker=marker, color=colour, label=label, markersize=5)
    else:
        axes.errorbar(at, means, errors, fmt=marker, color=colour, label=label, markersize=6, capsize=3, linewidth=1.2)


def _deviation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5 if len(values) > 1 else 0.0


def _legend_words(others: Sequence[str], label: tuple[str, ...]) -> str | None:
    if not others:
        return None
    return ", ".join(
        value if name.endswith("schedule") else f"{_short(name)} = {value}"
        for name, value in zip(others, label, strict=True)
    )


def _short(field: str) -> str:
    last = field.rpartition(".")[2]
    return {"effective_depth": "$\\tilde{L}$", "depth": "$L$", "weight_decay": "$\\mu$"}.get(last, last)


def _words(name: str) -> str:
    if "/" in name:
        split, _, metric = name.partition("/")
        return f"{split} {metric}"
    last = name.rpartition(".")[2]
    return WORDS.get(last, last.replace("_", " "))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
