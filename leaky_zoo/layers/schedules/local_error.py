"""Steps that share out the local error, as ODE solvers control theirs."""

import numpy as np

from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers.schedules.base import UpdatedSchedule


class LocalError(UpdatedSchedule):
    """Every step with the same relative local error: one step against two half steps with the same weights.

    Euler's local error `e_l` grows like `rho_l^2`, so the target is `rho_l / sqrt(e_l / ||A_l||)`, scaled to sum to
    one: the step control of ODE solvers (Hairer, Norsett & Wanner, II.4) with the number of steps given instead of the
    tolerance. This project.

    Args:
        interval, damping, floor, freeze_at, cap: see `UpdatedSchedule`.

    Raises:
        InvalidInputError: an argument is out of its range.

    Example:
    >>> LocalError().start(depth=4, effective_depth=1.0)
    array([0.25, 0.25, 0.25, 0.25])
    """

    name = "local_error"

    def update(self, step_sizes: np.ndarray, path: ProbePath) -> np.ndarray:
        errors = path.half_step_errors(step_sizes) / np.maximum(path.norms(), np.finfo(float).tiny)
        if not errors.any():
            return step_sizes
        # A step without error would get all of the path: a factor of a thousand beside the mean is enough.
        target = step_sizes / np.sqrt(np.maximum(errors, 1e-6 * errors.mean()))
        return self.towards(step_sizes, target / target.sum(), path.effective_depth)
