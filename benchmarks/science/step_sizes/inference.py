"""What the study's pairs can say: clusters of task and seed, intervals between tasks, p-values corrected by Holm.

    python -m benchmarks.science.step_sizes.inference        writes inference.csv, shows the tables of the page

The two `mu` of a task and seed share data and draws: their mean is one observation (a cluster). Families of tests are
corrected together. `planned`: the schedules that the study set out to compare. `found`: schedules read off nets of the
study itself, or picked on their outcome; a seed that served the choice still counts here, `from_seed` leaves it out.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import interval, markdown, options, read_table, write_table
from benchmarks.science.step_sizes.compare import EQUAL, PHASES, pairs, read_results

TABLE = Path(__file__).with_suffix(".csv")
TASKS = ("teacher_k3", "teacher_resnet", "digits")
PLANNED = ("learnable", "adaptive")
FOUND = ("irregular_reversed", "ends_at_cap")
PICKED_ON = 2  # seeds 0 and 1 of the residual teacher chose among the found ones
KEYS = ("schedule", "origin", "quantity", "after", "task", "from_seed")


def clusters(schedule: str, phase: str, task: str, quantity: str, from_seed: int = 0) -> np.ndarray:
    """Change of each seed, the mean over both `mu`: objectives in %, test errors as they are and in %."""
    by_seed: dict[int, list[float]] = {}
    for (found, _, at), rows in read_results().items():
        if (found, at) == (task, phase) and schedule in rows:
            seeds = sorted(set(rows[schedule]) & set(rows[EQUAL]))
            objective, new, old = pairs(rows, schedule, EQUAL)
            change = {"objective_%": objective, "test_error": new - old, "test_error_%": 100 * (new / old - 1)}
            for seed, value in zip(seeds, change[quantity], strict=True):
                by_seed.setdefault(seed, []).append(float(value))
    return np.array([np.mean(values) for seed, values in sorted(by_seed.items()) if seed >= from_seed])


def p_value(values: np.ndarray) -> float | None:
    """Two-sided, Student's t against zero; None for fewer than two values."""
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, 0).pvalue) if len(values) > 1 else None


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order, found, least = np.argsort(p_values), [0.0] * len(p_values), 0.0
    for place, row in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[row]))
        found[row] = least
    return found


def rows() -> Iterator[dict]:
    """One for each schedule, quantity, phase and task; then all clusters together, and the tasks as observations."""
    for schedule, origin in [*((name, "planned") for name in PLANNED), *((name, "found") for name in FOUND)]:
        seeds = (0, PICKED_ON) if origin == "found" else (0,)
        for quantity, from_seed in product(("objective_%", "test_error"), seeds):
            family = []
            for phase, task in product(PHASES, TASKS):
                values = clusters(schedule, phase, task, quantity, from_seed)
                if len(values) > 1:
                    family.append(_row(schedule, origin, quantity, phase, task, from_seed, values))
            for row, corrected in zip(family, holm([row["p"] for row in family]), strict=True):
                yield row | {"p_holm": corrected}
            relative = "test_error_%" if quantity == "test_error" else quantity
            for phase in PHASES:
                parts = [clusters(schedule, phase, task, relative, from_seed) for task in TASKS]
                parts = [part for part in parts if len(part)]
                together, means = np.concatenate(parts), np.array([part.mean() for part in parts])
                yield _row(schedule, origin, relative, phase, "all clusters", from_seed, together) | {"p_holm": None}
                yield _row(schedule, origin, relative, phase, "between tasks", from_seed, means) | {"p_holm": None}


def _row(schedule: str, origin: str, quantity: str, phase: str, task: str, from_seed: int, values: np.ndarray) -> dict:
    mean, half = interval(values)
    about = dict(zip(KEYS, (schedule, origin, quantity, PHASES[phase], task, from_seed), strict=True))
    return about | {"clusters": len(values), "mean": mean, "half": half, "p": p_value(values)}


def table(origin: str) -> str:
    """Planned or found comparisons, in words; found ones without the seeds that served the choice."""
    columns = ("schedule", "quantity", "after", "task", "clusters", "change", "p", "p, Holm")
    lines, first = [], str(PICKED_ON if origin == "found" else 0)
    for row in read_table(TABLE):
        if (row["origin"], row["from_seed"]) == (origin, first):
            digits, unit = (2, "%") if row["quantity"].endswith("%") else (4, "")
            half = f" ± {float(row['half']):.{digits}f}" if row["half"] else ""
            lines.append((
                row["schedule"], row["quantity"].removesuffix("_%").replace("_", " "), row["after"], row["task"],
                row["clusters"], f"{float(row['mean']):+.{digits}f}{unit}{half}",
                *(f"{float(row[key]):.2g}" if row[key] else "-" for key in ("p", "p_holm")),
            ))  # fmt: skip
    return markdown(columns, lines)


if __name__ == "__main__":
    options(__doc__)
    write_table(TABLE, list(rows()))
    print(table("planned"), table("found"), sep="\n\n")
