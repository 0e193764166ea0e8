"""Initialisation that survives the leak."""

import math
from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError


@keras.saving.register_keras_serializable(package="leaky_zoo")
class LeakyVariance(keras.initializers.Initializer):
    """Normal weights that keep the variance of the representations through a leaky step (this project).

    `std(W) = sqrt(2 max(1 - c^2, rho) / fan_in) / rho` with `c = 1 - rho L~`, divided by `max(L~, 1)` because layers
    hold `V = W / max(L~, 1)`. A generic He initialisation lets the signal decay like `exp(-L~)`; training then
    collapses to a constant function and does not come back.

    Args:
        effective_depth: `L~ >= 0`.
        step_size: `rho` of the step, in (0, 1].
        seed: integer, or None to draw from Keras's global seed. Default None.
        inside: share of a position's inputs that are no padding, in (0, 1]; the fan-in is multiplied with it. Default
            1.

    Raises:
        InvalidInputError: `effective_depth`, `step_size` or `inside` is out of its range.

    Example:
    >>> LeakyVariance(effective_depth=3.0, step_size=0.1, seed=0)((4, 4)).shape == (4, 4)
    True
    """

    def __init__(self, effective_depth: float, step_size: float, seed: int | None = None, inside: float = 1.0) -> None:
        if not effective_depth >= 0:
            raise InvalidInputError(f"`effective_depth` must be >= 0. Received: effective_depth={effective_depth}")
        if not 0 < step_size <= 1:
            raise InvalidInputError(f"`step_size` must be in (0, 1]. Received: step_size={step_size}")
        if not 0 < inside <= 1:
            raise InvalidInputError(f"`inside` must be in (0, 1]. Received: inside={inside}")
        self.effective_depth = float(effective_depth)
        self.step_size = float(step_size)
        self.seed, self.inside = seed, float(inside)

    def on(self, inside: float) -> "LeakyVariance":
        """The same where this share of a position's inputs is no padding."""
        return LeakyVariance(self.effective_depth, self.step_size, self.seed, inside)

    def standard_deviation(self, fan_in: int) -> float:
        """Standard deviation of `V` for this many inputs."""
        leak = 1 - self.step_size * self.effective_depth
        variance = 2 * max(1 - leak**2, self.step_size) / (fan_in * self.inside)
        return math.sqrt(variance) / self.step_size / max(self.effective_depth, 1.0)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        fan_in = math.prod(shape[:-1])
        return keras.initializers.RandomNormal(stddev=self.standard_deviation(fan_in), seed=self.seed)(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        config = {"effective_depth": self.effective_depth, "step_size": self.step_size, "seed": self.seed}
        return config if self.inside == 1 else config | {"inside": self.inside}
