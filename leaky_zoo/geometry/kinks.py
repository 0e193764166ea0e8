"""How critical a path is in Clarke's sense: the least residual over the subgradients of the ReLUs that sit on a kink.

At an optimum of a ReLU net many entries of `A` are zero to rounding: the objective has kinks there, and the gradient
that sign masks give is only one of its subgradients. In the adjoint recursion
`P_{l-1} = c_l P_l + rho_l D_{l-1} * (W_l^T P_l)` every entry of `D` with `|A| < threshold * rms(A)` may be any number
in [0, 1]. The residuals `||W_l - P_l s(A_{l-1})^T|| / ||W_l||` are small at once, for one such choice, where the point
is critical in Clarke's sense (by his chain rule the choices hold the subdifferential, and may be more). This project.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry.moments import MomentumMoments

THRESHOLD = 1e-5
ITERATIONS = 60


@dataclass(frozen=True)
class Kinks:
    """The least residuals over the subgradients, and what they were chosen from.

    Attributes:
        residuals: `||W_l - P_l s^T|| / ||W_l||` for `l = 1..L`, with the chosen subgradients.
        sign_residuals: the same with sign masks, as `criticality_residual`.
        free: for `l = 1..L`, how many entries of `A_l` were free: those that `P_l` depends on; 0 for `A_L`, which no
            ReLU follows.
        control: for `l = 1..L`, the residuals with as many other entries freed in each layer, picked at random; None
            where no control was asked for.
        momenta: for `l = 1..L`, sums that pair `P_l` of the chosen subgradients with `A_{l-1}`.
    """

    residuals: np.ndarray
    sign_residuals: np.ndarray
    free: np.ndarray
    control: np.ndarray | None
    momenta: tuple[MomentumMoments, ...]

    @property
    def share(self) -> float:
        """Free entries over all entries that are counted in `free`."""
        return float(self.free.sum()) / self._entries

    _entries: int = 1


def clarke_residuals(
    representations: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    step_sizes: Sequence[float] | np.ndarray,
    effective_depth: float,
    momentum: np.ndarray,
    *,
    threshold: float = THRESHOLD,
    iterations: int = ITERATIONS,
    control: bool = False,
    seed: int = 0,
) -> Kinks:
    """The residuals of the subgradients that make the sum of their squares least.

    The sum is minimised by L-BFGS-B over the free entries, from the sign masks: a local minimum, so an upper bound on
    the least residual. One evaluation costs four products of `w^2 N` for each layer, two to go back and two to go
    forth; all is in memory, so this is for data that fit.

    Args:
        representations: `A_0..A_{L-1}`, one row per sample, each of shape `(n, w)`. Dense blocks only.
        weights: `W_1..W_L`, shape `(w, w)` or, with the bias as the last column, `(w, w + 1)`.
        step_sizes: `rho_1..rho_L`.
        effective_depth: `L~ >= 0`.
        momentum: `P_L = -(1 / mu) dC/dA_L`, `C` the mean over samples, one row per sample, shape `(n, w)`.
        threshold: an entry is free below so many times the root mean square of its layer, at least 0. Default 1e-5.
        iterations: of L-BFGS-B at most, at least 1. Default 60.
        control: whether to free as many other entries as well, for comparison. Default False.
        seed: of the control's choice. Default 0.

    Returns:
        The `Kinks`.

    Raises:
        InvalidInputError: lengths or shapes that do not fit, or an argument out of its range.

    Example: one layer has no kink behind it, so nothing is free.

    >>> a, w = np.array([[1.0], [2.0]]), np.array([[2.5]])
    >>> found = clarke_residuals([a], [w], [1.0], 0.5, np.array([[0.5], [1.0]]))
    >>> found.residuals, found.free
    (array([0.]), array([0]))
    """
    problem = _Problem(representations, weights, step_sizes, effective_depth, momentum)
    if not threshold >= 0 or iterations < 1:
        raise InvalidInputError(
            f"`threshold` must be at least 0 and `iterations` at least 1. "
            f"Received: threshold={threshold}, iterations={iterations}"
        )
    free = [_below(a, threshold) for a in problem.inner]
    signs = problem.residuals(problem.back(problem.masks))
    best = problem.masks_at(free, iterations)
    others = None
    if control:
        random = np.random.default_rng(seed)
        other = [_others(places, a.size, random) for places, a in zip(free, problem.inner, strict=True)]
        others = problem.residuals(problem.back(problem.masks_at(other, iterations)))
    momenta = problem.back(best)
    found = problem.residuals(momenta)
    if problem.loss(found) > problem.loss(signs):  # no step of the search was accepted
        momenta, found = problem.back(problem.masks), signs
    counts = np.array([*[len(places) for places in free], 0])
    entries = max(1, sum(a.size for a in problem.inner))
    return Kinks(found, signs, counts, others, problem.moments(momenta), entries)


class _Problem:
    """The residuals as a function of the masks `D_1..D_{L-1}`, and its derivative, in float64."""

    def __init__(
        self,
        representations: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
        step_sizes: Sequence[float] | np.ndarray,
        effective_depth: float,
        momentum: np.ndarray,
    ) -> None:
        self.paths = [np.asarray(a, np.float64) for a in representations]
        self.weights = [np.asarray(w, np.float64) for w in weights]
        self.steps = np.asarray(step_sizes, np.float64)
        self.last = np.asarray(momentum, np.float64)
        shape = self.last.shape
        fits = len(self.paths) == len(self.weights) == len(self.steps) >= 1 and len(shape) == 2
        fits = fits and all(a.shape == shape for a in self.paths)
        fits = fits and all(w.shape in ((shape[1], shape[1]), (shape[1], shape[1] + 1)) for w in self.weights)
        if not fits:
            raise InvalidInputError(
                "One representation (n, w), one weight matrix (w, w) or (w, w + 1) and one step for each layer, and a "
                f"momentum (n, w), are needed. Received: {[a.shape for a in self.paths]}, "
                f"{[w.shape for w in self.weights]}, {len(self.steps)} steps, momentum {shape}"
            )
        width = shape[1]
        self.leaks = 1 - self.steps * effective_depth
        self.squares = [max(float(np.vdot(w, w)), 1e-300) for w in self.weights]
        ones = np.ones((shape[0], 1))
        pairs = zip(self.paths, self.weights, strict=True)
        self.features = [np.hstack([np.maximum(a, 0), ones])[:, : w.shape[1]] for a, w in pairs]
        self.square = [np.ascontiguousarray(w[:, :width]) for w in self.weights]
        self.inner = self.paths[1:]
        self.masks = [(a > 0).astype(np.float64) for a in self.inner]

    def back(self, masks: list[np.ndarray], pulled: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """`P_1..P_L`; `W_{l+1}^T P_{l+1}` for `l = 1..L-1` go into `pulled`."""
        momenta = [self.last]
        for row in range(len(self.weights) - 1, 0, -1):
            image = momenta[-1] @ self.square[row]
            if pulled is not None:
                pulled.append(image)
            momenta.append(self.leaks[row] * momenta[-1] + self.steps[row] * masks[row - 1] * image)
        if pulled is not None:
            pulled.reverse()
        return momenta[::-1]

    def differences(self, momenta: list[np.ndarray]) -> list[np.ndarray]:
        """`W_l - P_l s^T`."""
        return [w - p.T @ s for w, p, s in zip(self.weights, momenta, self.features, strict=True)]

    def residuals(self, momenta: list[np.ndarray]) -> np.ndarray:
        pairs = zip(self.differences(momenta), self.squares, strict=True)
        return np.array([np.linalg.norm(each) / np.sqrt(square) for each, square in pairs])

    @staticmethod
    def loss(residuals: np.ndarray) -> float:
        return float(np.sum(residuals**2))

    def moments(self, momenta: list[np.ndarray]) -> tuple[MomentumMoments, ...]:
        triples = zip(momenta, self.features, self.paths, strict=True)
        return tuple(MomentumMoments(p.T @ s, float(np.vdot(p, a)), float(np.vdot(p, p))) for p, s, a in triples)

    def masks_at(self, free: list[np.ndarray], iterations: int) -> list[np.ndarray]:
        """The masks with the best values found at the free places (flat indices of each inner layer)."""
        sizes = [len(places) for places in free]
        if not sum(sizes):
            return self.masks
        cuts = np.cumsum(sizes)[:-1]

        def filled(vector: np.ndarray) -> list[np.ndarray]:
            masks = [mask.copy() for mask in self.masks]
            for mask, places, part in zip(masks, free, np.split(vector, cuts), strict=True):
                mask.ravel()[places] = part
            return masks

        scale = max(self.loss(self.residuals(self.back(self.masks))), 1e-300)

        def value_and_gradient(vector: np.ndarray) -> tuple[float, np.ndarray]:
            pulled: list[np.ndarray] = []
            masks = filled(vector)
            differences = self.differences(self.back(masks, pulled))
            total, slopes, gradient = 0.0, None, []
            for row, (each, square) in enumerate(zip(differences, self.squares, strict=True)):
                total += float(np.vdot(each, each)) / square
                if row == len(differences) - 1:
                    break  # P_L is given
                slope = (-2 / square) * (self.features[row] @ each.T)
                if slopes is not None:
                    slope += self.leaks[row] * slopes
                    slope += self.steps[row] * ((masks[row - 1] * slopes) @ self.square[row].T)
                slopes, places = slope, free[row]
                gradient.append(self.steps[row + 1] * slope.ravel()[places] * pulled[row].ravel()[places])
            return total / scale, np.concatenate(gradient) / scale

        start = np.concatenate([mask.ravel()[places] for mask, places in zip(self.masks, free, strict=True)])
        limits = {"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 1e-6}
        found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(start),
                         options=limits)  # fmt: skip
        return filled(np.clip(found.x, 0, 1))


def _below(representation: np.ndarray, threshold: float) -> np.ndarray:
    scale = np.sqrt(np.mean(np.square(representation)))
    return np.flatnonzero(np.abs(representation) < threshold * scale)


def _others(places: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """As many places that are not among these."""
    rest = np.setdiff1d(np.arange(size), places, assume_unique=True)
    return np.sort(random.choice(rest, min(len(places), len(rest)), replace=False))
