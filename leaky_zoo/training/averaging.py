"""The running mean of a network's weights, which is what gets evaluated and saved."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.strategy import Strategy


class WeightAverage:
    """An exponential mean of the trainable weights, kept beside them: Polyak and Juditsky 1992, with a decay.

    After step `t` (counted from 0) the mean keeps `min(decay, (1 + t) / (10 + t))` of itself, so that it forgets where
    the weights began. Means of step sizes that a schedule sets are not taken: they are as they are.

    Args:
        network: built, in the strategy's scope.
        strategy: where it trains; the means live where the weights do.
        decay: in (0, 1).

    Attributes:
        variables: the means, in the order of the network's trainable variables.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> from leaky_zoo.training.strategy import make_strategy
    >>> network = LeakyMLP((4,), 2, width=3, depth=5)
    >>> average = WeightAverage(network, make_strategy("cpu"), 0.9)
    >>> len(average.variables) == len(network.trainable_variables)
    True
    """

    def __init__(self, network: LeakyNetwork, strategy: Strategy, decay: float) -> None:
        self._weights, self._strategy, self._decay = list(network.trainable_variables), strategy, decay
        with strategy.scope():
            self.variables = [
                keras.Variable(variable, trainable=False, dtype=variable.dtype, name=f"mean_{row}")
                for row, variable in enumerate(self._weights)
            ]

    def update(self, step: tf.Tensor) -> None:
        """Take the weights after a step into the means; called in the graph, outside of the replicas."""
        done = tf.cast(step, tf.float64)
        kept = tf.minimum(tf.constant(self._decay, tf.float64), (1 + done) / (10 + done))
        for mean, weight in zip(self.variables, self._weights, strict=True):
            share = tf.cast(1 - kept, mean.dtype)
            self._strategy.distribute.extended.update(mean.value, _move, args=(weight.value, share))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the means for its weights inside, and its own weights again after."""
        own = [_numpy(weight) for weight in self._weights]
        self.keep()
        try:
            yield
        finally:
            for weight, value in zip(self._weights, own, strict=True):
                weight.assign(value)

    def keep(self) -> None:
        """Make the means the network's weights."""
        for weight, mean in zip(self._weights, self.variables, strict=True):
            weight.assign(_numpy(mean))


def _move(mean: tf.Variable, weight: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return mean.assign_add(share * (weight - mean))


def _numpy(variable: keras.Variable) -> np.ndarray:
    # By way of a tensor: a variable that is mirrored over replicas has no array of its own.
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))
