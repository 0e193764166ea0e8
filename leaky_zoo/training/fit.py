"""Train a recipe: data, network and optimiser under a strategy, then the L-BFGS phase, with logs and checkpoints."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.data import Dataset
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.data.pipeline import BatchOrder, check_finite
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.io.files import replacing, write_json
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.families import all_families
from leaky_zoo.processes.signals import StopRequest
from leaky_zoo.training.averaging import WeightAverage
from leaky_zoo.training.building import (
    augmentation,
    batch_size,
    compiled,
    data_of,
    probe_samples,
    training_arrays,
    variable_dtype,
)
from leaky_zoo.training.callbacks import EarlyStopping, PenaltyRamp
from leaky_zoo.training.checkpoint import Checkpoint, name_of
from leaky_zoo.training.engine import TrainingGraph
from leaky_zoo.training.evaluation_graph import EvaluationGraph
from leaky_zoo.training.lbfgs import LBFGSProgress, LBFGSWatcher, minimize_objective
from leaky_zoo.training.loop import TrainingLoop, out_of_memory
from leaky_zoo.training.run_folder import EpochLog, RunFolder
from leaky_zoo.training.state import load_variables, variables_of
from leaky_zoo.training.step_size_update import StepSizeUpdate
from leaky_zoo.training.strategy import Strategy, make_strategy
from leaky_zoo.zoo.recipe import Recipe
from leaky_zoo.zoo.recipe_source import recipe_of


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves, beside its network.

    Attributes:
        metrics: `{"train": {...}, "test": {...}}`, and `"validation"` where the recipe has one.
        device: the devices in words.
        seconds: wall time of the run, over all its restarts.
        lbfgs: what the L-BFGS phase reports, or None.
        step_size_trace: one entry for each update of the step sizes.
    """

    metrics: dict[str, dict[str, float]]
    device: str
    seconds: float
    lbfgs: dict[str, Any] | None
    step_size_trace: list[dict[str, Any]]


@naming_the_nearest
def train(
    recipe: Recipe | Mapping[str, Any] | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_lbfgs_iteration: LBFGSWatcher | None = None,
    on_data: Callable[[Dataset], None] | None = None,
) -> tuple[LeakyNetwork, TrainingResult]:
    """Run a recipe from its first step, or from its last checkpoint to the same bits.

    Args:
        recipe: a `Recipe`, or what `leaky_zoo.zoo.recipe_of` takes: a dict, a path, a preset's name.
        out: folder of the run; gets `recipe.yaml`, `log.csv`, `checkpoints/`, `model.keras`, `result.json`. In a
            cluster all workers must see it; the chief alone writes.
        data_dir: TFDS folder. Default None: as `load_data`.
        resume: go on from the folder's newest sound checkpoint, or start where there is none; a finished run is
            returned as it is. Default False: refuse a folder that holds a run.
        callbacks: more Keras callbacks; see `StepCallback` for how often they are called and what of them survives a
            restart. Default none.
        on_lbfgs_iteration: an `LBFGSWatcher`, called in the L-BFGS phase. Default None.
        on_data: called with the data set once it is read, whose notes may be worth showing. Default None.

    Returns:
        The trained network and the `TrainingResult`; in a cluster the same on all workers.

    Raises:
        InvalidInputError: another Keras backend than TensorFlow, a recipe that does not fit its data, the devices or
            the folder, data that are not finite, or a folder in which another process trains; before any training.
        CheckFailedError: a loss or gradient is not finite, memory ran out, or no checkpoint is sound.
        WriteFailedError: disk full or read-only; what was saved before is intact.
        PeerLostError: another worker has gone; `resume` goes on from the last checkpoint.
        Terminated, KeyboardInterrupt: SIGTERM or SIGINT came, and a checkpoint has been written.
    """
    if keras.backend.backend() != "tensorflow":
        raise InvalidInputError(
            f"Training needs the TensorFlow backend: unset KERAS_BACKEND. Received: {keras.backend.backend()}"
        )
    recipe = recipe_of(recipe)
    folder = RunFolder(Path(out), recipe, resume)
    if folder.finished:
        return read_run(folder)
    run = _prepare(recipe, folder, data_dir)
    if on_data:
        on_data(run.data)
    with contextlib.ExitStack() as stack:
        if run.strategy.is_chief:
            stack.enter_context(folder)
        request = stack.enter_context(StopRequest())
        if folder.finished:  # by another process, meanwhile
            return read_run(folder)
        loop, updates = _loop(run, callbacks, request)
        trained = _run_optimizer(run, loop)
        network = run.network.astype(recipe.network.dtype)  # a copy that is not spread over replicas
        network.step_size_trace = updates.trace  # here: a run may go on after the optimiser has ended
        if run.strategy.is_chief:
            lbfgs = _run_lbfgs(run, loop, trained, network, on_lbfgs_iteration) if recipe.lbfgs_phase else None
            metrics = {name: evaluate_network(network, *run.data.select(split)) for name, split in run.splits.items()}
            result = TrainingResult(metrics, run.strategy.description, round(loop.seconds, 1), lbfgs, updates.trace)
            with replacing(folder.model) as aside:
                network.save(aside)
            write_json(folder.result, asdict(result))
        run.strategy.from_chief(np.zeros(1, np.int32))  # nobody leaves before the chief has written
    return (network, result) if run.strategy.is_chief else read_run(folder)


def read_run(folder: RunFolder) -> tuple[LeakyNetwork, TrainingResult]:
    """Network and result of a finished run.

    Raises:
        CheckFailedError: the files are damaged, or not visible to this process.
    """
    all_families()  # Keras then knows our classes; this process may have built none of them
    try:
        network = keras.models.load_model(folder.model, safe_mode=True)
        return network, TrainingResult(**json.loads(folder.result.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckFailedError(
            f"{folder.path} holds a finished run that cannot be read: {error}. Remove {folder.result.name} and resume."
        ) from error


@dataclass(frozen=True)
class _Run:
    """What a run works with, all of it made from the recipe.

    Attributes:
        recipe, folder, strategy, data: of the run.
        x, y: inputs and targets of the training split.
        order: which rows each step sees.
        augmentation: what the inputs of each step go through.
        network: compiled, untrained; in the strategy's scope.
    """

    recipe: Recipe
    folder: RunFolder
    strategy: Strategy
    data: Dataset
    x: np.ndarray
    y: np.ndarray
    order: BatchOrder
    augmentation: Augmentation
    network: LeakyNetwork

    @property
    def splits(self) -> dict[str, str]:
        """The recipe's splits by name."""
        return _splits(self.recipe)


def _splits(recipe: Recipe) -> dict[str, str]:
    named = {"train": recipe.data.train, "validation": recipe.data.validation, "test": recipe.data.test}
    return {name: split for name, split in named.items() if split}


def _prepare(recipe: Recipe, folder: RunFolder, data_dir: str | os.PathLike[str] | None) -> _Run:
    """Strategy, data and network of a recipe; what cannot be trained is refused here."""
    strategy = make_strategy(recipe.strategy, recipe.devices)
    data = data_of(recipe, data_dir)
    for split in _splits(recipe).values():  # what is not there or not a number is refused before any training
        check_finite(*data.select(split), split, variable_dtype(recipe))
    x, y = training_arrays(recipe, data)
    order = BatchOrder(len(x), batch_size(recipe, len(x)), recipe.seed)
    changes = augmentation(recipe, data)
    keras.utils.set_random_seed(recipe.seed)
    with out_of_memory(f"building a network of width {recipe.network.width}"):
        network = compiled(recipe, data, strategy, order.steps_per_pass)
    return _Run(recipe, folder, strategy, data, x, y, order, changes, network)


def _loop(
    run: _Run, callbacks: Sequence[keras.callbacks.Callback], request: StopRequest
) -> tuple[TrainingLoop, StepSizeUpdate]:
    """The loop, not started, and the callback that keeps the trace of step sizes."""
    recipe, network, strategy = run.recipe, run.network, run.strategy
    total = recipe.optimizer.total_steps(run.order.steps_per_pass)
    per_epoch = min(recipe.log_every or run.order.steps_per_pass, total)
    graph = TrainingGraph(
        network,
        strategy,
        run.x,
        run.y,
        run.order,
        micro_batches=recipe.optimizer.micro_batches,
        augmentation=run.augmentation,
        loss_scale=recipe.loss_scale,
        label_smoothing=recipe.objective.label_smoothing,
        average=WeightAverage(network, strategy, recipe.optimizer.average) if recipe.optimizer.average else None,
    )
    validation = None
    if recipe.data.validation:
        x, y = run.data.select(recipe.data.validation)
        validation = EvaluationGraph(network, strategy, x, network.task.targets(x, y))
    updates = StepSizeUpdate(probe_samples(run.x), total, share=strategy.from_chief)
    part, schedules = recipe.objective, [path.step_size_layer.schedule for path in network.paths]
    watchers: list[keras.callbacks.Callback] = [
        PenaltyRamp(total, part.ramp, part.ramp_from, peak=part.peak, release_at=part.release_at),
        *([updates] if any(schedule.interval or schedule.trainable for schedule in schedules) else []),
        *([EpochLog(run.folder.log)] if strategy.is_chief else []),
        *callbacks,
    ]
    if recipe.early_stopping:
        stop = EarlyStopping("val_data_loss", mode="min", patience=recipe.early_stopping, restore_best_weights=True)
        watchers.insert(0, stop)  # the others see the restored weights when training ends
    loop = TrainingLoop(
        graph,
        watchers,
        total=-(-total // per_epoch) * per_epoch,
        per_epoch=per_epoch,
        request=request,
        validation=validation,
        checkpoints=run.folder.checkpoints if strategy.is_chief else None,
        checkpoint_every=recipe.checkpoint_every,
    )
    return loop, updates


def _run_optimizer(run: _Run, loop: TrainingLoop) -> Checkpoint:
    """Train with the optimiser from the newest checkpoint; what a checkpoint holds at its end."""
    checkpoint = _agreed(run.folder, run.strategy)
    if checkpoint is not None and checkpoint.iteration is not None:
        loop.restore(checkpoint)
        return checkpoint
    loop.run(checkpoint)
    trained = replace(loop.checkpoint(), iteration=0)
    if run.strategy.is_chief:
        run.folder.checkpoints.write(trained)
    return trained


def _agreed(folder: RunFolder, strategy: Strategy) -> Checkpoint | None:
    """The checkpoint that all workers go on from: the chief chooses."""
    if not folder.resume:
        return None
    newest = folder.checkpoints.latest() if strategy.is_chief else None
    chosen = (-1, -1) if newest is None else (newest.step, -1 if newest.iteration is None else newest.iteration)
    step, iteration = map(int, strategy.from_chief(np.array(chosen, np.int64)))
    name = name_of(step, None if iteration < 0 else iteration)
    return None if step < 0 else newest or folder.checkpoints.read(name)


def _run_lbfgs(
    run: _Run,
    loop: TrainingLoop,
    trained: Checkpoint,
    network: LeakyNetwork,
    on_iteration: LBFGSWatcher | None,
) -> dict[str, Any]:
    """L-BFGS in float64, with a checkpoint after every round; the network gets its weights."""
    twin, checkpoints = network.astype("float64"), run.folder.checkpoints
    progress = LBFGSProgress(**trained.state.get("lbfgs", {}))
    if "lbfgs" in trained.state:
        load_variables("twin", twin.variables, trained.arrays)

    def save(now: LBFGSProgress) -> None:
        arrays = trained.arrays | variables_of("twin", twin.variables)
        state = trained.state | {"lbfgs": asdict(now), "seconds": loop.seconds}
        checkpoints.write(replace(trained, iteration=now.iterations, arrays=arrays, state=state))

    def watch(iteration: int, objective: float, residual: float | None) -> None:
        loop.request.raise_if_requested(
            f"Stopped in L-BFGS iteration {iteration}; a checkpoint from the round's start is in {checkpoints.folder}."
        )
        if on_iteration:
            on_iteration(iteration, objective, residual)

    settings = run.recipe.lbfgs_phase
    assert settings is not None
    with out_of_memory("in the L-BFGS phase, which computes on all samples at once"):
        report = minimize_objective(twin, run.x, run.y, settings, watch, progress=progress, on_round=save)
    network.set_weights(twin.get_weights())
    return report
