"""The convolutional family."""

from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import LeakyBlock, LeakyConv2D
from leaky_zoo.networks.network import LeakyNetwork


@keras.saving.register_keras_serializable(package="leaky_zoo")
class LeakyConvNet(LeakyNetwork):
    """A Leaky ResNet on images: normalise, strided convolution, `depth` leaky convolutions, pooled head.

    Head of a classifier or regressor: ReLU, 2 x 2 average pool, 3 x 3 convolution to twice the channels, ReLU, global
    average, dense. Of an autoencoder: ReLU, transposed convolution back to the image. This project.

    Args:
        input_shape: `(height, width, channels)`, or `(channels, height, width)` with `"channels_first"`.
        output_size: as `LeakyNetwork`.
        kernel_size: odd side of the blocks' kernels. Default 3.
        stem_size: side of the stem's kernel. Default 5.
        stem_stride: stride of the stem, at least 1; for autoencoding it must divide height and width. Default 2.
        data_format: `"channels_last"` or `"channels_first"`. Default None: Keras's global setting.
        **kwargs: as `LeakyNetwork`.

    Raises:
        InvalidInputError: as `LeakyNetwork`, or a shape that is no image.

    Example:
    >>> import numpy as np
    >>> net = LeakyConvNet((8, 8, 1), 10, width=4, depth=4, effective_depth=2.0, data_format="channels_last")
    >>> net.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape
    (2, 10)
    """

    def __init__(
        self,
        input_shape: Any,
        output_size: int | None = None,
        *,
        kernel_size: int = 3,
        stem_size: int = 5,
        stem_stride: int = 2,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        data_format = data_format or keras.config.image_data_format()
        if len(input_shape) != 3:
            raise InvalidInputError(
                f"`input_shape` must be an image of 3 axes, channels included. Received: input_shape={input_shape}"
            )
        sides = input_shape[:2] if data_format == "channels_last" else input_shape[1:]
        if stem_stride < 1 or stem_size < 1:
            raise InvalidInputError(
                f"`stem_size` and `stem_stride` must be >= 1. "
                f"Received: stem_size={stem_size}, stem_stride={stem_stride}"
            )
        if kwargs.get("task") == "autoencoding" and any(side % stem_stride for side in sides):
            raise InvalidInputError(
                f"For autoencoding `stem_stride` must divide height and width. Received: stem_stride={stem_stride}, "
                f"input_shape={tuple(input_shape)}"
            )
        super().__init__(
            input_shape,
            output_size,
            kernel_size=kernel_size,
            stem_size=stem_size,
            stem_stride=stem_stride,
            data_format=data_format,
            **kwargs,
        )

    def _stem(self, inputs: Any, *, settings: dict[str, Any], dtype: Any, exact: str, penalty: dict[str, Any]) -> Any:
        return keras.layers.Conv2D(
            settings["width"],
            settings["stem_size"],
            strides=settings["stem_stride"],
            padding="same",
            data_format=settings["data_format"],
            dtype=dtype,
            name="stem",
            **penalty,
        )(inputs)

    def _block(self, **arguments: Any) -> LeakyBlock:
        return LeakyConv2D(
            kernel_size=self._settings["kernel_size"], data_format=self._settings["data_format"], **arguments
        )

    def _head(self, inputs: Any, *, settings: dict[str, Any], dtype: Any, exact: str, penalty: dict[str, Any]) -> Any:
        layout = {"data_format": settings["data_format"]}
        outputs = keras.layers.ReLU(dtype=dtype, name="head_relu")(inputs)
        if settings["task"] == "autoencoding":
            channels = settings["input_shape"][-1 if settings["data_format"] == "channels_last" else 0]
            return keras.layers.Conv2DTranspose(
                channels,
                max(settings["stem_size"], settings["stem_stride"]),
                strides=settings["stem_stride"],
                padding="same",
                dtype=exact,
                name="head",
                **layout,
                **penalty,
            )(outputs)
        outputs = keras.layers.AveragePooling2D(2, padding="same", dtype=dtype, name="head_pool", **layout)(outputs)
        outputs = keras.layers.Conv2D(
            2 * settings["width"],
            3,
            padding="same",
            activation="relu",
            dtype=dtype,
            name="head_conv",
            **layout,
            **penalty,
        )(outputs)
        outputs = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_mean", **layout)(outputs)
        return keras.layers.Dense(settings["output_size"], dtype=exact, name="head", **penalty)(outputs)
