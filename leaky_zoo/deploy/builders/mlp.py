"""The graph of a LeakyMLP: three ops a block.

A block is `Gemm(relu(z), rho W, C = z + rho b / c, beta = c)` with `c = 1 - rho L~`. It keeps the true representations
and never overflows: `c` is a rounded `1 - rho L~`, so it is zero, which has its own case, or at least 1e-16 in size,
and the error of `c (z + rho b / c)` stays at the rounding of `rho b` however small `c` is.
"""

import keras
import numpy as np

from leaky_zoo.deploy.builders import builds
from leaky_zoo.deploy.graph import INPUT_NAME, GraphBuilder
from leaky_zoo.deploy.weights import Affine, Step, affine, float64, layers_by_name, read_steps
from leaky_zoo.networks import LeakyMLP

# Folding the mean into the stem makes `x W / s` and `m W / s` cancel: the rounding error grows by |mean| / deviation.
# Up to this ratio that is below 1e-6 of the result. Beyond it (a nearly constant feature), subtract first, as Keras.
MAX_FOLDED_RATIO = 8.0


def _flattens_as_onnx(network: LeakyMLP) -> bool:
    """Where Keras's global layout is channels first, its Flatten moves an axis."""
    flattened = [layer for layer in network.layers if isinstance(layer, keras.layers.Flatten)]
    return all(layer.data_format == "channels_last" for layer in flattened)


@builds("mlp", accepts=_flattens_as_onnx)
def add_mlp(graph: GraphBuilder, network: LeakyMLP, representations: bool) -> None:
    """Add a LeakyMLP, from raw `inputs` to its output, and its `representation_l` if asked for."""
    current = _add_stem(graph, network, "representation_0" if representations else None)
    steps = read_steps(network)
    for row, step in enumerate(steps, start=1):
        current = add_block(graph, step, current, f"representation_{row}" if representations else None)
    _add_head(graph, network, current)
    if representations:
        for row in range(len(steps) + 1):
            graph.output(f"representation_{row}", (network.config.width,))


def _add_stem(graph: GraphBuilder, network: LeakyMLP, output: str | None) -> str:
    shape = network.config.input_shape
    layers = layers_by_name(network)
    kernel, bias = float64(layers["stem"].kernel), float64(layers["stem"].bias)
    current = graph.input(INPUT_NAME, shape)
    normalize = _flat(affine(layers["normalize"]), shape)
    if len(shape) > 1:
        current = graph.node("Flatten", [current], "flatten", axis=1)
    if np.max(np.abs(normalize.mean) / normalize.deviation) <= MAX_FOLDED_RATIO:
        kernel = kernel / normalize.deviation[:, None]
        bias = bias - normalize.mean @ kernel
    else:
        mean = graph.constant("normalize/mean", normalize.mean)
        current = graph.node("Sub", [current, mean], "normalize/center")
        deviation = graph.constant("normalize/deviation", normalize.deviation)
        current = graph.node("Div", [current, deviation], "normalize/scale")
    inputs = [current, graph.constant("stem/weight", kernel), graph.constant("stem/bias", bias)]
    return graph.node("Gemm", inputs, "stem", output=output)


def add_block(graph: GraphBuilder, step: Step, current: str, output: str | None = None) -> str:
    """Add one dense block; its output is called `output`, or like its last node. Any dense family can use it."""
    name = step.name
    inputs = [graph.node("Relu", [current], f"{name}/relu"), graph.constant(f"{name}/weight", step.kernel)]
    if step.leak == 0:
        if step.bias is not None:
            inputs.append(graph.constant(f"{name}/bias", step.bias))
        return graph.node("Gemm", inputs, f"{name}/step", output=output)
    if step.bias is not None:
        bias = graph.constant(f"{name}/bias", step.bias / step.leak)
        current = graph.node("Add", [current, bias], f"{name}/leak")
    return graph.node("Gemm", [*inputs, current], f"{name}/step", output=output, beta=step.leak)


def _add_head(graph: GraphBuilder, network: LeakyMLP, current: str) -> None:
    shape = network.config.input_shape
    output_shape = tuple(network.output_shape[1:])
    layers = layers_by_name(network)
    kernel, bias = float64(layers["head"].kernel), float64(layers["head"].bias)
    if "denormalize" in layers:
        # `h W s + (b s + m)` rounds where Keras's `m + s (h W + b)` rounds: this fold is always safe.
        denormalize = _flat(affine(layers["denormalize"]), output_shape)
        kernel = kernel * denormalize.deviation
        bias = bias * denormalize.deviation + denormalize.mean
    inputs = [current, graph.constant("head/weight", kernel), graph.constant("head/bias", bias)]
    current = graph.node("Gemm", inputs, "head")
    if network.task.from_inputs and len(shape) > 1:
        target = graph.constant("unflatten/shape", np.array([0, *shape]))  # 0: the batch, as it comes
        graph.node("Reshape", [current, target], "unflatten")
    graph.finish(network.task.output_name, output_shape)


def _flat(values: Affine, shape: tuple[int, ...]) -> Affine:
    return Affine(np.broadcast_to(values.mean, shape).ravel(), np.broadcast_to(values.deviation, shape).ravel())
