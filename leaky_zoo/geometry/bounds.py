"""The paper's bounds on the Hamiltonian, both sides with their margins (paper, separation of timescales)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HamiltonianBounds:
    """`-(len/L~ + sqrt(gamma c))^2 <= -(2/L~) H - min COI <= gamma c`, with `||B||^2 <= c`.

    Discretely `H` is taken at the layer of least COI for the upper bound and at the slowest layer for the lower one:
    with the mean of `H` the bounds can fail (this project). They hold at a critical point.

    Attributes:
        upper: `gamma c`, gamma of the layer of least COI.
        upper_value: `-(2/L~) H - min COI` there.
        upper_margin: `upper - upper_value`; negative: violated.
        lower: `-(len/L~ + sqrt(gamma c))^2`, gamma of the slowest layer.
        lower_value: `-(2/L~) H - min COI` there.
        lower_margin: `lower_value - lower`; negative: violated.
        path_length: `len`, the length of the path in the gamma norm.
        largest_momentum: `c`, the largest `||B||^2`, `B = P / L~`.
    """

    upper: float
    upper_value: float
    upper_margin: float
    lower: float
    lower_value: float
    lower_margin: float
    path_length: float
    largest_momentum: float


def hamiltonian_bounds(
    costs: Sequence[float],
    ranks: Sequence[float],
    speeds: Sequence[float],
    gammas: Sequence[float],
    momenta: Sequence[float],
    step_sizes: Sequence[float],
    effective_depth: float,
) -> HamiltonianBounds:
    """Both bounds from the energies of the steps.

    Args:
        costs: `COI` at each step's input.
        ranks: `-2H/L~`, momentum form.
        speeds: `||dA/dp||` in the gamma norm.
        gammas: the absolute regularisers.
        momenta: `||P_l||_F`.
        step_sizes: `rho`.
        effective_depth: `L~ > 0`.

    Returns:
        The `HamiltonianBounds`.

    Example:
    >>> bounds = hamiltonian_bounds([3.0, 2.0], [1.9, 1.9], [1.0, 0.5], [0.1, 0.1], [1.0, 1.0], [0.5, 0.5], 1.0)
    >>> round(bounds.upper, 3), round(bounds.upper_margin, 3), round(bounds.lower, 3)
    (0.1, 0.2, -1.137)
    """
    least, slowest = int(np.argmin(costs)), int(np.argmin(speeds))
    largest = max(norm**2 for norm in momenta) / effective_depth**2
    length = float(np.dot(step_sizes, speeds))
    upper = gammas[least] * largest
    lower = -((length / effective_depth + np.sqrt(gammas[slowest] * largest)) ** 2)
    upper_value, lower_value = ranks[least] - costs[least], ranks[slowest] - costs[least]
    return HamiltonianBounds(
        upper=float(upper),
        upper_value=float(upper_value),
        upper_margin=float(upper - upper_value),
        lower=float(lower),
        lower_value=float(lower_value),
        lower_margin=float(lower_value - lower),
        path_length=length,
        largest_momentum=float(largest),
    )
