"""A preset or a saved model to a compressed ONNX file, within a budget or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.compress import Compressed, CompressionData, compress, plan_compression, split_for
from leaky_zoo.compress.chain import build_model, read_chain
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.plan import REACH
from leaky_zoo.compress.smaller import AUGMENTED, measured_cost
from leaky_zoo.compress.storage import check_storage
from leaky_zoo.data import Dataset
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.deploy.arguments import checked_path
from leaky_zoo.deploy.compressed import export_compressed
from leaky_zoo.deploy.compressed_graph import build_compressed
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.building import augmentation
from leaky_zoo.zoo import Preset, Recipe, keras_file_of, load_model
from leaky_zoo.zoo.training_data import held_out, training_data

RELU_SAMPLES = 2000
Words = Callable[[str], None]


def compress_model(
    model: str | os.PathLike[str] | Preset,
    path: str | os.PathLike[str],
    *,
    max_drop: float,
    metric: str | None = None,
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    epochs: int = 10,
    storage: str = "float32",
    monitor: bool = True,
    steps: int | None = None,
    reach: float = REACH,
    words: Words | None = None,
) -> dict[str, Any]:
    """Compress a preset or a `.keras` file into one ONNX file.

    The choices of `plan_compression` are tried, smallest first: distilled, rounded, and measured on the validation part
    of the training split; and where the recipe augments, on augmented copies of it, with one standard error more. The
    first that is within the budget on both is written. The test split is looked at once, for that one. Distillation
    uses the augmentation of the preset's recipe, or of a `recipe.yaml` beside the `.keras` file. Its checkpoints are in
    a folder beside `path` until the file is written: the same call goes on from them. This project.

    Args:
        model: preset name, preset folder, open `Preset`, or `.keras` file of one of our networks.
        path: the `.onnx` file.
        max_drop: budget, percentage points of accuracy or percent of the loss, in (0, 100].
        metric: as `plan_compression`. Default None.
        data: data set or file with a training split. Default None: what the network was trained on.
        data_dir: TFDS folder. Default None.
        epochs: of distillation, for each choice that is tried; 0: none. Default 10.
        storage: of the kernels: "float32", "float16" or "int8". Default "float32".
        monitor: whether the file watches for drift, where there are samples that the network was not trained on
            (`leaky_zoo.zoo.training_data.held_out`): about 10 kB of it. Default True.
        steps: as `plan_compression`. Default None: the network's own.
        reach: as `plan_compression`. Default 10.
        words: told what is being done. Default None.

    Returns:
        As `export_compressed`, with `tried`: each choice, its drops, and what of the budget is spent; and
        `monitor`: what the reference was measured on, or None.

    Raises:
        InvalidInputError: an argument that cannot be used.
        CheckFailedError: no bottleneck, a budget that no choice meets (the message says what was reached), or a graph
            that does not agree with Keras. Nothing is written.
    """
    path = checked_path(path)
    if not isinstance(epochs, int) or epochs < 0:
        raise InvalidInputError(f"`epochs` must be a whole number, at least 0. Received: epochs={epochs!r}")
    check_storage(storage)
    say = words or (lambda text: None)
    network, audit, recipe, metadata = _subject(model)
    whole = read_chain(network)
    shape, output = network.config.input_shape, network.task.output_name
    # What has no graph is refused here, and not after hours of distillation.
    build_compressed(Compressed(build_model(whole, shape, network.name), whole, storage, None, {}), output)
    samples = training_data(network, data, data_dir=data_dir)
    dataset = samples.dataset
    parts, changes = split_for(network, dataset), _augmentation(recipe, dataset)
    say(f"validation part of {parts.words}")
    plan = plan_compression(
        network,
        parts,
        max_drop=max_drop,
        metric=metric,
        distill=epochs > 0,
        augmentation=changes,
        steps=steps,
        reach=reach,
    )
    folder = Path(f"{path}.distillation")
    compressed, tried = _within(network, plan, parts, epochs, storage, changes, folder, say)
    _look_at_test(compressed, network, dataset, Metric.of(network, plan.metric))
    if audit is None:
        audit = analyze(network, *samples.arrays, data=samples.about, relu_samples=RELU_SAMPLES)
    inputs = np.asarray(parts.validation[0][:512], np.float32)
    cost = compressed.record["cost"]
    metrics = {split: {each["metric"]: each["after"]} for split, each in cost.items()}
    watched = held_out(network, samples) if monitor else None
    report = export_compressed(
        compressed,
        network,
        path,
        check_inputs=inputs,
        audit=audit,
        metadata=metadata,
        metrics=metrics,
        monitor_data=None if watched is None else watched[0],
    )
    shutil.rmtree(folder, ignore_errors=True)
    return {**report, "tried": tried, "monitor": watched and f"{dataset.identifier}, {watched[1]}"}


def _subject(
    model: str | os.PathLike[str] | Preset,
) -> tuple[LeakyNetwork, Audit | None, Recipe | None, dict[str, Any] | None]:
    """The network, and its audit, recipe and metadata where they are there."""
    file = keras_file_of(model)
    if file is None:
        preset = Preset.open(model)
        return preset.network, preset.audit, preset.recipe, preset.metadata
    network = load_model(file)
    if not isinstance(network, LeakyNetwork):
        raise InvalidInputError(f"Only networks of ours are compressed. Received: a {type(network).__name__}")
    beside = file.with_name("recipe.yaml")
    return network, None, Recipe.read(beside) if beside.is_file() else None, None


def _augmentation(recipe: Recipe | None, dataset: Dataset) -> Augmentation | None:
    return None if recipe is None else augmentation(recipe, dataset)


def _within(
    network: LeakyNetwork,
    plan: Any,
    parts: CompressionData,
    epochs: int,
    storage: str,
    changes: Augmentation | None,
    folder: Path,
    say: Words,
) -> tuple[Compressed, list[dict[str, Any]]]:
    """The first choice within the budget on the validation part, and what was tried.

    Raises:
        CheckFailedError: there is none.
    """
    tried: list[dict[str, Any]] = []
    for place, choice in enumerate(plan.choices):
        say(f"{choice.candidate.numbers:,} of {plan.numbers:,} numbers, {epochs} epochs")
        compressed = compress(
            network,
            plan,
            parts,
            choice=place,
            epochs=epochs,
            storage=storage,
            augmentation=changes,
            folder=folder if epochs else None,
            report=lambda epoch, score: say(f"epoch {epoch}: {score:.5g}"),
        )
        costs = compressed.record["cost"]
        for part, cost in costs.items():
            say(f"{part}: {cost['before']:.5g} before, {cost['after']:.5g} after, drop {cost['drop']:.3f}")
        spent = max(
            cost["drop"] + (cost["standard_error"] if part == AUGMENTED else 0.0) for part, cost in costs.items()
        )
        drops = {part: cost["drop"] for part, cost in costs.items()}
        tried.append({"numbers": compressed.record["parameters"], "spent": spent, "drops": drops})
        if spent <= plan.max_drop:
            compressed.record["tried"] = tried
            return compressed, tried
    best = min(tried, key=lambda each: each["spent"], default=None)
    reached = f"{best['spent']:.3f} with {best['numbers']:,} numbers" if best else "no candidate at all"
    raise CheckFailedError(
        f"A drop of at most {plan.max_drop:g} ({plan.metric}, validation part) was not reached: the least was "
        f"{reached}, from {plan.numbers:,}. Nothing was written."
    )


def _look_at_test(compressed: Compressed, network: LeakyNetwork, dataset: Dataset, metric: Metric) -> None:
    """Measure both nets on the test split, where there is one, into the record."""
    if "test" not in dataset.splits:
        return
    x, y = dataset.select("test")
    models = (network, compressed.model, compressed.model)
    cost = measured_cost(metric, models, (np.asarray(x, np.float32), network.task.targets(x, y)))
    compressed.record["cost"]["test"] = {key: value for key, value in cost.items() if key != "drop_of_rounding"}
