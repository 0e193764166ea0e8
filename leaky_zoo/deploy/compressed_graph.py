"""The graph of a compressed net: its maps one after another, kernels in the bits that were chosen."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import onnx

from leaky_zoo.compress import Compressed
from leaky_zoo.compress.chain import Map, Step
from leaky_zoo.compress.storage import int8_of
from leaky_zoo.deploy.convolutions import pads
from leaky_zoo.deploy.graph import INPUT_NAME, GraphBuilder
from leaky_zoo.errors import InvalidInputError

_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def build_compressed(compressed: Compressed, output_name: str) -> onnx.ModelProto:
    """The graph of a compressed net, unchecked and without metadata.

    Args:
        compressed: the net.
        output_name: of its output.

    Returns:
        A model of opset 17 and IR version 8; input `inputs`, raw values in Keras's layout.

    Raises:
        InvalidInputError: its chain holds a Keras layer that has no graph here.
    """
    graph = GraphBuilder()
    writer = _Writer(graph, compressed)
    current = graph.input(INPUT_NAME, compressed.model.input_shape[1:])
    for link in compressed.links:
        current = writer.add(link, current)
    current = writer.channels_last(current)
    graph.finish(output_name, compressed.model.output_shape[1:])
    return graph.model(compressed.model.name)


class _Writer:
    """Adds the links of a chain to a graph, one after another."""

    def __init__(self, graph: GraphBuilder, compressed: Compressed) -> None:
        self._graph, self._compressed = graph, compressed
        self._columns: set[str] = set()
        self._moved = False  # whether images have their channels first although Keras has them last

    def add(self, link: Any, current: str) -> str:
        """The name of what the link makes of `current`."""
        if isinstance(link, Map):
            return self._dense(link, current) if link.dense else self._convolution(link, current)
        if isinstance(link, Step):
            return self._step(link, current)
        if isinstance(link, keras.layers.Flatten):
            return self._graph.node("Flatten", [self.channels_last(current)], link.name, axis=1)
        if isinstance(link, keras.layers.Normalization):
            return self._normalization(link, current)
        if isinstance(link, keras.layers.ReLU | keras.layers.Activation) and _is_plain_relu(link):
            return self._graph.node("Relu", [current], link.name)
        if isinstance(link, keras.layers.AveragePooling2D):
            return self._average(link, self._channels_first(link, current))
        if isinstance(link, keras.layers.GlobalAveragePooling2D):
            mean = self._graph.node("GlobalAveragePool", [self._channels_first(link, current)], f"{link.name}/mean")
            self._moved = False
            return self._graph.node("Flatten", [mean], link.name, axis=1)
        if isinstance(link, keras.layers.Reshape):
            shape = self._graph.constant(f"{link.name}/shape", np.array([0, *link.target_shape]))
            return self._graph.node("Reshape", [self.channels_last(current), shape], link.name)
        raise InvalidInputError(
            f"A {type(link).__name__} cannot be written into a compressed file. Received: {link.name}"
        )

    def channels_last(self, current: str) -> str:
        """Images in Keras's layout again."""
        if not self._moved:
            return current
        self._moved = False
        return self._graph.node("Transpose", [current], "to_channels_last", perm=_TO_CHANNELS_LAST)

    def _channels_first(self, link: Any, current: str) -> str:
        if self._moved or link.data_format == "channels_first":
            return current
        self._moved = True
        return self._graph.node("Transpose", [current], "to_channels_first", perm=_TO_CHANNELS_FIRST)

    def _dense(self, link: Map, current: str) -> str:
        name, before = link.name, current
        if link.relu:
            current = self._graph.node("Relu", [current], f"{name}/relu")
        if link.leak and len(link.factors) == 2:
            return self._two_factors(link, before, current)
        *first, last = [self._kernel(f"{name}/weight_{place}", factor) for place, factor in enumerate(link.factors, 1)]
        for place, weight in enumerate(first, 1):
            current = self._graph.node("Gemm", [current, weight], f"{name}/factor_{place}")
        if not link.leak:
            return self._graph.node("Gemm", [current, last, self._bias(link)], f"{name}/step")
        kept = self._graph.node("Add", [before, self._bias(link, 1 / link.leak)], f"{name}/leak")
        return self._graph.node("Gemm", [current, last, kept], f"{name}/step", beta=link.leak)

    def _step(self, link: Step, current: str) -> str:
        name = link.name
        up, carry, down = (self._kernel(f"{name}/{each}", getattr(link, each)) for each in ("up", "carry", "down"))
        units = self._graph.node("Gemm", [current, up, self._vector(f"{name}/up_bias", link.up_bias)], f"{name}/units")
        active = self._graph.node("Relu", [units], f"{name}/relu")
        kept = self._graph.node("Gemm", [current, carry, self._vector(f"{name}/bias", link.bias)], f"{name}/carried")
        return self._graph.node("Gemm", [active, down, kept], f"{name}/step")

    def _vector(self, name: str, values: np.ndarray) -> str:
        if self._compressed.storage == "float32":
            return self._graph.constant(name, values)
        return self._graph.float16_constant(name, values)

    def _two_factors(self, link: Map, before: str, current: str) -> str:
        """A step of two factors in two products, without a pass over the whole width that adds the bias.

        The first product puts a 1 beside its outputs, and the bias is the weight of that 1 in the second.
        """
        name, (first, second) = link.name, link.factors
        parts = [self._kernel(f"{name}/weight_1", first), self._zeros(len(first))]
        wider = self._graph.at_load("Concat", parts, f"{name}/first", axis=1)
        one = self._graph.constant(f"{name}/one", np.eye(first.shape[1] + 1)[-1])
        narrow = self._graph.node("Gemm", [current, wider, one], f"{name}/factor_1")
        parts = [self._kernel(f"{name}/weight_2", second), self._bias(link, as_row=True)]
        wide = self._graph.at_load("Concat", parts, f"{name}/second", axis=0)
        return self._graph.node("Gemm", [narrow, wide, before], f"{name}/step", beta=link.leak)

    def _zeros(self, count: int) -> str:
        """A column of so many zeros, kept once; as a constant of few bits, since OpenCV makes none of a shape."""
        name = f"zeros_{count}"
        if name not in self._columns:
            self._columns.add(name)
            self._kernel(name, np.zeros((count, 1)))
        return name

    def _convolution(self, link: Map, current: str) -> str:
        name = link.name
        before = current = self._channels_first(link, current)
        if link.relu:
            current = self._graph.node("Relu", [current], f"{name}/relu")
        sides = self._sides(link.name, link.data_format)
        for place, factor in enumerate(link.factors, 1):
            inputs = [current, self._kernel(f"{name}/weight_{place}", factor)]
            if place == len(link.factors):
                inputs.append(self._bias(link))
            strides, kernel = (1 if place > 1 else link.strides), factor.shape[:2]
            given: dict[str, Any] = {
                "strides": (strides, strides),
                "pads": pads(sides, kernel, strides),
                "kernel_shape": kernel,
            }
            current = self._graph.node("Conv", inputs, f"{name}/conv_{place}", **given)
        if link.leak is None:
            return current
        if link.leak != 1:
            leak = self._graph.constant(f"{name}/leak_factor", link.leak)
            before = self._graph.node("Mul", [before, leak], f"{name}/leak")
        return self._graph.node("Add", [before, current], f"{name}/step")

    def _bias(self, link: Map, factor: float = 1.0, *, as_row: bool = False) -> str:
        """The bias, times a factor that the runtime multiplies in at load where the bias is kept in 16 bits."""
        name, bias = f"{link.name}/bias", link.bias[None] if as_row else link.bias
        if factor == 1.0 or self._compressed.storage == "float32":
            return self._vector(name, factor * bias)
        scale = self._graph.constant(f"{name}/factor", factor)
        return self._graph.at_load("Mul", [self._graph.float16_constant(f"{name}/kept", bias), scale], name)

    def _kernel(self, name: str, kernel: np.ndarray) -> str:
        storage = self._compressed.storage
        order = (3, 2, 0, 1) if kernel.ndim == 4 else (0, 1)
        if storage == "int8":
            values, scale = int8_of(kernel)
            return self._graph.int8_constant(name, values.transpose(order), scale.transpose(order))
        if storage == "float16":
            return self._graph.float16_constant(name, kernel.transpose(order))
        return self._graph.constant(name, kernel.transpose(order))

    def _normalization(self, link: keras.layers.Normalization, current: str) -> str:
        mean, variance = (keras.ops.convert_to_numpy(each).astype(np.float64)[0] for each in (link.mean, link.variance))
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        current = self.channels_last(current)
        shift, scale = (
            self._graph.constant(f"{link.name}/mean", mean),
            self._graph.constant(f"{link.name}/deviation", deviation),
        )
        if link.invert:
            current = self._graph.node("Mul", [current, scale], f"{link.name}/scale")
            return self._graph.node("Add", [current, shift], f"{link.name}/shift")
        current = self._graph.node("Sub", [current, shift], f"{link.name}/centre")
        return self._graph.node("Div", [current, scale], f"{link.name}/scale")

    def _average(self, link: keras.layers.AveragePooling2D, current: str) -> str:
        sides, (size, _), strides = self._sides(link.name, link.data_format), link.pool_size, link.strides[0]
        if link.padding != "same" or len(set(link.pool_size)) > 1 or len(set(link.strides)) > 1:
            raise InvalidInputError(f"Only square pools under 'same' padding are written. Received: {link.name}")
        given: dict[str, Any] = {"kernel_shape": (size, size), "strides": (strides, strides), "count_include_pad": 0}
        given["pads"] = pads(sides, (size, size), strides)
        return self._graph.node("AveragePool", [current], link.name, **given)

    def _sides(self, name: str, data_format: str | None) -> Sequence[int]:
        shape = self._compressed.model.get_layer(name).input.shape
        return shape[2:] if data_format == "channels_first" else shape[1:3]


def _is_plain_relu(link: keras.layers.Layer) -> bool:
    if isinstance(link, keras.layers.ReLU):
        return link.max_value is None and not link.negative_slope and not link.threshold
    return keras.activations.serialize(link.activation) == "relu"
