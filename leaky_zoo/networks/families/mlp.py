"""The fully-connected family."""

import math
from collections.abc import Mapping
from typing import Any

import keras

from leaky_zoo.io.keras_config import largest, product
from leaky_zoo.layers import LeakyBlock, LeakyDense
from leaky_zoo.networks.config import NetworkConfig
from leaky_zoo.networks.network import LayerArguments, LeakyNetwork
from leaky_zoo.networks.parts import head_dropout


class MLPConfig(NetworkConfig):
    """The fields of a `LeakyMLP`: those of `NetworkConfig`."""

    @classmethod
    def least_weights(cls, plain: Mapping[str, Any]) -> int:
        return super().least_weights(plain) + largest(plain.get("width", 1)) * product(plain.get("input_shape"))


class LeakyMLP(LeakyNetwork):
    """A Leaky ResNet on vectors (images are flattened): normalise, dense stem, `depth` leaky blocks, dense head.

    The paper's network (section 1.1) with linear maps in and out. Arguments, defaults and errors as `LeakyNetwork`.

    Example:
    >>> import numpy as np
    >>> net = LeakyMLP((28, 28, 1), 10, width=32, depth=8, effective_depth=3.0, input_mean=33.0, input_variance=6000.0)
    >>> net.predict(np.zeros((2, 28, 28, 1)), verbose=0).shape
    (2, 10)
    >>> len(net.representations.outputs)
    9
    """

    family = "mlp"
    config_class = MLPConfig

    @classmethod
    def suggestions(cls, samples: int) -> dict[str, tuple[object, str]]:
        width = 64 if samples <= 1_000 else 128 if samples <= 10_000 else 256
        ends_large = {"name": "irregular", "amplitude": -2.0}
        return {
            "width": (width, f"for {samples:,} samples; the presets' width at this size"),
            "schedule": (ends_large, "lower objective than equal steps in 9 of 10 pairs (docs/step_sizes.md)"),
        }

    def _stem(self, inputs: Any, arguments: LayerArguments) -> Any:
        if len(self.config.input_shape) > 1:
            inputs = keras.layers.Flatten(dtype=arguments.exact, name="flatten")(inputs)
        return keras.layers.Dense(self.config.width, dtype=arguments.dtype, name="stem", **arguments.penalty)(inputs)

    def _block(self, **arguments: Any) -> LeakyBlock:
        return LeakyDense(**arguments)

    def _head(self, inputs: Any, arguments: LayerArguments) -> Any:
        shape, exact = self.config.input_shape, arguments.exact
        size = self.config.output_size or math.prod(shape)
        features = head_dropout(inputs, self.config.head_dropout, arguments.dtype)
        outputs = keras.layers.Dense(size, dtype=exact, name="head", **arguments.penalty)(features)
        if self.task.from_inputs and len(shape) > 1:
            outputs = keras.layers.Reshape(shape, dtype=exact, name="unflatten")(outputs)
        return outputs
