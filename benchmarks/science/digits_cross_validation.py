"""Test accuracy of the best digits recipe over 5 folds x 5 seeds; writes it into the preset's metadata and card.

    python benchmarks/science/digits_cross_validation.py [--folds 5] [--seeds 5]

One row a run goes to digits_cross_validation.csv; rows that are there already are not run again.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np

from leaky_zoo.analysis import Audit
from leaky_zoo.io.files import write_json, write_text
from leaky_zoo.training import Recipe, train
from leaky_zoo.zoo import list_presets, preset_folder
from leaky_zoo.zoo.card import write_card

RESULTS = Path(__file__).parent / "digits_cross_validation.csv"
FIELDS = ["preset", "fold", "seed", "test_accuracy", "test_loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    presets = list_presets("optical_digits")
    best = max(presets, key=lambda preset: preset["metrics"]["test"]["accuracy"])["name"]
    recipe = Recipe.read(preset_folder(best) / "recipe.yaml")
    for seed in range(arguments.seeds):
        for fold in range(arguments.folds):
            if (best, str(fold), str(seed)) not in {(r["preset"], r["fold"], r["seed"]) for r in read()}:
                measure(recipe, fold, seed)
    accuracies = [float(row["test_accuracy"]) for row in read() if row["preset"] == best]
    publish(best, recipe, accuracies, arguments.folds, arguments.seeds)


def measure(recipe: Recipe, fold: int, seed: int) -> None:
    data = recipe.data.model_copy(update={"name": f"optical_digits/fold_{fold}"})
    with tempfile.TemporaryDirectory() as folder:
        _, result = train(recipe.model_copy(update={"data": data, "seed": seed}), Path(folder) / "run")
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(FIELDS)
        test = result.metrics["test"]
        writer.writerow([recipe.name, fold, seed, f"{test['accuracy']:.6f}", f"{test['loss']:.6f}"])
    print(fold, seed, result.metrics["test"], flush=True)


def read() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def publish(name: str, recipe: Recipe, accuracies: list[float], folds: int, seeds: int) -> None:
    folder = preset_folder(name)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["cross_validation"] = {
        "folds": folds,
        "seeds": seeds,
        "runs": len(accuracies),
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_std": float(np.std(accuracies, ddof=1)),
        "accuracy_min": min(accuracies),
        "accuracy_max": max(accuracies),
    }
    write_json(folder / "metadata.json", metadata)
    write_text(folder / "README.md", write_card(metadata, Audit.load(folder / "audit.json"), recipe))
    print(name, metadata["cross_validation"])


if __name__ == "__main__":
    main()
