"""The graph of a LeakyConvNet: channels first inside, whatever the network's own layout.

Two exact forms of a block. **Folded**: `z~_l = z_l / (c_1 .. c_l)` turns `z <- c z + rho (W * relu(z) + b)` into Relu,
Conv and Add, which ONNX Runtime fuses; the product is undone in the kernel after the path. It needs every `c > 0` (relu
must commute with the division), and a product whose inverse cannot overflow float32. **Plain**: Relu, Conv, Mul, Add,
with the true representations.
"""

import math
from collections.abc import Sequence

import numpy as np

from leaky_zoo.deploy.builders import builds
from leaky_zoo.deploy.graph import INPUT_NAME, GraphBuilder
from leaky_zoo.deploy.weights import Affine, Step, affine, float64, layers_by_name, read_steps
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyConvNet

# Folded values are up to 1 / product larger than the true ones. 1e-6 (about e^-14, so effective depths to 12 or so)
# leaves 32 of float32's 38 decades to the activations; scaling by itself costs a floating-point number no precision.
MIN_FOLDED_PRODUCT = 1e-6
_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)


@builds("conv")
def add_convnet(graph: GraphBuilder, network: LeakyConvNet, representations: bool, folded: bool | None = None) -> None:
    """Add a LeakyConvNet, from raw `inputs` to its output, and its `representation_l` if asked for.

    Args:
        graph: where to.
        network: what.
        representations: whether `A_0..A_L` are outputs; they need the plain form.
        folded: form of the blocks. Default None: folded where that is safe and no representations are wanted.

    Raises:
        InvalidInputError: `folded` is True where it is not exact, not safe or loses the representations.
    """
    steps = read_steps(network)
    foldable = not representations and can_fold(steps)
    if folded and not foldable:
        raise InvalidInputError(
            f"The folded form needs 1 - rho L~ > 0 at every block, a product of these of at least "
            f"{MIN_FOLDED_PRODUCT}, and no representations. "
            f"Received: folded=True, product={math.prod(step.leak for step in steps):.3g}, "
            f"representations={representations}"
        )
    folded = foldable if folded is None else folded
    current = _add_stem(graph, network)
    path = [current]
    for row, step in enumerate(steps, start=1):
        product = math.prod(step.leak for step in steps[:row])
        current = _add_folded_block(graph, step, current, product) if folded else _add_block(graph, step, current)
        path.append(current)
    undo = math.prod(step.leak for step in steps) if folded else 1.0
    current = graph.node("Relu", [current], "head_relu")
    if network.task.from_inputs:
        _add_image_head(graph, network, current, undo)
    else:
        _add_pooled_head(graph, network, current, undo)
    if representations:
        _add_representations(graph, network, path)


def can_fold(steps: Sequence[Step]) -> bool:
    """Whether the folded form is exact (all `c > 0`) and safe (their product is at least 1e-6)."""
    return all(step.leak > 0 for step in steps) and math.prod(step.leak for step in steps) >= MIN_FOLDED_PRODUCT


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis under TensorFlow's "same": the odd one comes after.

    Example:
    >>> same_padding(28, kernel=5, stride=2)
    (1, 2)
    """
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def _add_stem(graph: GraphBuilder, network: LeakyConvNet) -> str:
    layers = layers_by_name(network)
    kernel = float64(layers["stem"].kernel)
    normalize = affine(layers["normalize"])
    current = graph.input(INPUT_NAME, network.config.input_shape)
    # The mean cannot be folded: the stem pads the normalised image with zeros. The deviation can, per channel.
    if np.any(normalize.mean != 0):
        mean = graph.constant("normalize/mean", normalize.mean)
        current = graph.node("Sub", [current, mean], "normalize/center")
    if _is_per_channel(normalize, network):
        kernel = kernel / np.broadcast_to(normalize.deviation.ravel(), kernel.shape[2:3])[:, None]
    else:
        deviation = graph.constant("normalize/deviation", normalize.deviation)
        current = graph.node("Div", [current, deviation], "normalize/scale")
    if network.config.channels_last:
        current = graph.node("Transpose", [current], "to_channels_first", perm=_TO_CHANNELS_FIRST)
    return _add_conv(
        graph, current, "stem", kernel, float64(layers["stem"].bias), network.config.sides, network.config.stem_stride
    )


def _add_block(graph: GraphBuilder, step: Step, current: str) -> str:
    sides = None  # stride 1 and an odd kernel pad alike on both sides, at any size
    move = _add_conv(graph, _relu(graph, step, current), f"{step.name}/conv", step.kernel, step.bias, sides)
    if step.leak == 0:
        return move
    if step.leak != 1:
        leak = graph.constant(f"{step.name}/leak_factor", step.leak)
        current = graph.node("Mul", [current, leak], f"{step.name}/leak")
    return graph.node("Add", [current, move], f"{step.name}/step")


def _add_folded_block(graph: GraphBuilder, step: Step, current: str, product: float) -> str:
    bias = None if step.bias is None else step.bias / product
    relu = _relu(graph, step, current)
    move = _add_conv(graph, relu, f"{step.name}/conv", step.kernel / step.leak, bias, None)
    return graph.node("Add", [current, move], f"{step.name}/step")


def _relu(graph: GraphBuilder, step: Step, current: str) -> str:
    return graph.node("Relu", [current], f"{step.name}/relu")


def _add_pooled_head(graph: GraphBuilder, network: LeakyConvNet, current: str, undo: float) -> None:
    layers = layers_by_name(network)
    sides = _path_sides(network)
    # Keras leaves padding out of the average.
    pads = _pads(sides, (2, 2), 2)
    current = graph.node(
        "AveragePool", [current], "head_pool", kernel_shape=(2, 2), strides=(2, 2), pads=pads, count_include_pad=0
    )
    layer = layers["head_conv"]
    current = _add_conv(graph, current, "head_conv", float64(layer.kernel) * undo, float64(layer.bias), None)
    current = graph.node("Relu", [current], "head_conv/relu")
    current = graph.node("Flatten", [graph.node("GlobalAveragePool", [current], "head_mean")], "head_flatten", axis=1)
    kernel, bias = float64(layers["head"].kernel), float64(layers["head"].bias)
    if "denormalize" in layers:
        denormalize = affine(layers["denormalize"])
        kernel = kernel * denormalize.deviation
        bias = bias * denormalize.deviation + denormalize.mean
    inputs = [current, graph.constant("head/weight", kernel), graph.constant("head/bias", bias)]
    graph.node("Gemm", inputs, "head")
    graph.finish(network.task.output_name, network.output_shape[1:])


def _add_image_head(graph: GraphBuilder, network: LeakyConvNet, current: str, undo: float) -> None:
    layers = layers_by_name(network)
    kernel, bias = float64(layers["head"].kernel) * undo, float64(layers["head"].bias)
    denormalize = affine(layers["denormalize"]) if "denormalize" in layers else None
    if denormalize is not None and _is_per_channel(denormalize, network):
        kernel = kernel * np.broadcast_to(denormalize.deviation.ravel(), kernel.shape[2:3])[:, None]
        bias = bias * denormalize.deviation.ravel() + denormalize.mean.ravel()
        denormalize = None
    stride = network.config.stem_stride
    inputs = [current, graph.constant("head/weight", kernel.transpose(3, 2, 0, 1)), graph.constant("head/bias", bias)]
    # The transpose of the convolution that would bring the image down again, so with that one's padding.
    pads = _pads(network.config.sides, kernel.shape[:2], stride)
    current = graph.node(
        "ConvTranspose", inputs, "head", strides=(stride, stride), pads=pads, kernel_shape=kernel.shape[:2]
    )
    if network.config.channels_last:
        current = graph.node("Transpose", [current], "to_channels_last", perm=_TO_CHANNELS_LAST)
    if denormalize is not None:
        deviation = graph.constant("denormalize/deviation", denormalize.deviation)
        current = graph.node("Mul", [current, deviation], "denormalize/scale")
        mean = graph.constant("denormalize/mean", denormalize.mean)
        graph.node("Add", [current, mean], "denormalize/shift")
    graph.finish(network.task.output_name, network.output_shape[1:])


def _add_conv(
    graph: GraphBuilder,
    current: str,
    name: str,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    sides: Sequence[int] | None,
    stride: int = 1,
) -> str:
    """Add a convolution under "same" padding; Keras's kernel `(height, width, in, out)` becomes `(out, in, h, w)`."""
    scope = name.removesuffix("/conv")
    inputs = [current, graph.constant(f"{scope}/weight", kernel.transpose(3, 2, 0, 1))]
    if bias is not None:
        inputs.append(graph.constant(f"{scope}/bias", bias))
    pads = _pads(sides or (1, 1), kernel.shape[:2], stride)
    return graph.node("Conv", inputs, name, strides=(stride, stride), pads=pads, kernel_shape=kernel.shape[:2])


def _pads(sides: Sequence[int], kernel: Sequence[int], stride: int) -> list[int]:
    pairs = [same_padding(side, size, stride) for side, size in zip(sides, kernel, strict=True)]
    return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]


def _path_sides(network: LeakyConvNet) -> tuple[int, int]:
    stride = network.config.stem_stride
    height, width = network.config.sides
    return math.ceil(height / stride), math.ceil(width / stride)


def _is_per_channel(values: Affine, network: LeakyConvNet) -> bool:
    """Keras normalises along the last axis: the channels, except in the channels-first layout."""
    return network.config.channels_last or (values.mean.size == 1 and values.deviation.size == 1)


def _add_representations(graph: GraphBuilder, network: LeakyConvNet, path: Sequence[str]) -> None:
    """Make the tensors of the path outputs, in the layout that Keras gives them."""
    width, (height, breadth) = network.config.width, _path_sides(network)
    for row, tensor in enumerate(path):
        name = f"representation_{row}"
        if network.config.channels_last:
            graph.node("Transpose", [tensor], f"{name}/to_channels_last", perm=_TO_CHANNELS_LAST)
            graph.finish(name, (height, breadth, width))
        else:
            graph.node("Identity", [tensor], f"{name}/keep")
            graph.finish(name, (width, height, breadth))
