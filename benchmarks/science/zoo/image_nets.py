"""The nets for images that one would choose instead of a leaky one, as Keras models: ResNet-20 and Keras's example.

Inputs are raw pixels, outputs logits; what they are trained with is said by `image_baselines`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

RESNET_WIDTHS, RESNET_BLOCKS = (16, 32, 64), 3


class Maker:
    """Layers with the same precision and penalty.

    Args:
        dtype: of all layers but the first and the last, which are in the variable dtype.
        decay: `0.5 * decay * ||W||^2` is added to the objective for every kernel.
    """

    def __init__(self, dtype: str, decay: float) -> None:
        self.policy = keras.dtype_policies.get(dtype)
        self.decay = keras.regularizers.L2(decay / 2)

    def scaled(self, shape: Sequence[int], mean: Any, variance: Any) -> tuple[Any, Any]:
        """The inputs, and the inputs with mean 0 and variance 1."""
        inputs = keras.Input(tuple(shape))
        axis = -1 if getattr(mean, "ndim", 0) else None
        return inputs, layers.Normalization(
            axis=axis, mean=mean, variance=variance, dtype=self.policy.variable_dtype, name="input_scaling"
        )(inputs)

    def conv(self, inputs: Any, width: int, stride: int = 1, start: str = "he_normal", **arguments: Any) -> Any:
        given = {"padding": "same", **arguments}
        return layers.Conv2D(
            width, 3, stride, kernel_initializer=start, kernel_regularizer=self.decay, dtype=self.policy, **given
        )(inputs)

    def norm(self, inputs: Any) -> Any:
        return layers.BatchNormalization(momentum=0.9, dtype=self.policy)(inputs)

    def dense(self, inputs: Any, width: int, activation: str | None = None) -> Any:
        dtype = self.policy.variable_dtype if activation is None else self.policy
        return layers.Dense(width, activation, kernel_regularizer=self.decay, dtype=dtype)(inputs)


def resnet_20(maker: Maker, inputs: Any, scaled: Any, classes: int, normalised: bool) -> keras.Model:
    """ResNet-20 (He et al. 2015, section 4.2): three stages of three blocks of two convolutions.

    No shortcut has weights. Without normalisation the second convolution of each block starts at zero and has a bias:
    the untrained net is its shortcuts (as Goyal et al. 2017 start the last scale of a block).
    """

    def normal(values: Any) -> Any:
        return maker.norm(values) if normalised else values

    current = layers.ReLU()(normal(maker.conv(scaled, RESNET_WIDTHS[0], use_bias=not normalised)))
    for stage, width in enumerate(RESNET_WIDTHS):
        for block in range(RESNET_BLOCKS):
            stride = 2 if stage and not block else 1
            inner = layers.ReLU()(normal(maker.conv(current, width, stride, use_bias=not normalised)))
            last = "he_normal" if normalised else "zeros"
            inner = normal(maker.conv(inner, width, start=last, use_bias=not normalised))
            current = layers.ReLU()(inner + (_narrowed(current, width) if stride == 2 else current))
    outputs = maker.dense(layers.GlobalAveragePooling2D()(current), classes)
    return keras.Model(inputs, outputs, name="resnet_20" if normalised else "resnet_20_without_normalisation")


def _narrowed(values: Any, width: int) -> Any:
    """Every second pixel, zeros for the channels that are new: shortcut A of the paper."""
    every_second = values[:, ::2, ::2, :]
    return keras.ops.pad(every_second, ((0, 0), (0, 0), (0, 0), (0, width - every_second.shape[-1])))


def keras_example(maker: Maker, inputs: Any, scaled: Any, classes: int) -> keras.Model:
    """The example of Keras for CIFAR-10 (cifar10_cnn.py of keras 2): two pairs of convolutions, pooling, dropout."""
    current = scaled
    for width in (32, 64):
        current = layers.ReLU()(maker.conv(current, width))
        current = layers.ReLU()(maker.conv(current, width, padding="valid"))
        current = layers.Dropout(0.25, seed=width)(layers.MaxPooling2D()(current))
    current = layers.Dropout(0.5, seed=512)(maker.dense(layers.Flatten()(current), 512, "relu"))
    return keras.Model(inputs, maker.dense(current, classes), name="keras_example")
