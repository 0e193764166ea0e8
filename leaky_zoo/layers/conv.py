"""The convolutional leaky blocks, on images and on signals."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.arguments import switch, whole
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.block import LeakyBlock
from leaky_zoo.layers.initializers import LeakyVariance


class LeakyConv(LeakyBlock):
    """What the convolutional blocks share: stride 1, zero padding, so that channels and size stay.

    The paper's `A` has one column per sample and position, `s(A)` is the patch matrix of `relu(A)` (with a row of
    ones), and `W` has shape `(channels, kernel_size^rank * channels + 1)`.

    Attributes:
        rank: axes that the kernel moves along.
    """

    rank: int

    def __init__(
        self,
        effective_depth: float,
        *,
        kernel_size: int = 3,
        data_format: str | None = None,
        count_padding: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(effective_depth, **kwargs)
        kernel_size = whole("kernel_size", kernel_size)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise InvalidInputError(f"`kernel_size` must be odd and positive. Received: kernel_size={kernel_size}")
        data_format = data_format or keras.config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise InvalidInputError(
                f"`data_format` must be 'channels_last' or 'channels_first'. Received: data_format={data_format!r}"
            )
        self.kernel_size = kernel_size
        self.data_format = data_format
        self.count_padding = switch("count_padding", count_padding)

    def build(self, inputs_shape: Any, step_size_shape: Any = None) -> None:
        *sides, channels = inputs_shape[1:]
        if self.data_format == "channels_first":
            channels, *sides = inputs_shape[1:]
        if not self.count_padding and isinstance(self.kernel_initializer, LeakyVariance):
            self.kernel_initializer = self.kernel_initializer.on(inside_share(sides, self.kernel_size))
        self._add_kernel((*(self.kernel_size,) * self.rank, channels, channels))

    def apply_weights(self, features: Any) -> Any:
        outputs = ops.conv(
            features, ops.cast(self.kernel, self.compute_dtype), padding="same", data_format=self.data_format
        )
        if self.bias is None:
            return outputs
        ones = (1,) * self.rank
        shape = (1, *ones, -1) if self.data_format == "channels_last" else (1, -1, *ones)
        # By Keras's own addition, which knows a bias on TensorFlow: its gradient is much faster than a sum's.
        return ops.add(outputs, ops.reshape(ops.cast(self.bias, self.compute_dtype), shape))

    @property
    def feature_words(self) -> str:
        return f"patches {'x'.join([str(self.kernel_size)] * self.rank)}"

    def columns(self, representation: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
        images = self._channels_last(representation, dtype)
        return images.reshape(-1, images.shape[-1])

    def restore(self, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if self.data_format == "channels_last":
            return columns.reshape(shape)
        n, channels, *sides = shape
        return np.moveaxis(columns.reshape(n, *sides, channels), -1, 1)

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
        n, *sides, channels = images.shape
        size, reach = self.kernel_size, self.kernel_size // 2
        kernel = weights[:, : size**self.rank * channels]
        patches = (gradient @ kernel).reshape(n, *sides, size**self.rank, channels)
        padded = np.zeros((n, *(side + 2 * reach for side in sides), channels), dtype=patches.dtype)
        for position, offsets in enumerate(_offsets(size, self.rank)):
            moved = [slice(offset, offset + side) for offset, side in zip(offsets, sides, strict=True)]
            padded[(slice(None), *moved)] += patches[..., position, :]
        inside = [slice(reach, reach + side) for side in sides]
        return (padded[(slice(None), *inside)] * (images > 0)).reshape(-1, channels)

    def _channels_last(self, representation: np.ndarray, dtype: Any) -> np.ndarray:
        images = np.asarray(representation, dtype=dtype)
        return images if self.data_format == "channels_last" else np.moveaxis(images, 1, -1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(kernel_size=self.kernel_size, data_format=self.data_format, count_padding=self.count_padding)
        return config


@keras.saving.register_keras_serializable(package="leaky_zoo")
class LeakyConv2D(LeakyConv):
    """A leaky residual step on images, stride 1, zero padding: channels and size stay.

    `W` has shape `(channels, kernel_size^2 * channels + 1)`; see `LeakyConv`.

    Args:
        effective_depth: `L~ >= 0`.
        kernel_size: odd side of the kernel, in pixels. Default 3.
        data_format: `"channels_last"` (`(n, h, w, c)`), `"channels_first"` (`(n, c, h, w)`), or None for Keras's
            global setting. Default None. TensorFlow computes `channels_first` on GPUs only, as Keras's own layers do.
        count_padding: whether the initialiser counts the zeros of the padding among a position's inputs. False keeps
            the variance of small images, which lose part of it in every step. Default True.
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

    rank = 2


@keras.saving.register_keras_serializable(package="leaky_zoo")
class LeakyConv1D(LeakyConv):
    """A leaky residual step on signals `(n, length, channels)`: `W` has shape `(channels, kernel_size channels + 1)`.

    Arguments and errors as `LeakyConv2D`; with `"channels_first"` the signals are `(n, channels, length)`.

    Example:
    >>> import numpy as np
    >>> block = LeakyConv1D(effective_depth=3.0, step_size=0.1, data_format="channels_last")
    >>> block(np.ones((2, 40, 4), "float32")).shape == (2, 40, 4)
    True
    """

    rank = 1


def inside_share(sides: Sequence[int], kernel_size: int) -> float:
    """Which share of a kernel's inputs are no padding, in the mean over all positions.

    Example:
    >>> inside_share((8, 8), 3) == (22 / 24) ** 2
    True
    """
    share = 1.0
    for side in sides:
        reach = range(-(kernel_size // 2), kernel_size // 2 + 1)
        share *= sum(max(side - abs(offset), 0) for offset in reach) / (side * kernel_size)
    return share


def image_patches(images: np.ndarray, kernel_size: int, stride: int = 1, out: np.ndarray | None = None) -> np.ndarray:
    """The patch matrix of images or signals under zero padding: a row of `kernel_size^rank c` for each position.

    Args:
        images: shape `(n, h, w, c)`, or `(n, length, c)`.
        kernel_size: odd side of the patches.
        stride: take every so-many-th position, along every side. Default 1.
        out: where to write the result. Default None: a new array.

    Returns:
        Shape `(n ceil(h / stride) ceil(w / stride), kernel_size^2 c)`, or the same with one side.

    Example:
    >>> image_patches(np.ones((1, 2, 2, 1)), 3).sum(axis=1)
    array([4., 4., 4., 4.])
    """
    n, *sides, channels = images.shape
    reach, rank = kernel_size // 2, len(sides)
    counts = [-(-side // stride) for side in sides]
    shape = (n, *counts, kernel_size**rank, channels)
    patches = np.empty(shape, dtype=images.dtype) if out is None else out.reshape(shape)
    for position, offsets in enumerate(_offsets(kernel_size, rank)):
        part, inside, taken = patches[..., position, :], [slice(None)], [slice(None)]
        for side, count, offset in zip(sides, counts, offsets, strict=True):
            shift = offset - reach  # position p takes pixel p * stride + shift, where there is one
            first = -(-max(0, -shift) // stride)
            last = max(first, min(count, (side - 1 - shift) // stride + 1))
            inside.append(slice(first, last))
            taken.append(slice(first * stride + shift, max(last - 1, 0) * stride + shift + 1, stride))
            edge = (slice(None),) * (len(inside) - 1)
            part[(*edge, slice(0, first))] = 0
            part[(*edge, slice(last, None))] = 0
        if part[tuple(inside)].size:
            part[tuple(inside)] = images[tuple(taken)]
    return patches.reshape(-1, shape[-2] * channels) if out is None else out


def _offsets(kernel_size: int, rank: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(kernel_size), repeat=rank))
