"""Adam for gradients that the training loop has summed over replicas, and the loss scale of float16."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

INITIAL_SCALE = 2.0**15
GROWTH_INTERVAL = 2000


@keras.saving.register_keras_serializable(package="leaky_zoo")
class ClippedAdam(keras.optimizers.Adam):
    """Adam that takes the gradient of the global batch as it is, so that clipping sees all of it.

    Keras (3.15) clips on each replica and sums afterwards: two replicas then train differently from one. Here the
    caller sums over the replicas, and nothing is summed again. Arguments as `keras.optimizers.Adam`; on one replica
    it behaves exactly like it. This project.

    Example:
    >>> ClippedAdam(1e-3, global_clipnorm=1.0).global_clipnorm
    1.0
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
        return list(grads_and_vars)


class LossScale(NamedTuple):
    """The factor on the loss that keeps float16 gradients from underflow, and how it moves.

    A step whose gradient overflows is skipped and halves the scale; `GROWTH_INTERVAL` good steps in a row double it
    (Micikevicius et al. 2018, section 3.2). Tensors inside the training function, numbers outside.

    Attributes:
        scale: float32 factor, at least 1; 1 means no scaling.
        good_steps: int32, good steps since the scale last changed.
    """

    scale: Any
    good_steps: Any

    @classmethod
    def start(cls, value: float | str | None) -> "LossScale":
        """`"dynamic"`, a fixed factor, or None for no scaling."""
        return cls(INITIAL_SCALE if value == "dynamic" else float(value or 1.0), 0)

    def after(self, finite: tf.Tensor) -> "LossScale":
        """The dynamic scale after a step whose gradient was finite, or not."""
        good = tf.where(finite, self.good_steps + 1, 0)
        grown = good >= GROWTH_INTERVAL
        larger = tf.minimum(self.scale * 2, 2.0**24)
        kept = tf.where(grown, larger, self.scale)
        return LossScale(
            tf.where(finite, kept, tf.maximum(self.scale / 2, 1.0)), tf.where(grown, tf.zeros_like(good), good)
        )
