"""Where the cost of identity is a dimension: the flattest point of its sweep over `gamma_0` (this project).

Directions far above `sqrt(gamma)` count as one each, directions far below as nothing. A direction of variance `s` in
between is short of one by about `gamma / s` if it is above, and adds about `s / gamma` if it is below: shortfall and
excess have opposite slopes in `log gamma` and equal size where the sweep is flattest. There they cancel to first order
and the cost of identity is an integer to within a few hundredths, long before it is flat by eye.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A converged bottleneck has under 10% a decade; leftovers without a bottleneck have 15% to 90%.
FLAT = 0.10
# With the row of ones COI sits a little under the rank, never over it: round up, but not for a few hundredths more.
ROUNDING = 0.35


@dataclass(frozen=True)
class Plateau:
    """The flattest point of a sweep.

    Attributes:
        gamma_0: where it is.
        cost_of_identity: `COI` there.
        change: relative change of `COI` over the decade around it.
        rank: `cost_of_identity` rounded up.
        low: rounded up, `COI` at a `gamma_0` one decade above: not fewer directions than this.
        high: rounded up, `COI` one decade below: not more.
    """

    gamma_0: float
    cost_of_identity: float
    change: float
    rank: int
    low: int
    high: int


def find_plateau(gammas_0: Sequence[float], costs: Sequence[float], flat: float = FLAT) -> Plateau | None:
    """The flattest point of a sweep, if it is flat.

    Args:
        gammas_0: ascending, evenly spaced in the logarithm, four to a decade.
        costs: `COI` at each of them, positive.
        flat: largest relative change of `COI` over the decade around the point. Default 0.1.

    Returns:
        The `Plateau`, or None where `COI` changes faster everywhere.

    Example:
    >>> gammas = 10.0 ** np.arange(-8, -0.9, 0.25)
    >>> find_plateau(gammas, [3 / (1 + g / 0.1) + 5e-7 / g for g in gammas]).rank
    3
    >>> find_plateau(gammas, [g**-0.5 for g in gammas]) is None
    True
    """
    values = np.asarray(costs, dtype=np.float64)
    if len(values) < 5 or not (np.isfinite(values).all() and (values > 0).all()):
        return None
    # The decade around entry i runs from i - 2 to i + 2.
    changes = np.log(values[:-4] / values[4:])
    index = int(np.argmin(np.abs(changes))) + 2
    change = float(abs(changes[index - 2]))
    if change > flat:
        return None
    return Plateau(
        gamma_0=float(gammas_0[index]),
        cost_of_identity=float(values[index]),
        change=change,
        rank=rounded_up(values[index]),
        low=rounded_up(values[min(index + 4, len(values) - 1)]),
        high=rounded_up(values[max(index - 4, 0)]),
    )


def rounded_up(cost: float) -> int:
    """The dimension that a cost of identity on a plateau stands for, at least 1.

    >>> rounded_up(2.9), rounded_up(3.95), rounded_up(4.1), rounded_up(4.5)
    (3, 4, 4, 5)
    """
    return max(1, int(np.ceil(cost - ROUNDING)))
