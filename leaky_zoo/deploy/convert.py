"""Models that are not ours, through the stock converter. The only module of this room that imports TensorFlow."""

import logging
import warnings

import keras
import onnx
import tensorflow as tf
import tf2onnx

from leaky_zoo.deploy.graph import BATCH, INPUT_NAME, IR_VERSION, OPSET
from leaky_zoo.errors import CheckFailedError


def convert_with_tf2onnx(model: keras.Model, output_name: str) -> onnx.ModelProto:
    """Convert any functional Keras model of one float32 input and one output with tf2onnx, and put its names right.

    The converter calls outputs after layers or `Identity:0`, free axes `unk__6`, and "succeeds" on operators that it
    does not know: check what it returns.

    Args:
        model: the model; shapes of samples fully known.
        output_name: name for the output.

    Returns:
        A model of opset 17 and IR version 8, input `inputs`, dynamic axis `batch`.

    Raises:
        CheckFailedError: the converter gives up.
    """
    shape = tuple(model.inputs[0].shape)
    # Without a signature a model that was never called is refused.
    signature = [tf.TensorSpec((None, *shape[1:]), tf.float32, name=INPUT_NAME)]
    # tf2onnx logs every operator it does not know; the check that follows says so in one sentence.
    log = logging.getLogger("tf2onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside tf2onnx and TensorFlow are not the caller's
            converted, _ = tf2onnx.convert.from_keras(model, input_signature=signature, opset=OPSET)
    except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError, tf.errors.OpError) as error:
        raise CheckFailedError(f"tf2onnx cannot convert {type(model).__name__} {model.name!r}: {error}") from error
    finally:
        log.setLevel(level)
    graph = converted.graph
    _rename(graph, {graph.input[0].name: INPUT_NAME, graph.output[0].name: output_name})
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    converted.ir_version = IR_VERSION
    return converted


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename tensors everywhere, bodies of loops and branches included: these see the names outside."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                _rename(body, names)
