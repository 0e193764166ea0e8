"""CIFAR-10 (JPEG): leaky nets beside ResNet-20 and the Keras example, one core-hour each.

    python -m benchmarks.science.zoo.image_baselines [--seeds 0-0] [--nets ...] [--recipe FILE]
                                                                 writes image_baselines.csv

The recipe is `cifar10_jpeg_sixteen_bits.yaml` for all: its data, changes of the images, batches, optimiser, rate, mean
of the weights, precision, and for the leaky nets its widths. What differs is the net, and the epochs: as many as fit
into one hour of one core, from the time of a few steps measured here. All go through the loop of `baselines`. The test
split is looked at once for each net. Run it with one thread (TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1) and
nothing beside; `processor_seconds` is what it took. Without 16-bit units, `--recipe` needs one with `dtype: float32`.
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
HOUR = 3600.0  # seconds of one core for each net
NETS = ("leaky at L~ = 1", "leaky at L~ = 3", "ResNet-20", "ResNet-20 without normalisation", "Keras example")
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


def epochs_in_an_hour(net: str, recipe: Recipe, data: Any) -> int:
    """Passes over the training split that take an hour: from trainings of one and of four passes over 20 batches."""
    batches = 20
    part = recipe.data.model_copy(
        update={"train": f"train[:{batches * recipe.data.batch_size}]", "test": "test[:1000]"}
    )
    seconds = []
    for epochs in (1, 4):
        short = recipe.model_copy(
            update={"data": part, "optimizer": recipe.optimizer.model_copy(update={"epochs": epochs})}
        )
        begin = time.process_time()
        trained(partial(model_of, net, short, data), short, data)
        seconds.append(time.process_time() - begin)
    step = (seconds[1] - seconds[0]) / (3 * batches)
    return max(1, int(HOUR / (step * len(data.select(recipe.data.train)[0]) / recipe.data.batch_size)))


def measure(seeds: range, nets: tuple[str, ...], recipe: Recipe) -> None:
    """One row for each net."""
    from leaky_zoo.data import load_data

    data = load_data(recipe.data.name)
    passes = {net: epochs_in_an_hour(net, recipe, data) for net in nets}  # once: seeds are to differ in nothing else
    for seed in seeds:
        for net in nets:
            optimizer = recipe.optimizer.model_copy(update={"epochs": passes[net]})
            seeded = recipe.model_copy(update={"seed": seed, "optimizer": optimizer})
            begin = time.process_time()
            accuracy, numbers = trained(partial(model_of, net, seeded, data), seeded, data)
            row = {
                "net": net, "seed": seed, "accuracy": accuracy, "parameters": numbers, "epochs": passes[net],
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
    for net in filter(found.__contains__, NETS):
        rows = found[net]
        values = np.array([100 * float(row["accuracy"]) for row in rows])
        minutes = np.mean([float(row["processor_seconds"]) for row in rows]) / 60
        lines.append((
            net, f"{int(rows[0]['parameters']):,}", rows[0]["epochs"], f"{minutes:.0f}", len(rows),
            shown(values, 2, "%"),
        ))  # fmt: skip
    return markdown(("net", "parameters", "epochs", "processor minutes", "seeds", "test accuracy"), lines)


if __name__ == "__main__":
    chosen = options(__doc__, seeds=range(1), nets=NETS, recipe=str(RECIPE))
    measure(chosen.seeds, chosen.nets, Recipe.read(chosen.recipe))
