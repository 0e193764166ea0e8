"""Step sizes that minimise the parameter norm of the path: the Hamiltonian is constant along it."""

from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers.schedules.base import (
    UpdatedSchedule,
    bounded_simplex,
    check_bounds,
    spread_rounding,
)


class Hamiltonian(UpdatedSchedule):
    """Hold the path fixed and take the `rho` that minimises `sum_l rho_l ||W_l||^2` (this project).

    With `k_l = ||A_l - A_{l-1}||_K` and `COI_l = ||A_{l-1}||_K^2` the minimum under `sum rho = 1` and the bounds is
    `rho_l(m) = clip(k_l / (L~ sqrt(max(COI_l - m, 0))), low, high)` for the one `m` that makes the sum one. Where no
    bound is active the Hamiltonian equals `-m L~ / 2` at every layer.

    On a converged path every grid satisfies this to first order in `rho`, so `gamma_0` and the transient decide what
    the rule chooses; it does not see discretisation error. The bounds, the damping and the freezing point matter.

    Args:
        interval: training steps between updates. Default 200.
        damping: fraction of the way to the target, in (0, 1]. Default 0.2.
        floor: least step as a fraction of `1 / L`, in (0, 1). Default 0.5.
        freeze_at: fraction of training after which the steps stay, in (0, 1]. Default 0.85.
        gamma_0: relative regulariser of the K norms, positive. Default 1e-5.
        keeps_function: correct the weights at every update so that the network's function stays,
            `W_new = r W_old + L~ (1 - r) W_id`, `r = rho_old / rho_new`. Default False.
        tolerance: with `keeps_function`, an update that changes the output on the probe batch by a larger relative
            amount is refused, steps and weights staying as they were. Default 0.05.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: an argument is out of its range.
    """

    name = "hamiltonian"

    def __init__(
        self,
        interval: int = 200,
        damping: float = 0.2,
        floor: float = 0.5,
        freeze_at: float = 0.85,
        gamma_0: float = 1e-5,
        keeps_function: bool = False,
        tolerance: float = 0.05,
        cap: float = 0.9,
    ) -> None:
        super().__init__(interval, damping, floor, freeze_at, cap)
        if not (gamma_0 > 0 and np.isfinite(gamma_0)):
            raise InvalidInputError(f"`gamma_0` must be positive. Received: gamma_0={gamma_0}")
        if not tolerance > 0:
            raise InvalidInputError(f"`tolerance` must be positive. Received: tolerance={tolerance}")
        self.gamma_0 = float(gamma_0)
        self.keeps_function, self.tolerance = bool(keeps_function), float(tolerance)

    def update(self, step_sizes: np.ndarray, path: ProbePath) -> np.ndarray:
        target = minimal_norm_steps(
            path.k_distances(self.gamma_0),
            path.costs_of_identity(self.gamma_0),
            path.effective_depth,
            *self.bounds(len(step_sizes), path.effective_depth),
        )
        return self.towards(step_sizes, target, path.effective_depth)

    def get_config(self) -> dict[str, Any]:
        return {
            "gamma_0": self.gamma_0,
            "keeps_function": self.keeps_function,
            "tolerance": self.tolerance,
            **super().get_config(),
        }


def minimal_norm_steps(
    k_distances: np.ndarray, costs: np.ndarray, effective_depth: float, low: float, high: float
) -> np.ndarray:
    """The step sizes of least parameter norm for a path held fixed.

    Args:
        k_distances: `||A_l - A_{l-1}||_K`, shape `(depth,)`.
        costs: `COI_l` at the steps' inputs, shape `(depth,)`.
        effective_depth: `L~ >= 0`.
        low: lower bound on a step.
        high: upper bound on a step.

    Returns:
        Step sizes, float64, shape `(depth,)`; equal ones when the path does not move.

    Raises:
        InvalidInputError: no vector within the bounds sums to one.
    """
    check_bounds(len(costs), low, high)
    if not k_distances.any():
        return np.full(len(costs), 1 / len(costs))
    if effective_depth == 0:
        return bounded_simplex(np.maximum(k_distances, 1e-12 * k_distances.max()), low, high)

    def steps(m: float) -> np.ndarray:
        speed = effective_depth * np.sqrt(np.maximum(costs - m, 0.0))
        ratio = np.divide(k_distances, speed, out=np.full_like(speed, np.inf), where=speed > 0)
        return np.clip(np.where(k_distances == 0, 0.0, ratio), low, high)

    # The sum grows with m. Below `smallest` every step is at `low`; at the largest COI every moving step is at `high`.
    smallest = costs.min() - (k_distances.max() / (effective_depth * low)) ** 2
    largest = costs.max()
    if steps(largest).sum() < 1:  # only layers that stand still could take what is left
        still = k_distances == 0
        result = steps(largest)
        result[still] += (1 - result.sum()) / still.sum()
        return result
    for _ in range(200):
        middle = (smallest + largest) / 2
        if steps(middle).sum() > 1:
            largest = middle
        else:
            smallest = middle
    # Where a step jumps at m = COI_l, bisection ends on both sides of the jump: mix them to reach one exactly.
    below, above = steps(smallest), steps(largest)
    gap = above.sum() - below.sum()
    share = (1 - below.sum()) / gap if gap > 0 else 0.0
    return spread_rounding(below + share * (above - below), low, high)
