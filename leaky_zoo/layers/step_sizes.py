"""The layer that owns the step sizes of a path."""

from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.arguments import check_names, number, whole
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.block import KERAS_ARGUMENTS
from leaky_zoo.layers.schedules import Schedule, get_schedule


@keras.saving.register_keras_serializable(package="leaky_zoo")
class StepSizes(keras.layers.Layer):
    """Owns the vector `rho` of a path and the schedule that moves it; gives each block its scalar.

    Under a plain `fit` the schedules that follow the path (adaptive, hamiltonian, ...) stay where they start: pass
    `leaky_zoo.training.StepSizeUpdate` as a callback (for networks of this project; recipes do it).

    Called on any tensor (its value is not used; it places the layer in the graph), it returns `depth` scalars. They
    stay in the variable dtype under mixed precision: `1 - rho L~` in bfloat16 would have three digits.

    Args:
        depth: number of steps `L`, at least 1.
        effective_depth: `L~ >= 0`.
        schedule: a name, `{"name": ..., **arguments}` or a `Schedule`. Default `"equidistant"`.

    Raises:
        TypeError: an argument that does not exist; the message names the nearest one.
        InvalidInputError: an argument of another kind, or the schedule cannot satisfy its cap at this depth; the
            message says which depth can.

    Example:
    >>> import numpy as np
    >>> steps = StepSizes(depth=5, effective_depth=2.0)
    >>> [round(float(s), 3) for s in steps(np.zeros((1, 3), "float32"))]
    [0.2, 0.2, 0.2, 0.2, 0.2]
    """

    def __init__(
        self,
        depth: int,
        effective_depth: float,
        schedule: str | Schedule | dict[str, Any] = "equidistant",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "step_sizes")
        own = ["depth", "effective_depth", "schedule"]
        check_names(kwargs, [*KERAS_ARGUMENTS, *own], type(self).__name__)
        super().__init__(autocast=False, **kwargs)
        self.depth = whole("depth", depth, least=1)
        self.effective_depth = number("effective_depth", effective_depth)
        self.schedule = get_schedule(schedule)
        self._initial_values = self.schedule.initial_values(self.depth, self.effective_depth)

    def build(self, input_shape: Any = None) -> None:
        self.values = self.add_weight(
            name="values",
            shape=(self.depth,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self._initial_values, dtype=dtype),
            trainable=self.schedule.trainable,
            autocast=False,
        )

    def call(self, inputs: Any) -> list[Any]:
        steps = self.schedule.step_sizes(ops.convert_to_tensor(self.values), self.effective_depth)
        penalty = self.schedule.penalty(steps)
        if penalty is not None:
            self.add_loss(penalty)
        return [steps[row] for row in range(self.depth)]

    def compute_output_spec(self, inputs: Any) -> list[keras.KerasTensor]:
        return [keras.KerasTensor((), dtype=self.variable_dtype) for _ in range(self.depth)]

    @property
    def rho(self) -> np.ndarray:
        """Current step sizes, float64, shape `(depth,)`."""
        steps = self.schedule.step_sizes(ops.convert_to_tensor(self.values), self.effective_depth)
        return ops.convert_to_numpy(steps).astype(np.float64)

    def assign(self, step_sizes: np.ndarray) -> None:
        """Set `rho`, for schedules that store the step sizes themselves.

        Args:
            step_sizes: positive, summing to one, `rho * effective_depth` within the cap; shape `(depth,)`.

        Raises:
            InvalidInputError: a guarantee does not hold, or the schedule learns its steps by gradient.
        """
        steps = np.asarray(step_sizes, dtype=np.float64)
        if self.schedule.trainable:
            raise InvalidInputError(f"The {self.schedule.name} schedule learns its step sizes; they cannot be set.")
        if steps.shape != (self.depth,) or not (steps > 0).all() or abs(steps.sum() - 1) > 1e-6:
            raise InvalidInputError(
                f"Step sizes must be {self.depth} positive numbers that sum to 1. Received: step_sizes={step_sizes}"
            )
        if not self.schedule.within_cap(steps, self.effective_depth):
            raise InvalidInputError(
                f"rho * effective_depth must stay within the cap of {self.schedule.cap}. "
                f"Received: {steps.max() * self.effective_depth:.4g}"
            )
        self.values.assign(steps)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            depth=self.depth,
            effective_depth=self.effective_depth,
            schedule={"name": self.schedule.name, **self.schedule.get_config()},
        )
        return config
