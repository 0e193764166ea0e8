"""How far a smaller net's outputs are from the whole net's: ranks are judged by it, and distillation lowers it."""

from typing import Any

import numpy as np
from keras import ops

from leaky_zoo.networks import LeakyNetwork

TEMPERATURE = 2.0  # of the soft outputs of classifiers (Hinton et al. 2015)
FACTORS = (1e-3, 1e3)  # by which logits are multiplied at most
HALVINGS = 40


class Divergence:
    """Of outputs from those of a network: Kullback-Leibler at temperature 2, or a mean square over output variances.

    Args:
        network: the whole net; its task and the variance of its outputs decide.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> between = Divergence(LeakyMLP((4,), 3, width=8, depth=4))
    >>> wanted = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    >>> abs(float(between(wanted, wanted))), float(between(0.5 * wanted, wanted)) > 0.01
    (0.0, True)
    >>> between.at_best_scale(0.5 * wanted, wanted) < 1e-9  # logits that are half as large say the same
    True
    """

    def __init__(self, network: LeakyNetwork) -> None:
        self.labels = network.task.labels
        self._variance = np.maximum(np.asarray(network.config.output_variance, np.float32), 1e-12)

    def __call__(self, outputs: Any, wanted: Any) -> Any:
        """A scalar of the backend; both of shape `(n, outputs)`."""
        if not self.labels:
            return ops.mean(ops.square(outputs - wanted) / self._variance)
        soft = ops.softmax(wanted / TEMPERATURE)
        logs = ops.log_softmax(outputs / TEMPERATURE) - ops.log_softmax(wanted / TEMPERATURE)
        return -(TEMPERATURE**2) * ops.mean(ops.sum(soft * logs, axis=-1))

    def at_best_scale(self, outputs: np.ndarray, wanted: np.ndarray) -> float:
        """The same with all logits multiplied by the factor that makes it least: it is convex in the factor.

        Logits move as a whole when layers fold; the temperature, and distillation, make that good. Outputs of a
        regression are taken as they are.
        """
        outputs, wanted = np.asarray(outputs, np.float64), np.asarray(wanted, np.float64)
        if not self.labels:
            return float(np.mean((outputs - wanted) ** 2 / self._variance))
        soft = _softmax(wanted / TEMPERATURE)
        aim = (soft * outputs).sum(-1)
        low, high = np.log(FACTORS)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            rises = np.mean((_softmax(np.exp(middle) * outputs / TEMPERATURE) * outputs).sum(-1) - aim) > 0
            low, high = (low, middle) if rises else (middle, high)
        found = _softmax(np.exp((low + high) / 2) * outputs / TEMPERATURE)
        tiny = np.finfo(np.float64).tiny
        return TEMPERATURE**2 * float(np.mean((soft * np.log((soft + tiny) / (found + tiny))).sum(-1)))


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
