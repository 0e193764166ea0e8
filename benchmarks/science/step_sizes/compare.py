"""Paired comparison of schedules in results.csv: the tables and the picture of docs/step_sizes.md.

python -m benchmarks.science.step_sizes.compare [--schedule learnable] [--baseline equidistant]
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.common import markdown, options, read_table, save, shown

RESULTS, DETAILS = (Path(__file__).with_name(f"{name}.csv") for name in ("results", "details"))
PHASES = {"adam": "Adam", "lbfgs": "L-BFGS"}
EQUAL = "equidistant"


def read_results(path: Path = RESULTS) -> dict[tuple[str, float, str], dict[str, dict[int, tuple[float, float]]]]:
    """`{(task, mu, phase): {schedule: {seed: (objective, test error)}}}`."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    for row in read_table(path):
        case = (row["task"], float(row["mu"]), row["phase"])
        found[case][row["schedule"]][int(row["seed"])] = (float(row["objective"]), float(row["test_error"]))
    return found


def pairs(rows: dict[str, dict[int, tuple[float, float]]], schedule: str, baseline: str) -> tuple[np.ndarray, ...]:
    """Objectives' change in % and both test errors, one entry for each seed that both schedules have."""
    seeds = sorted(set(rows.get(schedule, {})) & set(rows.get(baseline, {})))
    new, old = (np.array([rows[name][seed] for seed in seeds]).reshape(-1, 2) for name in (schedule, baseline))
    return 100 * (new[:, 0] / old[:, 0] - 1), new[:, 1], old[:, 1]


def change_of(values: np.ndarray, digits: int, unit: str = "") -> str:
    """Mean ± half width, with its sign."""
    return shown(values, digits, unit, "+")


def comparison(schedule: str, baseline: str = EQUAL, tasks: tuple[str, ...] | None = None) -> str:
    """A table with one row for each task, mu and phase that both have, and one for all clusters together.

    The two `mu` of a task and seed share data and draws: their mean is one observation, a cluster.
    """
    columns = ("task", "mu", "after", "pairs", "objective, change", "lower in", "test error", baseline, "change")
    lines: list[tuple] = []
    together: dict[str, dict[tuple[str, int], list[np.ndarray]]] = {phase: defaultdict(list) for phase in PHASES}
    cells = 0
    for (task, mu, phase), rows in sorted(read_results().items()):
        change, new, old = pairs(rows, schedule, baseline)
        if len(change) and (not tasks or task in tasks):
            cells += 1
            seeds = sorted(set(rows[schedule]) & set(rows[baseline]))
            for seed, *both in zip(seeds, change, 100 * (new / old - 1), strict=True):
                together[phase][task, seed].append(np.array(both))
            lines.append((
                task, f"{mu:g}", PHASES[phase], len(change), change_of(change, 2, "%"), f"{np.mean(change < 0):.0%}",
                f"{new.mean():.4f}", f"{old.mean():.4f}", change_of(new - old, 4),
            ))  # fmt: skip
    for phase, clusters in together.items():
        if cells > len(PHASES):
            change, error = np.array([np.mean(values, axis=0) for values in clusters.values()]).T
            lines.append(("all", "", PHASES[phase], f"{len(change)} clusters", change_of(change, 2, "%"),
                          f"{np.mean(change < 0):.0%}", "", "", change_of(error, 1, "%")))  # fmt: skip
    return markdown(columns, lines)


def errors_table(schedule: str, picked_on: int = 2) -> str:
    """Change of the test error of each seed, mean over both mu: they share data and draws and are one observation.

    The last column leaves out the first seeds, on which the schedule was picked.
    """
    groups = {"teacher_k3": ("teacher_k3",), "teacher_resnet": ("teacher_resnet",),
              "both teachers": ("teacher_k3", "teacher_resnet"), "digits": ("digits",)}  # fmt: skip
    columns = ("task", "after", "seeds", "test error, change", "lower in", f"without seeds 0 to {picked_on - 1}")
    lines, results = [], read_results()
    for words, tasks in groups.items():
        for phase, name in PHASES.items():
            found = [pairs(rows, schedule, EQUAL) for (task, _, at), rows in results.items()
                     if task in tasks and at == phase]  # fmt: skip
            change = np.mean([new - old for _, new, old in found], axis=0)
            lower = f"{np.mean(change < 0):.0%}"
            lines.append((words, name, len(change), change_of(change, 4), lower, change_of(change[picked_on:], 4)))
    return markdown(columns, lines)


def parts_table(schedule: str) -> str:
    """Which part of the objective a change is in: data loss or penalty, in % of the baseline's objective, by pairs."""
    rows = {tuple(row[n] for n in ("task", "mu", "phase", "seed", "schedule")): row for row in read_table(DETAILS)}
    changes = defaultdict(list)
    for (*case, seed, name), new in rows.items():
        old = rows.get((*case, seed, EQUAL))
        if name == schedule and old:
            whole = float(old["data_loss"]) + float(old["penalty"])
            parts = [100 * (float(new[k]) - float(old[k])) / whole for k in ("data_loss", "penalty")]
            changes[tuple(case)].append(parts)
    lines = [
        (task, mu, PHASES[phase], len(values), *(change_of(part, 2, "%") for part in np.array(values).T))
        for (task, mu, phase), values in sorted(changes.items())
    ]
    return markdown(("task", "mu", "after", "pairs", "data loss", "penalty"), lines)


def depth_table(task: str, depth: int) -> str:
    """Equal steps at other depths, and the best at the task's own, against its equal steps; mean over paired seeds."""
    names = {"equidistant_l4": "4, equal", "equidistant_l8": "8, equal", "ends_at_cap": f"{depth}, large at the ends",
             "learnable": f"{depth}, learnable", "equidistant_l20": "20, equal",
             "equidistant_l40": "40, equal"}  # fmt: skip
    lines = []
    for (found, mu, phase), rows in sorted(read_results().items()):
        for name, words in names.items():
            change, new, old = pairs(rows, name, EQUAL)
            if len(change) and found == task:
                cells = (change_of(change, 2, "%"), change_of(new - old, 4))
                lines.append((words, f"{mu:g}", PHASES[phase], len(change), *cells))
    title = f"objective against {depth} equal steps"
    return markdown(("layers, steps", "mu", "after", "pairs", title, "test error"), lines)


def draw() -> None:
    """The steps that learnable nets end with, and every pair's change of the objective."""
    from matplotlib.figure import Figure

    from leaky_zoo.layers import Irregular

    learnt = [row for row in read_table(DETAILS) if (row["schedule"], row["phase"]) == ("learnable", "lbfgs")]
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for task in sorted({row["task"] for row in learnt}):
        steps = np.array([np.array(row["step_sizes"].split(), float) for row in learnt if row["task"] == task])
        depth = steps.shape[1]
        places = (np.arange(depth) + 0.5) / depth
        line = left.errorbar(places, depth * steps.mean(0), depth * steps.std(0), marker=".", capsize=2, label=task)
        left.axhline(1, color="0.7", linewidth=0.8, zorder=0)
        line.lines[0].set_zorder(3)
    for amplitude, words, colour in ((2.0, "irregular, the paper's", "0.4"), (-2.0, "irregular, reversed", "k")):
        steps = 60 * Irregular(amplitude).start(60, 0.0)
        left.plot((np.arange(60) + 0.5) / 60, steps, linestyle="--", color=colour, label=words)
    left.set(xlabel="layer / depth", ylabel="step size x depth", title="learnable steps at the end, mean and spread")
    left.legend(frameon=False, fontsize=8)
    labels = []
    for place, ((task, mu, phase), rows) in enumerate(sorted(read_results().items())):
        labels.append(f"{task}, {mu:g}, {PHASES[phase]}")
        for row, name in enumerate(("learnable", "irregular_reversed", "ends_at_cap")):
            change = pairs(rows, name, EQUAL)[0]
            right.plot(change, np.full(len(change), place + 0.25 * (row - 1)), ".", color=f"C{row}", alpha=0.7,
                       label=name.replace("_", " ") if not place else None)  # fmt: skip
    right.axvline(0, color="0.5", linewidth=0.8)
    right.set_yticks(range(len(labels)), labels, fontsize=8)
    right.invert_yaxis()
    right.set(xlabel="change of the objective against equal steps, %", title="every pair")
    right.legend(frameon=False, fontsize=8)
    save(figure, "step_sizes")


if __name__ == "__main__":
    chosen = options(__doc__, schedule="learnable", baseline=EQUAL)
    print(comparison(chosen.schedule, chosen.baseline))
