"""What is summed over samples, and which samples each replica takes."""

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.networks import LeakyNetwork


class Measures:
    """The values watched for each sample: `data_loss` (the objective without penalty) and the task's own metrics.

    Args:
        network: whose loss.
        label_smoothing: how much of each label is spread evenly over all classes, in [0, 1). Default 0.
    """

    def __init__(self, network: LeakyNetwork, label_smoothing: float = 0.0) -> None:
        self._smoothing = label_smoothing
        self._loss = network.loss_function()
        self._dtype = network.dtype_policy.variable_dtype
        self._task = network.task
        self.names = ("data_loss", *(metric.name for metric in network.task.keras_metrics()))

    def __call__(self, targets: tf.Tensor, outputs: tf.Tensor) -> list[tf.Tensor]:
        """One tensor of shape `(n,)` for each name."""
        outputs = tf.cast(outputs, self._dtype)
        own = self._task.values(targets, outputs)
        loss = self._loss.call(targets, outputs)
        if self._smoothing:  # the mean cross-entropy of all classes
            even = tf.reduce_logsumexp(outputs, axis=-1) - tf.reduce_mean(outputs, axis=-1)
            loss = (1 - self._smoothing) * loss + self._smoothing * even
        return [loss, *(tf.cast(own[name], self._dtype) for name in self.names[1:])]


class Samples:
    """Samples in host memory, and the part of a batch that a replica takes.

    Args:
        x: raw inputs.
        y: labels or targets.
        dtype: of the network's inputs.
        replicas: that share a batch.

    Attributes:
        most_steps: whose batches can be placed at once.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, dtype: str, replicas: int) -> None:
        # Beside several GPUs the arrays stay on the host: captured from one GPU they would be copied to the others.
        self._on_host = bool(tf.config.list_physical_devices("GPU"))
        with self._place():
            self._x, self._y = tf.constant(x), tf.constant(y)
        self._dtype, self.replicas = dtype, replicas

    def _place(self) -> Any:
        return tf.device("/CPU:0") if self._on_host else contextlib.nullcontext()

    def take(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Inputs, cast, and targets of these rows."""
        with self._place():
            return tf.cast(tf.gather(self._x, rows), self._dtype), tf.gather(self._y, rows)

    most_steps = 2**31

    def place(self, step: int, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Where the samples of these rows are for `take`, from step `step` on: here, the rows themselves."""
        return rows

    def whole(self, rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Inputs, cast, and targets of any rows."""
        return self.take(tf.constant(rows))

    def positions(self, size: int, micro: int, replica: Any) -> tf.Tensor:
        """Places within a batch of `size` that a replica sees, shape `(micro, size / micro / replicas)`."""
        return tf.gather(tf.reshape(tf.range(size), (micro, self.replicas, -1)), replica, axis=1)


def padded_rows(batches: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of several batches as one matrix of a given width, and the length of each.

    Short batches are filled up with their own first row, which gets weight zero.
    """
    filled = [np.concatenate([rows, np.full(width - len(rows), rows[0])]) for rows in batches]
    return np.stack(filled).astype(np.int32), np.array([len(rows) for rows in batches], np.int32)


def total(losses: list[tf.Tensor], dtype: Any) -> tf.Tensor:
    """Sum of scalars, zero for none."""
    return tf.add_n([tf.cast(loss, dtype) for loss in losses]) if losses else tf.zeros((), dtype)


def multiple_of(size: int, parts: int) -> int:
    """The least multiple of `parts` that is not below `size`."""
    return -(-size // parts) * parts
