"""From logits to probabilities, and the temperature that makes them honest. Needs numpy only."""

import math
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError

RANGE = (1e-2, 1e2)  # of temperatures


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of classes.

    Args:
        logits: shape `(..., classes)`.
        temperature: what logits are divided by first, above 0. Default 1.

    Returns:
        float64, of the same shape, each row summing to one.

    Example:
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def fit_temperature(logits: Any, labels: Any) -> float:
    """The temperature with the least cross-entropy, on data that the network was not trained on.

    The cross-entropy is convex in the inverse temperature; its zero slope is found by bisection. Source: Guo et al.,
    On Calibration of Modern Neural Networks (ICML 2017).

    Args:
        logits: shape `(n, classes)`, n at least 1, finite.
        labels: whole numbers in `[0, classes)`, shape `(n,)`.

    Returns:
        In [0.01, 100]; an end of that range where the data have no optimum in it.

    Raises:
        InvalidInputError: shapes or values that are none of these.

    Example:
    >>> round(fit_temperature([[4.0, 0.0]] * 4, [0, 0, 0, 1]), 2)  # right three times of four: e^(4/T) = 3
    3.64
    """
    values, classes = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    fits = values.ndim == 2 and len(values) and classes.shape == (len(values),) and classes.dtype.kind in "iu"
    if not fits or not np.isfinite(values).all() or classes.min() < 0 or classes.max() >= values.shape[1]:
        raise InvalidInputError(
            f"`logits` must be finite, of shape (n, classes), and `labels` n whole numbers below classes. "
            f"Received: logits.shape={values.shape}, labels.shape={classes.shape}, labels.dtype={classes.dtype}"
        )
    values = values - values.max(axis=-1, keepdims=True)
    right = values[np.arange(len(values)), classes]

    def slope(inverse: float) -> float:
        weights = np.exp(values * inverse)
        return float(np.mean((weights * values).sum(-1) / weights.sum(-1) - right))

    low, high = math.log(1 / RANGE[1]), math.log(1 / RANGE[0])
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)
