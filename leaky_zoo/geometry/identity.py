"""The least-squares identity of a layer and the norms `||.||_K` it defines (paper, section 2; stabilised: section 3).

Everything here is the stabilised version: `K^+` is replaced by `(K + gamma I)^-1` with `gamma = gamma_0 ||s(A)||_op^2`,
relative to the data and so independent of the number of samples. `gamma_0` decides every number: state it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry.low_rank import eigen
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
        InvalidInputError: `gamma_0` is not positive, or the moments are not finite or all zero.

    Example: non-negative representations of rank 2, without a row of ones.

    >>> import numpy as np
    >>> from leaky_zoo.geometry import moments
    >>> a = np.random.default_rng(0).uniform(size=(50, 2)) @ np.array([[1.0, 0, 2], [0, 1, 1]])
    >>> round(cost_of_identity(moments(a, a), 1e-9).cost, 3)
    2.0
    """
    gamma, factor = _regularised(moments.gram, gamma_0)
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
        InvalidInputError: the moments are not finite or all zero.

    Example:
    >>> import numpy as np
    >>> from leaky_zoo.geometry import moments
    >>> a = np.random.default_rng(0).uniform(size=(50, 3))
    >>> costs, _ = cost_of_identity_sweep(moments(a, a), [1e-3, 1e-6])
    >>> bool(abs(costs[1] - cost_of_identity(moments(a, a), 1e-6).cost) < 1e-6)
    True
    """
    return cost_of_identity_sweeps([moments], gammas_0)[0]


def cost_of_identity_sweeps(
    several: Sequence[Moments], gammas_0: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """As `cost_of_identity_sweep`, of several representations with the same features: one decomposition for all.

    Args:
        several: moments with one and the same `gram`, such as those of `A` and of `relu(A)`.
        gammas_0: relative regularisers, positive.

    Returns:
        As `cost_of_identity_sweep`, for each.

    Raises:
        InvalidInputError: the moments are not finite or all zero.

    Example:
    >>> import numpy as np
    >>> from leaky_zoo.geometry import moments
    >>> a = np.random.default_rng(0).normal(size=(50, 3))
    >>> s = np.maximum(a, 0)
    >>> [len(costs) for costs, _ in cost_of_identity_sweeps([moments(a, s), moments(s, s)], [1e-3, 1e-6])]
    [2, 2]
    """
    gram = several[0].gram
    if not np.isfinite(gram).all():
        raise InvalidInputError("The representations hold NaN or infinity: no energy can be computed from them.")
    values, vectors = eigen(gram, several[0].count)
    if values[-1] <= 0:
        raise InvalidInputError("All features of this layer are zero: its cost of identity is undefined.")
    return [_sweep(moments, values, vectors, gammas_0) for moments in several]


def _sweep(
    moments: Moments, values: np.ndarray, vectors: np.ndarray, gammas_0: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """From the eigenvalues and eigenvectors of `S`."""
    if moments.repeated is None:
        weights = np.square(moments.cross @ vectors).sum(axis=0)
    else:  # rows of S: M v = lambda v there
        weights = np.square(values) * np.square(vectors[moments.repeated]).sum(axis=0)
    squared = moments.squared
    costs, fractions = [], []
    for gamma in values[-1] * np.asarray(gammas_0, dtype=np.float64):
        shrunk = weights / (values + gamma)
        residual = max(squared - 2 * shrunk.sum() + (shrunk * values / (values + gamma)).sum(), 0.0)
        costs.append((shrunk / (values + gamma)).sum() + residual / gamma)
        fractions.append(residual / squared if squared > 0 else 0.0)
    return np.array(costs), np.array(fractions)


def k_norms_squared(matrices: Sequence[np.ndarray], features: np.ndarray, gamma_0: float = 1e-5) -> np.ndarray:
    """`||X||_K^2` of several matrices over the same samples, where the norms are all that is asked.

    `||X||_K^2 = Tr[X (K + gamma I)^-1 X^T]` is `(||X||^2 - ||R^-T s(A) X^T||^2) / gamma` with `R^T R = S + gamma I`
    (Woodbury), so `K` is not formed. Half of the work of `cost_of_identity`, which loses fewer digits: this difference
    loses `eps / gamma_0`, 1e-11 at the default, of `||X||^2 / ||s(A)||_op^2`.

    Args:
        matrices: each `X` one row per sample, of shape `(n, w)`.
        features: `s(A)`, shape `(n, f)`.
        gamma_0: relative regulariser, positive. Default 1e-5.

    Returns:
        The squared norms, float64, shape `(len(matrices),)`.

    Raises:
        InvalidInputError: `gamma_0` is not positive, or the features are not finite or all zero.

    Example: `||A||_K^2` is the cost of identity.

    >>> import numpy as np
    >>> from leaky_zoo.geometry import moments
    >>> a = np.random.default_rng(0).uniform(size=(50, 3))
    >>> bool(abs(k_norms_squared([a], a)[0] - cost_of_identity(moments(a, a)).cost) < 1e-9)
    True
    """
    s = np.asarray(features, dtype=np.float64)
    gamma, (factor, _) = _regularised(s.T @ s, gamma_0)
    found = []
    for matrix in matrices:
        x = np.asarray(matrix, dtype=np.float64)
        seen = linalg.solve_triangular(factor, (x.T @ s).T, trans="T", overwrite_b=True, check_finite=False)
        found.append(max(float(np.vdot(x, x)) - float(np.vdot(seen, seen)), 0.0) / gamma)
    return np.array(found)


def _regularised(gram: np.ndarray, gamma_0: float) -> tuple[float, tuple[np.ndarray, bool]]:
    """`gamma` and the Cholesky factor of `S + gamma I`, an upper triangle."""
    if not gamma_0 > 0:
        raise InvalidInputError(f"`gamma_0` must be positive: K is singular. Received: gamma_0={gamma_0}")
    if not np.isfinite(gram).all():
        raise InvalidInputError("The representations hold NaN or infinity: no energy can be computed from them.")
    # numpy's decomposition, not scipy's: those hold Python's lock, and layers are solved in threads.
    largest = float(np.linalg.eigvalsh(gram)[-1])
    if largest <= 0:
        raise InvalidInputError("All features of this layer are zero: its cost of identity is undefined.")
    gamma = gamma_0 * largest
    return gamma, linalg.cho_factor(gram + gamma * np.eye(len(gram)), overwrite_a=True, check_finite=False)


def _inner(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.einsum("ij,ij->", left, right))
