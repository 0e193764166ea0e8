"""The least-squares identity of a layer and the norms `||.||_K` it defines (paper, section 2; stabilised: section 3).

Everything here is the stabilised version: `K^+` is replaced by `(K + gamma I)^-1` with `gamma = gamma_0 ||s(A)||_op^2`,
relative to the data and so independent of the number of samples. `gamma_0` decides every number: state it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from leaky_zoo.geometry.moments import Moments


@dataclass(frozen=True)
class Identity:
    """The smallest map `W_id` with `W_id s(A) ~ A`, and what it costs.

    Attributes:
        gamma: the absolute regulariser that was used.
        weights: `W_id = M (S + gamma I)^-1`, shape `(w, f)`.
        cost: `COI_gamma = min_W ||W||^2 + ||W s(A) - A||^2 / gamma`; a measure of dimension on a plateau of `gamma_0`.
        out_of_image_fraction: `||A - W_id s(A)||^2 / ||A||^2`, in [0, 1]: what the features cannot reproduce.
        cholesky: the factor of `S + gamma I`, to solve with it again.
    """

    gamma: float
    weights: np.ndarray
    cost: float
    out_of_image_fraction: float
    cholesky: tuple[np.ndarray, bool]

    def solve(self, right: np.ndarray) -> np.ndarray:
        """`right @ (S + gamma I)^-1` for `right` of shape `(..., f)`."""
        return linalg.cho_solve(self.cholesky, right.T, check_finite=False).T


def cost_of_identity(moments: Moments, gamma_0: float = 1e-5) -> Identity:
    """Solve for the least-squares identity of a layer.

    Args:
        moments: sums over the samples.
        gamma_0: relative regulariser, positive. Default 1e-5.

    Returns:
        The `Identity`.

    Raises:
        ValueError: `gamma_0` is not positive, or the moments are not finite or all zero.

    Example: non-negative representations of rank 2, without a row of ones.

    >>> import numpy as np
    >>> from leaky_zoo.geometry import moments
    >>> a = np.random.default_rng(0).uniform(size=(50, 2)) @ np.array([[1.0, 0, 2], [0, 1, 1]])
    >>> round(cost_of_identity(moments(a, a), 1e-9).cost, 3)
    2.0
    """
    if not gamma_0 > 0:
        raise ValueError(f"`gamma_0` must be positive: K is singular. Received: gamma_0={gamma_0}")
    gram = moments.gram
    if not np.isfinite(gram).all():
        raise ValueError("The representations hold NaN or infinity: no energy can be computed from them.")
    size = gram.shape[0]
    # numpy's decompositions, not scipy's: those hold Python's lock, and layers are solved in threads.
    largest = float(np.linalg.eigvalsh(gram)[-1])
    if largest <= 0:
        raise ValueError("All features of this layer are zero: its cost of identity is undefined.")
    gamma = gamma_0 * largest
    factor = linalg.cho_factor(gram + gamma * np.eye(size), check_finite=False)
    weights = linalg.cho_solve(factor, moments.cross.T, check_finite=False).T
    squared = moments.squared
    # <W S, W> with W S = M - gamma W, which the solve gives for free.
    image = moments.cross - gamma * weights
    residual = max(squared - 2 * _inner(weights, moments.cross) + _inner(image, weights), 0.0)
    cost = _inner(weights, weights) + residual / gamma
    return Identity(gamma, weights, cost, residual / squared if squared > 0 else 0.0, factor)


def cost_of_identity_sweep(moments: Moments, gammas_0: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The cost of identity at many values of `gamma_0`, from one eigendecomposition.

    Args:
        moments: sums over the samples.
        gammas_0: relative regularisers, positive.

    Returns:
        One cost for each, and one out-of-image fraction for each, float64.

    Raises:
        ValueError: the moments are not finite or all zero.

    Example:
    >>> import numpy as np
    >>> from leaky_zoo.geometry import moments
    >>> a = np.random.default_rng(0).uniform(size=(50, 3))
    >>> costs, _ = cost_of_identity_sweep(moments(a, a), [1e-3, 1e-6])
    >>> bool(abs(costs[1] - cost_of_identity(moments(a, a), 1e-6).cost) < 1e-6)
    True
    """
    if not np.isfinite(moments.gram).all():
        raise ValueError("The representations hold NaN or infinity: no energy can be computed from them.")
    values, vectors = np.linalg.eigh(moments.gram)
    if values[-1] <= 0:
        raise ValueError("All features of this layer are zero: its cost of identity is undefined.")
    weights = np.square(moments.cross @ vectors).sum(axis=0)
    squared = moments.squared
    costs, fractions = [], []
    for gamma in values[-1] * np.asarray(gammas_0, dtype=np.float64):
        shrunk = weights / (values + gamma)
        residual = max(squared - 2 * shrunk.sum() + (shrunk * values / (values + gamma)).sum(), 0.0)
        costs.append((shrunk / (values + gamma)).sum() + residual / gamma)
        fractions.append(residual / squared if squared > 0 else 0.0)
    return np.array(costs), np.array(fractions)


def k_norm_squared(matrix: np.ndarray, features: np.ndarray, identity: Identity) -> float:
    """`||X||_K^2 = Tr[X (K + gamma I)^-1 X^T]` of any matrix over the samples, without forming `K`.

    Args:
        matrix: `X`, one row per sample, shape `(n, w)`.
        features: `s(A)`, shape `(n, f)`.
        identity: the layer's `Identity`, which holds `gamma` and the factor.

    Returns:
        The squared norm, a float.
    """
    x = np.asarray(matrix, dtype=np.float64)
    s = np.asarray(features, dtype=np.float64)
    cross = x.T @ s
    best = identity.solve(cross)
    residual = max(_inner(x, x) - 2 * _inner(best, cross) + _inner(cross - identity.gamma * best, best), 0.0)
    return _inner(best, best) + residual / identity.gamma


def _inner(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.einsum("ij,ij->", left, right))
