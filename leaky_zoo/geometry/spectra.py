"""Spectra of representations and weights, and the soft ranks that summarise them."""

import numpy as np


def singular_values(second_moment: np.ndarray) -> np.ndarray:
    """Singular values of `A`, descending, from `A A^T` of shape `(w, w)`.

    Squaring halves the digits: values under about 1e-8 of the largest are rounding.

    >>> import numpy as np
    >>> singular_values(np.diag([4.0, 9.0]))
    array([3., 2.])
    """
    return np.sqrt(np.maximum(np.linalg.eigvalsh(second_moment)[::-1], 0.0))


def stable_rank(values: np.ndarray) -> float | None:
    """`||A||_F^2 / ||A||_op^2` from the singular values, in [1, w]; None when all are zero.

    >>> stable_rank(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    largest = float(np.max(values, initial=0.0))
    return float(np.sum((values / largest) ** 2)) if largest > 0 else None


def participation_ratio(covariance: np.ndarray) -> float | None:
    """`(sum e)^2 / sum e^2` over the eigenvalues `e` of a covariance, in [1, w]; None when all are zero.

    >>> round(participation_ratio(np.eye(3)), 6)
    3.0
    """
    trace = float(np.trace(covariance))
    squares = float(np.vdot(covariance, covariance))
    return trace**2 / squares if squares > 0 else None
