"""The nets for tables against scikit-learn's gradient boosting, cross-validated.

    python -m benchmarks.science.zoo.tables train [--seeds 0-2] [--folds 0-4]     in this process, one net at a time
    python -m benchmarks.science.zoo.tables measure                                writes tables.csv

The recipe of each preset at L~ = 3 on every fold and seed; gradient boosting (trees and their histogram form, with
scikit-learn's own settings) on the same folds, with as many seeds. Its settings were not tuned; nor were the nets' on
these folds, but mu was chosen on a part of the first fold's training split (`selection`). Accuracy, or for the
regression the mean squared error over the variance of the training targets.
"""

from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import markdown, options, read_table, shown, write_table
from benchmarks.science.studies import finished, run_here, sweep_of
from leaky_zoo.data.sklearn_tables import TABLES, table_fold
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import models_dir

TABLE = Path(__file__).with_suffix(".csv")
NET = "leaky net"


def preset_of(name: str) -> str:
    """The preset whose recipe stands for a table."""
    return f"leaky_mlp_{name}_l3_equidistant"


def train(seeds: range, folds: range) -> None:
    """Every fold with every seed."""
    for name in TABLES:
        recipe = Recipe.read(models_dir() / preset_of(name) / "recipe.yaml")
        cases = [{"data.name": f"{name}/fold_{fold}", "seed": seed} for seed, fold in product(seeds, folds)]
        run_here(sweep_of(f"zoo_tables_{name}", recipe.model_dump(mode="json", exclude={"publish"}), cases))


def boosted(name: str, fold: int, seed: int) -> dict[str, float]:
    """What both kinds of gradient boosting reach on a fold."""
    from sklearn import ensemble

    x, y, train_rows, test_rows = table_fold(name, fold)
    kind = "Classifier" if TABLES[name].CLASSIFIES else "Regressor"
    found = {}
    for words, form in (("gradient boosting", "GradientBoosting"), ("histogram boosting", "HistGradientBoosting")):
        model = getattr(ensemble, form + kind)(random_state=seed).fit(x[train_rows], y[train_rows])
        wrong = model.predict(x[test_rows]) - y[test_rows]
        error = np.mean(wrong**2) / np.var(y[train_rows])
        found[words] = float(np.mean(wrong == 0) if TABLES[name].CLASSIFIES else error)
    return found


def measure() -> None:
    """One row for each table, method, fold and seed."""
    rows = []
    for name in TABLES:
        metric = "accuracy" if TABLES[name].CLASSIFIES else "loss"
        for run in finished(f"zoo_tables_{name}"):
            fold, seed = int(run.recipe.data.name[-1]), run.recipe.seed
            values = {NET: run.result["metrics"]["test"][metric]} | boosted(name, fold, seed)
            about = {"table": name, "metric": "accuracy" if metric == "accuracy" else "error"}
            rows += [about | {"method": each, "fold": fold, "seed": seed, "value": v} for each, v in values.items()]
    write_table(TABLE, rows, ("table", "method", "fold", "seed"))


def table() -> str:
    """Mean over folds and seeds with the deviation of the seeds' means."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in read_table(TABLE):
        seeds = found.setdefault(f"{row['table']} ({row['metric']})", {}).setdefault(row["method"], {})
        seeds.setdefault(row["seed"], []).append(float(row["value"]))
    methods = list(dict.fromkeys(row["method"] for row in read_table(TABLE)))
    lines = []
    for name, values in found.items():
        cells = []
        for method in methods:
            means = np.array([np.mean(each) for each in values[method].values()])
            percent = "accuracy" in name
            cells.append(shown(100 * means, 2, "%") if percent else shown(means, 4))
        lines.append((name, *cells))
    return markdown(("table", *methods), lines)


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", seeds=range(3), folds=range(5))
    if chosen.step == "train":
        train(chosen.seeds, chosen.folds)
    else:
        measure()
