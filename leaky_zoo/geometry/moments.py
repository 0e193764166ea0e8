"""Additive float64 moments of a layer: all that the energies need, in memory that does not grow with the samples.

The paper works with `N x N` kernels `K = s(A)^T s(A)`. Every quantity built from `K` that we report is a function of
the feature-space sums below, which add over batches, replicas and processes (theory: this project).
"""

from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-14  # of the second moment: variance below it is what float64 leaves of a constant


@dataclass(frozen=True)
class Moments:
    """Sums over `count` samples of one layer's representations `A` (width `w`) and features `s(A)` (`f` of them).

    Attributes:
        count: number of columns summed (samples; for convolutions, samples x positions).
        gram: `S = s(A) s(A)^T`, shape `(f, f)`.
        cross: `M = A s(A)^T`, shape `(w, f)`.
        outer: `A A^T`, shape `(w, w)`.
        total: `A 1`, shape `(w,)`: the sum of the columns, for centred statistics.
        squared: `T = Tr A A^T`, summed by itself: the cost of identity is a difference of numbers of this size, so it
            must belong to the very samples of `gram` and `cross`, to the last digit.
        rectified: `||relu(A)||_F^2`, to say how much of `A` is negative.
        repeated: the rows of `gram` that `cross` repeats, and `outer` their columns: where `A` is never negative, it is
            among its own features. Default None: not known to be so.
    """

    count: int
    gram: np.ndarray
    cross: np.ndarray
    outer: np.ndarray
    total: np.ndarray
    squared: float
    rectified: float
    repeated: slice | None = None

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of the two sets of samples together."""
        return Moments(
            self.count + other.count,
            self.gram + other.gram,
            self.cross + other.cross,
            self.outer + other.outer,
            self.total + other.total,
            self.squared + other.squared,
            self.rectified + other.rectified,
            self.repeated if self.repeated == other.repeated else None,
        )

    @property
    def covariance(self) -> np.ndarray:
        """Centred second moment of `A`, shape `(w, w)`, divided by `count`; zeros where only rounding is left."""
        mean = self.total / self.count
        centred = self.outer / self.count - np.outer(mean, mean)
        return centred if np.trace(centred) > ROUNDING * self.squared / self.count else np.zeros_like(centred)

    @property
    def negative_share(self) -> float | None:
        """`||min(A, 0)||^2 / ||A||^2`, in [0, 1], to rounding of the sums; None where all of `A` is zero."""
        return max(1 - self.rectified / self.squared, 0.0) if self.squared > 0 else None


@dataclass(frozen=True)
class MomentumMoments:
    """Sums that pair the momentum `P_l` with the input of its step, `A_{l-1}`.

    Attributes:
        features: `P s(A)^T`, shape `(w, f)`; equals `W_l` at a critical point.
        trace: `Tr P A^T`, a scalar.
        norm_squared: `||P||_F^2`, a scalar.
    """

    features: np.ndarray
    trace: float
    norm_squared: float

    def __add__(self, other: "MomentumMoments") -> "MomentumMoments":
        """Moments of the two sets of samples together."""
        return MomentumMoments(
            self.features + other.features, self.trace + other.trace, self.norm_squared + other.norm_squared
        )

    def scaled(self, factor: float) -> "MomentumMoments":
        """The moments of `factor * P`."""
        return MomentumMoments(factor * self.features, factor * self.trace, factor**2 * self.norm_squared)


def moments(representations: np.ndarray, features: np.ndarray) -> Moments:
    """Sum the moments of one batch.

    Args:
        representations: `A`, one **row** per sample as Keras has it, shape `(n, w)`.
        features: `s(A)` with the column of ones last, shape `(n, f)`.

    Returns:
        The batch's `Moments`, in float64.

    Raises:
        ValueError: the two arrays are not matrices with equally many rows.

    Example:
    >>> import numpy as np
    >>> a = np.array([[1.0, -2.0], [3.0, 4.0]])
    >>> m = moments(a, np.hstack([np.maximum(a, 0), np.ones((2, 1))]))
    >>> m.gram[0, 0], m.cross[1, 2]
    (np.float64(10.0), np.float64(2.0))
    """
    a = np.asarray(representations, dtype=np.float64)
    s = np.asarray(features, dtype=np.float64)
    if a.ndim != 2 or s.ndim != 2 or a.shape[0] != s.shape[0]:
        raise ValueError(
            "`representations` and `features` must be matrices with one row per sample. "
            f"Received: representations.shape={a.shape}, features.shape={s.shape}"
        )
    positive = np.maximum(a, 0)
    squares = float(np.vdot(a, a)), float(np.vdot(positive, positive))
    return Moments(a.shape[0], s.T @ s, a.T @ s, a.T @ a, a.sum(axis=0), *squares)
