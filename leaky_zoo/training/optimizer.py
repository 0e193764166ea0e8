"""Optimisers for gradients that the training loop has summed over replicas, their rates, the loss scale of float16."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from leaky_zoo.zoo.optimizer_part import DECOUPLED_DECAY, MOMENTUM, OptimizerPart

INITIAL_SCALE = 2.0**15
GROWTH_INTERVAL = 2000
START, END = 25.0, 1e4  # of one cycle: the peak over the first rate, and the first over the last


class _GlobalGradients:
    """Takes the gradient of the global batch as it is, so that clipping sees all of it.

    Keras (3.15) clips on each replica and sums afterwards: two replicas then train differently from one. Here the
    caller sums over the replicas, and nothing is summed again. On one replica an optimiser behaves as Keras's own.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
        return list(grads_and_vars)


@keras.saving.register_keras_serializable(package="leaky_zoo")
class ClippedAdam(_GlobalGradients, keras.optimizers.Adam):
    """Adam that takes the gradient of the global batch as it is. Arguments as `keras.optimizers.Adam`. This project.

    Example:
    >>> ClippedAdam(1e-3, global_clipnorm=1.0).global_clipnorm
    1.0
    """


@keras.saving.register_keras_serializable(package="leaky_zoo")
class ClippedAdamW(_GlobalGradients, keras.optimizers.AdamW):
    """AdamW that takes the gradient of the global batch as it is. Arguments as `keras.optimizers.AdamW`."""


@keras.saving.register_keras_serializable(package="leaky_zoo")
class ClippedSGD(_GlobalGradients, keras.optimizers.SGD):
    """SGD that takes the gradient of the global batch as it is. Arguments as `keras.optimizers.SGD`."""


@keras.saving.register_keras_serializable(package="leaky_zoo")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Up along a cosine from `peak / 25`, down along a cosine to `peak / 250000` (Smith and Topin 2018).

    Args:
        peak: highest learning rate, positive.
        total: steps in all, at least 1.
        rising: steps that it takes to the peak, at least 0.

    Example:
    >>> rate = OneCycle(1.0, total=100, rising=30)
    >>> [round(float(rate(step)), 4) for step in (0, 30, 65, 100)]
    [0.04, 1.0, 0.5, 0.0]
    """

    def __init__(self, peak: float, total: int, rising: int) -> None:
        super().__init__()
        self.peak, self.total, self.rising = peak, total, rising

    def __call__(self, step: Any) -> tf.Tensor:
        done = tf.cast(step, tf.float32)
        up = tf.clip_by_value(done / max(self.rising, 1), 0.0, 1.0) if self.rising else tf.ones_like(done)
        down = tf.clip_by_value((done - self.rising) / max(self.total - self.rising, 1), 0.0, 1.0)
        first, last = self.peak / START, self.peak / START / END
        rising = self.peak + (first - self.peak) * (1 + tf.cos(np.pi * up)) / 2
        falling = last + (self.peak - last) * (1 + tf.cos(np.pi * down)) / 2
        return tf.where(done < self.rising, rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total": self.total, "rising": self.rising}


def make_optimizer(part: OptimizerPart, total: int) -> keras.optimizers.Optimizer:
    """The optimiser of a recipe, for so many steps in all."""
    rising = round(part.rising * total)
    rate: Any
    if part.schedule == "one_cycle":
        rate = OneCycle(part.learning_rate, total, rising)
    else:
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if rising else part.learning_rate,
            max(total - rising, 1),
            warmup_target=part.learning_rate if rising else None,
            warmup_steps=rising,
        )
    common = {"learning_rate": rate, "global_clipnorm": part.global_clipnorm}
    if part.name == "sgd":
        momentum = MOMENTUM if part.momentum is None else part.momentum
        return ClippedSGD(momentum=momentum, nesterov=momentum > 0, **common)
    if part.name == "adam":
        return ClippedAdam(**common)
    decay = DECOUPLED_DECAY if part.decoupled_decay is None else part.decoupled_decay
    optimizer = ClippedAdamW(weight_decay=decay, **common)
    optimizer.exclude_from_weight_decay(var_names=["bias", "values"])  # biases, and learnable step sizes
    return optimizer


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
