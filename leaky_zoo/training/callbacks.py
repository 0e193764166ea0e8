"""Callbacks that survive a restart: their base, the ramp of `mu`, early stopping."""

from typing import Any

import keras
import numpy as np

from leaky_zoo.arguments import naming_the_nearest, number, whole
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import LeakyBlock


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

    @naming_the_nearest
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
        total_steps = whole("total_steps", total_steps, least=1)
        fraction, start, peak, release_at = (
            number(name, value)
            for name, value in (("fraction", fraction), ("start", start), ("peak", peak), ("release_at", release_at))
        )
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
