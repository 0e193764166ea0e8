"""Step sizes trained by gradient under a cap."""

from typing import Any

import numpy as np
from keras import ops

from leaky_zoo.layers.schedules.base import Schedule

NEWTON_STEPS = 20


class Learnable(Schedule):
    """`rho_l = h sigmoid(z_l - t)` with trained logits `z`, `h = cap / Lt`, and `t` such that `sum rho = 1`.

    A softmax whose shares stay below `h`: it reaches every vector strictly inside the bounds, no logit ever loses its
    gradient, and it tends to the softmax as `h` grows. Without a cap one layer takes `rho_l Lt ~ 3`. This project.

    Args:
        cap: see `Schedule`. Default 0.9.

    Example:
    >>> np.round(np.asarray(Learnable().step_sizes(np.array([9.0, 0, 0, 0]), 3.0)), 4)
    array([0.3   , 0.2333, 0.2333, 0.2333])
    """

    name = "learnable"
    trainable = True

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        return np.full(depth, 1 / depth)

    def initial_values(self, depth: int, effective_depth: float) -> np.ndarray:
        self.start(depth, effective_depth)
        return np.zeros(depth)

    def within_cap(self, steps: np.ndarray, effective_depth: float) -> bool:
        bound = self.upper_bound(effective_depth)
        # Strictly inside: at the cap itself a sigmoid would need an infinite logit.
        return bound == 1 if len(steps) == 1 else len(steps) * bound > 1 + 1e-6

    def step_sizes(self, values: Any, effective_depth: float) -> Any:
        values = ops.convert_to_tensor(values)
        depth = values.shape[0]
        if depth == 1:
            return ops.ones_like(values)
        bound = self.upper_bound(effective_depth)
        share = 1 / (depth * bound)
        offset = float(np.log(share / (1 - share)))
        # At `lower` every share is at least 1 / (depth * bound), at `upper` at most: the root lies between.
        logits = ops.stop_gradient(values)
        lower, upper = ops.min(logits) - offset, ops.max(logits) - offset
        shift = (lower + upper) / 2
        for _ in range(NEWTON_STEPS):
            shares = ops.sigmoid(logits - shift)
            excess = ops.sum(shares) * bound - 1
            lower, upper = ops.where(excess > 0, shift, lower), ops.where(excess > 0, upper, shift)
            newton = shift + excess / (bound * ops.sum(shares * (1 - shares)) + 1e-30)
            inside = ops.logical_and(newton > lower, newton < upper)
            shift = ops.where(inside, newton, (lower + upper) / 2)
        # One more Newton step, this time seen by the gradient, gives `t` its exact derivative.
        shares = ops.sigmoid(logits - shift)
        slope = bound * ops.sum(shares * (1 - shares)) + 1e-30
        shift = shift + (bound * ops.sum(ops.sigmoid(values - shift)) - 1) / slope
        steps = bound * ops.sigmoid(values - shift)
        return steps / ops.sum(steps)  # one to rounding; the division changes a step by no more than that
