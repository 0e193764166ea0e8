"""Models that are not ours, through the stock converter. The only module of this room that imports TensorFlow."""

import logging
import warnings
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.handler import tf_op

from leaky_zoo.deploy.graph import BATCH, IR_VERSIONS
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.reading import one_line

OPSETS = (17, 18)  # what tf2onnx writes


def convert_with_tf2onnx(reference: Reference, opset: int = 17) -> onnx.ModelProto:
    """Convert any Keras model with tf2onnx: float32 in and out, under the names of its ports.

    Operators that tf2onnx lacks are made of others where that is exact to rounding: `Erfc` (the exact gelu) and
    `Expm1`. It "succeeds" on those it does not know; they are named here.

    Args:
        reference: the model and its ports.
        opset: 17 or 18. Default 17.

    Returns:
        A model with dynamic axis `batch`.

    Raises:
        InvalidInputError: another opset, or another backend than TensorFlow.
        CheckFailedError: the converter gives up, or an operator has no ONNX.
    """
    if opset not in OPSETS:
        raise InvalidInputError(f"tf2onnx writes opset {OPSETS[0]} to {OPSETS[-1]}. Received: opset={opset}")
    if keras.backend.backend() != "tensorflow":
        raise InvalidInputError(
            f"A model that is not ours is converted from TensorFlow: save it as a .keras file and export that with "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    model = reference.model
    # TensorFlow's file of a graph holds 2 GiB: weights beyond that go in as inputs and become initialisers at the end.
    held = [*model.trainable_variables, *model.non_trainable_variables] if _is_large(model) else []
    signature = [
        tf.TensorSpec((None, *port.shape), tf.float32, name=f"in_{i}") for i, port in enumerate(reference.inputs)
    ]
    signature += [tf.TensorSpec(each.shape, each.dtype, name=f"weight_{i}") for i, each in enumerate(held)]

    def function(*tensors: Any) -> dict[str, Any]:
        count = len(reference.inputs)
        outputs = reference.call(tensors[:count], tensors[count:] if held else None)
        return {f"out_{place}": tf.cast(output, tf.float32) for place, output in enumerate(outputs)}

    # tf2onnx logs every operator it does not know; what follows says so in one sentence.
    log = logging.getLogger("tf2onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(
        True
    )  # functions inside become part of the graph: tf2onnx cannot open compiled ones
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside tf2onnx and TensorFlow are not the caller's
            traced = tf.function(function, input_signature=signature)
            constants = _captured(traced.get_concrete_function())
            converted, _ = tf2onnx.convert.from_function(
                traced,
                input_signature=signature,
                opset=opset,
            )
    except Exception as error:  # tf2onnx raises whatever its rewriters and TensorFlow do
        raise CheckFailedError(
            f"tf2onnx cannot convert {type(model).__name__} {model.name!r}: {type(error).__name__}: {one_line(error)}"
        ) from error
    finally:
        tf.config.run_functions_eagerly(eager)
        log.setLevel(level)
    _hold(
        converted.graph,
        constants | {f"weight_{place}": keras.ops.convert_to_numpy(each) for place, each in enumerate(held)},
    )
    _require_known(converted, model)
    for key, ports in (("in", reference.inputs), ("out", reference.outputs)):
        _rename(converted.graph, {f"{key}_{place}": port.name for place, port in enumerate(ports)})
    del converted.graph.input[:], converted.graph.output[:]
    for ports, declared in ((reference.inputs, converted.graph.input), (reference.outputs, converted.graph.output)):
        for port in ports:
            shape: list[str | int | None] = [BATCH, *port.shape]
            declared.append(onnx.helper.make_tensor_value_info(port.name, onnx.TensorProto.FLOAT, shape))
    converted.ir_version = IR_VERSIONS[opset]
    return converted


def _is_large(model: keras.Model) -> bool:
    """Whether TensorFlow's own file of a graph could not hold the weights."""
    return sum(weight.nbytes for weight in model.get_weights()) > 0.9 * onnx.checker.MAXIMUM_PROTOBUF


def _captured(concrete: Any) -> dict[str, np.ndarray]:
    """Constants that layers hold outside their weights; tf2onnx takes them for inputs."""
    pairs = concrete.graph.captures
    return {inside.name: outside.numpy() for outside, inside in pairs if outside.dtype != tf.resource}


def _hold(graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> None:
    """Make the inputs that stand for these values initialisers."""
    for value in graph.input:
        if value.name in values:
            array = np.ascontiguousarray(values[value.name])
            graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))


@tf_op("Erfc")
class _Erfc:
    """`1 - erf(x)`, exact to a rounding of 1."""

    @classmethod
    def version_9(cls, context: Any, node: Any, **_: Any) -> None:
        _in_place_of(context, node, "Erf", one_first=True)


@tf_op("Expm1")
class _Expm1:
    """`exp(x) - 1`, exact to a rounding of 1."""

    @classmethod
    def version_1(cls, context: Any, node: Any, **_: Any) -> None:
        _in_place_of(context, node, "Exp", one_first=False)


def _in_place_of(context: Any, node: Any, op: str, one_first: bool) -> None:
    inner = context.make_node(op, [node.input[0]], name=tf2onnx.utils.make_name(node.name))
    dtype = tf2onnx.utils.map_onnx_to_numpy_type(context.get_dtype(node.input[0]))
    one = context.make_const(tf2onnx.utils.make_name(node.name), np.array(1, dtype))
    inputs = [inner.output[0], one.output[0]]
    shapes, dtypes, outputs = node.output_shapes, node.output_dtypes, list(node.output)
    context.remove_node(node.name)
    inputs = inputs[::-1] if one_first else inputs
    context.make_node("Sub", inputs, name=node.name, outputs=outputs, shapes=shapes, dtypes=dtypes)


def _require_known(converted: onnx.ModelProto, model: keras.Model) -> None:
    """Refuse, by name, what is no operator of ONNX."""
    versions = {entry.domain: entry.version for entry in converted.opset_import}
    unknown = set()
    for node in _nodes(converted.graph):
        domain = "" if node.domain == "ai.onnx" else node.domain
        if not onnx.defs.has(node.op_type, versions.get(domain, 1), domain):
            unknown.add(node.op_type)
    if unknown:
        raise CheckFailedError(
            f"{model.name} is not exported: tf2onnx has no ONNX for {', '.join(sorted(unknown))}, operators of "
            "TensorFlow that its layers use."
        )


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                found += _nodes(body)
    return found


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename tensors everywhere; one inside that has such a name already gives way."""
    inside = {name for node in _nodes(graph) for name in node.output} | {each.name for each in graph.initializer}
    inside |= {value.name for value in (*graph.input, *graph.output)}
    away = {name: f"{name}__inside" for name in names.values() if name in inside and name not in names}
    _rename_all(graph, {**away, **names})


def _rename_all(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Bodies of loops and branches included: these see the names outside."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                _rename_all(body, names)
