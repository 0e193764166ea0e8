"""The paper's adaptive step sizes, with the damping and the guard that it leaves open."""

import numpy as np

from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers.schedules.base import UpdatedSchedule


class Adaptive(UpdatedSchedule):
    """Steps inversely proportional to the relative speed of the path (paper, section 4).

    Every `interval` training steps, with `c_l = ||A_l - A_{l-1}|| / (rho_l ||A_l||)` on the probe batch, the target
    is `c_l^-1 / sum_i c_i^-1`; `rho` moves to it by the fraction `damping` and stays within its bounds. The paper
    gives neither damping nor guard; without them one slow layer takes the whole path.

    Args:
        interval, damping, floor, freeze_at, cap: see `UpdatedSchedule`.

    Raises:
        InvalidInputError: an argument is out of its range.
    """

    name = "adaptive"

    def update(self, step_sizes: np.ndarray, path: ProbePath) -> np.ndarray:
        speed = path.distances() / (step_sizes * np.maximum(path.norms(), np.finfo(float).tiny))
        if not speed.any():
            return step_sizes  # a path that stands still has no preference
        # A layer that stands still would get all of the path: a millionth of the mean speed is slow enough.
        inverse = 1 / np.maximum(speed, 1e-6 * speed.mean())
        return self.towards(step_sizes, inverse / inverse.sum(), path.effective_depth)
