"""Train the shipped presets and write `models/` and `export/`.

    python benchmarks/make_presets.py [NAME_PART ...] [--data-dir DIR]      train what is missing and matches
    python benchmarks/make_presets.py --refresh [NAME_PART ...]            audit again, write cards again, no training
    python benchmarks/make_presets.py --export [--data-dir DIR]            write export/ again from models/

Which schedule each effective depth gets is read from schedule_selection.csv: lowest validation loss, mean over seeds.
"""

import argparse
import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

from preset_recipes import EFFECTIVE_DEPTHS, preset_recipe

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.data import Dataset, load_data
from leaky_zoo.deploy import export_model
from leaky_zoo.io.files import sha256, write_json, write_text
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training import Recipe, train
from leaky_zoo.zoo import Preset, from_preset, list_presets, save_to_preset
from leaky_zoo.zoo.card import write_card

HERE = Path(__file__).parent
MODELS, EXPORT, RUNS = HERE.parent / "models", HERE.parent / "export", HERE.parent / "runs"
TASKS = ("optical_digits", "teacher_k3", "mnist")


def selection() -> dict[tuple[str, int], list[tuple[float, str, int]]]:
    """For each (task, effective depth): (mean validation loss, schedule, seeds), best first."""
    losses: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    with (HERE / "schedule_selection.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            losses[row["task"], int(row["effective_depth"]), row["schedule"]].append(float(row["validation_loss"]))
    ranked: dict[tuple[str, int], list[tuple[float, str, int]]] = defaultdict(list)
    for (task, depth, schedule), values in losses.items():
        ranked[task, depth].append((sum(values) / len(values), schedule, len(values)))
    return {key: sorted(rows) for key, rows in ranked.items()}


def wanted() -> list[tuple[str, int, str, str]]:
    """(task, effective depth, schedule, why) of every preset to ship."""
    ranked, rows = selection(), []
    for task in TASKS:
        for depth in EFFECTIVE_DEPTHS:
            if (task, depth) not in ranked:
                continue
            order = ranked[task, depth]
            table = ", ".join(f"{schedule} {loss:.4f}" for loss, schedule, _ in order)
            why = f"Validation loss by schedule, recipe shortened, {order[0][2]} seed(s), lowest first: {table}."
            for schedule in ("equidistant", "hamiltonian") if depth == 7 else (order[0][1],):
                rows.append((task, depth, schedule, why))
    rows.append(
        ("mnist", 7, "irregular", "The recipe of benchmarks/science/mnist_rank.py with the best accuracy after a cut.")
    )
    return rows


def make(task: str, depth: int, schedule: str, why: str, data_dir: str | None) -> None:
    recipe = preset_recipe(task, depth, schedule)
    if (MODELS / recipe.name).exists():
        return
    network, result = train(recipe, RUNS / recipe.name, data_dir=data_dir, resume=True)
    extra = {"device": result.device, "training_seconds": result.seconds, "selection": why}
    if result.lbfgs:
        extra["lbfgs"] = {key: result.lbfgs[key] for key in ("objective", "iterations", "evaluations")}
    write(network, recipe, result.metrics, extra, data_dir)


def write(network: LeakyNetwork, recipe: Recipe, metrics: dict, extra: dict, data_dir: str | None) -> None:
    data = load_data(recipe.data.name, data_dir)
    audit = audit_of(network, recipe, data)
    golden = data.select(recipe.data.test)[0]
    folder = MODELS / recipe.name
    save_to_preset(
        network, folder, recipe=recipe, metrics=metrics, audit=audit, golden_inputs=golden, extra=extra, overwrite=True
    )
    print(recipe.name, json.dumps(metrics), json.dumps(audit.summary), flush=True)


def refresh(name: str, data_dir: str | None) -> None:
    """Audit a preset again and write what follows from it: audit, metadata, card. Weights and metrics stay."""
    folder, metadata = MODELS / name, Preset.open(name).metadata
    recipe = Recipe.read(folder / "recipe.yaml")
    audit = audit_of(from_preset(name), recipe, load_data(recipe.data.name, data_dir))
    audit.save(folder / "audit.json")
    metadata["sha256"]["audit.json"] = sha256(folder / "audit.json")
    write_json(folder / "metadata.json", metadata)
    write_text(folder / "README.md", write_card(metadata, audit, recipe))
    print(name, json.dumps(audit.summary), flush=True)


def audit_of(network: LeakyNetwork, recipe: Recipe, data: Dataset) -> Audit:
    about = {"name": data.identifier, "split": recipe.data.train}
    return analyze(network, *data.select(recipe.data.train), data=about)


def export_all(data_dir: str | None) -> None:
    """`export/`: the teachers, the digits and the best MNIST net."""
    presets = list_presets()
    best = max(
        (preset for preset in presets if "mnist" in preset["name"]),
        key=lambda preset: preset["metrics"]["test"]["accuracy"],
        default=None,
    )
    chosen = [preset for preset in presets if "mnist" not in preset["name"] or preset is best]
    for preset in chosen:
        path = EXPORT / preset["name"] / "model.onnx"
        report = export_model(preset["name"], path, data_dir=data_dir)
        print(path, report["bytes"], flush=True)
    for folder in EXPORT.glob("leaky_*"):
        if folder.name not in {preset["name"] for preset in chosen}:
            shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[""])
    parser.add_argument("--data-dir")
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--refresh", action="store_true")
    arguments = parser.parse_args()
    if arguments.export:
        export_all(arguments.data_dir)
        return
    if arguments.refresh:
        for preset in list_presets():
            if any(part in preset["name"] for part in arguments.parts):
                refresh(preset["name"], arguments.data_dir)
        return
    for task, depth, schedule, why in wanted():
        if any(part in preset_recipe(task, depth, schedule).name for part in arguments.parts):
            make(task, depth, schedule, why, arguments.data_dir)


if __name__ == "__main__":
    main()
