"""What moves during `fit`: the ramp of `mu`, the step sizes; and what stops a run that has gone wrong."""

import time
from typing import Any

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.layers import LeakyBlock, Path
from leaky_zoo.networks import LeakyNetwork

MAX_CONV_COLUMNS = 1024


class PenaltyRamp(keras.callbacks.Callback):
    """Raise `mu` geometrically from a fraction of itself; the full weight from step 0 collapses the rank.

    Args:
        total_steps: optimiser steps of the whole training.
        fraction: part of training that the ramp takes, in [0, 1]; 0 is no ramp. Default 0.3.
        start: where it begins, as a fraction of `mu`, in (0, 1]. Default 0.01.
        first_step: step at which this `fit` begins, when resuming. Default 0.

    Raises:
        InvalidInputError: an argument is out of its range.
    """

    def __init__(self, total_steps: int, fraction: float = 0.3, start: float = 0.01, first_step: int = 0) -> None:
        super().__init__()
        if not 0 <= fraction <= 1 or not 0 < start <= 1:
            raise InvalidInputError(
                f"`fraction` must be in [0, 1] and `start` in (0, 1]. Received: fraction={fraction}, start={start}"
            )
        self.length = fraction * total_steps
        self.start, self.step = start, first_step
        # A hundred levels are smooth enough, and cost nothing.
        self.every = max(1, int(self.length) // 100)

    def factor(self, step: int) -> float:
        """The factor on `mu` at a step, in [start, 1]."""
        return 1.0 if step >= self.length else float(self.start ** (1 - step / self.length))

    def on_train_begin(self, logs: Any = None) -> None:
        self._assign()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        if self.step <= self.length + self.every and (self.step % self.every == 0 or self.step >= self.length):
            self._assign()

    def on_train_end(self, logs: Any = None) -> None:
        self._assign(1.0)  # a saved model carries the whole penalty, however early training stopped

    def _assign(self, factor: float | None = None) -> None:
        for layer in self.model.layers:
            if isinstance(layer, LeakyBlock):
                layer.penalty_factor.assign(self.factor(self.step) if factor is None else factor)


class StepSizeUpdate(keras.callbacks.Callback):
    """Let the schedule move the step sizes every `schedule.interval` training steps, until it freezes.

    The path is measured on one fixed probe batch. With `schedule.keeps_function` the weights are corrected so that the
    function stays, `W_new = r W_old + Lt (1 - r) W_id`, `r = rho_old / rho_new`; an update that changes the output by
    more than `schedule.tolerance` (relative, on the probe) is refused and undone.

    Args:
        probe: raw inputs, a few hundred samples.
        total_steps: optimiser steps of the whole training, for `freeze_at`.
        first_step: step at which this `fit` begins, when resuming. Default 0.

    Attributes:
        trace: one dict for each update: `step`, `step_sizes`, `output_change` (None without correction), `accepted`.
        seconds: time spent in updates.
    """

    def __init__(self, probe: np.ndarray, total_steps: int, first_step: int = 0) -> None:
        super().__init__()
        self.probe, self.total_steps, self.step = np.asarray(probe), int(total_steps), first_step
        self.trace: list[dict[str, Any]] = []
        self.seconds = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        if not isinstance(self.model, LeakyNetwork):
            raise InvalidInputError(
                f"StepSizeUpdate needs a LeakyMLP or LeakyConvNet. Received: model={type(self.model).__name__}"
            )
        self._representations, self._head = self.model.representations, self.model.head

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        schedule = self.model.path_layer.schedule
        if not schedule.interval or self.step % schedule.interval or self.step > schedule.freeze_at * self.total_steps:
            return
        begin = time.perf_counter()
        # Matrices this small are ten times slower on several BLAS threads that wait for TensorFlow's.
        with threadpool_limits(1):
            self.update()
        self.seconds += time.perf_counter() - begin

    def update(self) -> None:
        """Measure the path and move the step sizes once."""
        layer, blocks = self.model.path_layer, self.model.blocks
        arrays, path = measure_path(self.model, self.probe, self._representations)
        old = layer.rho
        new = layer.schedule.update(old, path)
        change = None
        if layer.schedule.keeps_function:
            before = keras.ops.convert_to_numpy(self._head(arrays[-1])).astype(np.float64)
            weights = [block.weight_matrix for block in blocks]
            ratio = old / new
            for row, block in enumerate(blocks):
                identity = path.identity(row, layer.schedule.gamma_0).weights
                kept = ratio[row] * weights[row] + layer.effective_depth * (1 - ratio[row]) * identity
                block.assign_weight_matrix(kept)
            layer.assign(new)
            after = keras.ops.convert_to_numpy(self.model(self.probe[: len(before)])).astype(np.float64)
            change = float(np.linalg.norm(after - before)) / max(float(np.linalg.norm(before)), 1e-300)
            if change > layer.schedule.tolerance:
                for block, weight in zip(blocks, weights, strict=True):
                    block.assign_weight_matrix(weight)
                layer.assign(old)
        else:
            layer.assign(new)
        accepted = change is None or change <= layer.schedule.tolerance
        self.trace.append(
            {"step": self.step, "step_sizes": layer.rho.tolist(), "output_change": change, "accepted": accepted}
        )


def measure_path(
    network: LeakyNetwork, probe: np.ndarray, representations: keras.Model | None = None
) -> tuple[list[np.ndarray], Path]:
    """The representations of a probe batch, as the layers have them and as a `Path`."""
    model = network.representations if representations is None else representations
    positions = int(np.prod(model.outputs[0].shape[1:])) // network.settings["width"]
    if positions > 1:  # a convolution has a column for each position: fewer samples have as many
        probe = probe[: max(1, MAX_CONV_COLUMNS // positions)]
    arrays = [keras.ops.convert_to_numpy(a) for a in model(probe, training=False)]
    blocks = network.blocks
    columns = [blocks[0].columns(a) for a in arrays]
    features = [block.features(a) for block, a in zip(blocks, arrays[:-1], strict=True)]
    return arrays, Path(columns, features, network.effective_depth)


class StopOnNonFinite(keras.callbacks.Callback):
    """End training with an error, not with a model of NaNs, when the loss is no longer finite."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            raise CheckFailedError(
                f"The loss became {loss} in epoch {epoch + 1}. A smaller learning rate, a longer ramp of mu or a "
                "tighter global_clipnorm are the usual cures; the last checkpoint is from before."
            )
