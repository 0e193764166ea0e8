"""CIFAR-10 (JPEG): leaky nets beside ResNet-20 and the Keras example, one core-hour each.

    python -m benchmarks.science.zoo.image_baselines epochs [--nets ...]   writes image_epochs.csv
    python -m benchmarks.science.zoo.image_baselines train [--seeds 0-0] [--nets ...]     writes image_baselines.csv

The recipe is `cifar10_jpeg_one_hour.yaml` for all: its data, changes of the images, batches, optimiser, rate, mean of
the weights, precision, and for the leaky nets its widths. What differs is the net, and the epochs: as many as fit into
one hour of one core, from the time of a few steps. All go through the loop of `baselines`. The test split is looked at
once for each net. Run both with one thread (TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1) and a core of their
own. A training that was stopped goes on where it was; `processor_seconds` is what it took.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import BUILD, markdown, options, read_table, shown, write_table
from benchmarks.science.zoo.baselines import trained
from benchmarks.science.zoo.image_nets import Maker, keras_example, resnet_20
from benchmarks.science.zoo.progress import Progress
from leaky_zoo.training import Recipe

TABLE = Path(__file__).with_suffix(".csv")
EPOCHS = TABLE.with_name("image_epochs.csv")
RECIPE = TABLE.with_name("cifar10_jpeg_one_hour.yaml")
HOUR = 3600.0  # seconds of one core for each net
LEAKY = {"leaky at L~ = 1": 1.0, "leaky at L~ = 3": 3.0}
NETS = (*LEAKY, "ResNet-20", "ResNet-20 without normalisation", "Keras example")


def model_of(net: str, recipe: Recipe, data: Any) -> keras.Model:
    """The untrained model."""
    from leaky_zoo.training.building import build

    if net in LEAKY:
        network = recipe.network.model_dump(exclude_unset=True) | {"effective_depth": LEAKY[net]}
        return build(Recipe.model_validate(recipe.model_dump(exclude_unset=True) | {"network": network}), data)
    statistics = data.statistics(recipe.data.train)
    maker = Maker(recipe.network.dtype, recipe.objective.io_weight_decay or recipe.objective.weight_decay)
    ends = maker.scaled(data.input_shape, statistics["input_mean"], statistics["input_variance"])
    if net == "Keras example":
        return keras_example(maker, *ends, data.output_size)
    return resnet_20(maker, *ends, data.output_size, normalised=net == "ResNet-20")


def seconds_of_an_image(net: str, recipe: Recipe, data: Any) -> float:
    """Processor time of an image in training: from trainings of one and of four passes over 20 batches."""
    images = 20 * recipe.data.batch_size
    part = recipe.data.model_copy(update={"train": f"train[:{images}]", "test": "test[:1000]"})
    seconds = []
    for epochs in (1, 4):
        short = recipe.model_copy(
            update={"data": part, "optimizer": recipe.optimizer.model_copy(update={"epochs": epochs})}
        )
        begin = time.process_time()
        trained(partial(model_of, net, short, data), short, data)
        seconds.append(time.process_time() - begin)
    return (seconds[1] - seconds[0]) / (3 * images)


def measure_epochs(nets: tuple[str, ...], recipe: Recipe, data: Any) -> None:
    """How often each net goes through the training split in an hour."""
    images = len(data.select(recipe.data.train)[0])
    for net in nets:
        seconds = seconds_of_an_image(net, recipe, data)
        row = {"net": net, "milliseconds_of_an_image": 1e3 * seconds, "epochs": max(1, int(HOUR / seconds / images))}
        write_table(EPOCHS, [row], ("net",))
        print(row, flush=True)


def measure(seeds: range, nets: tuple[str, ...], recipe: Recipe, data: Any) -> None:
    """One row for each net and seed."""
    epochs = {row["net"]: int(row["epochs"]) for row in read_table(EPOCHS)}
    for seed in seeds:
        for net in nets:
            optimizer = recipe.optimizer.model_copy(update={"epochs": epochs[net]})
            seeded = recipe.model_copy(update={"seed": seed, "optimizer": optimizer})
            progress = Progress(BUILD / "image_baselines" / f"{net} {seed}.npz".replace(" ", "_"))
            accuracy, numbers = trained(partial(model_of, net, seeded, data), seeded, data, progress)
            row = {
                "net": net, "seed": seed, "accuracy": accuracy, "parameters": numbers, "epochs": epochs[net],
                "processor_seconds": round(progress.seconds),
            }  # fmt: skip
            write_table(TABLE, [row], ("net", "seed"))
            progress.path.unlink()
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
    from leaky_zoo.data import load_data

    chosen = options(__doc__, "epochs", "train", seeds=range(1), nets=NETS)
    recipe = Recipe.read(RECIPE)
    data = load_data(recipe.data.name)
    if chosen.step == "epochs":
        measure_epochs(chosen.nets, recipe, data)
    else:
        measure(chosen.seeds, chosen.nets, recipe, data)
