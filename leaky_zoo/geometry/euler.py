"""The one Euler step `A_l = (1 - rho L~) A_{l-1} + rho W s(A_{l-1})` and its adjoint (paper, section 1.1).

Arrays are matrices with one row for each column of the paper's `A`. Whatever needs the step outside Keras calls it
here; `leaky_zoo.layers.LeakyBlock` is the same step in Keras. What maps `A` to `s(A)`, and back, is the block's: units
or patches.
"""

from typing import Any

import numpy as np


def leak(step_size: Any, effective_depth: float, dtype: Any = np.float64) -> Any:
    """`c = 1 - rho L~`, every operation rounded in `dtype`, as a layer with variables of that dtype rounds it.

    Args:
        step_size: `rho`, a number or an array.
        effective_depth: `L~ >= 0`.
        dtype: default float64.

    Returns:
        The leak, in `dtype`, of the shape of `step_size`.

    Example:
    >>> float(leak(0.1, 3.0)), float(leak(0.1, 3.0, "float32"))
    (0.7, 0.699999988079071)
    """
    kind = np.dtype(dtype).type
    return kind(1) - np.asarray(step_size, dtype)[()] * kind(effective_depth)


def velocity(columns: np.ndarray, weighted: np.ndarray, effective_depth: float) -> np.ndarray:
    """`dA/dp = -L~ A + W s(A)`, the derivative that a step goes along.

    Args:
        columns: `A`, shape `(n, w)`.
        weighted: `W s(A)`, shape `(n, w)`.
        effective_depth: `L~`.

    Example:
    >>> velocity(np.ones((1, 2)), np.array([[2.0, 5.0]]), 2.0)
    array([[0., 3.]])
    """
    return weighted - effective_depth * columns


def euler_step(
    columns: np.ndarray,
    activations: np.ndarray,
    weights: np.ndarray,
    step_size: float | None,
    leak: float,
    out: np.ndarray | None = None,
    scratch: np.ndarray | None = None,
) -> np.ndarray:
    """`A_l` from `A_{l-1}` and its features, in the dtype of the arrays.

    Args:
        columns: `A_{l-1}`, shape `(n, w)`.
        activations: `s(A_{l-1})`, shape `(n, f)`, with or without the column of ones.
        weights: `W_l`, shape `(w, f)`, or `(w, f + 1)` with a bias where `activations` have no ones.
        step_size: `rho`; None where `weights` are `rho W_l`.
        leak: `1 - rho L~`.
        out: where to write the result, shape `(n, w)`. Default None: new memory.
        scratch: memory of the shape `(n, w)` that is written over. Default None: new memory.

    Returns:
        Shape `(n, w)`.

    Example:
    >>> a = np.array([[1.0, -2.0]])
    >>> euler_step(a, np.maximum(a, 0), np.array([[3.0, 0, 1], [0, 3, 1]]), 0.1, 0.7)
    array([[ 1.1, -1.3]])
    """
    features = activations.shape[1]
    moved = np.matmul(activations, weights[:, :features].T, out=out)
    if weights.shape[1] > features:
        moved += weights[:, features]
    return _mix(columns, moved, step_size, leak, scratch)


def euler_adjoint(
    gradient: np.ndarray,
    pulled_back: np.ndarray,
    step_size: float | None,
    leak: float,
    scratch: np.ndarray | None = None,
) -> np.ndarray:
    """`G_{l-1} = (1 - rho L~) G_l + rho relu'(A_{l-1}) * (W_l^T G_l)`: gradients by a step's input from its output's.

    Args:
        gradient: `G_l`, shape `(n, w)`.
        pulled_back: `relu'(A_{l-1}) * (W_l^T G_l)`, as `LeakyBlock.pull_back` gives it; written over.
        step_size: `rho`; None where `pulled_back` was made with `rho W_l`.
        leak: `1 - rho L~`.
        scratch: memory of the shape `(n, w)` that is written over. Default None: new memory.

    Returns:
        `pulled_back`, which now holds `G_{l-1}`.

    Example:
    >>> euler_adjoint(np.array([[1.0, 2.0]]), np.array([[10.0, 0.0]]), 0.5, 0.5)
    array([[5.5, 1. ]])
    """
    return _mix(gradient, pulled_back, step_size, leak, scratch)


def _mix(
    kept: np.ndarray, moved: np.ndarray, step_size: float | None, leak: float, scratch: np.ndarray | None
) -> np.ndarray:
    """`leak kept + rho moved`, written into `moved`."""
    scalar = moved.dtype.type
    if step_size is not None:
        moved *= scalar(step_size)
    moved += np.multiply(kept, scalar(leak), out=scratch)
    return moved
