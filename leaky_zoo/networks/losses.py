"""Terms of the objective: the squared error in raw units, and the penalty on stem and head."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.errors import InvalidInputError


@keras.saving.register_keras_serializable(package="leaky_zoo")
class StandardizedMeanSquaredError(keras.losses.Loss):
    """Mean over samples and outputs of `(y - y_hat)^2 / variance`: the MSE of standardised targets, in raw units.

    Args:
        variance: variance of each target, positive; a number or one number for each output. Default 1.0.

    Raises:
        InvalidInputError: a variance that is not positive.

    Example:
    >>> import numpy as np
    >>> loss = StandardizedMeanSquaredError(variance=4.0)
    >>> float(loss(np.zeros((1, 2), "float32"), np.full((1, 2), 2.0, "float32")))
    1.0
    """

    def __init__(self, variance: Any = 1.0, name: str = "standardized_mse", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        if not (np.asarray(variance, dtype=float) > 0).all():
            raise InvalidInputError(f"`variance` must be positive. Received: variance={variance}")
        self.variance = variance

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.reshape(ops.cast(y_true, y_pred.dtype), ops.shape(y_pred))
        error = ops.square(y_pred - y_true) / ops.cast(self.variance, y_pred.dtype)
        return ops.mean(error, axis=tuple(range(1, len(y_pred.shape))))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "variance": self.variance}


def layer_penalty(layers: Iterable[keras.layers.Layer]) -> Any:
    """What the regularizers of stem and head add to the objective, as a tensor."""
    total: Any = 0.0
    for layer in layers:
        for part in ("kernel", "bias"):
            regularizer, weight = getattr(layer, f"{part}_regularizer", None), getattr(layer, part, None)
            # The integers of a quantised layer are not trained.
            if regularizer is not None and weight is not None and keras.backend.is_float_dtype(str(weight.dtype)):
                total = total + regularizer(weight)
    return total
