"""The convolutional family."""

from typing import Any

import keras

from leaky_zoo.networks.images import ImageConfig, ImageNetwork
from leaky_zoo.networks.network import LayerArguments
from leaky_zoo.networks.parts import head_dropout


class ConvConfig(ImageConfig):
    """The fields of a `LeakyConvNet`: those of `ImageConfig`."""


class LeakyConvNet(ImageNetwork):
    """A Leaky ResNet on images or signals: normalise, strided convolution, `depth` leaky convolutions, pooled head.

    Head of a classifier or regressor: ReLU, average pool of 2 along every side, convolution of size 3 to twice the
    channels, ReLU, global average, dense. Of an autoencoder: ReLU, transposed convolution back to the sample. This
    project.

    Args:
        input_shape: `(height, width, channels)` of an image, or `(length, channels)` of a signal; the channels first
            with `"channels_first"`.
        output_size: as `LeakyNetwork`.
        **fields: as `LeakyNetwork`, and `kernel_size`, `stem_size`, `stem_stride`, `data_format` of `ImageConfig`.

    Raises:
        TypeError, InvalidInputError: as `LeakyNetwork`, or a shape that is no image and no signal.

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
    def suggestions(cls, samples: int) -> dict[str, tuple[object, str]]:
        return super().suggestions(samples) | {
            "width": (32, f"for {samples:,} samples; the presets' width at this size")
        }

    def _stem(self, inputs: Any, arguments: LayerArguments) -> Any:
        return self.layer(
            "Conv",
            self.config.width,
            self.config.stem_size,
            strides=self.config.stem_stride,
            padding="same",
            dtype=arguments.dtype,
            name="stem",
            **arguments.penalty,
        )(inputs)

    def _head(self, inputs: Any, arguments: LayerArguments) -> Any:
        dtype, exact, penalty = arguments.dtype, arguments.exact, arguments.penalty
        outputs = keras.layers.ReLU(dtype=dtype, name="head_relu")(inputs)
        if self.task.from_inputs:
            return self.image_head(outputs, arguments)
        outputs = self.layer("AveragePooling", 2, padding="same", dtype=dtype, name="head_pool")(outputs)
        outputs = self.layer(
            "Conv",
            2 * self.config.width,
            3,
            padding="same",
            activation="relu",
            dtype=dtype,
            name="head_conv",
            **penalty,
        )(outputs)
        outputs = self.layer("GlobalAveragePooling", dtype=dtype, name="head_mean")(outputs)
        outputs = head_dropout(outputs, self.config.head_dropout, arguments.dtype)
        return keras.layers.Dense(self.config.output_size, dtype=exact, name="head", **penalty)(outputs)
