"""How schedules move the step sizes during training: the paths of a probe batch, and the update that follows them."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.arguments import naming_the_nearest, whole
from leaky_zoo.geometry import ProbePath, euler_step, leak
from leaky_zoo.layers import StepSizes
from leaky_zoo.layers.block import with_ones
from leaky_zoo.networks import LeakyNetwork, LeakyPath
from leaky_zoo.networks.ours import require_ours
from leaky_zoo.training.callbacks import StepCallback

MAX_CONV_COLUMNS = 1024


class StepSizeUpdate(StepCallback):
    """Let the schedule move the step sizes every `schedule.interval` training steps, until it freezes; record it.

    Learnable step sizes move by themselves; they are recorded, at most a hundred times. A path whose step sizes are
    frozen (`trainable = False`, as `with_new_head(freeze_path=True)` leaves it) stays as it is.

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
        trace: one dict for each update: `step`, `step_sizes` of all paths in order, `output_change` (the largest; None
            without correction), `accepted` (of all paths). The network keeps it as its `step_size_trace`.
        seconds: time spent in updates.
        moves_step_sizes: True; `fit` warns where a schedule needs such a callback and no one has it.
    """

    moves_step_sizes = True

    @naming_the_nearest
    def __init__(
        self,
        probe: np.ndarray,
        total_steps: int,
        first_step: int = 0,
        share: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        super().__init__(first_step)
        self.probe, self.total_steps = np.asarray(probe), whole("total_steps", total_steps, least=1)
        self._share = share or (lambda array: array)
        self.trace: list[dict[str, Any]] = []
        self.seconds = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        require_ours(self.model, "StepSizeUpdate")
        self._entries = [path.entry for path in self.model.paths]

    def next_stop(self, step: int) -> int | None:
        stops = []
        for layer in self._layers():
            if layer.trainable and (interval := layer.schedule.interval):
                stop = step - step % interval + interval
                stops += [stop] if stop <= layer.schedule.freeze_at * self.total_steps else []
        return min(stops, default=None)

    def get_state(self) -> dict[str, Any]:
        return {"trace": self.trace}

    def set_state(self, state: dict[str, Any]) -> None:
        self.trace = list(state["trace"])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        due = [
            layer.trainable
            and layer.schedule.interval is not None
            and self.step % layer.schedule.interval == 0
            and self.step <= layer.schedule.freeze_at * self.total_steps
            for layer in self._layers()
        ]
        if not any(due):
            return
        begin = time.perf_counter()
        # Matrices this small are ten times slower on several BLAS threads that wait for TensorFlow's.
        with threadpool_limits(1):
            self.update(due)
        self.seconds += time.perf_counter() - begin

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        last = self.trace[-1]["step"] if self.trace else 0
        if any(layer.trainable_variables for layer in self._layers()) and self.step - last >= self.total_steps / 100:
            self._record([None])

    def on_train_end(self, logs: Any = None) -> None:
        self.model.step_size_trace = self.trace

    def update(self, due: Sequence[bool] | None = None) -> None:
        """Measure the paths and move the step sizes once.

        Args:
            due: which paths. Default None: all that are not frozen.
        """
        due = due or [layer.trainable for layer in self._layers()]
        measured = measure_paths(self.model, self.probe, self._entries)
        paths = zip(self.model.paths, measured, due, strict=True)
        self._record([self._update(path, probe) for path, probe, wanted in paths if wanted])

    def _update(self, path: LeakyPath, probe: ProbePath) -> tuple[float, bool] | None:
        """Move one path's step sizes; with correction, what it did to the output and whether that was accepted."""
        layer, schedule = path.step_size_layer, path.step_size_layer.schedule
        old = layer.rho
        new = self._share(np.asarray(schedule.update(old, probe), np.float64))
        if not schedule.keeps_function:
            layer.assign(new)
            return None
        before = self._outputs()
        weights = [block.weight_matrix for block in path.blocks]
        identities = [identity.weights for identity in probe.identities(schedule.gamma_0)]
        for block, weight, identity, ratio in zip(path.blocks, weights, identities, old / new, strict=True):
            block.assign_weight_matrix(self._share(ratio * weight + layer.effective_depth * (1 - ratio) * identity))
        layer.assign(new)
        change = float(np.linalg.norm(self._outputs() - before)) / max(float(np.linalg.norm(before)), 1e-300)
        change = float(self._share(np.array([change]))[0])
        if change > schedule.tolerance:
            for block, weight in zip(path.blocks, weights, strict=True):
                block.assign_weight_matrix(weight)
            layer.assign(old)
        return change, change <= schedule.tolerance

    def _layers(self) -> list[StepSizes]:
        return [path.step_size_layer for path in self.model.paths]

    def _outputs(self) -> np.ndarray:
        return keras.ops.convert_to_numpy(self.model(self.probe, training=False)).astype(np.float64)

    def _record(self, updates: Sequence[tuple[float, bool] | None]) -> None:
        corrected = [update for update in updates if update is not None]
        steps = [step for path in self.model.paths for step in path.step_sizes.tolist()]
        change = max((change for change, _ in corrected), default=None)
        accepted = all(accepted for _, accepted in corrected)
        self.trace.append({"step": self.step, "step_sizes": steps, "output_change": change, "accepted": accepted})


def measure_paths(
    network: LeakyNetwork, probe: np.ndarray, entries: Sequence[keras.Model] | None = None
) -> list[ProbePath]:
    """The paths of a probe batch, stepped in numpy: outside a graph, Keras's layers take longer than the products.

    Each is walked when a length is first asked for, with the path's weights of that moment; ask before they change.

    Args:
        network: the network.
        probe: raw inputs; of images as many as have `MAX_CONV_COLUMNS` positions in the first path.
        entries: the paths' `entry` models. Default None: made from the network.

    Returns:
        One `ProbePath` for each path, in float32, or in float64 for a float64 network; float64 copies would double
        their memory.
    """
    entries = [path.entry for path in network.paths] if entries is None else entries
    positions = int(np.prod(entries[0].output.shape[1:])) // network.paths[0].width
    if positions > 1:  # a convolution has a column for each position: fewer samples have as many
        probe = probe[: max(1, MAX_CONV_COLUMNS // positions)]
    dtype = np.dtype(network.dtype_policy.variable_dtype)
    found, current = [], probe
    for path, entry in zip(network.paths, entries, strict=True):
        first = keras.ops.convert_to_numpy(entry(current, training=False))
        found.append(_measured(path, first, dtype))
        if path is not network.paths[-1]:
            *_, (_, _, last) = _walk(path, first, dtype)
            current = path.blocks[-1].restore(last, first.shape)
    return found


def _measured(path: LeakyPath, first: np.ndarray, dtype: np.dtype) -> ProbePath:
    def weighted(row: int, at: np.ndarray) -> np.ndarray:
        block = path.blocks[row]
        return block.features(block.restore(at, first.shape)) @ block.weight_matrix.T

    return ProbePath.walked(lambda: _walk(path, first, dtype), path.effective_depth, weighted)


def _walk(path: LeakyPath, first: np.ndarray, dtype: np.dtype) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    before = path.blocks[0].columns(first, dtype)
    for block, rho in path.steps:
        features = with_ones(block.activations(block.restore(before, first.shape), dtype), block.use_bias)
        weights = (rho * block.weight_matrix).astype(dtype)
        after = euler_step(before, features, weights, None, leak(rho, path.effective_depth))
        yield before, features, after
        before = after
