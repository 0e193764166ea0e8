"""The fully-connected leaky block."""

from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.layers.block import LeakyBlock


@keras.saving.register_keras_serializable(package="leaky_zoo")
class LeakyDense(LeakyBlock):
    """A leaky residual step on vectors: `(..., w) -> (..., w)`, with `W` of shape `(w, w + 1)`.

    Arguments and errors as `LeakyBlock`. Paper, section 1.1.

    Example:
    >>> import numpy as np
    >>> block = LeakyDense(effective_depth=3.0, step_size=0.1)
    >>> block(np.ones((2, 4), "float32")).shape == (2, 4)
    True
    """

    def build(self, inputs_shape: Any, step_size_shape: Any = None) -> None:
        width = inputs_shape[-1]
        self._add_kernel((width, width))

    def apply_weights(self, features: Any) -> Any:
        outputs = ops.matmul(features, ops.cast(self.kernel, self.compute_dtype))
        return outputs if self.bias is None else outputs + ops.cast(self.bias, self.compute_dtype)

    def columns(self, representation: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
        array = np.asarray(representation, dtype=dtype)
        return array.reshape(-1, array.shape[-1])

    def restore(self, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return columns.reshape(shape)

    def activations(
        self, representation: np.ndarray, dtype: Any = np.float64, out: np.ndarray | None = None
    ) -> np.ndarray:
        return np.maximum(self.columns(representation, dtype), 0, out=out)

    def pull_back(
        self,
        gradient: np.ndarray,
        representation: np.ndarray,
        weights: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        kernel = (self.weight_matrix if weights is None else weights)[:, : gradient.shape[-1]]
        back = np.matmul(gradient, kernel, out=out)
        return np.multiply(back, self.columns(representation, back.dtype) > 0, out=back)
