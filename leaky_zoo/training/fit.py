"""Train a recipe: data, network and optimiser under a strategy, then the L-BFGS phase, with logs and checkpoints."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.data import Dataset, load_data
from leaky_zoo.data.pipeline import evaluation_pipeline, training_pipeline
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.files import replacing, write_json
from leaky_zoo.networks import FAMILIES, LeakyNetwork
from leaky_zoo.training.callbacks import PenaltyRamp, StepSizeUpdate, StopOnNonFinite
from leaky_zoo.training.evaluation import evaluate_network, targets_for, watched_metrics
from leaky_zoo.training.lbfgs import minimize_objective
from leaky_zoo.training.optimizer import ClippedAdam
from leaky_zoo.training.recipe import LBFGSPart, Recipe
from leaky_zoo.training.run_folder import Checkpoint, EpochLog, RunFolder, steps_done
from leaky_zoo.training.strategy import describe, make_strategy

PROBE_SAMPLES = 512
EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves, beside its network.

    Attributes:
        metrics: `{"train": {...}, "test": {...}}`, and `"validation"` where the recipe has one.
        device: the devices in words.
        seconds: wall time of the run, from its last resume.
        lbfgs: what the second phase reports, or None.
        step_size_trace: one entry for each update of the step sizes.
    """

    metrics: dict[str, dict[str, float]]
    device: str
    seconds: float
    lbfgs: dict[str, Any] | None
    step_size_trace: list[dict[str, Any]]


def train(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_lbfgs_iteration: Callable[[int, float], None] | None = None,
) -> tuple[LeakyNetwork, TrainingResult]:
    """Run a recipe from its first step, or from its last checkpoint.

    Args:
        recipe: what to do.
        out: folder of the run; gets `recipe.yaml`, `log.csv`, `checkpoint.keras`, `model.keras`, `result.json`.
        data_dir: TFDS folder. Default None: as `load_data`.
        resume: go on from the folder's checkpoint. Default False: refuse a folder that holds a run.
        callbacks: more Keras callbacks. Default none.
        on_lbfgs_iteration: called with (iteration, objective) in the second phase. Default None.

    Returns:
        The trained network and the `TrainingResult`.

    Raises:
        InvalidInputError: a recipe that does not fit its data, the devices or the folder; before any training.
    """
    begin = time.perf_counter()
    folder = RunFolder(Path(out), recipe, resume)
    strategy = make_strategy(recipe.strategy, recipe.devices)
    data = load_data(recipe.data.name, data_dir)
    splits = {"train": recipe.data.train, "validation": recipe.data.validation, "test": recipe.data.test}
    for split in filter(None, splits.values()):
        data.select(split)  # a split that is not there is refused now, not after the training
    x, y = training_arrays(recipe, data)
    batch_size = _global_batch(recipe, len(x), strategy.num_replicas_in_sync)
    per_pass = len(x) // batch_size
    total = recipe.optimizer.total_steps(per_pass)
    per_epoch = min(recipe.log_every or per_pass, total)

    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        network = folder.load_checkpoint()
        if network is None:
            network = build(recipe, data)
            network.compile(
                _optimizer(recipe, total),
                network.loss_function(),
                metrics=watched_metrics(network),
                jit_compile=False if _on_cpu() else "auto",  # XLA halves the speed on a CPU
            )
    first_step = steps_done(network)
    first_epoch = first_step // per_epoch
    folder.start()
    updates = StepSizeUpdate(_probe(x), total, first_step)
    updates.trace = folder.step_size_trace(first_step)
    watchers: list[keras.callbacks.Callback] = [
        PenaltyRamp(total, recipe.objective.ramp, recipe.objective.ramp_from, first_step),
        *([updates] if network.path_layer.schedule.interval else []),
        StopOnNonFinite(),
        EpochLog(folder.log, first_epoch),
        Checkpoint(folder, updates),
        *callbacks,
    ]
    validation = None
    if recipe.data.validation:
        x_held, y_held = data.select(recipe.data.validation)
        validation = evaluation_pipeline(x_held, targets_for(network, x_held, y_held), EVALUATION_BATCH)
    if recipe.early_stopping:
        # First, so that the others see the restored weights when training ends.
        stop = keras.callbacks.EarlyStopping(
            "val_data_loss", mode="min", patience=recipe.early_stopping, restore_best_weights=True
        )
        watchers.insert(0, stop)
    if first_step < total:
        stream = training_pipeline(
            x,
            y,
            batch_size,
            recipe.seed,
            first_step=first_step,
            input_dropout=recipe.data.input_dropout,
            fill=network.settings["input_mean"] if data.normalize_features else 0.0,
            dtype=network.inputs[0].dtype,
        )
        network.fit(
            stream,
            epochs=-(-total // per_epoch),
            initial_epoch=first_epoch,
            steps_per_epoch=per_epoch,
            validation_data=validation,
            shuffle=False,
            verbose=0,
            callbacks=watchers,
        )
    network = network.astype(recipe.network.dtype)  # a copy that is not spread over replicas
    lbfgs = _second_phase(recipe.lbfgs, network, x, y, on_lbfgs_iteration) if recipe.lbfgs else None
    metrics = {name: evaluate_network(network, *data.select(split)) for name, split in splits.items() if split}
    result = TrainingResult(metrics, describe(strategy), round(time.perf_counter() - begin, 1), lbfgs, updates.trace)
    with replacing(folder.model) as aside:
        network.save(aside)
    write_json(folder.result, asdict(result))
    return network, result


def training_arrays(recipe: Recipe, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the recipe's training split; an autoencoder's targets are its inputs."""
    x, y = data.select(recipe.data.train)
    return x, x.astype(np.float32) if recipe.network.task == "autoencoding" else y


def build(recipe: Recipe, data: Dataset) -> LeakyNetwork:
    """The untrained network of a recipe, with the normalisation of its training split."""
    part = recipe.network
    task = part.task or data.task
    statistics = data.statistics(recipe.data.train)
    if task != "regression":
        statistics = {key: value for key, value in statistics.items() if key.startswith("input")}
    conv = ("kernel_size", "stem_size", "stem_stride")
    return FAMILIES[part.family](
        data.input_shape,
        None if task == "autoencoding" else data.output_size,
        task=task,
        width=part.width,
        depth=part.depth,
        effective_depth=part.effective_depth,
        schedule=part.schedule,
        weight_decay=recipe.objective.weight_decay,
        io_weight_decay=recipe.objective.io_weight_decay,
        use_bias=part.use_bias,
        class_names=list(data.class_names) if data.class_names and task == "classification" else None,
        dataset={"name": data.identifier, "split": recipe.data.train},
        dtype=part.dtype,
        name=recipe.name,
        **statistics,
        **{key: getattr(part, key) for key in conv if getattr(part, key) is not None},
    )


def _second_phase(
    settings: LBFGSPart,
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray,
    on_iteration: Callable[[int, float], None] | None,
) -> dict[str, Any]:
    twin = network.astype("float64")
    report = minimize_objective(twin, x, y, settings, on_iteration)
    network.set_weights(twin.get_weights())
    return report


def _optimizer(recipe: Recipe, total: int) -> keras.optimizers.Optimizer:
    part = recipe.optimizer
    warmup = round(part.warmup * total)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else part.learning_rate,
        max(total - warmup, 1),
        warmup_target=part.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return ClippedAdam(rate, global_clipnorm=part.global_clipnorm)


def _global_batch(recipe: Recipe, samples: int, replicas: int) -> int:
    size = samples if recipe.data.batch_size == "full" else recipe.data.batch_size
    if size > samples or size % replicas:
        raise InvalidInputError(
            f"data.batch_size must be at most {samples}, the training samples, and divisible by the {replicas} "
            f"replicas. Received: {size}"
        )
    return size


def _probe(x: np.ndarray) -> np.ndarray:
    """Samples on which the path is measured: spread evenly over the training split."""
    rows = np.unique(np.linspace(0, len(x) - 1, min(PROBE_SAMPLES, len(x))).round().astype(int))
    return x[rows].astype(np.float32)


def _on_cpu() -> bool:
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
