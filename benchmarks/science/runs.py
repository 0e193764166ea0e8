"""What benchmarks of many small trainings need: shards, tables, means with their interval."""

import argparse
import csv
import os
from collections.abc import Iterable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parents[2]
BUILD, IMAGES = ROOT / "build", ROOT / "docs" / "images"


def train_missing(cases: Iterable[tuple], folder_of, recipe_of, shard: str) -> None:
    """Train what has no result yet, on one thread, so that two shards fill two cores."""
    import tensorflow as tf

    from leaky_zoo.training import train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    place, count = map(int, shard.split("/"))
    for row, case in enumerate(cases):
        folder = folder_of(*case)
        if row % count == place - 1 and not (folder / "result.json").exists():
            _, result = train(recipe_of(*case), folder, resume=True)
            worst = f", largest residual {max(result.lbfgs['criticality_residuals']):.3f}" if result.lbfgs else ""
            print(f"{folder.name} {result.seconds:.0f} s, test {result.metrics['test']['loss']:.4f}{worst}", flush=True)


def write_rows(path: Path, fields: tuple[str, ...], rows: list[dict], keys: tuple[str, ...]) -> None:
    """Bring a table up to date, a row for each value of `keys`; rows of runs made elsewhere stay."""
    from leaky_zoo.io.files import replacing

    found = {tuple(row[key] for key in keys): row for row in (read_rows(path) if path.exists() else [])}
    for row in rows:
        texts = {key: f"{value:.5g}" if isinstance(value, float) else str(value) for key, value in row.items()}
        texts |= {key: "" for key, value in row.items() if value is None}
        found[tuple(texts[key] for key in keys)] = texts
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found.values())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table that `measure` wrote."""
    if not path.exists():
        raise SystemExit(f"There is no {path.name} yet: train and measure first.")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw_band(axes, places, groups: list[list[float]], label: str) -> None:
    """Means over seeds with their 95% interval (Student's t); groups without a value are left out."""
    import numpy as np
    from step_sizes.compare import interval

    kept = [(place, *interval(np.array(group))) for place, group in zip(places, groups, strict=True) if group]
    if not kept:
        return
    positions, means, halves = (np.array([value or 0.0 for value in column]) for column in zip(*kept, strict=True))
    (line,) = axes.plot(positions, means, marker=".", label=label)
    axes.fill_between(positions, means - halves, means + halves, color=line.get_color(), alpha=0.2, linewidth=0)


def parse(document: str, seeds: str, grid: str | None = None, default: tuple = ()) -> argparse.Namespace:
    """The command line: step, seeds, shard, and a grid of numbers where one is named."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "measure", "draw"))
    parser.add_argument("--seeds", default=seeds, help=f"first and last, default {seeds}")
    if grid:
        parser.add_argument(f"--{grid}", default=",".join(f"{value:g}" for value in default))
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th net, from the I-th")
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition("-")
    chosen.seeds = range(int(first), int(last or first) + 1)
    if grid:
        chosen.grid = [float(value) for value in getattr(chosen, grid.replace("-", "_")).split(",")]
    return chosen
