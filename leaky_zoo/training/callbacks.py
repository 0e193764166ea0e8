"""What moves during training: the ramp of `mu`, the step sizes; when it stops early; what must survive a restart."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers import LeakyBlock
from leaky_zoo.layers.block import with_ones
from leaky_zoo.networks import LeakyNetwork

MAX_CONV_COLUMNS = 1024


class StepCallback(keras.callbacks.Callback):
    """A Keras callback that counts optimiser steps, under a plain `fit` and under `train` alike.

    `train` runs several steps in one call of the training function where no callback needs the host in between.
    A callback that implements `on_train_batch_begin` or `on_train_batch_end` is asked by `next_stop` when it does; one
    without `next_stop` is called at every step. `get_state` and `set_state` carry through a checkpoint what else moves:
    JSON values and numpy arrays by name. Any Keras callback with these methods is treated like ours.

    Args:
        first_step: step at which training begins, when resuming. Default 0.

    Attributes:
        step: optimiser steps done.
    """

    def __init__(self, first_step: int = 0) -> None:
        super().__init__()
        self.step = first_step
        self._begin = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._begin = batch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += batch - self._begin + 1

    def next_stop(self, step: int) -> int | None:
        """The first step count after `step` at which the host is needed; None: never again."""
        return None

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """The inverse of `get_state`, called after `on_train_begin`."""


class PenaltyRamp(StepCallback):
    """Raise `mu` geometrically from a fraction of itself; the full weight from step 0 collapses the rank.

    With a `peak` it rises above itself and falls back at once later: a strong `mu` drops directions, and what it cost
    in accuracy comes back without it while the dropped directions stay away. This project.

    Args:
        total_steps: optimiser steps of the whole training.
        fraction: part of training that the ramp takes, in [0, 1]; 0 is no ramp. Default 0.3.
        start: where it begins, as a fraction of `mu`, in (0, 1]. Default 0.01.
        peak: where the ramp ends, as a multiple of `mu`, at least 1. Default 1.
        release_at: fraction of training at which `mu` falls from the peak to itself, in [fraction, 1]. Default 0.7.
        first_step: step at which training begins, when resuming. Default 0.

    Raises:
        InvalidInputError: an argument is out of its range.

    Example:
    >>> ramp = PenaltyRamp(100, fraction=0.2, peak=10.0, release_at=0.7)
    >>> [round(ramp.factor(step), 2) for step in (0, 20, 69, 70)]
    [0.01, 10.0, 10.0, 1.0]
    """

    def __init__(
        self,
        total_steps: int,
        fraction: float = 0.3,
        start: float = 0.01,
        *,
        peak: float = 1.0,
        release_at: float = 0.7,
        first_step: int = 0,
    ) -> None:
        super().__init__(first_step)
        if not 0 <= fraction <= 1 or not 0 < start <= 1:
            raise InvalidInputError(
                f"`fraction` must be in [0, 1] and `start` in (0, 1]. Received: fraction={fraction}, start={start}"
            )
        if not peak >= 1 or (peak > 1 and not fraction <= release_at <= 1):
            raise InvalidInputError(
                f"`peak` must be at least 1 and `release_at` in [fraction, 1] = [{fraction}, 1]. "
                f"Received: peak={peak}, release_at={release_at}"
            )
        self.length = fraction * total_steps
        self.start, self.peak = start, peak
        self.release = release_at * total_steps if peak > 1 else self.length
        # A hundred levels are smooth enough, and cost nothing.
        self.every = max(1, int(self.length) // 100)

    def factor(self, step: int) -> float:
        """The factor on `mu` at a step, in [start, peak]."""
        # By level, so that it is a function of the step alone, however many steps one call takes.
        level = step - step % self.every if step < self.length else step
        if level >= self.release:
            return 1.0
        if level >= self.length:
            return self.peak
        return float(self.peak * (self.start / self.peak) ** (1 - level / self.length))

    def next_stop(self, step: int) -> int | None:
        if step >= self.release:
            return None
        if step >= self.length:
            return int(np.ceil(self.release))
        return min(step - step % self.every + self.every, int(np.ceil(self.length)))

    def on_train_begin(self, logs: Any = None) -> None:
        self._assign(self.factor(self.step))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        before = self.step
        super().on_train_batch_end(batch, logs)
        if self.factor(self.step) != self.factor(before):
            self._assign(self.factor(self.step))

    def on_train_end(self, logs: Any = None) -> None:
        self._assign(1.0)  # a saved model carries the whole penalty, however early training stopped

    def _assign(self, factor: float) -> None:
        for layer in self.model.layers:
            if isinstance(layer, LeakyBlock):
                layer.penalty_factor.assign(factor)


class StepSizeUpdate(StepCallback):
    """Let the schedule move the step sizes every `schedule.interval` training steps, until it freezes; record it.

    Learnable step sizes move by themselves; they are recorded, at most a hundred times.

    The path is measured on one fixed probe batch. With `schedule.keeps_function` the weights are corrected so that the
    function stays, `W_new = r W_old + L~ (1 - r) W_id`, `r = rho_old / rho_new`; an update that changes the output by
    more than `schedule.tolerance` (relative, on the probe) is refused and undone.

    Args:
        probe: raw inputs, a few hundred samples.
        total_steps: optimiser steps of the whole training, for `freeze_at`.
        first_step: step at which training begins, when resuming. Default 0.
        share: called with the arrays of step sizes and weights after an update, returns what to keep of them; in a
            cluster the chief's, so that workers of different make stay equal. Default None: keep them.

    Attributes:
        trace: one dict for each update: `step`, `step_sizes`, `output_change` (None without correction), `accepted`.
            The network keeps it as its `step_size_trace`.
        seconds: time spent in updates.
    """

    def __init__(
        self,
        probe: np.ndarray,
        total_steps: int,
        first_step: int = 0,
        share: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        super().__init__(first_step)
        self.probe, self.total_steps = np.asarray(probe), int(total_steps)
        self._share = share or (lambda array: array)
        self.trace: list[dict[str, Any]] = []
        self.seconds = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        if not isinstance(self.model, LeakyNetwork):
            raise InvalidInputError(
                f"StepSizeUpdate needs a LeakyMLP or LeakyConvNet. Received: model={type(self.model).__name__}"
            )
        self._stem = keras.Model(self.model.input, self.model.representations.outputs[0])

    def next_stop(self, step: int) -> int | None:
        schedule = self.model.path_layer.schedule
        if not schedule.interval:
            return None
        stop = step - step % schedule.interval + schedule.interval
        return stop if stop <= schedule.freeze_at * self.total_steps else None

    def get_state(self) -> dict[str, Any]:
        return {"trace": self.trace}

    def set_state(self, state: dict[str, Any]) -> None:
        self.trace = list(state["trace"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        schedule = self.model.path_layer.schedule
        if not schedule.interval or self.step % schedule.interval or self.step > schedule.freeze_at * self.total_steps:
            return
        begin = time.perf_counter()
        # Matrices this small are ten times slower on several BLAS threads that wait for TensorFlow's.
        with threadpool_limits(1):
            self.update()
        self.seconds += time.perf_counter() - begin

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        last = self.trace[-1]["step"] if self.trace else 0
        if self.model.path_layer.schedule.trainable and self.step - last >= self.total_steps / 100:
            self._record(None, True)

    def on_train_end(self, logs: Any = None) -> None:
        self.model.step_size_trace = self.trace

    def update(self) -> None:
        """Measure the path and move the step sizes once."""
        layer, blocks = self.model.path_layer, self.model.blocks
        path = measure_path(self.model, self.probe, self._stem)
        old = layer.rho
        new = self._share(np.asarray(layer.schedule.update(old, path), np.float64))
        change = None
        if layer.schedule.keeps_function:
            before = self._outputs()
            weights = [block.weight_matrix for block in blocks]
            ratio = old / new
            identities = [identity.weights for identity in path.identities(layer.schedule.gamma_0)]
            for row, block in enumerate(blocks):
                kept = ratio[row] * weights[row] + layer.effective_depth * (1 - ratio[row]) * identities[row]
                block.assign_weight_matrix(self._share(kept))
            layer.assign(new)
            change = float(np.linalg.norm(self._outputs() - before)) / max(float(np.linalg.norm(before)), 1e-300)
            change = float(self._share(np.array([change]))[0])
            if change > layer.schedule.tolerance:
                for block, weight in zip(blocks, weights, strict=True):
                    block.assign_weight_matrix(weight)
                layer.assign(old)
        else:
            layer.assign(new)
        self._record(change, change is None or change <= layer.schedule.tolerance)

    def _outputs(self) -> np.ndarray:
        return keras.ops.convert_to_numpy(self.model(self.probe, training=False)).astype(np.float64)

    def _record(self, change: float | None, accepted: bool) -> None:
        steps = self.model.step_sizes.tolist()
        self.trace.append({"step": self.step, "step_sizes": steps, "output_change": change, "accepted": accepted})


def measure_path(network: LeakyNetwork, probe: np.ndarray, stem: keras.Model | None = None) -> ProbePath:
    """The path of a probe batch, stepped in numpy: outside a graph, Keras's layers take longer than the products.

    It is walked when a length is first asked for, with the network's weights of that moment; ask before they change.

    Args:
        network: the network.
        probe: raw inputs; of images as many as have `MAX_CONV_COLUMNS` positions.
        stem: a model from raw inputs to `A_0`. Default None: made from the network.

    Returns:
        The `ProbePath`, in float32, or in float64 for a float64 network; float64 copies would double its memory.
    """
    stem = keras.Model(network.input, network.representations.outputs[0]) if stem is None else stem
    positions = int(np.prod(stem.output.shape[1:])) // network.settings["width"]
    if positions > 1:  # a convolution has a column for each position: fewer samples have as many
        probe = probe[: max(1, MAX_CONV_COLUMNS // positions)]
    first = keras.ops.convert_to_numpy(stem(probe, training=False))
    dtype = np.dtype(network.dtype_policy.variable_dtype)
    blocks = network.blocks

    def walk() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        before = blocks[0].columns(first, dtype)
        for block, rho in zip(blocks, network.step_sizes, strict=True):
            features = with_ones(block.activations(block.restore(before, first.shape), dtype), block.use_bias)
            leak, weights = dtype.type(1 - rho * network.effective_depth), (rho * block.weight_matrix).astype(dtype)
            after = leak * before + features @ weights.T
            yield before, features, after
            before = after

    def weighted(row: int, at: np.ndarray) -> np.ndarray:
        return blocks[row].features(blocks[row].restore(at, first.shape)) @ blocks[row].weight_matrix.T

    return ProbePath.walked(walk, network.effective_depth, weighted)


class EarlyStopping(keras.callbacks.EarlyStopping):
    """`keras.callbacks.EarlyStopping` whose count, best value and best weights survive a restart. Arguments as it."""

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        state = {"wait": self.wait, "stopped_epoch": self.stopped_epoch, "best_epoch": self.best_epoch}
        if self.best is not None:
            state["best"] = float(self.best)
        return state | {f"weights/{row:04d}": np.asarray(array) for row, array in enumerate(self.best_weights or [])}

    def set_state(self, state: dict[str, Any]) -> None:
        """The inverse of `get_state`, called after `on_train_begin`."""
        self.wait, self.stopped_epoch, self.best_epoch = state["wait"], state["stopped_epoch"], state["best_epoch"]
        self.best = state.get("best")
        self.best_weights = [state[name] for name in sorted(state) if name.startswith("weights/")] or None
