"""The order of the training data: a pure function of (seed, pass), so that a run can be resumed, cut and shared out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.data.found import rows_at_once
from leaky_zoo.errors import InvalidInputError


@dataclass(frozen=True)
class BatchOrder:
    """Which samples each training step sees: every sample exactly once in a pass, the last batch of a pass shorter.

    Each pass is a stateless permutation of (seed, pass). The order knows nothing of devices: replicas, workers and
    micro-batches share out the rows of a step, so that their number changes no batch. This project.

    Args:
        count: samples, at least 1.
        batch_size: samples of one optimiser step over all replicas, 1..count.
        seed: integer seed.

    Raises:
        InvalidInputError: a batch that is empty or larger than the data.

    Example:
    >>> order = BatchOrder(count=5, batch_size=2, seed=0)
    >>> [len(order.rows(step)) for step in range(3)]
    [2, 2, 1]
    >>> sorted(int(row) for step in range(3) for row in order.rows(step))
    [0, 1, 2, 3, 4]
    """

    count: int
    batch_size: int
    seed: int
    _passes: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= self.count:
            raise InvalidInputError(
                f"`batch_size` must be in 1..{self.count}, the samples. Received: batch_size={self.batch_size}"
            )

    @property
    def steps_per_pass(self) -> int:
        """Steps in which every sample is seen once."""
        return -(-self.count // self.batch_size)

    def rows(self, step: int) -> np.ndarray:
        """Rows of the training split that a step (counted from 0) sees, int32; shorter at the end of a pass."""
        which, position = divmod(step, self.steps_per_pass)
        rows = self._passes.get(which)
        if rows is None:  # threads that read ahead may be in two passes at once
            rows = _permutation(self.count, self.seed, which)
            self._passes.clear()  # one pass at a time is needed
            self._passes[which] = rows
        return rows[position * self.batch_size : (position + 1) * self.batch_size]


class InOrder(BatchOrder):
    """Every sample once, as they are, without an end: the order of an evaluation.

    Args:
        count: samples, at least 1.
        batch_size: samples at a time, 1..count.

    Example:
    >>> [InOrder(5, 2).rows(step).tolist() for step in range(4)]
    [[0, 1], [2, 3], [4], [0, 1]]
    """

    def __init__(self, count: int, batch_size: int) -> None:
        super().__init__(count, batch_size, 0)

    def rows(self, step: int) -> np.ndarray:
        position = step % self.steps_per_pass
        return np.arange(position * self.batch_size, min((position + 1) * self.batch_size, self.count), dtype=np.int32)


def _permutation(count: int, seed: int, which: int) -> np.ndarray:
    with tf.device("/CPU:0"):
        seeds = tf.constant([seed, which], tf.int64)
        return tf.random.experimental.stateless_shuffle(tf.range(count), seed=seeds).numpy()


def training_pipeline(
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    seed: int,
    *,
    first_step: int = 0,
    dtype: str = "float32",
    **changes: Any,
) -> tf.data.Dataset:
    """The batches that `train` sees, as an endless `tf.data` stream for a `fit` of one's own on one device.

    Under `tf.distribute`, Keras averages a batch that its replicas cannot share evenly over the replicas instead of
    the samples; choose a `batch_size` that divides the data, or use `train`.

    Args:
        x: raw samples, in memory.
        y: labels or targets.
        batch_size: 1..n.
        seed: integer seed.
        first_step: step to start from, for resuming. Default 0.
        dtype: of the inputs. Default "float32".
        **changes: fields of `Augmentation`; drawn from (seed, step), not in the model. Default none. `mixup` needs the
            loss of two targets, and so `train`.

    Returns:
        A `tf.data.Dataset` of `(x, y)` batches, prefetched.

    Raises:
        InvalidInputError: a batch that is empty or larger than the data, `mixup`, or what `Augmentation` refuses.
        TypeError: a change that there is none of.
    """
    order = BatchOrder(len(x), batch_size, seed)
    augmentation = Augmentation(seed, **changes)
    augmentation.check(x.shape[1:])
    if augmentation.mixup:
        raise InvalidInputError(f"`mixup` is for `train`. Received: mixup={augmentation.mixup}")
    samples, targets = tf.constant(x), tf.constant(y)

    @tf.autograph.experimental.do_not_convert  # nothing depends on tensors; rewriting them would slow the start
    def rows(which: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(seed, tf.int64), which])
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(order.count), seed=seeds)
        return tf.data.Dataset.from_tensor_slices(shuffled).batch(batch_size)

    @tf.autograph.experimental.do_not_convert
    def batch(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = tf.cast(tf.gather(samples, rows), dtype)
        draws = augmentation.draw(step, batch_size, x.shape[1:])
        mine = {name: rows_of[: tf.shape(rows)[0]] for name, rows_of in draws.items()}
        return augmentation.apply(inputs, mine), tf.gather(targets, rows)

    passes = tf.data.Dataset.range(first_step // order.steps_per_pass, tf.int64.max).flat_map(rows)
    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    stream = tf.data.Dataset.zip(steps, passes.skip(first_step % order.steps_per_pass))
    return stream.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def check_finite(x: np.ndarray, y: np.ndarray, split: str, dtype: str = "float32") -> None:
    """Refuse NaN and infinity in samples or targets, before and after they are cast to `dtype`.

    Args:
        x: raw samples.
        y: labels or targets.
        split: as the recipe names it, for the message.
        dtype: what the network takes. Default "float32".

    Raises:
        InvalidInputError: naming the split, the row within it and the value.
    """
    for name, array in (("x", x), ("y", y)):
        if array is None or np.issubdtype(array.dtype, np.integer) or array.dtype == bool:
            continue
        size = rows_at_once(array.shape)
        for start in range(0, len(array), size):  # in parts: a copy of everything might not fit
            taken = array[start : start + size]
            with np.errstate(over="ignore"):
                part = taken.reshape(len(taken), -1).astype(dtype)
            bad = ~np.isfinite(part)
            if bad.any():
                row = int(np.argmax(bad.any(axis=1)))
                value = taken[row].reshape(-1)[int(np.argmax(bad[row]))]
                raise InvalidInputError(
                    f"Data must be finite numbers in {dtype}: `{name}` of split {split!r} holds {value} in row "
                    f"{start + row}."
                )


def read_ahead(x: Any, y: Any, order: BatchOrder, first_step: int = 0, ahead: int = 2) -> tf.data.Dataset:
    """The batches of streamed samples by step, read on other threads before they are needed.

    Args:
        x: `Rows`.
        y: labels or targets, mapped from the disk or `Rows`.
        order: which rows each step sees.
        first_step: step to start from. Default 0.
        ahead: batches held in advance. Default 2.

    Returns:
        An endless `tf.data.Dataset` of `(x, y)`, batch by batch as `order` says.
    """

    def read(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = order.rows(int(step))
        return x[rows], np.ascontiguousarray(y[rows])

    @tf.autograph.experimental.do_not_convert
    def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, targets = tf.numpy_function(read, [step], [x.dtype, y.dtype], stateful=False)
        return tf.ensure_shape(inputs, (None, *x.shape[1:])), tf.ensure_shape(targets, (None, *y.shape[1:]))

    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    return steps.map(batch, num_parallel_calls=2, deterministic=True).prefetch(ahead)
