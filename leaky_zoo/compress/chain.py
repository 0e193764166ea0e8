"""A network as a chain of maps in float64, and the Keras model that computes it: what folding and factors work on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import keras
import numpy as np

from leaky_zoo.compress.layers import FactoredMap, SubspaceStep
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import leak
from leaky_zoo.networks import LeakyNetwork


@dataclass(frozen=True)
class Map:
    """One `FactoredMap` as numbers.

    Attributes:
        name: of the layer it becomes.
        made_of: names of the layers that it does the work of, first to last.
        factors: one kernel, or two, in Keras's layout.
        bias: shape `(units,)`.
        leak: as `FactoredMap`.
        relu: as `FactoredMap`.
        strides: as `FactoredMap`.
        data_format: as `FactoredMap`; None for a dense map.
        layer: number of the path's layer that it is, from 1; None for stems, heads and folded maps.
    """

    name: str
    made_of: tuple[str, ...]
    factors: tuple[np.ndarray, ...]
    bias: np.ndarray
    leak: float | None = None
    relu: bool = False
    strides: int = 1
    data_format: str | None = None
    layer: int | None = None

    @property
    def dense(self) -> bool:
        """Whether it is a map on vectors."""
        return self.factors[0].ndim == 2

    @property
    def matrix(self) -> np.ndarray:
        """The product of its factors, shape `(inputs, units)`, a patch's inputs for a convolution."""
        first = self.factors[0].reshape(-1, self.factors[0].shape[-1])
        return first if len(self.factors) == 1 else first @ self.factors[1].reshape(-1, self.factors[1].shape[-1])

    @property
    def weights(self) -> list[np.ndarray]:
        """Those of the layer, in its order: kernels and biases."""
        return [*self.factors, self.bias]

    def with_weights(self, weights: Sequence[np.ndarray]) -> "Map":
        """The same map with other weights of the same shapes."""
        *factors, bias = weights
        return replace(self, factors=tuple(factors), bias=bias)

    def make_layer(self) -> FactoredMap:
        """The layer that it becomes, not yet with its weights."""
        return FactoredMap(
            self.factors[-1].shape[-1],
            rank=self.factors[0].shape[-1] if len(self.factors) == 2 else None,
            kernel_size=None if self.dense else self.factors[0].shape[0],
            strides=self.strides,
            leak=self.leak,
            relu=self.relu,
            data_format=self.data_format,
            dtype="float32",
            name=self.name,
        )

    def with_matrix(self, *factors: np.ndarray, bias: np.ndarray) -> "Map":
        """The same map with other factors, given as matrices."""
        side = self.factors[0].shape[:-2]
        shapes = [(*side, factors[0].size // factors[0].shape[1] // _area(side), factors[0].shape[1])]
        shapes += [(*(1 for _ in side), *factor.shape) for factor in factors[1:]]
        kept = tuple(factor.reshape(shape) for factor, shape in zip(factors, shapes, strict=True))
        return replace(self, factors=kept, bias=bias)


def _area(side: tuple[int, ...]) -> int:
    return int(np.prod(side)) if side else 1


@dataclass(frozen=True)
class Step:
    """One `SubspaceStep` as numbers.

    Attributes:
        name: of the layer it becomes.
        made_of: names of the layers that it does the work of, first to last; the first has the ReLU.
        width: units of that layer in the whole net.
        up, up_bias, down, carry, bias: as `SubspaceStep`.
    """

    name: str
    made_of: tuple[str, ...]
    width: int
    up: np.ndarray
    up_bias: np.ndarray
    down: np.ndarray
    carry: np.ndarray
    bias: np.ndarray

    @property
    def weights(self) -> list[np.ndarray]:
        """Those of the layer, in its order."""
        return [self.up, self.up_bias, self.down, self.carry, self.bias]

    def with_weights(self, weights: Sequence[np.ndarray]) -> "Step":
        """The same step with other weights of the same shapes."""
        up, up_bias, down, carry, bias = weights
        return replace(self, up=up, up_bias=up_bias, down=down, carry=carry, bias=bias)

    def make_layer(self) -> SubspaceStep:
        """The layer that it becomes, not yet with its weights."""
        return SubspaceStep(self.down.shape[1], len(self.down), dtype="float32", name=self.name)


Link: TypeAlias = "Map | Step | keras.layers.Layer"


def read_chain(network: LeakyNetwork) -> list[Link]:
    """The chain of a network: maps for stem, steps and head, Keras layers for what is between; dropout is left out.

    Raises:
        InvalidInputError: a network whose layers outside its paths do not follow one another, or hold more than one
            tensor.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> [link.name for link in read_chain(LeakyMLP((4,), 2, width=8, depth=5)) if isinstance(link, Map)]
    ['stem', 'block_1', 'block_2', 'block_3', 'block_4', 'block_5', 'head']
    """
    links: list[Link] = []
    number = 0
    for path in network.paths:
        links += _outside(path.entry)
        for block, rho in path.steps:
            number += 1
            move = rho * block.scale
            kernel = move * _float64(block.kernel)
            if kernel.ndim not in (2, 4):
                raise InvalidInputError(
                    f"Paths of dense blocks and of convolutions of images are compressed. Received: {block.name} "
                    f"with a kernel of shape {kernel.shape}"
                )
            bias = np.zeros(kernel.shape[-1]) if block.bias is None else move * _float64(block.bias)
            kept = float(leak(rho, block.effective_depth, block.variable_dtype))
            layout = getattr(block, "data_format", None)
            links.append(Map(block.name, (block.name,), (kernel,), bias, kept, True, 1, layout, number))
    return links + _outside(network.head)


def _outside(model: keras.Model) -> list[Link]:
    links: list[Link] = []
    current = model.inputs[0]
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    for layer in layers:
        if not isinstance(layer.output, keras.KerasTensor) and not hasattr(layer.output, "shape"):
            raise InvalidInputError(f"Only layers of one output are compressed. Received: {layer.name}")
        current = layer(current)
        links += _links_of(layer)
    if tuple(current.shape) != tuple(model.outputs[0].shape):
        raise InvalidInputError(f"Layers outside the paths must follow one another. Received: {model.name}")
    return links


def _links_of(layer: keras.layers.Layer) -> list[Link]:
    if isinstance(layer, keras.layers.Dropout):
        return []
    if isinstance(layer, keras.layers.Dense) and layer.use_bias and len(layer.input.shape) == 2:
        found: Link = Map(layer.name, (layer.name,), (_float64(layer.kernel),), _float64(layer.bias))
    elif _plain_convolution(layer):
        kernel, bias = _float64(layer.kernel), _float64(layer.bias)
        strides, layout = layer.strides[0], layer.data_format
        found = Map(layer.name, (layer.name,), (kernel,), bias, strides=strides, data_format=layout)
    else:
        return [layer]
    activation = keras.activations.serialize(layer.activation)
    if activation == "linear":
        return [found]
    return [found, keras.layers.Activation(layer.activation, name=f"{layer.name}_activation")]


def _plain_convolution(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.use_bias
        and layer.padding == "same"
        and layer.groups == 1
        and set(layer.dilation_rate) == {1}
        and len(set(layer.strides)) == 1
        and len(set(layer.kernel_size)) == 1
    )


def maps_of(links: Sequence[Link]) -> dict[str, Map]:
    """The maps of a chain by name, in order."""
    return {link.name: link for link in links if isinstance(link, Map)}


def numbers_of(links: Sequence[Link]) -> int:
    """Weights and biases of a chain in all."""
    return sum(
        sum(each.size for each in link.weights) if isinstance(link, Map | Step) else link.count_params()
        for link in links
    )


def build_model(links: Sequence[Link], input_shape: tuple[int, ...], name: str) -> keras.Model:
    """The Keras model, float32, of a chain; its layers are new ones.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=8, depth=5)
    >>> x = np.ones((3, 4), "float32")
    >>> twin = build_model(read_chain(net), (4,), "twin")
    >>> bool(np.allclose(twin.predict(x, verbose=0), net.predict(x, verbose=0), atol=1e-5))
    True
    """
    inputs = current = keras.Input(input_shape, dtype="float32", name="inputs")
    for link in links:
        if isinstance(link, Map | Step):
            layer, weights = link.make_layer(), link.weights
        else:
            layer, weights = type(link).from_config({**link.get_config(), "dtype": "float32"}), link.get_weights()
        current = layer(current)
        layer.set_weights(weights)
    return keras.Model(inputs, current, name=name)


def read_maps(model: keras.Model, links: Sequence[Link]) -> list[Link]:
    """The chain with the weights that a model of it has now."""

    def read(link: Map | Step) -> Link:
        return link.with_weights([each.astype(np.float64) for each in model.get_layer(link.name).get_weights()])

    return [read(link) if isinstance(link, Map | Step) else link for link in links]


def _float64(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)).astype(np.float64)
