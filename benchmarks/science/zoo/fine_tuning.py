"""An MNIST net goes on to optical digits, against training from scratch.

    python -m benchmarks.science.zoo.fine_tuning train [--seeds 0-2] [--sizes 50,200,1000]     in this process
    python -m benchmarks.science.zoo.fine_tuning measure                                        writes fine_tuning.csv

The 8 x 8 digits of fold 0 are brought to MNIST's form: bilinear to 20 x 20, centred in 28 x 28, grey levels times
255 / 16. Three ways with the same network (that of `SOURCE`), steps and batches: new weights, the MNIST net with a new
head, and its head alone. Each with two learning rates; which of them stands in the table is decided by the validation
loss (437 digits that no net is trained on), not by the test split.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, ROOT, markdown, options, read_table, shown, write_table
from benchmarks.science.studies import finished, run_here, sweep_of
from leaky_zoo.io.files import replacing
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import models_dir

TABLE = Path(__file__).with_suffix(".csv")
STUDY, SOURCE = "zoo_fine_tuning", "leaky_mlp_mnist_l7_irregular"
SIZES, RATES = (50, 200, 1000), (2e-3, 5e-4)
WAYS = ("from scratch", "fine-tuned", "head alone")
KEYS = ("way", "samples", "seed", "learning_rate")


def digits_file() -> str:
    """The digits in MNIST's form as a file in `build/`, made when first asked for."""
    from scipy.ndimage import zoom

    from leaky_zoo.data.optical_digits import fold_arrays

    path = BUILD / "digits_as_mnist.npz"
    if not path.exists():
        arrays = {}
        for suffix, (images, labels) in zip(("", "_test"), fold_arrays(0), strict=True):
            large = zoom(images[..., 0].astype(np.float32), (1, 2.5, 2.5), order=1) * (255 / 16)
            arrays[f"x{suffix}"] = np.round(np.pad(large, ((0, 0), (4, 4), (4, 4)))).astype(np.uint8)[..., None]
            arrays[f"y{suffix}"] = labels
        with replacing(path) as aside:
            np.savez_compressed(aside, **arrays)
    return path.relative_to(ROOT).as_posix()


def base(way: str) -> dict[str, Any]:
    """The recipe of a way; from scratch the network is written out."""
    source = Recipe.read(models_dir() / SOURCE / "recipe.yaml")
    network: dict[str, Any] = {"from": SOURCE, "freeze": way == "head alone"}
    if way == "from scratch":
        network = source.network.model_dump(exclude_unset=True)
    return {
        "data": {"name": digits_file(), "validation": "train[1000:]"},
        "network": network,
        "objective": {"weight_decay": source.objective.weight_decay,
                      "io_weight_decay": source.objective.io_weight_decay},
        "optimizer": {"steps": 400},
        "log_every": 100,
    }  # fmt: skip


def cases(seeds: range, sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Every size of the training split with every rate."""
    for size, rate, seed in product(sizes, RATES, seeds):
        yield {
            "data.train": f"train[:{size}]",
            "data.batch_size": min(size, 64),
            "optimizer.learning_rate": rate,
            "seed": seed,
        }


def study(way: str, name: str = STUDY) -> str:
    """Its folder."""
    return f"{name}_{way.replace(' ', '_').replace('-', '_')}"


def measured(name: str = STUDY) -> list[dict[str, Any]]:
    """One row for each net."""
    rows = []
    for way in WAYS:
        for run in finished(study(way, name)):
            found, (first, last) = run.result["metrics"], run.recipe.data.train[6:-1].split(":")
            rows.append({
                "way": way, "samples": int(last) - int(first or 0), "seed": run.recipe.seed,
                "learning_rate": run.recipe.optimizer.learning_rate, "validation_loss": found["validation"]["loss"],
                "test_accuracy": found["test"]["accuracy"],
            })  # fmt: skip
    return rows


def table(path: Path = TABLE, samples: str = "training digits") -> str:
    """Test accuracy at the rate with the lower mean validation loss."""
    found: dict[tuple[int, str], dict[str, list[tuple[float, float]]]] = {}
    for row in read_table(path):
        rates = found.setdefault((int(row["samples"]), row["way"]), {})
        pair = float(row["validation_loss"]), 100 * float(row["test_accuracy"])
        rates.setdefault(row["learning_rate"], []).append(pair)
    lines = []
    for size in sorted({size for size, _ in found}):
        cells = []
        for way in WAYS:
            best = min(found[size, way].values(), key=lambda pairs: float(np.mean([loss for loss, _ in pairs])))
            cells.append(shown(np.array([accuracy for _, accuracy in best]), 2, "%"))
        lines.append((size, *cells))
    return markdown((samples, *WAYS), lines)


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", seeds=range(3), sizes=SIZES)
    if chosen.step == "train":
        for each in WAYS:
            run_here(sweep_of(study(each), base(each), cases(chosen.seeds, chosen.sizes)))
    else:
        write_table(TABLE, measured(), KEYS, source=SOURCE)
        print(table())
