"""Train a recipe: data, network and optimiser under a strategy, then the L-BFGS phase, with logs and checkpoints."""

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from leaky_zoo.data import Dataset, load_data
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.data.pipeline import BatchOrder, check_finite
from leaky_zoo.errors import CheckFailedError
from leaky_zoo.io.files import replacing, write_json
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.evaluation import evaluate_network, targets_for
from leaky_zoo.processes.signals import StopRequest
from leaky_zoo.training.building import (
    augmentation,
    batch_size,
    compiled,
    probe_samples,
    training_arrays,
    variable_dtype,
)
from leaky_zoo.training.callbacks import EarlyStopping, PenaltyRamp
from leaky_zoo.training.checkpoint import Checkpoint, name_of
from leaky_zoo.training.engine import EvaluationGraph, TrainingGraph
from leaky_zoo.training.lbfgs import LBFGSProgress, minimize_objective
from leaky_zoo.training.loop import TrainingLoop, out_of_memory
from leaky_zoo.training.run_folder import EpochLog, RunFolder
from leaky_zoo.training.state import load_variables, variables_of
from leaky_zoo.training.step_size_update import StepSizeUpdate
from leaky_zoo.training.strategy import describe, from_chief, is_chief, is_multi_worker, make_strategy
from leaky_zoo.zoo.recipe import LBFGSPart, Recipe


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves, beside its network.

    Attributes:
        metrics: `{"train": {...}, "test": {...}}`, and `"validation"` where the recipe has one.
        device: the devices in words.
        seconds: wall time of the run, over all its restarts.
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
    """Run a recipe from its first step, or from its last checkpoint to the same bits.

    Args:
        recipe: what to do.
        out: folder of the run; gets `recipe.yaml`, `log.csv`, `checkpoints/`, `model.keras`, `result.json`. In a
            cluster all workers must see it; the chief alone writes.
        data_dir: TFDS folder. Default None: as `load_data`.
        resume: go on from the folder's newest sound checkpoint, or start where there is none; a finished run is
            returned as it is. Default False: refuse a folder that holds a run.
        callbacks: more Keras callbacks; see `StepCallback` for how often they are called and what of them survives a
            restart. Default none.
        on_lbfgs_iteration: called with (iteration, objective) in the second phase. Default None.

    Returns:
        The trained network and the `TrainingResult`; in a cluster the same on all workers.

    Raises:
        InvalidInputError: a recipe that does not fit its data, the devices or the folder, data that are not finite, or
            a folder in which another process trains; before any training.
        CheckFailedError: a loss or gradient is not finite, memory ran out, or no checkpoint is sound.
        WriteFailedError: disk full or read-only; what was saved before is intact.
        PeerLostError: another worker has gone; `resume` goes on from the last checkpoint.
        Terminated, KeyboardInterrupt: SIGTERM or SIGINT came, and a checkpoint has been written.
    """
    folder = RunFolder(Path(out), recipe, resume)
    if folder.finished:
        return read_run(folder)
    strategy = make_strategy(recipe.strategy, recipe.devices)
    data = load_data(recipe.data.name, data_dir)
    splits = {"train": recipe.data.train, "validation": recipe.data.validation, "test": recipe.data.test}
    for split in filter(None, splits.values()):  # what is not there or not a number is refused before any training
        check_finite(*data.select(split), split, variable_dtype(recipe))
    x, y = training_arrays(recipe, data)
    order = BatchOrder(len(x), batch_size(recipe, len(x)), recipe.seed)
    changes = augmentation(recipe, data)
    keras.utils.set_random_seed(recipe.seed)
    with out_of_memory(f"building a network of width {recipe.network.width} and depth {recipe.network.depth}"):
        network = compiled(recipe, data, strategy, order.steps_per_pass)

    with contextlib.ExitStack() as stack:
        if is_chief(strategy):
            stack.enter_context(folder)
        request = stack.enter_context(StopRequest())
        if folder.finished:  # by another process, meanwhile
            return read_run(folder)
        loop, updates = _loop(recipe, folder, strategy, network, (x, y), data, order, changes, callbacks, request)
        trained = _first_phase(loop, folder, strategy)
        network = network.astype(recipe.network.dtype)  # a copy that is not spread over replicas
        if is_chief(strategy):
            lbfgs = None
            if recipe.second_phase:
                lbfgs = _second_phase(loop, folder, recipe.second_phase, network, (x, y), trained, on_lbfgs_iteration)
            metrics = {name: evaluate_network(network, *data.select(split)) for name, split in splits.items() if split}
            result = TrainingResult(metrics, describe(strategy), round(loop.seconds, 1), lbfgs, updates.trace)
            with replacing(folder.model) as aside:
                network.save(aside)
            write_json(folder.result, asdict(result))
        if is_multi_worker(strategy):
            from_chief(strategy, np.zeros(1, np.int32))  # nobody leaves before the chief has written
    return (network, result) if is_chief(strategy) else read_run(folder)


def read_run(folder: RunFolder) -> tuple[LeakyNetwork, TrainingResult]:
    """Network and result of a finished run.

    Raises:
        CheckFailedError: the files are damaged, or not visible to this process.
    """
    try:
        network = keras.models.load_model(folder.model, safe_mode=True)
        return network, TrainingResult(**json.loads(folder.result.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckFailedError(
            f"{folder.path} holds a finished run that cannot be read: {error}. Remove {folder.result.name} and resume."
        ) from error


def _loop(
    recipe: Recipe,
    folder: RunFolder,
    strategy: tf.distribute.Strategy,
    network: LeakyNetwork,
    arrays: tuple[np.ndarray, np.ndarray],
    data: Dataset,
    order: BatchOrder,
    changes: Augmentation,
    callbacks: Sequence[keras.callbacks.Callback],
    request: StopRequest,
) -> tuple[TrainingLoop, StepSizeUpdate]:
    total = recipe.optimizer.total_steps(order.steps_per_pass)
    per_epoch = min(recipe.log_every or order.steps_per_pass, total)
    graph = TrainingGraph(
        network,
        strategy,
        *arrays,
        order,
        micro_batches=recipe.optimizer.micro_batches,
        augmentation=changes,
        loss_scale=recipe.loss_scale,
    )
    validation = None
    if recipe.data.validation:
        x, y = data.select(recipe.data.validation)
        validation = EvaluationGraph(network, strategy, x, targets_for(network, x, y))
    updates = StepSizeUpdate(probe_samples(arrays[0]), total, share=partial(from_chief, strategy))
    part, schedules = recipe.objective, [path.step_size_layer.schedule for path in network.paths]
    watchers: list[keras.callbacks.Callback] = [
        PenaltyRamp(total, part.ramp, part.ramp_from, peak=part.peak, release_at=part.release_at),
        *([updates] if any(schedule.interval or schedule.trainable for schedule in schedules) else []),
        *([EpochLog(folder.log)] if is_chief(strategy) else []),
        *callbacks,
    ]
    if recipe.early_stopping:
        # First, so that the others see the restored weights when training ends.
        stop = EarlyStopping("val_data_loss", mode="min", patience=recipe.early_stopping, restore_best_weights=True)
        watchers.insert(0, stop)
    loop = TrainingLoop(
        graph,
        watchers,
        total=-(-total // per_epoch) * per_epoch,
        per_epoch=per_epoch,
        request=request,
        validation=validation,
        checkpoints=folder.checkpoints if is_chief(strategy) else None,
        checkpoint_every=recipe.checkpoint_every,
    )
    return loop, updates


def _first_phase(loop: TrainingLoop, folder: RunFolder, strategy: tf.distribute.Strategy) -> Checkpoint:
    """Train with the optimiser from the newest checkpoint; what a checkpoint holds at its end."""
    checkpoint = _agreed(folder, strategy)
    if checkpoint is not None and checkpoint.iteration is not None:
        loop.restore(checkpoint)
        return checkpoint
    loop.run(checkpoint)
    trained = replace(loop.checkpoint(), iteration=0)
    if is_chief(strategy):
        folder.checkpoints.write(trained)
    return trained


def _agreed(folder: RunFolder, strategy: tf.distribute.Strategy) -> Checkpoint | None:
    """The checkpoint that all workers go on from: the chief chooses."""
    if not folder.resume:
        return None
    if not is_multi_worker(strategy):
        return folder.checkpoints.latest()
    newest = folder.checkpoints.latest() if is_chief(strategy) else None
    chosen = (-1, -1) if newest is None else (newest.step, -1 if newest.iteration is None else newest.iteration)
    step, iteration = map(int, from_chief(strategy, np.array(chosen, np.int64)))
    if step < 0:
        return None
    return newest or folder.checkpoints.read(name_of(step, None if iteration < 0 else iteration))


def _second_phase(
    loop: TrainingLoop,
    folder: RunFolder,
    settings: LBFGSPart,
    network: LeakyNetwork,
    arrays: tuple[np.ndarray, np.ndarray],
    trained: Checkpoint,
    on_iteration: Callable[[int, float], None] | None,
) -> dict[str, Any]:
    """L-BFGS in float64, with a checkpoint after every round; the network gets its weights."""
    twin = network.astype("float64")
    progress = LBFGSProgress()
    if "lbfgs" in trained.state:
        progress = LBFGSProgress(**trained.state["lbfgs"])
        load_variables("twin", twin.variables, trained.arrays)

    def save(now: LBFGSProgress) -> None:
        arrays = trained.arrays | variables_of("twin", twin.variables)
        state = trained.state | {"lbfgs": asdict(now), "seconds": loop.seconds}
        folder.checkpoints.write(replace(trained, iteration=now.iterations, arrays=arrays, state=state))

    def watch(iteration: int, objective: float) -> None:
        loop.request.raise_if_requested(
            f"Stopped in L-BFGS iteration {iteration}; a checkpoint from the round's start is in "
            f"{folder.checkpoints.folder}."
        )
        if on_iteration:
            on_iteration(iteration, objective)

    with out_of_memory("in the L-BFGS phase, which computes on all samples at once"):
        report = minimize_objective(twin, *arrays, settings, watch, progress=progress, on_round=save)
    network.set_weights(twin.get_weights())
    return report
