"""The graph of a LeakyConvNet; the two forms of its path are in `leaky_zoo.deploy.convolutions`."""

from leaky_zoo.deploy.builders import builds
from leaky_zoo.deploy.convolutions import (
    add_conv,
    add_dense_head,
    add_image_head,
    add_path,
    add_representations,
    add_stem,
    forms,
    pads,
    strided,
)
from leaky_zoo.deploy.graph import GraphBuilder
from leaky_zoo.deploy.weights import float64, layers_by_name
from leaky_zoo.networks import LeakyConvNet


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
    ((steps, is_folded),) = forms(network, representations, folded)
    path = add_path(graph, steps, is_folded, add_stem(graph, network))
    current = graph.node("Relu", [path.representations[-1]], "head_relu")
    if network.task.from_inputs:
        add_image_head(graph, network, current, path.undo)
    else:
        _add_pooled_head(graph, network, current, path.undo)
    if representations:
        add_representations(graph, network, [path])


def _add_pooled_head(graph: GraphBuilder, network: LeakyConvNet, current: str, undo: float) -> None:
    layer, config = layers_by_name(network)["head_conv"], network.config
    window = (2,) * config.rank
    # Keras leaves padding out of the average.
    ends = pads(strided(config.sides, config.stem_stride), window, 2)
    current = graph.node(
        "AveragePool", [current], "head_pool", kernel_shape=window, strides=window, pads=ends, count_include_pad=0
    )
    current = add_conv(graph, current, "head_conv", float64(layer.kernel) * undo, float64(layer.bias))
    current = graph.node("Relu", [current], "head_conv/relu")
    add_dense_head(graph, network, current)
