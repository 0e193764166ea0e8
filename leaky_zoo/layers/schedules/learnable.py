"""Step sizes trained by gradient under a cap."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.schedules.base import Schedule
from leaky_zoo.layers.schedules.fixed import checked_shares

NEWTON_STEPS = 20


class Learnable(Schedule):
    """`rho_l = h sigmoid(gain v_l - t)` with trained values `v`, `h = cap / L~`, and `t` such that `sum rho = 1`.

    A softmax whose shares stay below `h`: it reaches every vector strictly inside the bounds, no logit ever loses its
    gradient, and it tends to the softmax as `h` grows. Without a cap one layer takes `rho_l L~ ~ 3`. This project.

    Args:
        gain: factor from the trained values to the logits, positive. Adam moves a value by about its learning rate
            whatever the size of the gradient, so this is the step sizes' own learning rate. Default 1.
        entropy: weight of the penalty `sum_l rho_l log(L rho_l)`, at least 0, which is zero for equal steps;
            no ramp. Default 0.
        start_at: the step sizes to start from, positive, scaled to sum to one and within the cap; a warm start from
            another schedule. Default None: equal ones.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: an argument is out of its range.

    Example:
    >>> np.round(np.asarray(Learnable().step_sizes(np.array([9.0, 0, 0, 0]), 3.0)), 4)
    array([0.3   , 0.2333, 0.2333, 0.2333])
    """

    name = "learnable"
    trainable = True

    def __init__(
        self,
        gain: float = 1.0,
        entropy: float = 0.0,
        start_at: Sequence[float] | None = None,
        cap: float = 0.9,
    ) -> None:
        super().__init__(cap)
        if not (gain > 0 and np.isfinite(gain)):
            raise InvalidInputError(f"`gain` must be positive. Received: gain={gain}")
        if not (entropy >= 0 and np.isfinite(entropy)):
            raise InvalidInputError(f"`entropy` must be at least 0. Received: entropy={entropy}")
        self.gain, self.entropy = float(gain), float(entropy)
        self.start_at = None if start_at is None else checked_shares(start_at, "start_at")

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        if self.start_at is None:
            return np.full(depth, 1 / depth)
        if depth != len(self.start_at):
            raise InvalidInputError(f"`start_at` has {len(self.start_at)} step sizes. Received: depth={depth}")
        return self.start_at

    def least_depth(self, depth: int, effective_depth: float) -> int | None:
        return super().least_depth(depth, effective_depth) if self.start_at is None else None

    def initial_values(self, depth: int, effective_depth: float) -> np.ndarray:
        steps = self.start(depth, effective_depth)
        if depth == 1 or self.start_at is None:
            return np.zeros(depth)
        shares = steps / self.upper_bound(effective_depth)  # within_cap: each is below 1
        return (np.log(shares) - np.log1p(-shares)) / self.gain

    def within_cap(self, steps: np.ndarray, effective_depth: float) -> bool:
        bound = self.upper_bound(effective_depth)
        # Strictly inside: at the cap itself a sigmoid would need an infinite logit.
        return bound == 1 if len(steps) == 1 else bool(np.max(steps) < bound * (1 - 1e-6))

    def step_sizes(self, values: Any, effective_depth: float) -> Any:
        values = ops.convert_to_tensor(values)
        depth = values.shape[0]
        if depth == 1:
            return ops.ones_like(values)
        values = self.gain * values
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

    def penalty(self, step_sizes: Any) -> Any | None:
        if not self.entropy:
            return None
        return self.entropy * ops.sum(step_sizes * ops.log(step_sizes * step_sizes.shape[0] + 1e-30))

    def get_config(self) -> dict[str, Any]:
        start = None if self.start_at is None else self.start_at.tolist()
        return {"gain": self.gain, "entropy": self.entropy, "start_at": start, **super().get_config()}
