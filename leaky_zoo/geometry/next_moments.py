"""What one step does to moments, without looking at a sample: `A_l = c A + rho W s(A)` is linear in `A` and `s(A)`.

So `A_l A_l^T`, `A A_l^T` and the length of the step are functions of the moments before it (this project). They cost
`w^3` instead of `N w^2`.
"""

import numpy as np

from leaky_zoo.geometry.moments import Moments


def outer_after_step(moments: Moments, weights: np.ndarray, leak: float, step: float) -> np.ndarray:
    """`A_l A_l^T` from the moments of `A_{l-1}`.

    Args:
        moments: of the step's input.
        weights: `W_l` with the bias as its last column, shape `(w, f)`.
        leak: `c = 1 - rho L~`.
        step: `rho`.

    Returns:
        Shape `(w, w)`, symmetric.

    Example:
    >>> from leaky_zoo.geometry import moments
    >>> a = np.array([[1.0, 2.0]])
    >>> float(outer_after_step(moments(a.T, a.T), np.array([[1.0]]), 0.5, 0.5)[0, 0])
    5.0
    """
    mixed = moments.cross @ weights.T
    moved = weights @ moments.gram @ weights.T
    result = leak**2 * moments.outer + leak * step * (mixed + mixed.T) + step**2 * moved
    return (result + result.T) / 2


def cross_to_next(moments: Moments, weights: np.ndarray, leak: float, step: float) -> np.ndarray:
    """`A_{l-1} A_l^T` from the moments of `A_{l-1}`; arguments as `outer_after_step`."""
    return leak * moments.outer + step * moments.cross @ weights.T


def squared_length(moments: Moments, weights: np.ndarray, effective_depth: float, step: float) -> float:
    """`||A_l - A_{l-1}||_F^2`, from `A_l - A_{l-1} = rho (W s - L~ A)`; other arguments as `outer_after_step`."""
    moved = float(np.einsum("ij,ij->", weights @ moments.gram, weights))
    mixed = float(np.einsum("ij,ij->", weights, moments.cross))
    return max(step**2 * (moved - 2 * effective_depth * mixed + effective_depth**2 * moments.squared), 0.0)
