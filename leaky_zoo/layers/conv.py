"""The convolutional leaky block."""

from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.block import LeakyBlock


@keras.saving.register_keras_serializable(package="leaky_zoo")
class LeakyConv2D(LeakyBlock):
    """A leaky residual step on images, stride 1, zero padding: channels and size stay.

    The paper's `A` has one column per sample and position, `s(A)` is the patch matrix of `relu(A)` (with a row of
    ones), and `W` has shape `(channels, kernel_size^2 * channels + 1)`.

    Args:
        effective_depth: `L~ >= 0`.
        kernel_size: odd side of the kernel, in pixels. Default 3.
        data_format: `"channels_last"` (`(n, h, w, c)`), `"channels_first"` (`(n, c, h, w)`), or None for Keras's
            global setting. Default None. TensorFlow computes `channels_first` on GPUs only, as Keras's own layers do.
        step_size: as `LeakyBlock`.
        weight_decay: as `LeakyBlock`.
        use_bias: as `LeakyBlock`.
        kernel_initializer: as `LeakyBlock`.

    Raises:
        InvalidInputError: an even kernel, an unknown data format, or as `LeakyBlock`.

    Example:
    >>> import numpy as np
    >>> block = LeakyConv2D(effective_depth=3.0, step_size=0.1, data_format="channels_last")
    >>> block(np.ones((2, 5, 5, 4), "float32")).shape == (2, 5, 5, 4)
    True
    """

    def __init__(
        self, effective_depth: float, *, kernel_size: int = 3, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(effective_depth, **kwargs)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise InvalidInputError(f"`kernel_size` must be odd and positive. Received: kernel_size={kernel_size}")
        data_format = data_format or keras.config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise InvalidInputError(
                f"`data_format` is 'channels_last' or 'channels_first'. Received: data_format={data_format!r}"
            )
        self.kernel_size = int(kernel_size)
        self.data_format = data_format

    def build(self, inputs_shape: Any, step_size_shape: Any = None) -> None:
        channels = inputs_shape[-1 if self.data_format == "channels_last" else 1]
        self._add_kernel((self.kernel_size, self.kernel_size, channels, channels))

    def apply_weights(self, features: Any) -> Any:
        outputs = ops.conv(
            features, ops.cast(self.kernel, self.compute_dtype), padding="same", data_format=self.data_format
        )
        if self.bias is None:
            return outputs
        shape = (1, 1, 1, -1) if self.data_format == "channels_last" else (1, -1, 1, 1)
        return outputs + ops.reshape(ops.cast(self.bias, self.compute_dtype), shape)

    @property
    def feature_words(self) -> str:
        return f"patches {self.kernel_size}x{self.kernel_size}"

    def columns(self, representation: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
        images = self._channels_last(representation, dtype)
        return images.reshape(-1, images.shape[-1])

    def restore(self, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if self.data_format == "channels_last":
            return columns.reshape(shape)
        n, channels, height, width = shape
        return np.moveaxis(columns.reshape(n, height, width, channels), -1, 1)

    def activations(
        self, representation: np.ndarray, dtype: Any = np.float64, out: np.ndarray | None = None
    ) -> np.ndarray:
        return image_patches(np.maximum(self._channels_last(representation, dtype), 0), self.kernel_size, out=out)

    def pull_back(
        self,
        gradient: np.ndarray,
        representation: np.ndarray,
        weights: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        weights = self.weight_matrix if weights is None else weights
        images = self._channels_last(representation, weights.dtype)
        n, height, width, channels = images.shape
        kernel = weights[:, : self.kernel_size**2 * channels]
        patches = (gradient @ kernel).reshape(n, height, width, self.kernel_size**2, channels)
        reach = self.kernel_size // 2
        padded = np.zeros((n, height + 2 * reach, width + 2 * reach, channels), dtype=patches.dtype)
        for position, (row, column) in enumerate(_offsets(self.kernel_size)):
            padded[:, row : row + height, column : column + width] += patches[:, :, :, position]
        folded = padded[:, reach : reach + height, reach : reach + width]
        return (folded * (images > 0)).reshape(-1, channels)

    def _channels_last(self, representation: np.ndarray, dtype: Any) -> np.ndarray:
        images = np.asarray(representation, dtype=dtype)
        return images if self.data_format == "channels_last" else np.moveaxis(images, 1, -1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(kernel_size=self.kernel_size, data_format=self.data_format)
        return config


def image_patches(images: np.ndarray, kernel_size: int, stride: int = 1, out: np.ndarray | None = None) -> np.ndarray:
    """The patch matrix of images `(n, h, w, c)` under zero padding: a row of `kernel_size^2 c` for each position.

    Args:
        images: shape `(n, h, w, c)`.
        kernel_size: odd side of the patches.
        stride: take every so-many-th position, along both sides. Default 1.
        out: where to write the result. Default None: a new array.

    Returns:
        Shape `(n ceil(h / stride) ceil(w / stride), kernel_size^2 c)`.

    Example:
    >>> image_patches(np.ones((1, 2, 2, 1)), 3).sum(axis=1)
    array([4., 4., 4., 4.])
    """
    n, height, width, channels = images.shape
    reach = kernel_size // 2
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    shape = (n, -(-height // stride), -(-width // stride), kernel_size**2, channels)
    patches = np.empty(shape, dtype=images.dtype) if out is None else out.reshape(shape)
    for position, (row, column) in enumerate(_offsets(kernel_size)):
        patches[:, :, :, position] = padded[:, row : row + height : stride, column : column + width : stride]
    return patches.reshape(-1, shape[3] * channels) if out is None else out


def _offsets(kernel_size: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(kernel_size) for column in range(kernel_size)]
