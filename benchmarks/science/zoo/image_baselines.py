"""CIFAR-10 (JPEG): leaky nets beside ResNet-20 and the Keras example, one core-hour each.

    python -m benchmarks.science.zoo.image_baselines [--seeds 0-0] [--nets ...] [--recipe FILE]
                                                                 writes image_baselines.csv

The recipe is `cifar10_jpeg_sixteen_bits.yaml` for all: its data, changes of the images, batches, optimiser, rate, mean
of the weights, precision, and for the leaky nets its widths. What differs is the net, and the epochs, so that each
takes about one hour of one core. All go through the loop of `baselines`. The test split is looked at once for each
net. Run it with one thread (TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1); `processor_seconds` is what it took.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import markdown, options, read_table, shown, write_table
from benchmarks.science.zoo.baselines import trained
from benchmarks.science.zoo.image_nets import Maker, keras_example, resnet_20
from leaky_zoo.training import Recipe

TABLE = Path(__file__).with_suffix(".csv")
RECIPE = TABLE.with_name("cifar10_jpeg_sixteen_bits.yaml")
# Passes over the training split that take about an hour of one core.
EPOCHS = {
    "leaky at L~ = 1": 24,
    "leaky at L~ = 3": 18,
    "ResNet-20": 22,
    "ResNet-20 without normalisation": 40,
    "Keras example": 60,
}
LEAKY = {
    "leaky at L~ = 1": {},
    "leaky at L~ = 3": {"effective_depth": 3.0, "depths": [4, 4, 4]},  # with three blocks a step would leave nothing
}


def model_of(net: str, recipe: Recipe, data: Any) -> keras.Model:
    """The untrained model."""
    from leaky_zoo.training.building import build

    if net in LEAKY:
        network = recipe.network.model_dump(exclude_unset=True) | LEAKY[net]
        return build(Recipe.model_validate(recipe.model_dump(exclude_unset=True) | {"network": network}), data)
    statistics = data.statistics(recipe.data.train)
    maker = Maker(recipe.network.dtype, recipe.objective.io_weight_decay or recipe.objective.weight_decay)
    ends = maker.scaled(data.input_shape, statistics["input_mean"], statistics["input_variance"])
    if net == "Keras example":
        return keras_example(maker, *ends, data.output_size)
    return resnet_20(maker, *ends, data.output_size, normalised=net == "ResNet-20")


def measure(seeds: range, nets: tuple[str, ...], recipe: Recipe) -> None:
    """One row for each net."""
    from leaky_zoo.data import load_data

    data = load_data(recipe.data.name)
    for seed in seeds:
        for net in nets:
            optimizer = recipe.optimizer.model_copy(update={"epochs": EPOCHS[net]})
            seeded = recipe.model_copy(update={"seed": seed, "optimizer": optimizer})
            begin = time.process_time()
            accuracy, numbers = trained(partial(model_of, net, seeded, data), seeded, data)
            row = {
                "net": net, "seed": seed, "accuracy": accuracy, "parameters": numbers, "epochs": EPOCHS[net],
                "processor_seconds": round(time.process_time() - begin),
            }  # fmt: skip
            write_table(TABLE, [row], ("net", "seed"))
            print(row, flush=True)


def table() -> str:
    """Mean and interval over seeds."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in read_table(TABLE):
        found.setdefault(row["net"], []).append(row)
    lines = []
    for net in filter(found.__contains__, EPOCHS):
        rows = found[net]
        values = np.array([100 * float(row["accuracy"]) for row in rows])
        minutes = np.mean([float(row["processor_seconds"]) for row in rows]) / 60
        lines.append((
            net, f"{int(rows[0]['parameters']):,}", rows[0]["epochs"], f"{minutes:.0f}", len(rows),
            shown(values, 2, "%"),
        ))  # fmt: skip
    return markdown(("net", "parameters", "epochs", "processor minutes", "seeds", "test accuracy"), lines)


if __name__ == "__main__":
    chosen = options(__doc__, seeds=range(1), nets=tuple(EPOCHS), recipe=str(RECIPE))
    measure(chosen.seeds, chosen.nets, Recipe.read(chosen.recipe))
