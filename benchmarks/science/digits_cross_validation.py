"""Test accuracy of the best digits recipe over 5 folds x 5 seeds; writes it into the preset's metadata and card.

python -m benchmarks.science.digits_cross_validation train [--seeds 0-4] [--folds 0-4] [--jobs 2]
python -m benchmarks.science.digits_cross_validation measure      writes digits_cross_validation.csv and the preset's
"""

import statistics
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks.common import read_table, write_table
from benchmarks.science.studies import finished, main
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import list_presets, preset_folder

TABLE = Path(__file__).with_suffix(".csv")
BEST = max(list_presets("mlp_optical_digits_l"), key=lambda preset: preset["metrics"]["test"]["accuracy"])["name"]
STUDY = f"cross_validation_{BEST}"


def cases(seeds: range, folds: range) -> Iterator[dict]:
    """Every fold with every seed."""
    for seed, fold in product(seeds, folds):
        yield {"data.name": f"optical_digits/fold_{fold}", "seed": seed}


def measure() -> None:
    """One row for each net; then the preset's metadata and card."""
    rows = []
    for run in finished(STUDY):
        test, fold = run.result["metrics"]["test"], int(run.recipe.data.name[-1])
        about = {"preset": BEST, "fold": fold, "seed": run.recipe.seed}
        rows.append(about | {f"test_{key}": f"{test[key]:.6f}" for key in ("accuracy", "loss")})
    write_table(TABLE, rows, ("preset", "fold", "seed"))
    publish([row for row in read_table(TABLE) if row["preset"] == BEST])


def publish(rows: list[dict[str, str]]) -> None:
    """Write mean and spread into the preset, and what follows from them."""
    from leaky_zoo.publishing import Publication

    accuracies = [float(row["test_accuracy"]) for row in rows]
    found = {
        "folds": len({row["fold"] for row in rows}), "seeds": len({row["seed"] for row in rows}), "runs": len(rows),
        "accuracy_mean": statistics.fmean(accuracies), "accuracy_std": statistics.stdev(accuracies),
        "accuracy_min": min(accuracies), "accuracy_max": max(accuracies),
    }  # fmt: skip
    Publication(preset_folder(BEST), refresh=True).run(extra={"cross_validation": found})
    print(BEST, found)


if __name__ == "__main__":
    recipe = Recipe.read(preset_folder(BEST) / "recipe.yaml").model_dump(mode="json", exclude={"publish"})
    main(__doc__, STUDY, recipe, cases, measure, seeds=range(5), folds=range(5))
