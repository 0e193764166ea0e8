"""The graph of a LeakyResNet; the two forms of its paths are in `leaky_zoo.deploy.convolutions`."""

from leaky_zoo.deploy.builders import builds
from leaky_zoo.deploy.convolutions import (
    PathNodes,
    add_conv,
    add_dense_head,
    add_image_head,
    add_path,
    add_representations,
    add_stem,
    forms,
    strided,
)
from leaky_zoo.deploy.graph import GraphBuilder
from leaky_zoo.deploy.weights import float64, layers_by_name
from leaky_zoo.networks import LeakyResNet


@builds("resnet")
def add_resnet(graph: GraphBuilder, network: LeakyResNet, representations: bool, folded: bool | None = None) -> None:
    """Add a LeakyResNet, from raw `inputs` to its output, and its `representation_l`, of all stages, if asked for.

    Args:
        graph: where to.
        network: what.
        representations: whether the `A_0..A_L` of all stages, in order, are outputs; they need the plain form.
        folded: form of the blocks of every stage. Default None: folded, stage by stage, where that is safe and no
            representations are wanted.

    Raises:
        InvalidInputError: `folded` is True where it is not exact, not safe or loses the representations.
    """
    layers, config = layers_by_name(network), network.config
    sides = strided(config.sides, config.stem_stride)
    paths: list[PathNodes] = []
    for place, (steps, is_folded) in enumerate(forms(network, representations, folded)):
        if place:
            name, before = f"transition_{place}", paths[-1]
            current = graph.node("Relu", [before.representations[-1]], f"{name}_relu")
            layer = layers[name]
            current = add_conv(graph, current, name, float64(layer.kernel) * before.undo, float64(layer.bias), sides, 2)
            sides = strided(sides, 2)
        else:
            current = add_stem(graph, network)
        paths.append(add_path(graph, steps, is_folded, current))
    current = graph.node("Relu", [paths[-1].representations[-1]], "head_relu")
    if network.task.from_inputs:
        add_image_head(graph, network, current, paths[-1].undo)
    else:
        add_dense_head(graph, network, current, paths[-1].undo)
    if representations:
        add_representations(graph, network, paths)
