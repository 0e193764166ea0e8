"""The paper's adaptive step sizes, with the damping and the guard that it leaves open."""

from typing import Any

import numpy as np

from leaky_zoo.layers.path import Path
from leaky_zoo.layers.schedules.base import Schedule, bounded_simplex, check_update_arguments


class Adaptive(Schedule):
    """Steps inversely proportional to the relative speed of the path (paper, section 4).

    Every `interval` training steps, with `c_l = ||A_l - A_{l-1}|| / (rho_l ||A_l||)` on the probe batch, the target
    is `c_l^-1 / sum_i c_i^-1`; `rho` moves to it by the fraction `damping` and stays within its bounds. The paper
    gives neither damping nor guard; without them one slow layer takes the whole path.

    Args:
        interval: training steps between updates. Default 200.
        damping: fraction of the way to the target, in (0, 1]. Default 0.2.
        floor: least step as a fraction of `1 / L`, in (0, 1). Default 0.1.
        freeze_at: fraction of training after which the steps stay, in (0, 1]. Default 0.85.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: an argument is out of its range.
    """

    name = "adaptive"

    def __init__(
        self,
        interval: int = 200,
        damping: float = 0.2,
        floor: float = 0.1,
        freeze_at: float = 0.85,
        cap: float = 0.9,
    ) -> None:
        super().__init__(cap)
        check_update_arguments(interval, damping, floor, freeze_at)
        self.interval, self.damping, self.floor = int(interval), float(damping), float(floor)
        self.freeze_at = float(freeze_at)

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        return np.full(depth, 1 / depth)

    def update(self, step_sizes: np.ndarray, path: Path) -> np.ndarray:
        speed = path.distances() / (step_sizes * np.maximum(path.norms(), np.finfo(float).tiny))
        if not speed.any():
            return step_sizes  # a path that stands still has no preference
        # A layer that stands still would get all of the path: a millionth of the mean speed is slow enough.
        inverse = 1 / np.maximum(speed, 1e-6 * speed.mean())
        target = inverse / inverse.sum()
        moved = step_sizes + self.damping * (target - step_sizes)
        return bounded_simplex(moved, self.floor / len(moved), self.upper_bound(path.effective_depth))

    def get_config(self) -> dict[str, Any]:
        return {
            "interval": self.interval,
            "damping": self.damping,
            "floor": self.floor,
            "freeze_at": self.freeze_at,
            **super().get_config(),
        }
