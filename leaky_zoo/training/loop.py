"""One training loop for every strategy: epochs, Keras callbacks, validation, checkpoints, and what ends it."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.processes.signals import StopRequest
from leaky_zoo.training.checkpoint import Checkpoint, Checkpoints
from leaky_zoo.training.diagnosis import explain
from leaky_zoo.training.engine import StepValues, TrainingGraph
from leaky_zoo.training.evaluation_graph import EvaluationGraph
from leaky_zoo.training.optimizer import LossScale
from leaky_zoo.training.state import load_variables, restore_callbacks, state_of, tell_step, variables_of

SECONDS = 30.0  # between checkpoints, where a recipe sets no number of steps
CALL_SECONDS = 0.25  # one call of the graph should not take longer: signals and checkpoints wait for it
MOST_STEPS = 256
WORKER_STEPS = 8  # workers must take the same steps in a call, so none may look at its clock


class TrainingLoop:
    """Runs a graph's steps and calls back like Keras's `fit`.

    Batch hooks are called once for each call of the graph, with the first and the last step in it, as Keras does with
    `steps_per_execution`; a callback that implements one without `next_stop` (see `StepCallback`) is called at every
    step. All that is logged is summed step by step in float64, so that it does not depend on where calls end.

    Args:
        graph: the training steps.
        callbacks: Keras callbacks, called in this order.
        total: optimiser steps in all.
        per_epoch: steps of an epoch, as callbacks and the log count them.
        request: notes signals.
        validation: evaluated at the end of every epoch. Default None.
        checkpoints: where to save; None for a process that does not write. Default None.
        checkpoint_every: steps between checkpoints. Default None: half a minute.
    """

    def __init__(
        self,
        graph: TrainingGraph,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        total: int,
        per_epoch: int,
        request: StopRequest,
        validation: EvaluationGraph | None = None,
        checkpoints: Checkpoints | None = None,
        checkpoint_every: int | None = None,
    ) -> None:
        self.graph, self.network, self.request = graph, graph.network, request
        self.total, self.per_epoch, self.validation = total, per_epoch, validation
        self.checkpoints, self.every = checkpoints, checkpoint_every
        self.step, self.stopped, self.skipped = 0, False, 0
        self._begin, self._before = time.perf_counter(), 0.0
        self._loss, self._samples = 0.0, 0.0
        self._sums = np.zeros(len(graph.measures.names))
        self.callbacks = keras.callbacks.CallbackList(
            list(callbacks), add_history=True, model=self.network,
            epochs=-(-total // per_epoch), steps=per_epoch, verbose=0,
        )  # fmt: skip
        self._together = graph.strategy.is_cluster
        self._limit = WORKER_STEPS if self._together else 1  # grows while calls are quick
        self._stops = [callback for callback in self.callbacks.callbacks if hasattr(callback, "next_stop")]
        self._stepwise = any(
            _has_batch_hooks(each) for each in self.callbacks.callbacks if not hasattr(each, "next_stop")
        )
        self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time that the run has taken, over all its restarts."""
        return self._before + time.perf_counter() - self._begin

    def run(self, checkpoint: Checkpoint | None = None) -> None:
        """Train to the last step, or until a callback sets `model.stop_training`.

        Args:
            checkpoint: where to go on. Default None: from the start.

        Raises:
            CheckFailedError: a loss or gradient is not finite, or memory ran out.
            PeerLostError: another worker has gone.
            Terminated, KeyboardInterrupt: a signal came; a checkpoint has been written.
        """
        self.network.stop_training = False
        if checkpoint is not None:
            tell_step(self.callbacks.callbacks, checkpoint.step)
        self.callbacks.on_train_begin()
        if checkpoint is not None:
            self.restore(checkpoint)
        logs: dict[str, float] = {}
        entered = False
        while self.step < self.total and not self.stopped:
            epoch, within = divmod(self.step, self.per_epoch)
            if not entered:
                self.callbacks.on_epoch_begin(epoch)
                entered = True
            self.callbacks.on_train_batch_begin(within)
            values = self._advance()
            logs = self._means()
            self.callbacks.on_train_batch_end(within + values.taken - 1, logs)
            if self.step % self.per_epoch == 0 or self.network.stop_training:
                logs = self._finish_epoch(epoch, logs)
                entered = False
            self.stopped = bool(self.network.stop_training)
            if values.stop or (self.request.requested and not self._together):
                self._save()
                self._stop()
            if self._due():
                self._save()
        if self.graph.average is not None:
            self.graph.average.keep()
        self.callbacks.on_train_end(logs)

    def state(self) -> dict[str, Any]:
        """Counters, sums and scales, for a checkpoint."""
        return {
            "step": self.step,
            "stopped": self.stopped,
            "skipped": self.skipped,
            "loss_scale": list(self.graph.loss_scale),
            "epoch": {"loss": self._loss, "samples": self._samples, "sums": self._sums.tolist()},
            "seconds": self.seconds,
        }

    def _advance(self) -> StepValues:
        count, begin = self._count(), time.perf_counter()
        first = self.step
        with self._peers(), out_of_memory(f"in step {first + 1}, with {self.graph.order.batch_size} samples a step"):
            values = self.graph.run(first, count, self.request.requested)
        for loss, sums, samples in zip(values.losses, values.sums, values.samples, strict=True):
            self._loss += float(loss * samples)
            self._samples += float(samples)
            self._sums += sums
        self.step += values.taken
        self.skipped += values.skipped
        if values.failed:
            self._fail()
        if not self._together and time.perf_counter() - begin < CALL_SECONDS / 2:
            self._limit = min(2 * self._limit, MOST_STEPS)
        elif not self._together and time.perf_counter() - begin > CALL_SECONDS:
            self._limit = max(self._limit // 2, 1)
        return values

    def _peers(self) -> contextlib.AbstractContextManager[None]:
        return self.graph.strategy.peers(f"after step {self.step}")

    def _count(self) -> int:
        """Steps until something needs the host."""
        if self._stepwise:
            return 1
        ends = [self.total, self.step - self.step % self.per_epoch + self.per_epoch, self.step + self._limit]
        ends += [stop for stop in (each.next_stop(self.step) for each in self._stops) if stop is not None]
        if self.every:
            ends.append(self.step - self.step % self.every + self.every)
        return max(min(ends) - self.step, 1)

    def _finish_epoch(self, epoch: int, logs: dict[str, float]) -> dict[str, float]:
        average = self.graph.average
        with average.in_place() if average is not None else contextlib.nullcontext():
            logs = self._evaluated(logs)
            self.callbacks.on_epoch_end(epoch, logs)
        self._reset()
        return logs

    def _evaluated(self, logs: dict[str, float]) -> dict[str, float]:
        if self.validation:
            with self._peers(), out_of_memory("in the validation"):
                held = {f"val_{name}": value for name, value in self.validation().items()}
            wrong = [name for name, value in held.items() if not np.isfinite(value)]
            if wrong:
                raise CheckFailedError(
                    f"{wrong[0]} is {held[wrong[0]]} after step {self.step}. The last checkpoint is kept."
                )
            logs = logs | held
        return logs

    def _reset(self) -> None:
        self._loss, self._samples = 0.0, 0.0
        self._sums = np.zeros(len(self.graph.measures.names))

    def _means(self) -> dict[str, float]:
        names = self.graph.measures.names
        means = {name: float(value / self._samples) for name, value in zip(names, self._sums, strict=True)}
        logs = {"loss": self._loss / self._samples, **means}
        if self.graph.dynamic_scale:
            logs |= {"loss_scale": self.graph.loss_scale.scale, "skipped_steps": self.skipped}
        return logs

    def _due(self) -> bool:
        if self.checkpoints is None:
            return False
        if self.every:
            return self.step % self.every == 0
        return time.monotonic() - self._saved >= SECONDS

    def _save(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.write(self.checkpoint())
            self._saved = time.monotonic()

    def checkpoint(self) -> Checkpoint:
        """All that the run needs to go on from here."""
        arrays, callbacks = state_of(self.callbacks.callbacks)
        arrays |= variables_of("network", self.network.variables)
        arrays |= variables_of("optimizer", self.network.optimizer.variables)
        if self.graph.average is not None:
            arrays |= variables_of("average", self.graph.average.variables)
        return Checkpoint(self.step, None, arrays, {**self.state(), "callbacks": callbacks})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put everything back as it was when the checkpoint was written."""
        state = checkpoint.state
        self.step, self.stopped, self.skipped = state["step"], state["stopped"], state["skipped"]
        self.graph.loss_scale = LossScale(*state["loss_scale"])
        self._loss, self._samples = state["epoch"]["loss"], state["epoch"]["samples"]
        self._sums = np.array(state["epoch"]["sums"])
        self._before = state["seconds"]
        load_variables("network", self.network.variables, checkpoint.arrays)
        load_variables("optimizer", self.network.optimizer.variables, checkpoint.arrays)
        if self.graph.average is not None:
            load_variables("average", self.graph.average.variables, checkpoint.arrays)
        restore_callbacks(self.callbacks.callbacks, checkpoint)

    def _stop(self) -> None:
        where = f"Stopped after step {self.step} of {self.total}; a checkpoint is in {_place(self.checkpoints)}."
        self.request.signal = self.request.signal or 15  # another worker was asked, and all stop together
        self.request.raise_if_requested(where)

    def _fail(self) -> None:
        """Say which step, layer and samples are not finite. The weights are still those from before the step."""
        x, y, rows = self.graph.batch(self.step)
        twin = self.network.astype(self.network.dtype_policy.name)
        raise CheckFailedError(
            f"Step {self.step + 1} is not finite: {explain(twin, x, y, rows)}. A smaller learning rate, a longer ramp "
            f"of mu or a tighter global_clipnorm are the usual cures; the last checkpoint is from before."
        )


@contextlib.contextmanager
def out_of_memory(where: str) -> Iterator[None]:
    """Turn a failed allocation into one sentence.

    Raises:
        CheckFailedError: in place of TensorFlow's and Python's errors.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise CheckFailedError(
            f"Out of memory {where}: raise optimizer.micro_batches, or lower data.batch_size or the network's width. "
            "The last checkpoint is kept."
        ) from error


def _has_batch_hooks(callback: keras.callbacks.Callback) -> bool:
    names = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    own = ((getattr(callback, name), getattr(keras.callbacks.Callback, name)) for name in names)
    return any(getattr(method, "__func__", method) is not default for method, default in own)


def _place(checkpoints: Checkpoints | None) -> str:
    return str(checkpoints.folder) if checkpoints else "the chief's folder"
