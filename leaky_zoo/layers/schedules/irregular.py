"""Small steps at both ends of the path, large ones in its middle."""

from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.schedules.base import Schedule


class Irregular(Schedule):
    """`rho_l` proportional to `1 + a (1/4 - |p_l - 1/2|)`, `p_l = (l - 1/2) / L` (paper, section 4, centred by us).

    As printed in the paper the rule sums to one only for even `L` and is not symmetric; taken at the centres of the
    steps and renormalised it is both for every `L`.

    Args:
        amplitude: `a` in [0, 4); 0 gives equal steps. Default 2.0: end steps half of an equal one, middle ones 1.5 x.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: `amplitude` is outside [0, 4).

    Example:
    >>> Irregular(amplitude=2.0).start(depth=4, effective_depth=2.0)
    array([0.1875, 0.3125, 0.3125, 0.1875])
    """

    name = "irregular"

    def __init__(self, amplitude: float = 2.0, cap: float = 0.9) -> None:
        super().__init__(cap)
        if not 0 <= amplitude < 4:
            raise InvalidInputError(
                f"`amplitude` must be in [0, 4), or an end step would vanish. Received: amplitude={amplitude}"
            )
        self.amplitude = float(amplitude)

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        centres = (np.arange(depth) + 0.5) / depth
        shares = 1 + self.amplitude * (0.25 - np.abs(centres - 0.5))
        return shares / shares.sum()

    def get_config(self) -> dict[str, Any]:
        return {"amplitude": self.amplitude, **super().get_config()}
