"""Step sizes given as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.schedules.base import Schedule


class Fixed(Schedule):
    """The step sizes that another run ended with, or any others, from the first step to the last (this project).

    Args:
        step_sizes: `rho_1..rho_L`, positive; scaled so that they sum to one.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: no numbers, or one that is not positive and finite; at `start`, another depth.

    Example:
    >>> Fixed([1, 2, 1]).start(depth=3, effective_depth=1.0)
    array([0.25, 0.5 , 0.25])
    """

    name = "fixed"

    def __init__(self, step_sizes: Sequence[float], cap: float = 0.9) -> None:
        super().__init__(cap)
        self.shares = checked_shares(step_sizes)

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        if depth != len(self.shares):
            raise InvalidInputError(f"There are {len(self.shares)} step sizes. Received: depth={depth}")
        return self.shares

    def least_depth(self, depth: int, effective_depth: float) -> int | None:
        return None  # these numbers are for one depth

    def get_config(self) -> dict[str, Any]:
        return {"step_sizes": self.shares.tolist(), **super().get_config()}


def checked_shares(step_sizes: Any, argument: str = "step_sizes") -> np.ndarray:
    """Positive numbers as step sizes that sum to one, float64.

    Raises:
        InvalidInputError: it is not a list of positive, finite numbers.
    """
    try:
        steps = np.asarray(step_sizes, dtype=np.float64)
    except (TypeError, ValueError):
        steps = np.zeros(0)
    if steps.ndim != 1 or not steps.size or not np.isfinite(steps).all() or not (steps > 0).all():
        raise InvalidInputError(
            f"`{argument}` is a list of positive numbers, one for each block. Received: {argument}={step_sizes}"
        )
    return steps / steps.sum()
