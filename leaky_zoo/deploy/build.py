"""A network to an ONNX graph, straight from its weights: no tracing, repeatable bytes, names that say what they are."""

import keras
import onnx

from leaky_zoo.deploy.builders import BUILDERS, builder_of
from leaky_zoo.deploy.graph import IR_VERSIONS, OPSET, GraphBuilder
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyNetwork


def can_build(model: keras.Model) -> bool:
    """Whether the graph can be built directly: the model's family, and exactly its class, has a builder."""
    return builder_of(model) is not None


def build_onnx(
    network: LeakyNetwork, *, representations: bool = False, folded: bool | None = None, opset: int = OPSET
) -> onnx.ModelProto:
    """Build the ONNX graph of a network, unchecked and without metadata. `export_onnx` adds both.

    Args:
        network: of a family that has a builder. Everything is exported as float32, whatever its dtype.
        representations: also output `A_0..A_L` as `representation_0`.., in the network's layout. Default False.
        folded: form of convolutional blocks (`leaky_zoo.deploy.builders.conv`). Default None: folded where that is
            safe.
        opset: 17 to 21. Default 17, which every runtime reads.

    Returns:
        A model of this opset and the lowest IR version that goes with it. Input `inputs`: raw values, `(batch,
        *input_shape)`, in Keras's layout. Output `logits`, `predictions` or `reconstruction`, by task. This project.

    Raises:
        InvalidInputError: the model's family has no builder, its weights are not finite in float32, or the folded form
            is asked for where it is not exact, not safe or not there.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> graph = build_onnx(LeakyMLP((4,), 3, width=8, depth=5)).graph
    >>> [node.op_type for node in graph.node][:4]
    ['Gemm', 'Relu', 'Add', 'Gemm']
    """
    builder = builder_of(network)
    if builder is None:
        raise InvalidInputError(
            f"Only families with a builder ({', '.join(BUILDERS)}), and no subclass, are built directly; export_onnx "
            f"converts other models. Received: network={type(network).__name__}"
        )
    if opset not in IR_VERSIONS:
        raise InvalidInputError(f"`opset` is {min(IR_VERSIONS)} to {max(IR_VERSIONS)}. Received: opset={opset}")
    graph = GraphBuilder()
    builder.build(graph, network, representations, folded)
    return graph.model(network.name, opset)
