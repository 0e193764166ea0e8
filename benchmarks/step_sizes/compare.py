"""Paired comparison of two schedules in results.csv: what the tables of docs/step_sizes.md say.

python benchmarks/step_sizes/compare.py SCHEDULE [BASELINE]
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import t

RESULTS = Path(__file__).parent / "results.csv"


def read_results(path: Path = RESULTS) -> dict[tuple[str, float, str], dict[str, dict[int, tuple[float, float]]]]:
    """`{(task, mu, phase): {schedule: {seed: (objective, test error)}}}`."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            case = (row["task"], float(row["mu"]), row["phase"])
            found[case][row["schedule"]][int(row["seed"])] = (float(row["objective"]), float(row["test_error"]))
    return found


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half width of its 95% interval (Student's t)."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    return float(np.mean(values)), float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def comparison(schedule: str, baseline: str = "equidistant") -> str:
    """A table with one row for each task, mu and phase that both have."""
    columns = (
        "task",
        "mu",
        "after",
        "pairs",
        "objective, change",
        "lower in",
        "test error",
        f"with {baseline}",
        "change",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (task, mu, phase), rows in sorted(read_results().items()):
        seeds = sorted(set(rows.get(schedule, {})) & set(rows.get(baseline, {})))
        if not seeds:
            continue
        new, old = (np.array([rows[name][seed] for seed in seeds]) for name in (schedule, baseline))
        objective, error = 100 * (new / old - 1)[:, 0], new[:, 1] - old[:, 1]
        gain, change = interval(objective), interval(error)
        lines.append(
            f"| {task} | {mu:g} | {'Adam' if phase == 'adam' else 'L-BFGS'} | {len(seeds)} | "
            f"{gain[0]:+.2f}% ± {gain[1]:.2f} | {np.mean(objective < 0):.0%} | {new[:, 1].mean():.4f} | "
            f"{old[:, 1].mean():.4f} | {change[0]:+.4f} ± {change[1]:.4f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(comparison(*sys.argv[1:3]))
