"""Steps that share out a monitor of the path's speed."""

from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers.schedules.base import UpdatedSchedule

NORMS = ("k", "euclidean")


class Equidistributing(UpdatedSchedule):
    """`rho_l` proportional to `(alpha mean(v) + v_l)^-beta`, `v_l = ||A_l - A_{l-1}|| / rho_l` on the probe batch.

    The equidistribution of a monitor function (de Boor 1973): with `alpha = 0`, `beta = 1` every step covers the same
    distance; a smaller `beta` evens the steps out. This project.

    Args:
        alpha: constant part of the monitor, as a fraction of the mean speed, at least 0. Default 0.1.
        beta: exponent, in [-2, 2]; 0 gives equal steps, a negative one makes fast steps large. Default 0.5.
        norm: "k" or "euclidean". Default "k".
        gamma_0: relative regulariser of the K norm, positive. Default 1e-5.
        interval, damping, floor, freeze_at, cap: see `UpdatedSchedule`.

    Raises:
        InvalidInputError: an argument is out of its range.

    Example:
    >>> Equidistributing(beta=1.0).start(depth=4, effective_depth=1.0)
    array([0.25, 0.25, 0.25, 0.25])
    """

    name = "equidistributing"

    def __init__(
        self,
        alpha: float = 0.1,
        beta: float = 0.5,
        norm: str = "k",
        gamma_0: float = 1e-5,
        interval: int = 200,
        damping: float = 0.2,
        floor: float = 0.1,
        freeze_at: float = 0.85,
        cap: float = 0.9,
    ) -> None:
        super().__init__(interval, damping, floor, freeze_at, cap)
        if not (alpha >= 0 and np.isfinite(alpha)):
            raise InvalidInputError(f"`alpha` must be finite and at least 0. Received: alpha={alpha}")
        if not -2 <= beta <= 2:
            raise InvalidInputError(f"`beta` must be in [-2, 2]. Received: beta={beta}")
        if norm not in NORMS:
            raise InvalidInputError(f"`norm` must be 'k' or 'euclidean'. Received: norm={norm!r}")
        if not (gamma_0 > 0 and np.isfinite(gamma_0)):
            raise InvalidInputError(f"`gamma_0` must be positive. Received: gamma_0={gamma_0}")
        self.alpha, self.beta, self.norm, self.gamma_0 = float(alpha), float(beta), norm, float(gamma_0)

    def update(self, step_sizes: np.ndarray, path: ProbePath) -> np.ndarray:
        lengths = path.k_distances(self.gamma_0) if self.norm == "k" else path.distances()
        if not lengths.any():
            return step_sizes
        speed = lengths / step_sizes
        # A layer that stands still would get all of the path: a millionth of the mean speed is slow enough.
        monitor = np.maximum(self.alpha * speed.mean() + speed, 1e-6 * speed.mean())
        shares = monitor**-self.beta
        return self.towards(step_sizes, shares / shares.sum(), path.effective_depth)

    def get_config(self) -> dict[str, Any]:
        own = {"alpha": self.alpha, "beta": self.beta, "norm": self.norm, "gamma_0": self.gamma_0}
        return {**own, **super().get_config()}
