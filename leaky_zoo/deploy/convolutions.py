"""Pieces of graphs of families on images and signals: channels first inside, whatever the network's own layout.

Two exact forms of a path. **Folded**: `z~_l = z_l / (c_1 .. c_l)` turns `z <- c z + rho (W * relu(z) + b)` into Relu,
Conv and Add, which ONNX Runtime fuses; the product is undone in the kernel after the path. It needs every `c > 0` (relu
must commute with the division), and a product whose inverse cannot overflow float32. **Plain**: Relu, Conv, Mul, Add,
with the true representations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaky_zoo.deploy.graph import INPUT_NAME, GraphBuilder
from leaky_zoo.deploy.weights import Affine, Step, affine, float64, layers_by_name, read_steps
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks.images import ImageNetwork

# Folded values are up to 1 / product larger than the true ones. 1e-6 (about e^-14, so effective depths to 12 or so)
# leaves 32 of float32's 38 decades to the activations; scaling by itself costs a floating-point number no precision.
MIN_FOLDED_PRODUCT = 1e-6


@dataclass(frozen=True)
class PathNodes:
    """A path in the graph.

    Attributes:
        representations: tensors of `A_0..A_L`; divided by the products of the leaks so far, if it is folded.
        undo: what the last of them has to be multiplied with.
    """

    representations: list[str]
    undo: float


def can_fold(steps: Sequence[Step]) -> bool:
    """Whether the folded form is exact (all `c > 0`) and safe (their product is at least 1e-6)."""
    return all(step.leak > 0 for step in steps) and math.prod(step.leak for step in steps) >= MIN_FOLDED_PRODUCT


def forms(network: ImageNetwork, representations: bool, folded: bool | None) -> list[tuple[list[Step], bool]]:
    """The steps of each path, and whether it is folded.

    Args:
        network: what is built.
        representations: whether `A_0..A_L` are outputs; they need the plain form.
        folded: None: each path where that is safe and no representations are wanted.

    Raises:
        InvalidInputError: `folded` is True where it is not exact, not safe or loses the representations.
    """
    paths = [read_steps(network, place) for place in range(len(network.paths))]
    foldable = [not representations and can_fold(steps) for steps in paths]
    if folded and not all(foldable):
        products = ", ".join(f"{math.prod(step.leak for step in steps):.3g}" for steps in paths)
        raise InvalidInputError(
            f"The folded form needs 1 - rho L~ > 0 at every block, a product of these of at least "
            f"{MIN_FOLDED_PRODUCT}, and no representations. "
            f"Received: folded=True, product={products}, representations={representations}"
        )
    return list(zip(paths, foldable if folded is None else [folded] * len(paths), strict=True))


def add_path(graph: GraphBuilder, steps: Sequence[Step], folded: bool, current: str) -> PathNodes:
    """Add the blocks of a path, from the tensor of its `A_0`."""
    found, product = [current], 1.0
    for step in steps:
        product *= step.leak
        current = _add_folded_block(graph, step, current, product) if folded else _add_block(graph, step, current)
        found.append(current)
    return PathNodes(found, product if folded else 1.0)


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis under TensorFlow's "same": the odd one comes after.

    Example:
    >>> same_padding(28, kernel=5, stride=2)
    (1, 2)
    """
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def pads(sides: Sequence[int], kernel: Sequence[int], stride: int) -> list[int]:
    """The `pads` of an ONNX node under TensorFlow's "same": all before, then all after."""
    pairs = [same_padding(side, size, stride) for side, size in zip(sides, kernel, strict=True)]
    return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]


def strided(sides: Sequence[int], stride: int) -> tuple[int, ...]:
    """The sides after a convolution of this stride."""
    return tuple(math.ceil(side / stride) for side in sides)


def add_stem(graph: GraphBuilder, network: ImageNetwork) -> str:
    """Add the input, its normalisation and the stem; the tensor of `A_0`."""
    layers = layers_by_name(network)
    kernel, config = float64(layers["stem"].kernel), network.config
    normalize = affine(layers["normalize"])
    current = graph.input(INPUT_NAME, config.input_shape)
    # The mean cannot be folded: the stem pads the normalised image with zeros. The deviation can, per channel.
    if np.any(normalize.mean != 0):
        mean = graph.constant("normalize/mean", normalize.mean)
        current = graph.node("Sub", [current, mean], "normalize/center")
    if _is_per_channel(normalize, network):
        kernel = kernel / np.broadcast_to(normalize.deviation.ravel(), kernel.shape[-2:-1])[:, None]
    else:
        deviation = graph.constant("normalize/deviation", normalize.deviation)
        current = graph.node("Div", [current, deviation], "normalize/scale")
    if config.channels_last:
        current = graph.node("Transpose", [current], "to_channels_first", perm=_to_channels_first(config.rank))
    return add_conv(graph, current, "stem", kernel, float64(layers["stem"].bias), config.sides, config.stem_stride)


def add_conv(
    graph: GraphBuilder,
    current: str,
    name: str,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    sides: Sequence[int] | None = None,
    stride: int = 1,
) -> str:
    """Add a convolution under "same" padding; Keras's kernel `(sides.., in, out)` becomes `(out, in, sides..)`.

    Args:
        graph: where to.
        current: tensor of its inputs.
        name: of the node.
        kernel: as Keras has it.
        bias: of shape `(out,)`, or None.
        sides: of the inputs. Default None: an odd kernel of stride 1 pads alike on both sides, at any size.
        stride: along every side. Default 1.
    """
    scope, size = name.removesuffix("/conv"), kernel.shape[:-2]
    inputs = [current, graph.constant(f"{scope}/weight", _channels_out_first(kernel))]
    if bias is not None:
        inputs.append(graph.constant(f"{scope}/bias", bias))
    ends = pads(sides or (1,) * len(size), size, stride)
    return graph.node("Conv", inputs, name, strides=(stride,) * len(size), pads=ends, kernel_shape=size)


def add_dense_head(graph: GraphBuilder, network: ImageNetwork, current: str, undo: float = 1.0) -> None:
    """Add the global average, the dense head and the output.

    Args:
        graph: where to.
        network: what.
        current: tensor of the rectified features.
        undo: what they have to be multiplied with. Default 1.
    """
    layers = layers_by_name(network)
    current = graph.node("Flatten", [graph.node("GlobalAveragePool", [current], "head_mean")], "head_flatten", axis=1)
    kernel, bias = float64(layers["head"].kernel) * undo, float64(layers["head"].bias)
    if "denormalize" in layers:
        denormalize = affine(layers["denormalize"])
        kernel = kernel * denormalize.deviation
        bias = bias * denormalize.deviation + denormalize.mean
    inputs = [current, graph.constant("head/weight", kernel), graph.constant("head/bias", bias)]
    graph.node("Gemm", inputs, "head")
    graph.finish(network.task.output_name, network.output_shape[1:])


def add_image_head(graph: GraphBuilder, network: ImageNetwork, current: str, undo: float) -> None:
    """Add an autoencoder's head, from rectified features that have to be multiplied with `undo`, and the output."""
    layers, config = layers_by_name(network), network.config
    kernel, bias = float64(layers["head"].kernel) * undo, float64(layers["head"].bias)
    denormalize = affine(layers["denormalize"]) if "denormalize" in layers else None
    if denormalize is not None and _is_per_channel(denormalize, network):
        kernel = kernel * np.broadcast_to(denormalize.deviation.ravel(), kernel.shape[-2:-1])[:, None]
        bias = bias * denormalize.deviation.ravel() + denormalize.mean.ravel()
        denormalize = None
    stride, size = config.total_stride, kernel.shape[:-2]
    inputs = [current, graph.constant("head/weight", _channels_out_first(kernel)), graph.constant("head/bias", bias)]
    # The transpose of the convolution that would bring the image down again, so with that one's padding.
    ends = pads(config.sides, size, stride)
    current = graph.node("ConvTranspose", inputs, "head", strides=(stride,) * len(size), pads=ends, kernel_shape=size)
    if config.channels_last:
        current = graph.node("Transpose", [current], "to_channels_last", perm=_to_channels_last(config.rank))
    if denormalize is not None:
        deviation = graph.constant("denormalize/deviation", denormalize.deviation)
        current = graph.node("Mul", [current, deviation], "denormalize/scale")
        mean = graph.constant("denormalize/mean", denormalize.mean)
        graph.node("Add", [current, mean], "denormalize/shift")
    graph.finish(network.task.output_name, network.output_shape[1:])


def add_representations(graph: GraphBuilder, network: ImageNetwork, paths: Sequence[PathNodes]) -> None:
    """Make the tensors of all paths outputs, in the layout that Keras gives them."""
    shapes = [tensor.shape[1:] for path in network.paths for tensor in path.representations]
    tensors = [tensor for path in paths for tensor in path.representations]
    for row, (tensor, shape) in enumerate(zip(tensors, shapes, strict=True)):
        name = f"representation_{row}"
        if network.config.channels_last:
            graph.node("Transpose", [tensor], f"{name}/to_channels_last", perm=_to_channels_last(network.config.rank))
        else:
            graph.node("Identity", [tensor], f"{name}/keep")
        graph.finish(name, shape)


def _add_block(graph: GraphBuilder, step: Step, current: str) -> str:
    relu = graph.node("Relu", [current], f"{step.name}/relu")
    move = add_conv(graph, relu, f"{step.name}/conv", step.kernel, step.bias)
    if step.leak == 0:
        return move
    if step.leak != 1:
        leak = graph.constant(f"{step.name}/leak_factor", step.leak)
        current = graph.node("Mul", [current, leak], f"{step.name}/leak")
    return graph.node("Add", [current, move], f"{step.name}/step")


def _add_folded_block(graph: GraphBuilder, step: Step, current: str, product: float) -> str:
    bias = None if step.bias is None else step.bias / product
    relu = graph.node("Relu", [current], f"{step.name}/relu")
    move = add_conv(graph, relu, f"{step.name}/conv", step.kernel / step.leak, bias)
    return graph.node("Add", [current, move], f"{step.name}/step")


def _to_channels_first(rank: int) -> tuple[int, ...]:
    return (0, rank + 1, *range(1, rank + 1))


def _to_channels_last(rank: int) -> tuple[int, ...]:
    return (0, *range(2, rank + 2), 1)


def _channels_out_first(kernel: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.moveaxis(kernel, -1, 0), -1, 1)


def _is_per_channel(values: Affine, network: ImageNetwork) -> bool:
    """Keras normalises along the last axis: the channels, except in the channels-first layout."""
    return network.config.channels_last or (values.mean.size == 1 and values.deviation.size == 1)
