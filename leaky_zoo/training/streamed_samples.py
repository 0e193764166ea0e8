"""Samples that stay on the disk: the batches of the next steps are read ahead and held only while they are used."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.data.pipeline import BatchOrder, read_ahead
from leaky_zoo.training.replica_sums import Samples

BYTES = 16 * 1024**2  # of the inputs of one call of the graph


class StreamedSamples(Samples):
    """What `Samples` is for data in memory; the same rows give the same bits.

    Args:
        x: raw inputs, `Rows`.
        y: labels or targets, mapped from the disk or `Rows`.
        dtype: of the network's inputs.
        replicas: that share a batch.
        order: which rows each step sees.
    """

    def __init__(self, x: Any, y: Any, dtype: str, replicas: int, order: BatchOrder) -> None:
        self._dtype, self.replicas, self._order = dtype, replicas, order
        self._on_host = True
        self._rows, self._targets = x, y
        with tf.device("/CPU:0"):
            self._x, self._y = (
                tf.Variable(np.zeros((0, *part.shape[1:]), part.dtype), False, shape=(None, *part.shape[1:]))
                for part in (x, y)
            )
        size = max(1, int(np.prod(x.shape[1:], dtype=int)) * x.dtype.itemsize * order.batch_size)
        self.most_steps = max(1, BYTES // size)
        self._batches: Iterator[Any] = iter(())
        self._next = -1

    def place(self, step: int, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Read the batches of these steps, unless they wait already, and say where their samples are now."""
        if step != self._next:  # the first call, a resumed run, or a step taken again
            with tf.device("/CPU:0"):
                self._batches = iter(read_ahead(self._rows, self._targets, self._order, step))
        batches = [next(self._batches) for _ in counts]
        self._next = step + len(counts)
        with tf.device("/CPU:0"):
            self._x.assign(tf.concat([x for x, _ in batches], axis=0))
            self._y.assign(tf.concat([y for _, y in batches], axis=0))
        starts = np.cumsum(counts) - counts
        places = np.arange(rows.shape[1])[None]
        # Places that only fill up take the batch's first sample, as they do in memory; their weight is zero.
        return (starts[:, None] + np.where(places < counts[:, None], places, 0)).astype(np.int32)

    def whole(self, rows: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Inputs, cast, and targets of any rows, read now."""
        return tf.cast(self._rows[rows], self._dtype), tf.constant(self._targets[rows])


def samples_of(x: Any, y: Any, dtype: str, replicas: int, order: BatchOrder) -> Samples:
    """Samples in memory or on the disk, for the training step."""
    if isinstance(x, np.ndarray):
        return Samples(x, y, dtype, replicas)
    return StreamedSamples(x, y, dtype, replicas, order)
