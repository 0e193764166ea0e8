"""A CIFAR-10 net goes on to two classes that it has not seen, with 50 images of each, against training from scratch.

    python -m benchmarks.science.zoo.fine_tuning_images pretrain [--epochs 8]   a net of eight classes
    python -m benchmarks.science.zoo.fine_tuning_images train [--seeds 0-2]      in this process
    python -m benchmarks.science.zoo.fine_tuning_images measure                  writes fine_tuning_images.csv

CIFAR-10 (JPEG). Ship and truck, the last two classes, are held out; the net of the other eight has the recipe
`cifar10_jpeg_sixteen_bits.yaml`, with fewer epochs. Three ways on 100 images of the two, each seed another hundred:
new weights, the net of eight with a new head, and its head alone; the same network, steps, changes of the images and
batches. Each with two learning rates; which of them stands in the table is decided by the validation loss (2,000
training images that no net is trained on), not by the test split (2,000 images).
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, ROOT, options, write_table
from benchmarks.science.studies import finished, run_here, sweep_of
from benchmarks.science.zoo import fine_tuning
from benchmarks.science.zoo.fine_tuning import KEYS, RATES, WAYS, measured, study
from leaky_zoo.io.files import replacing
from leaky_zoo.training import Recipe

TABLE = Path(__file__).with_suffix(".csv")
RECIPE = TABLE.with_name("cifar10_jpeg_sixteen_bits.yaml")
STUDY = "zoo_fine_tuning_images"
HELD_OUT, OF_EACH, VALIDATION = (8, 9), 50, 2000
MOST_SEEDS = 10


def images_file(held_out: bool) -> str:
    """The images of the eight classes, or of the two, as a file in `build/`, made when first asked for.

    Those of the two classes alternate, so that every even slice has as many of each.
    """
    from leaky_zoo.data import load_data

    path = BUILD / f"cifar_{'two' if held_out else 'eight'}.npz"
    if not path.exists():
        data, arrays = load_data("cifar10_jpeg"), {}
        for split, suffix in (("train", ""), ("test", "_test")):
            x, y = data.select(split)
            rows = np.flatnonzero(np.isin(y, HELD_OUT) == held_out)
            if held_out:
                places = [rows[y[rows] == label] for label in HELD_OUT]
                count = min(map(len, places))
                rows = np.stack([each[:count] for each in places], axis=1).ravel()
            arrays[f"x{suffix}"], arrays[f"y{suffix}"] = x[rows], y[rows] - (min(HELD_OUT) if held_out else 0)
        with replacing(path) as aside:
            np.savez_compressed(aside, **arrays)
    return path.relative_to(ROOT).as_posix()


def _common() -> dict[str, Any]:
    """What all nets take from the recipe."""
    source = Recipe.read(RECIPE)
    data = source.data.model_dump(exclude_unset=True)
    changes = {key: data[key] for key in ("crop_padding", "flip", "cutout", "mixup") if key in data}
    return {"data": changes, "network": source.network.model_dump(exclude_unset=True),
            "objective": source.objective.model_dump(exclude_unset=True)}  # fmt: skip


def eight_classes(epochs: int) -> dict[str, Any]:
    """The recipe of the net of eight classes."""
    common, source = _common(), Recipe.read(RECIPE)
    common["data"] |= {"name": images_file(False), "batch_size": source.data.batch_size}
    return common | {"optimizer": source.optimizer.model_dump(exclude_unset=True) | {"epochs": epochs}}


def base(way: str) -> dict[str, Any]:
    """The recipe of a way."""
    common = _common()
    last = f"train[{2 * OF_EACH * MOST_SEEDS}:{2 * OF_EACH * MOST_SEEDS + VALIDATION}]"
    common["data"] |= {"name": images_file(True), "validation": last, "batch_size": OF_EACH}
    if way != "from scratch":
        (eight,) = finished(f"{STUDY}_eight")
        source = (eight.folder / "model.keras").relative_to(ROOT).as_posix()
        kept = {key: common["network"][key] for key in ("dtype", "head_dropout") if key in common["network"]}
        common["network"] = {"from": source, "freeze": way == "head alone", **kept}
    return common | {"optimizer": {"steps": 300}, "log_every": 100}


def cases(seeds: range) -> Iterator[dict[str, Any]]:
    """Another hundred images for each seed."""
    for rate, seed in product(RATES, seeds):
        first = 2 * OF_EACH * seed
        yield {"data.train": f"train[{first}:{first + 2 * OF_EACH}]", "optimizer.learning_rate": rate, "seed": seed}


def table() -> str:
    """Test accuracy at the rate with the lower mean validation loss."""
    return fine_tuning.table(TABLE, "images of two new classes")


if __name__ == "__main__":
    chosen = options(__doc__, "pretrain", "train", "measure", seeds=range(3), epochs=8)
    if chosen.seeds[-1] >= MOST_SEEDS:
        raise SystemExit(f"--seeds must be below {MOST_SEEDS}. Received: {chosen.seeds[-1]}")
    if chosen.step == "pretrain":
        run_here(sweep_of(f"{STUDY}_eight", eight_classes(chosen.epochs), [{"seed": 0}]))
    elif chosen.step == "train":
        for each in WAYS:
            run_here(sweep_of(study(each, STUDY), base(each), cases(chosen.seeds)))
    else:
        (eight,) = finished(f"{STUDY}_eight")
        known = eight.result["metrics"]["test"]["accuracy"]
        write_table(TABLE, measured(STUDY), KEYS, source=RECIPE.name, accuracy_of_eight_classes=known)
        print(table())
