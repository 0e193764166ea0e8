"""A network to an ONNX graph, straight from its weights: no tracing, repeatable bytes, names that say what they are."""

import keras
import onnx

from leaky_zoo.deploy.conv import add_convnet
from leaky_zoo.deploy.dense import add_mlp
from leaky_zoo.deploy.graph import GraphBuilder
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyNetwork


def can_build(model: keras.Model) -> bool:
    """Whether the graph can be built directly: exactly our families, since a subclass may have changed any method."""
    if type(model) is LeakyConvNet:
        return True
    # Where Keras's global layout is channels first, its Flatten moves an axis.
    return type(model) is LeakyMLP and all(
        layer.data_format == "channels_last" for layer in model.layers if isinstance(layer, keras.layers.Flatten)
    )


def build_onnx(network: LeakyNetwork, *, representations: bool = False, folded: bool | None = None) -> onnx.ModelProto:
    """Build the ONNX graph of a network, unchecked and without metadata. `export_onnx` adds both.

    Args:
        network: a LeakyMLP or LeakyConvNet. Everything is exported as float32, whatever its dtype.
        representations: also output `A_0..A_L` as `representation_0`.., in the network's layout. Default False.
        folded: form of convolutional blocks (`leaky_zoo.deploy.conv`). Default None: folded where that is safe.

    Returns:
        A model of opset 17 and IR version 8. Input `inputs`: raw values, `(batch, *input_shape)`, in Keras's layout.
        Output `logits`, `predictions` or `reconstruction`, by task. This project.

    Raises:
        InvalidInputError: the model is not exactly one of our families, its weights are not finite in float32, or the
            folded form is asked for where it is not exact or not safe.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> graph = build_onnx(LeakyMLP((4,), 3, width=8, depth=5)).graph
    >>> [node.op_type for node in graph.node][:4]
    ['Gemm', 'Relu', 'Add', 'Gemm']
    """
    if not can_build(network):
        raise InvalidInputError(
            f"Only a LeakyMLP or LeakyConvNet, and no subclass, is built directly; export_onnx converts other models. "
            f"Received: network={type(network).__name__}"
        )
    graph = GraphBuilder()
    if isinstance(network, LeakyConvNet):
        add_convnet(graph, network, representations, folded)
    else:
        add_mlp(graph, network, representations)
    return graph.model(network.name)
