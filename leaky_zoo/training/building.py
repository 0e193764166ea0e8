"""From a recipe and its data to what a run starts with: arrays, network, optimiser."""

import os
from typing import Any

import keras
import numpy as np

from leaky_zoo.data import Dataset, content_sha256, load_data
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry.subsample import even_rows
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.evaluation import watched_metrics
from leaky_zoo.networks.families import get_family
from leaky_zoo.networks.tasks import Task, get_task
from leaky_zoo.training.optimizer import make_optimizer
from leaky_zoo.training.strategy import Strategy
from leaky_zoo.zoo import load_network
from leaky_zoo.zoo.recipe import Recipe

PROBE_SAMPLES = 512
CHANGES = ("crop_padding", "flip", "rotation", "zoom", "cutout", "noise", "mixup")  # as both name them


def training_arrays(recipe: Recipe, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the recipe's training split, and what its task asks for them."""
    x, y = data.select(recipe.data.train)
    return x, task_of(recipe, data).targets(x, y)


def task_of(recipe: Recipe, data: Dataset) -> Task:
    """What the network is asked for: what the recipe says, else what the data set is for.

    Raises:
        InvalidInputError: the recipe does not say, and the data set has no targets.
    """
    return get_task(recipe.network.task or data.targets_task)


def data_of(recipe: Recipe, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set of a recipe, read as the recipe's task needs it.

    Raises:
        InvalidInputError: as `load_data`.
    """
    asked = recipe.network.task
    task = asked if asked is not None and get_task(asked).from_inputs else recipe.data.task
    return load_data(recipe.data.name, data_dir, task=task, stream=recipe.data.stream)


def augmentation(recipe: Recipe, data: Dataset) -> Augmentation:
    """What the inputs of each step go through; dropped table cells become their feature's mean, dropped pixels 0.

    Raises:
        InvalidInputError: a change of images for what are none, whose channels come first, or further than they are
            large.
    """
    part, mean = recipe.data, 0.0
    if data.normalize_features or part.cutout:
        mean = data.statistics(part.train)["input_mean"]
    changes = Augmentation(
        recipe.seed,
        part.input_dropout,
        part.translation,
        mean if data.normalize_features else 0.0,
        mean=mean,
        **{name: getattr(part, name) for name in CHANGES},
    )
    changes.check(tuple(data.input_shape))
    if changes.needs_images and _channels_first(recipe):
        raise InvalidInputError(
            f"data.{changes.needs_images[0]} needs images of (height, width, channels). "
            "Received: network.data_format=channels_first"
        )
    return changes


def _channels_first(recipe: Recipe) -> bool:
    """Whether the network takes images with their channels first."""
    if "data_format" not in get_family(recipe.network.family).config_class.model_fields:
        return False
    own = recipe.network.family_fields.get("data_format")
    return (own or keras.config.image_data_format()) == "channels_first"


def build(recipe: Recipe, data: Dataset) -> LeakyNetwork:
    """The untrained network of a recipe, with the normalisation of its training split."""
    part, task = recipe.network, task_of(recipe, data)
    if recipe.objective.label_smoothing and not task.labels:
        raise InvalidInputError(
            f"objective.label_smoothing is for labels, and {data.identifier} has none in {task.name}. "
            f"Received: {recipe.objective.label_smoothing}"
        )
    statistics = data.statistics(recipe.data.train)
    if not task.standardizes:
        statistics = {key: value for key, value in statistics.items() if key.startswith("input")}
    output_size = None if task.from_inputs else data.output_size
    decay = recipe.objective.io_weight_decay
    arguments = {
        "task": task.name,
        "weight_decay": recipe.objective.weight_decay,
        "io_weight_decay": recipe.objective.weight_decay if decay is None else decay,
        "class_names": list(data.class_names) if data.class_names and task.labels else None,
        "input_range": data.input_range(recipe.data.train),
        "feature_names": _names_of(data),
        "dataset": {
            "name": data.identifier,
            "split": recipe.data.train,
            "sha256": content_sha256(*data.select(recipe.data.train)),
        },
        "dtype": part.dtype,
        "name": recipe.name,
        **part.given,
    }
    if part.source is not None:
        kept = {key: value for key, value in statistics.items() if key.startswith("output")}
        return _continued(part.source, part.freeze, data, output_size, arguments | kept)
    return get_family(part.family)(data.input_shape, output_size, **arguments, **statistics)


def _continued(
    source: str, freeze: bool, data: Dataset, output_size: int | None, arguments: dict[str, Any]
) -> LeakyNetwork:
    """The net of a preset with a new head; inputs are normalised as it was trained.

    Raises:
        InvalidInputError: no such preset, or samples of another shape than it takes.
    """
    network = load_network(source)
    if network.config.input_shape != tuple(data.input_shape):
        raise InvalidInputError(
            f"network.from: {source} takes samples of shape {network.config.input_shape}; bring the data to it. "
            f"Received: {data.identifier}, samples of shape {tuple(data.input_shape)}"
        )
    network = network.with_new_head(output_size, freeze_path=freeze, step_size_trace=None, **arguments)
    if not freeze:  # of a source whose path was frozen too
        for layer in network.representations.layers:
            layer.trainable = True
    return network


def _names_of(data: Dataset) -> list[str] | None:
    """Names of a table's features, where each has one."""
    names = list(data.feature_names or ())
    return names if (len(names),) == tuple(data.input_shape) else None


def compiled(recipe: Recipe, data: Dataset, strategy: Strategy, per_pass: int) -> LeakyNetwork:
    """The untrained network with its optimiser, all variables made where the strategy wants them."""
    total = recipe.optimizer.total_steps(per_pass)
    with strategy.scope():
        network = build(recipe, data)
        optimizer = make_optimizer(recipe.optimizer, total)
        optimizer.build(network.trainable_variables)
        # The loss scale is the loop's: Keras's cannot skip a step on all replicas at once.
        network.compile(
            optimizer,
            network.loss_function(),
            metrics=watched_metrics(network),
            jit_compile=False,
            auto_scale_loss=False,
        )
    return network


def batch_size(recipe: Recipe, samples: int) -> int:
    """Samples of one optimiser step.

    Raises:
        InvalidInputError: more than there are samples, or fewer than micro-batches.
    """
    size = samples if recipe.data.batch_size == "full" else recipe.data.batch_size
    if "batch_size" not in recipe.data.model_fields_set:
        size = min(size, samples)
    if size > samples:
        raise InvalidInputError(f"data.batch_size must be at most {samples}, the training samples. Received: {size}")
    if recipe.optimizer.micro_batches > size:
        raise InvalidInputError(
            f"optimizer.micro_batches must be at most {size}, the samples of a step. "
            f"Received: {recipe.optimizer.micro_batches}"
        )
    return size


def variable_dtype(recipe: Recipe) -> str:
    """Precision of weights and inputs."""
    return keras.dtype_policies.get(recipe.network.dtype).variable_dtype


def probe_samples(x: np.ndarray) -> np.ndarray:
    """Samples on which the path is measured: spread evenly over the training split."""
    return x[even_rows(len(x), PROBE_SAMPLES)].astype(np.float32)
