"""The convolutional family."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import keras
from pydantic import Field

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.keras_config import largest
from leaky_zoo.layers import LeakyBlock, LeakyConv2D
from leaky_zoo.networks.config import NetworkConfig, Whole
from leaky_zoo.networks.network import LayerArguments, LeakyNetwork
from leaky_zoo.networks.tasks import Task


class ConvConfig(NetworkConfig):
    """The fields of a `LeakyConvNet`: those of `NetworkConfig` and these.

    Attributes:
        kernel_size: odd side of the blocks' kernels. Default 3.
        stem_size: side of the stem's kernel. Default 5.
        stem_stride: stride of the stem, at least 1; for autoencoding it must divide height and width. Default 2.
        data_format: `"channels_last"` or `"channels_first"`. Default None: Keras's global setting.
    """

    kernel_size: Annotated[Whole, Field(ge=1, le=1024)] = 3
    stem_size: Annotated[Whole, Field(ge=1, le=1024)] = 5
    stem_stride: Annotated[Whole, Field(ge=1, le=1024)] = 2
    data_format: Literal["channels_last", "channels_first"] | None = None

    def completion(self, task: Task) -> dict[str, Any]:
        return super().completion(task) | {"data_format": self.data_format or keras.config.image_data_format()}

    def check(self, task: Task) -> None:
        super().check(task)
        if len(self.input_shape) != 3:
            raise InvalidInputError(
                f"`input_shape` must be an image of 3 axes, channels included. Received: input_shape={self.input_shape}"
            )
        if task.from_inputs and any(side % self.stem_stride for side in self.sides):
            raise InvalidInputError(
                f"For {task.name} `stem_stride` must divide height and width. Received: "
                f"stem_stride={self.stem_stride}, input_shape={self.input_shape}"
            )

    @property
    def channels_last(self) -> bool:
        """Whether the channels are the last axis."""
        return self.data_format == "channels_last"

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width of an image."""
        return self.input_shape[:2] if self.channels_last else self.input_shape[1:]

    @classmethod
    def least_weights(cls, plain: Mapping[str, Any]) -> int:
        width, kernel = largest(plain.get("width", 1)), largest(plain.get("kernel_size", 3))
        blocks = super().least_weights(plain) * kernel**2
        return blocks + width * largest(plain.get("stem_size", 5)) ** 2


class LeakyConvNet(LeakyNetwork):
    """A Leaky ResNet on images: normalise, strided convolution, `depth` leaky convolutions, pooled head.

    Head of a classifier or regressor: ReLU, 2 x 2 average pool, 3 x 3 convolution to twice the channels, ReLU, global
    average, dense. Of an autoencoder: ReLU, transposed convolution back to the image. This project.

    Args:
        input_shape: `(height, width, channels)`, or `(channels, height, width)` with `"channels_first"`.
        output_size: as `LeakyNetwork`.
        **fields: as `LeakyNetwork`, and `kernel_size`, `stem_size`, `stem_stride`, `data_format` of `ConvConfig`.

    Raises:
        TypeError, InvalidInputError: as `LeakyNetwork`, or a shape that is no image.

    Example:
    >>> import numpy as np
    >>> net = LeakyConvNet((8, 8, 1), 10, width=4, depth=4, effective_depth=2.0, data_format="channels_last")
    >>> net.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape
    (2, 10)
    """

    family = "conv"
    config_class = ConvConfig
    config: ConvConfig

    @classmethod
    def takes(cls, input_shape: tuple[int, ...]) -> bool:
        return len(input_shape) == 3

    @classmethod
    def suggestions(cls, samples: int) -> dict[str, tuple[object, str]]:
        return super().suggestions(samples) | {
            "width": (32, f"for {samples:,} samples; the presets' width at this size")
        }

    def _stem(self, inputs: Any, arguments: LayerArguments) -> Any:
        return keras.layers.Conv2D(
            self.config.width,
            self.config.stem_size,
            strides=self.config.stem_stride,
            padding="same",
            data_format=self.config.data_format,
            dtype=arguments.dtype,
            name="stem",
            **arguments.penalty,
        )(inputs)

    def _block(self, **arguments: Any) -> LeakyBlock:
        return LeakyConv2D(kernel_size=self.config.kernel_size, data_format=self.config.data_format, **arguments)

    def _head(self, inputs: Any, arguments: LayerArguments) -> Any:
        dtype, exact, penalty = arguments.dtype, arguments.exact, arguments.penalty
        layout = {"data_format": self.config.data_format}
        outputs = keras.layers.ReLU(dtype=dtype, name="head_relu")(inputs)
        if self.task.from_inputs:
            stride = self.config.stem_stride
            return keras.layers.Conv2DTranspose(
                self.config.input_shape[-1 if self.config.channels_last else 0],
                max(self.config.stem_size, stride),
                strides=stride,
                padding="same",
                dtype=exact,
                name="head",
                **layout,
                **penalty,
            )(outputs)
        outputs = keras.layers.AveragePooling2D(2, padding="same", dtype=dtype, name="head_pool", **layout)(outputs)
        outputs = keras.layers.Conv2D(
            2 * self.config.width,
            3,
            padding="same",
            activation="relu",
            dtype=dtype,
            name="head_conv",
            **layout,
            **penalty,
        )(outputs)
        outputs = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_mean", **layout)(outputs)
        return keras.layers.Dense(self.config.output_size, dtype=exact, name="head", **penalty)(outputs)
