"""A family for one experiment: leaky ReLUs with a slope below zero, in blocks that are otherwise those of an MLP."""

from typing import Annotated, Any

import keras
from keras import ops
from pydantic import Field

from leaky_zoo.layers import LeakyDense
from leaky_zoo.networks.config import Number
from leaky_zoo.networks.families.mlp import LeakyMLP, MLPConfig


@keras.saving.register_keras_serializable(package="benchmarks")
class SlopedDense(LeakyDense):
    """`LeakyDense` with `max(A, slope A)` in the place of the ReLU; the analysis, which knows ReLUs, is not for it."""

    def __init__(self, effective_depth: float, slope: float = 0.0, **arguments: Any) -> None:
        super().__init__(effective_depth, **arguments)
        self.slope = slope

    def call(self, inputs: Any, step_size: Any = None) -> Any:
        stepped = super().call(inputs, step_size)
        given = ops.convert_to_tensor(self.step_size, self.variable_dtype) if step_size is None else step_size
        rho = ops.cast(given, self.compute_dtype)
        negative = ops.matmul(ops.relu(-inputs), ops.cast(self.kernel, self.compute_dtype))
        return stepped - rho * self.scale * self.slope * negative

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "slope": self.slope}


class SlopedConfig(MLPConfig):
    """The fields of an MLP, and the slope below zero, in [0, 1)."""

    slope: Annotated[Number, Field(ge=0, lt=1)] = 0.0


class SlopedMLP(LeakyMLP):
    """A `LeakyMLP` of `SlopedDense` blocks."""

    family = "sloped"
    config_class = SlopedConfig
    config: SlopedConfig

    def _block(self, **arguments: Any) -> LeakyDense:
        return SlopedDense(slope=self.config.slope, **arguments)
