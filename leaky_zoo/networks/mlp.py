"""The fully-connected family."""

import math
from typing import Any

import keras

from leaky_zoo.layers import LeakyBlock, LeakyDense
from leaky_zoo.networks.network import LeakyNetwork


@keras.saving.register_keras_serializable(package="leaky_zoo")
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

    def _stem(self, inputs: Any, *, settings: dict[str, Any], dtype: Any, exact: str, penalty: dict[str, Any]) -> Any:
        if len(settings["input_shape"]) > 1:
            inputs = keras.layers.Flatten(dtype=exact, name="flatten")(inputs)
        return keras.layers.Dense(settings["width"], dtype=dtype, name="stem", **penalty)(inputs)

    def _block(self, **arguments: Any) -> LeakyBlock:
        return LeakyDense(**arguments)

    def _head(self, inputs: Any, *, settings: dict[str, Any], dtype: Any, exact: str, penalty: dict[str, Any]) -> Any:
        size = settings["output_size"] or math.prod(settings["input_shape"])
        outputs = keras.layers.Dense(size, dtype=exact, name="head", **penalty)(inputs)
        if settings["task"] == "autoencoding" and len(settings["input_shape"]) > 1:
            outputs = keras.layers.Reshape(settings["input_shape"], dtype=exact, name="unflatten")(outputs)
        return outputs
