"""The interface of a step-size schedule, and the guarantees that every schedule shares."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import ProbePath

SCHEDULES: dict[str, type["Schedule"]] = {}


class Schedule(ABC):
    """How the step sizes `rho_1..rho_L` of a path are initialised and how they move.

    Every schedule guarantees `rho > 0`, `sum rho = 1` to float32 rounding and `rho * effective_depth <= cap`.
    A fixed schedule implements `initial` alone. One that is updated from the path during training sets `interval` and
    implements `update`. One that is trained by gradient sets `trainable` and overrides `initial_values` and
    `step_sizes`.

    Args:
        cap: upper bound on `rho_l * effective_depth`, in (0, 1). Default 0.9: beyond 1 a step overshoots the leak.

    Attributes:
        name: the word that selects the schedule in recipes and preset names; a class that has one is registered.
        trainable: whether the values behind `rho` receive gradients.
        interval: training steps between two calls of `update`; None for a schedule that never moves by itself.
        freeze_at: fraction of training in (0, 1] after which `update` is no longer called.
        keeps_function: whether the weights are corrected at an update so that the network's function stays,
            `W_new = r W_old + L~ (1 - r) W_id`, `r = rho_old / rho_new`. Default False.
        gamma_0: relative regulariser of `W_id` in that correction, positive. Default 1e-5.
        tolerance: an update with correction that changes the output on the probe batch by a larger relative amount is
            refused, steps and weights staying as they were. Default 0.05.

    Raises:
        InvalidInputError: `cap` is outside (0, 1).
    """

    name: str = ""
    trainable: bool = False
    interval: int | None = None
    freeze_at: float = 1.0
    keeps_function: bool = False
    gamma_0: float = 1e-5
    tolerance: float = 0.05

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Defining the class is enough: recipes, `StepSizes` and saved models then know it by its name.
        super().__init_subclass__(**kwargs)
        known = SCHEDULES.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InvalidInputError(
                f"{known.__qualname__} is already the schedule {cls.name!r}: choose another `name`."
            )
        if cls.name:
            SCHEDULES[cls.name] = cls

    def __init__(self, cap: float = 0.9) -> None:
        if not 0 < cap < 1:
            raise InvalidInputError(f"`cap` must be in (0, 1). Received: cap={cap}")
        self.cap = float(cap)

    @abstractmethod
    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        """The step sizes at the start, float64, shape `(depth,)`; `start` checks them, so a rule is enough here."""

    def start(self, depth: int, effective_depth: float) -> np.ndarray:
        """`initial`, checked against the guarantees above.

        Args:
            depth: number of steps `L`, at least 1.
            effective_depth: `L~ >= 0`.

        Returns:
            The step sizes, float64, shape `(depth,)`.

        Raises:
            InvalidInputError: no depth, a negative effective depth, or a depth too small for the cap; the message
                names the least depth that is enough.
        """
        if depth < 1:
            raise InvalidInputError(f"`depth` must be at least 1. Received: depth={depth}")
        if not (effective_depth >= 0 and np.isfinite(effective_depth)):
            raise InvalidInputError(
                f"`effective_depth` must be finite and not negative. Received: effective_depth={effective_depth}"
            )
        steps = np.asarray(self.initial(depth, effective_depth), dtype=np.float64)
        if steps.shape != (depth,) or not (steps > 0).all() or abs(steps.sum() - 1) > 1e-6:
            raise InvalidInputError(
                f"The {self.name} schedule must start with {depth} positive numbers that sum to 1. Received: {steps}"
            )
        if self.within_cap(steps, effective_depth):
            return steps
        enough = self.least_depth(depth, effective_depth)
        advice = "No other depth is known to satisfy it: make its largest step smaller."
        if enough is not None:
            advice = f"Use depth >= {enough} at this effective depth."
        raise InvalidInputError(
            f"{depth} {self.name} steps have a largest rho * effective_depth = "
            f"{steps.max() * effective_depth:.3g}; it must stay within its cap of {self.cap}. {advice} "
            f"Received: depth={depth}, effective_depth={effective_depth}"
        )

    def least_depth(self, depth: int, effective_depth: float) -> int | None:
        """The least depth above `depth` whose steps stay within the cap; None: none is known."""
        depths = range(depth + 1, depth + 10_000)
        return next((d for d in depths if self.within_cap(self.initial(d, effective_depth), effective_depth)), None)

    def within_cap(self, steps: np.ndarray, effective_depth: float) -> bool:
        """Whether `rho * effective_depth <= cap`, to rounding."""
        return bool(np.max(steps) * effective_depth <= self.cap * (1 + 1e-6))

    def upper_bound(self, effective_depth: float) -> float:
        """The largest step the cap allows: `cap / L~`, at most 1."""
        return min(1.0, self.cap / effective_depth) if effective_depth > 0 else 1.0

    def initial_values(self, depth: int, effective_depth: float) -> np.ndarray:
        """What the layer stores, shape `(depth,)`. Default: the step sizes themselves."""
        return self.start(depth, effective_depth)

    def step_sizes(self, values: Any, effective_depth: float) -> Any:
        """Step sizes from the stored values, as a tensor. Default: the values themselves."""
        return values

    def penalty(self, step_sizes: Any) -> Any | None:
        """A term of the objective that depends on the step sizes alone, as a tensor. Default: None, no such term."""
        return None

    def update(self, step_sizes: np.ndarray, path: ProbePath) -> np.ndarray:
        """New step sizes from the current ones and the path of a probe batch. Default: unchanged.

        Args:
            step_sizes: current `rho`, float64, shape `(depth,)`.
            path: the representations `A_0..A_L` of the probe batch.

        Returns:
            New step sizes that keep the guarantees, float64, shape `(depth,)`.
        """
        return step_sizes

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, complete and JSON-serialisable."""
        return {"cap": self.cap}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """The inverse of `get_config`."""
        return cls(**config)


class UpdatedSchedule(Schedule):
    """What schedules share that measure the path during training and move towards a target, damped and within bounds.

    Args:
        interval: training steps between updates. Default 200.
        damping: fraction of the way to the target, in (0, 1]. Default 0.2.
        floor: least step as a fraction of `1 / L`, in (0, 1). Default 0.1.
        freeze_at: fraction of training after which the steps stay, in (0, 1]. Default 0.85.
        cap: see `Schedule`. Default 0.9.

    Raises:
        InvalidInputError: an argument is out of its range.
    """

    def __init__(
        self,
        interval: int = 200,
        damping: float = 0.2,
        floor: float = 0.1,
        freeze_at: float = 0.85,
        cap: float = 0.9,
    ) -> None:
        super().__init__(cap)
        if interval < 1:
            raise InvalidInputError(f"`interval` must be at least 1 training step. Received: interval={interval}")
        if not 0 < damping <= 1:
            raise InvalidInputError(f"`damping` must be in (0, 1]; 1 takes the full step. Received: damping={damping}")
        if not 0 < floor < 1:
            raise InvalidInputError(
                f"`floor` must be in (0, 1): the least step as a fraction of 1 / depth. Received: floor={floor}"
            )
        if not 0 < freeze_at <= 1:
            raise InvalidInputError(
                f"`freeze_at` must be in (0, 1], a part of training. Received: freeze_at={freeze_at}"
            )
        self.interval, self.damping, self.floor = int(interval), float(damping), float(floor)
        self.freeze_at = float(freeze_at)

    def initial(self, depth: int, effective_depth: float) -> np.ndarray:
        return np.full(depth, 1 / depth)

    def bounds(self, depth: int, effective_depth: float) -> tuple[float, float]:
        """Least and largest step."""
        return self.floor / depth, self.upper_bound(effective_depth)

    def towards(self, step_sizes: np.ndarray, target: np.ndarray, effective_depth: float) -> np.ndarray:
        """The damped step from the current step sizes to the target, within the bounds."""
        moved = step_sizes + self.damping * (target - step_sizes)
        return bounded_simplex(moved, *self.bounds(len(moved), effective_depth))

    def get_config(self) -> dict[str, Any]:
        return {
            "interval": self.interval,
            "damping": self.damping,
            "floor": self.floor,
            "freeze_at": self.freeze_at,
            **super().get_config(),
        }


def bounded_simplex(weights: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale positive `weights` so that `sum clip(t * weights, low, high) = 1`: shares of one, within bounds.

    Clipping and renormalising would break the bounds; here the one scalar `t` is found by bisection.

    Args:
        weights: positive, finite, shape `(depth,)`.
        low: lower bound, `depth * low <= 1`.
        high: upper bound, `depth * high >= 1`.

    Returns:
        The shares, float64, shape `(depth,)`.

    Raises:
        InvalidInputError: the bounds leave no solution.

    Example:
    >>> bounded_simplex(np.array([1.0, 1.0, 8.0]), 0.1, 0.5)
    array([0.25, 0.25, 0.5 ])
    """
    depth = len(weights)
    check_bounds(depth, low, high)
    smallest, largest = low / weights.max(), high / weights.min()
    for _ in range(200):
        middle = np.sqrt(smallest * largest)
        if np.clip(middle * weights, low, high).sum() > 1:
            largest = middle
        else:
            smallest = middle
    return spread_rounding(np.clip(smallest * weights, low, high), low, high)


def check_bounds(depth: int, low: float, high: float) -> None:
    """Refuse bounds between which `depth` step sizes cannot sum to one."""
    if not depth * low <= 1 <= depth * high * (1 + 1e-9):
        raise InvalidInputError(
            f"{depth} step sizes between {low:.4g} and {high:.4g} cannot sum to 1: "
            f"use a smaller floor, a larger cap or more layers. Received: depth={depth}, bounds=({low}, {high})"
        )


def spread_rounding(steps: np.ndarray, low: float, high: float) -> np.ndarray:
    """Remove the last rounding error of the sum, on entries that are not at a bound (none left: everywhere)."""
    free = (steps > low) & (steps < high)
    free = free if free.any() else np.ones_like(free)
    return steps + np.where(free, (1 - steps.sum()) / free.sum(), 0.0)
