"""A small builder of ONNX graphs: float64 arrays in, float32 initialisers out, one name for a node and its output."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from leaky_zoo.errors import InvalidInputError

# onnx 1.23 would write IR 14 and opset 28, which onnxruntime-web and -node refuse.
OPSET = 17
IR_VERSIONS = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10}  # the lowest of each opset that is written
BATCH = "batch"
INPUT_NAME = "inputs"


class GraphBuilder:
    """Collects nodes, initialisers, inputs and outputs in the order in which they are added, so bytes are repeatable.

    Example:
    >>> graph = GraphBuilder()
    >>> inputs = graph.input("inputs", (3,))
    >>> _ = graph.node("Relu", [inputs], "rectify")
    >>> graph.finish("outputs", (3,))
    >>> [node.op_type for node in graph.model("rectifier").graph.node]
    ['Relu']
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input of samples of this shape, without the batch."""
        self._inputs.append(_value_info(name, shape))
        return name

    def output(self, name: str, shape: Sequence[int]) -> None:
        """Declare the tensor `name`, samples of this shape, an output."""
        self._outputs.append(_value_info(name, shape))

    def finish(self, name: str, shape: Sequence[int]) -> None:
        """Make the last node's result an output, called `name`."""
        self._nodes[-1].output[0] = name
        self.output(name, shape)

    def constant(self, name: str, values: Any) -> str:
        """Add an initialiser: integers as int64, everything else rounded to float32.

        Raises:
            InvalidInputError: a value is not finite in float32.
        """
        array = np.asarray(values)
        if array.dtype.kind == "i":
            array = array.astype(np.int64)
        else:
            with np.errstate(over="ignore"):  # an overflow is reported below, with the name
                array = array.astype(np.float32)
            if not np.isfinite(array).all():
                raise InvalidInputError(
                    f"The network cannot be exported: {name} must be finite in float32. Received: {name} with "
                    f"{np.size(array) - np.isfinite(array).sum()} of {np.size(array)} values that are not"
                )
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def int8_constant(self, name: str, values: np.ndarray, scale: np.ndarray) -> str:
        """Add `scale * values` as int8 and a float32 scale: two nodes that ONNX Runtime computes once, at load.

        Args:
            name: of the tensor that other nodes read.
            values: int8.
            scale: float32, of a shape that broadcasts against `values`.
        """
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, np.int8), f"{name}/int8"))
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(scale, np.float32), f"{name}/scale"))
        self.at_load("Cast", [f"{name}/int8"], f"{name}/cast", to=TensorProto.FLOAT)
        return self.at_load("Mul", [f"{name}/cast", f"{name}/scale"], name)

    def float16_constant(self, name: str, values: np.ndarray) -> str:
        """Add values that float16 holds exactly, as float16 and one node that is computed at load."""
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float16), f"{name}/float16"))
        return self.at_load("Cast", [f"{name}/float16"], name, to=TensorProto.FLOAT)

    def at_load(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node of constants, gone once the file is loaded; without a name, which small files would pay for."""
        self._nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def node(self, op: str, inputs: Sequence[str], name: str, *, output: str | None = None, **attributes: Any) -> str:
        """Add a node; its output is called like the node, unless `output` says otherwise. Returns the output."""
        self._nodes.append(helper.make_node(op, list(inputs), [output or name], name=name, **attributes))
        return output or name

    def model(self, name: str, opset: int = OPSET) -> onnx.ModelProto:
        """Give the whole as a model of this opset, 17 to 21, whose operators mean the same in all of these."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSIONS[opset])


def _value_info(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])
