"""Which schedule does best on validation data, for each task and effective depth: writes schedule_selection.csv.

    python benchmarks/science/schedule_selection.py [TASK ...] [--data-dir DIR] [--seeds N]

The recipes of the presets, shortened, on the first part of the training split; validation loss on the rest. The test
split is not looked at. Rows that are in the file already are not run again.
"""

import argparse
import csv
import tempfile
from pathlib import Path

from preset_recipes import EFFECTIVE_DEPTHS, SCHEDULES, preset_recipe

from leaky_zoo.training import Recipe, train

RESULTS = Path(__file__).parent / "schedule_selection.csv"
FIELDS = ["task", "effective_depth", "schedule", "seed", "validation_loss", "validation_accuracy", "seconds"]
SHORT = {
    "optical_digits": {"epochs": 60, "steps": None},
    "teacher_k3": {"steps": 2000},
    "mnist": {"epochs": 6, "steps": None},
}


def shortened(task: str, effective_depth: int, schedule: str, seed: int) -> Recipe:
    recipe = preset_recipe(task, effective_depth, schedule, seed)
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"train": "train[:80%]", "validation": "train[80%:]"}),
            "optimizer": recipe.optimizer.model_copy(update=SHORT[task]),
            "lbfgs": None,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(SHORT))
    parser.add_argument("--data-dir")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    done = set()
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            done = {(r["task"], r["effective_depth"], r["schedule"], r["seed"]) for r in csv.DictReader(file)}
    for seed in range(arguments.seeds):
        for task in arguments.tasks:
            for depth in EFFECTIVE_DEPTHS:
                for schedule in SCHEDULES:
                    if (task, str(depth), schedule, str(seed)) not in done:
                        record(task, depth, schedule, seed, arguments.data_dir)


def record(task: str, depth: int, schedule: str, seed: int, data_dir: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, result = train(shortened(task, depth, schedule, seed), Path(folder) / "run", data_dir=data_dir)
    held = result.metrics["validation"]
    row = [task, depth, schedule, seed, f"{held['loss']:.6f}", held.get("accuracy", ""), result.seconds]
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(FIELDS)
        writer.writerow(row)
    print(*row, flush=True)


if __name__ == "__main__":
    main()
