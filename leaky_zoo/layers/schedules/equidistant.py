"""Equal steps."""

import numpy as np

from leaky_zoo.layers.schedules.base import Schedule


class Equidistant(Schedule):
    """`rho_l = 1 / L` (paper, section 4). Needs `L >= L~ / cap`.

    Args:
        cap: see `Schedule`. Default 0.9.

    Example:
    >>> Equidistant().start(depth=4, effective_depth=3.0)
    array([0.25, 0.25, 0.25, 0.25])
    """

    name = "equidistant"

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        return np.full(depth, 1 / depth)
