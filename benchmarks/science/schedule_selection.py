"""Which schedule does best on validation data, for each task and effective depth: writes schedule_selection.csv.

    python -m benchmarks.science.schedule_selection train [--tasks mnist,...] [--seeds 0-0] [--jobs 2]
    python -m benchmarks.science.schedule_selection measure

The recipes of the presets, shortened, on the first part of the training split; validation loss on the rest. The test
split is not looked at. One sweep for each task and effective depth.
"""

from pathlib import Path

from benchmarks.common import BUILD, markdown, options, read_table, write_table
from benchmarks.science.studies import run_sweep
from leaky_zoo.sweeps import Sweep, SweepFolder, collect_rows
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import list_presets, preset_folder

TABLE = Path(__file__).with_suffix(".csv")
EFFECTIVE_DEPTHS = (0, 1, 3, 7, 12)
SCHEDULES = ("equidistant", "irregular", "adaptive", "learnable", "hamiltonian")
SHORT = {"optical_digits": {"epochs": 60}, "teacher_k3": {"steps": 2000}, "mnist": {"epochs": 6}}


def sweep_of(task: str, effective_depth: int, seeds: range) -> Sweep:
    """All schedules under the recipe of a preset of this task and effective depth."""
    preset = next(preset["name"] for preset in list_presets(f"leaky_mlp_{task}_l{effective_depth}_"))
    base = Recipe.read(preset_folder(preset) / "recipe.yaml").model_dump(mode="json", exclude={"publish"})
    base["data"] |= {"train": "train[:80%]", "validation": "train[80%:]"}
    base["optimizer"] |= {"epochs": None, "steps": None} | SHORT[task]
    base |= {"lbfgs": None, "converge": False}
    # H is conserved to first order in rho: where neighbouring steps differ much on the teacher, -2H/L~ differs too.
    floor = {"name": "hamiltonian", "floor": 0.9}
    schedules = [floor if (task, name) == ("teacher_k3", "hamiltonian") else name for name in SCHEDULES]
    grid = {"network.schedule": schedules, "seed": list(seeds)}
    return Sweep.from_dict({"name": f"selection_{task}_l{effective_depth}", "recipe": base, "grid": grid})


def measure() -> None:
    """One row for each net."""
    rows = []
    for task in SHORT:
        for depth in EFFECTIVE_DEPTHS:
            folder = SweepFolder(BUILD / f"selection_{task}_l{depth}")
            for row in collect_rows(folder, Sweep.read(folder.sweep)) if folder.sweep.exists() else ():
                if row["state"] == "done":
                    rows.append({
                        "task": task, "effective_depth": depth, "schedule": row["network.schedule"].split("(")[0],
                        "seed": row["seed"], "validation_loss": row["validation/loss"],
                        "validation_accuracy": row.get("validation/accuracy"), "seconds": row["seconds"],
                    })  # fmt: skip
    write_table(TABLE, rows, ("task", "effective_depth", "schedule", "seed"))


def table() -> str:
    """Mean losses, the lowest in bold."""
    losses: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in read_table(TABLE):
        case = losses.setdefault((row["task"], int(row["effective_depth"])), {})
        case.setdefault(row["schedule"], []).append(float(row["validation_loss"]))
    lines = []
    for (task, depth), found in sorted(losses.items()):
        means = {name: sum(found[name]) / len(found[name]) for name in SCHEDULES if name in found}
        cells = (f"**{mean:.4f}**" if mean == min(means.values()) else f"{mean:.4f}" for mean in means.values())
        lines.append((task, depth, *cells, min(map(len, found.values()))))
    return markdown(("task", "L~", *SCHEDULES, "seeds"), lines)


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", tasks=tuple(SHORT), seeds=range(1), jobs=2, shard="1/1")
    if chosen.step == "measure":
        measure()
    else:
        for name in chosen.tasks:
            for lt in EFFECTIVE_DEPTHS:
                run_sweep(sweep_of(name, lt, chosen.seeds), chosen.jobs, chosen.shard)
