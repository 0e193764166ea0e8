"""Samples spread evenly over a data set."""

import numpy as np


def even_rows(samples: int, size: int) -> np.ndarray:
    """Indices of `size` of the samples, ascending, evenly spaced from the first to the last; all where they are fewer.

    Args:
        samples: how many there are, at least 1.
        size: how many are wanted, at least 1.

    Returns:
        int64 indices, shape `(min(size, samples),)`.

    Example:
    >>> even_rows(10, 4)
    array([0, 3, 6, 9])
    """
    return np.unique(np.linspace(0, samples - 1, min(size, samples)).round().astype(np.int64))
