"""The layers that compressed nets are made of: a linear map in one factor or two, and a step in few directions."""

from typing import Any

import keras
from keras import ops

from leaky_zoo.errors import InvalidInputError


@keras.saving.register_keras_serializable(package="leaky_zoo")
class FactoredMap(keras.layers.Layer):
    """`y = leak x + K2 K1 f(x) + b`, `f` the ReLU or the identity; on vectors, or as a convolution on images.

    With a leak and the ReLU it is one step of a leaky path with its step size multiplied in; with neither, affine.
    A factored convolution is one of `kernel_size` to `rank` channels, then one of 1 x 1 (Jaderberg et al. 2014). This
    project.

    Args:
        units: rows of `y`, or its channels.
        rank: rows between the two factors, at least 1. Default None: one kernel, no factors.
        kernel_size: side of a convolution under "same" padding. Default None: a dense map on vectors.
        strides: of the convolution, along both axes. Default 1.
        leak: factor of `x`, which must then have the shape of `y`. Default None: `x` is not added.
        relu: whether `f` is the ReLU. Default False.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's global setting. Default None.
        **kwargs: as any Keras layer.

    Raises:
        InvalidInputError: a size below 1, or strides without a convolution.

    Example:
    >>> import numpy as np
    >>> layer = FactoredMap(3, rank=2, leak=None)
    >>> layer(np.ones((5, 4), "float32")).shape == (5, 3)
    True
    >>> [tuple(kernel.shape) for kernel in layer.kernels]
    [(4, 2), (2, 3)]
    """

    def __init__(
        self,
        units: int,
        *,
        rank: int | None = None,
        kernel_size: int | None = None,
        strides: int = 1,
        leak: float | None = None,
        relu: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {"units": units, "rank": rank, "kernel_size": kernel_size, "strides": strides}
        wrong = {name: size for name, size in sizes.items() if size is not None and size < 1}
        if wrong:
            raise InvalidInputError(f"Sizes must be at least 1. Received: {wrong}")
        if kernel_size is None and strides != 1:
            raise InvalidInputError(f"Only a convolution has strides. Received: strides={strides}, kernel_size=None")
        self.units, self.rank, self.kernel_size, self.strides = units, rank, kernel_size, strides
        self.leak, self.relu = None if leak is None else float(leak), bool(relu)
        self.data_format = data_format or keras.config.image_data_format()

    def build(self, inputs_shape: Any) -> None:
        axis = -1 if self.kernel_size is None or self.data_format == "channels_last" else 1
        sides = () if self.kernel_size is None else (self.kernel_size,) * 2
        shapes: list[tuple[int, ...]] = [(*sides, inputs_shape[axis], self.rank or self.units)]
        if self.rank is not None:
            shapes.append((*(1 for _ in sides), self.rank, self.units))
        self.kernels = [
            self.add_weight(name=f"kernel_{place}", shape=shape, initializer="glorot_uniform")
            for place, shape in enumerate(shapes, start=1)
        ]
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        current = ops.relu(inputs) if self.relu else inputs
        for place, kernel in enumerate(self.kernels):
            if self.kernel_size is None:
                current = ops.matmul(current, kernel)
            else:
                strides = 1 if place else self.strides
                current = ops.conv(current, kernel, strides, padding="same", data_format=self.data_format)
        bias: Any = self.bias
        if self.kernel_size is not None and self.data_format == "channels_first":
            bias = ops.reshape(bias, (1, -1, 1, 1))
        current = current + bias
        return current if self.leak is None else current + ops.cast(self.leak, current.dtype) * inputs

    def compute_output_shape(self, inputs_shape: Any) -> Any:
        if self.kernel_size is None:
            return (*inputs_shape[:-1], self.units)
        first = self.data_format == "channels_first"
        sides = inputs_shape[2:] if first else inputs_shape[1:3]
        reduced = tuple(None if side is None else -(-side // self.strides) for side in sides)
        return (inputs_shape[0], self.units, *reduced) if first else (inputs_shape[0], *reduced, self.units)

    def get_config(self) -> dict[str, Any]:
        own = ("units", "rank", "kernel_size", "strides", "leak", "relu", "data_format")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable(package="leaky_zoo")
class SubspaceStep(keras.layers.Layer):
    """`y = down relu(up x + up_bias) + carry x + bias`: a step of a path, or several, in few directions.

    `x` are coordinates in the directions that the representations before the step have, `y` those after it. Only the
    units whose ReLU works stand between; all others are on or off for all samples, and in `carry`. This project, after
    Serra et al. 2020 (units that are always on or off) and Ashkboos et al. 2024 (a path in its main directions).

    Args:
        directions: coordinates of `y`, at least 1.
        units: that have a ReLU, at least 1.
        **kwargs: as any Keras layer.

    Raises:
        InvalidInputError: a size below 1.

    Example:
    >>> import numpy as np
    >>> layer = SubspaceStep(3, 8)
    >>> layer(np.ones((5, 4), "float32")).shape == (5, 3)
    True
    >>> [tuple(weight.shape) for weight in layer.weights]
    [(4, 8), (8,), (8, 3), (4, 3), (3,)]
    """

    def __init__(self, directions: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if directions < 1 or units < 1:
            raise InvalidInputError(f"Sizes must be at least 1. Received: directions={directions}, units={units}")
        self.directions, self.units = directions, units

    def build(self, inputs_shape: Any) -> None:
        def weight(name: str, *shape: int) -> Any:
            initializer = "zeros" if len(shape) == 1 else "glorot_uniform"
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        size = inputs_shape[-1]
        self.up, self.up_bias = weight("up", size, self.units), weight("up_bias", self.units)
        self.down = weight("down", self.units, self.directions)
        self.carry, self.bias = weight("carry", size, self.directions), weight("bias", self.directions)

    def call(self, inputs: Any) -> Any:
        active = ops.relu(ops.matmul(inputs, self.up) + self.up_bias)
        return ops.matmul(active, self.down) + ops.matmul(inputs, self.carry) + self.bias

    def compute_output_shape(self, inputs_shape: Any) -> Any:
        return (*inputs_shape[:-1], self.directions)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "directions": self.directions, "units": self.units}
