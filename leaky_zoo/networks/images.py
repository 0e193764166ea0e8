"""What the families on images and signals share: their fields, the stem, the head of an autoencoder."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import keras
from pydantic import Field

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.keras_config import largest
from leaky_zoo.layers import LeakyBlock, LeakyConv1D, LeakyConv2D
from leaky_zoo.networks.config import NetworkConfig, Whole
from leaky_zoo.networks.network import LayerArguments, LeakyNetwork
from leaky_zoo.networks.tasks import Task


class ImageConfig(NetworkConfig):
    """The fields of a family on images or signals: those of `NetworkConfig` and these.

    Attributes:
        kernel_size: odd side of the blocks' kernels. Default 3.
        stem_size: side of the stem's kernel. Default 5.
        stem_stride: stride of the stem, at least 1; for autoencoding the stride of the whole network must divide
            every side. Default 2.
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
        if len(self.input_shape) not in (2, 3):
            raise InvalidInputError(
                f"`input_shape` must be an image of 3 axes or a signal of 2, channels included. "
                f"Received: input_shape={self.input_shape}"
            )
        if task.from_inputs and any(side % self.total_stride for side in self.sides):
            raise InvalidInputError(
                f"For {task.name} the stride of all convolutions together, {self.total_stride}, must divide every side "
                f"of a sample. Received: stem_stride={self.stem_stride}, input_shape={self.input_shape}"
            )

    @property
    def channels_last(self) -> bool:
        """Whether the channels are the last axis."""
        return self.data_format == "channels_last"

    @property
    def rank(self) -> int:
        """Axes that kernels move along: 2 for images, 1 for signals."""
        return len(self.input_shape) - 1

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width of an image, or the length of a signal."""
        return self.input_shape[:-1] if self.channels_last else self.input_shape[1:]

    @property
    def channels(self) -> int:
        """Channels of a sample."""
        return self.input_shape[-1 if self.channels_last else 0]

    @property
    def width_axis(self) -> int | None:
        return None if self.rank == 1 else 2 if self.channels_last else 3

    @property
    def total_stride(self) -> int:
        """How many positions of a sample, along a side, become one of the last path."""
        return self.stem_stride

    @classmethod
    def least_weights(cls, plain: Mapping[str, Any]) -> int:
        width, kernel = largest(plain.get("width", 1)), largest(plain.get("kernel_size", 3))
        axes = plain.get("input_shape")
        rank = 2 if not isinstance(axes, list | tuple) or len(axes) != 2 else 1
        blocks = super().least_weights(plain) * kernel**rank
        return blocks + width * largest(plain.get("stem_size", 5)) ** rank


class ImageNetwork(LeakyNetwork):
    """Base of the families on images `(height, width, channels)` and signals `(length, channels)`."""

    config_class: type[ImageConfig] = ImageConfig
    config: ImageConfig

    @classmethod
    def takes(cls, input_shape: tuple[int, ...]) -> bool:
        return len(input_shape) in (2, 3)

    def _block(self, **arguments: Any) -> LeakyBlock:
        block = LeakyConv2D if self.config.rank == 2 else LeakyConv1D
        return block(kernel_size=self.config.kernel_size, data_format=self.config.data_format, **arguments)

    def layer(self, kind: str, *values: Any, **arguments: Any) -> keras.layers.Layer:
        """A Keras layer of a kind that comes for images and for signals (`"Conv"`, `"AveragePooling"`, ...).

        Args:
            kind: the layer's name without `1D` or `2D`; a space where it stands in the middle (`"Conv Transpose"`).
            *values: its first arguments.
            **arguments: others of its arguments; the layout is the network's.
        """
        name, _, rest = kind.partition(" ")
        made = getattr(keras.layers, f"{name}{self.config.rank}D{rest}")
        return made(*values, data_format=self.config.data_format, **arguments)

    def image_head(self, inputs: Any, arguments: LayerArguments) -> Any:
        """Samples from rectified representations: one transposed convolution, as far as the network strides."""
        stride = self.config.total_stride
        return self.layer(
            "Conv Transpose",
            self.config.channels,
            max(self.config.stem_size, stride),
            strides=stride,
            padding="same",
            dtype=arguments.exact,
            name="head",
            **arguments.penalty,
        )(inputs)
