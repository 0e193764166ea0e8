"""`tf.data` pipelines whose order is a pure function of (seed, pass over the data), and so can be resumed."""

import numpy as np
import tensorflow as tf

from leaky_zoo.errors import InvalidInputError


def training_pipeline(
    x: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    seed: int,
    *,
    first_step: int = 0,
    input_dropout: float = 0.0,
    fill: np.ndarray | float = 0.0,
    dtype: str = "float32",
) -> tf.data.Dataset:
    """An endless stream of shuffled batches, one for each training step.

    Every pass over the data is a stateless permutation of (seed, pass); the last `n % batch_size` samples of a pass
    are left out of that pass. Dropout of inputs is drawn here from (seed, step), not in the model: replicas share the
    draw and the exported model has no trace of it.

    Args:
        x: raw samples, cached in memory.
        y: labels or targets.
        batch_size: global batch, 1..n.
        seed: integer seed.
        first_step: step to start from, for resuming. Default 0.
        input_dropout: fraction of inputs replaced by `fill` in each step, in [0, 1); the rest is scaled around `fill`
            to keep the mean. Default 0.0.
        fill: a number or one value per feature. Default 0.0.
        dtype: of the inputs. Default "float32".

    Returns:
        A `tf.data.Dataset` of `(x, y)` batches, prefetched, sharded by data under a strategy.

    Raises:
        InvalidInputError: a batch that is empty or larger than the data, or a dropout outside [0, 1).
    """
    count = len(x)
    if not 1 <= batch_size <= count:
        raise InvalidInputError(f"`batch_size` must be in 1..{count}, the samples. Received: batch_size={batch_size}")
    if not 0 <= input_dropout < 1:
        raise InvalidInputError(f"`input_dropout` must be in [0, 1). Received: input_dropout={input_dropout}")
    per_pass = count // batch_size
    samples, targets = tf.constant(x), tf.constant(y)
    mean = tf.constant(np.asarray(fill), dtype=dtype)

    def order(which: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(seed, tf.int64), which])
        rows = tf.random.experimental.stateless_shuffle(tf.range(count), seed=seeds)
        return tf.data.Dataset.from_tensor_slices(tf.reshape(rows[: per_pass * batch_size], (per_pass, batch_size)))

    def batch(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = tf.cast(tf.gather(samples, rows), dtype)
        if input_dropout:
            seeds = tf.stack([tf.constant(seed, tf.int64), step])
            inputs = mean + tf.nn.experimental.stateless_dropout(inputs - mean, input_dropout, seed=seeds)
        return inputs, tf.gather(targets, rows)

    passes = tf.data.Dataset.range(first_step // per_pass, tf.int64.max).flat_map(order)
    steps = tf.data.Dataset.range(first_step, tf.int64.max)
    stream = tf.data.Dataset.zip(steps, passes.skip(first_step % per_pass))
    stream = stream.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)
    return stream.with_options(_sharded_by_data())


def evaluation_pipeline(x: np.ndarray, y: np.ndarray, batch_size: int, dtype: str = "float32") -> tf.data.Dataset:
    """Every sample once, in order, the last batch shorter."""
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    data = data.map(lambda inputs, targets: (tf.cast(inputs, dtype), targets)).prefetch(2)
    return data.with_options(_sharded_by_data())


def _sharded_by_data() -> tf.data.Options:
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options
