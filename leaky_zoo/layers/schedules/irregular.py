"""Small steps at both ends of the path and large ones in its middle, or the other way round."""

from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.schedules.base import Schedule


class Irregular(Schedule):
    """`rho_l` proportional to `1 + a (1/4 - |p_l - 1/2|)`, `p_l = (l - 1/2) / L` (paper, section 4, centred by us).

    As printed in the paper the rule sums to one only for even `L` and is not symmetric; taken at the centres of the
    steps and renormalised it is both for every `L`. The paper has `a >= 0`; a negative `a` gives large steps at the
    ends (this project: docs/step_sizes.md measures which is better).

    Args:
        amplitude: `a` in (-4, 4); 0 gives equal steps. Default 2.0: end steps half of an equal one, middle ones 1.5 x.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: `amplitude` is outside (-4, 4).

    Example:
    >>> Irregular(amplitude=2.0).start(depth=4, effective_depth=2.0)
    array([0.1875, 0.3125, 0.3125, 0.1875])
    """

    name = "irregular"

    def __init__(self, amplitude: float = 2.0, cap: float = 0.9) -> None:
        super().__init__(cap)
        if not -4 < amplitude < 4:
            raise InvalidInputError(
                f"`amplitude` must be in (-4, 4), or a step would vanish. Received: amplitude={amplitude}"
            )
        self.amplitude = float(amplitude)

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        centres = (np.arange(depth) + 0.5) / depth
        shares = 1 + self.amplitude * (0.25 - np.abs(centres - 0.5))
        return shares / shares.sum()

    def get_config(self) -> dict[str, Any]:
        return {"amplitude": self.amplitude, **super().get_config()}
