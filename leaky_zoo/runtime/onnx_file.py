"""Reading ONNX files that may be anything: cut off, damaged, hostile. Never touches another file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import existing_file as regular_file
from leaky_zoo.io.reading import shown_text

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 2**31 - 1  # protobuf's own limit


def read_model(path: str | os.PathLike[str]) -> "onnx.ModelProto":
    """Parse an ONNX file. External data is never loaded, only named (`external_locations`).

    Raises:
        InvalidInputError: no such file, or not a whole ONNX model.
    """
    # Imported here: these 0.2 s should not be paid by whoever only imports the command line.
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    path = existing_file(path)
    if path.stat().st_size > MAX_BYTES:
        raise InvalidInputError(f"{path} is too long for an ONNX model: more than {MAX_BYTES:,} bytes.")
    try:
        model = ModelProto.FromString(path.read_bytes())
        whole = bool(model.ir_version and model.opset_import and model.graph.node and model.graph.output)
        readable = all(isinstance(text, str) for text in _texts(model))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}.") from error
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not an ONNX model, or is damaged: {type(error).__name__}.") from error
    if not readable:
        raise InvalidInputError(f"{path} is not an ONNX model, or is damaged: it holds texts that are not UTF-8.")
    if not whole:
        raise InvalidInputError(f"{path} is not a whole ONNX model: version, operators, nodes or outputs are missing.")
    return model


def _texts(model: "onnx.ModelProto") -> Iterator[object]:
    """Every text that this room reads. One that is not UTF-8 comes as bytes, which would surprise everyone later."""
    graph = model.graph
    yield from (model.producer_name, model.producer_version, model.domain, model.doc_string, graph.name)
    for entry in model.opset_import:
        yield entry.domain
    for value in (*graph.input, *graph.output):
        yield value.name
        yield from (axis.dim_param for axis in value.type.tensor_type.shape.dim)
    for node in graph.node:
        yield from (node.op_type, node.name, *node.input, *node.output)
    for tensor in graph.initializer:
        yield tensor.name
    for key, value in properties(model).items():
        yield from (key, value)
    yield from external_locations(model)


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Give the path, if it is a file.

    Raises:
        InvalidInputError: it is not.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidInputError(f"`path` must be the path of an .onnx file. Received: path={path!r}")
    return regular_file(path, "ONNX file")


def first_line(error: Exception) -> str:
    """Give the first line of an error's message."""
    return shown_text((str(error).strip().splitlines() or [type(error).__name__])[0], 300)


def properties(model: "onnx.ModelProto") -> dict[str, str]:
    """Read the metadata of a model, unparsed, in the file's order."""
    return {entry.key: entry.value for entry in model.metadata_props}


def external_locations(model: "onnx.ModelProto") -> list[str]:
    """Where tensors that are kept outside the file say they are; empty for every file that this project writes."""
    found = []
    tensors = [*_tensors(model.graph), *(t for function in model.functions for t in _node_tensors(function.node))]
    for tensor in tensors:
        if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
            found.append(next((entry.value for entry in tensor.external_data if entry.key == "location"), ""))
    return found


def _tensors(graph: "onnx.GraphProto") -> Iterator["onnx.TensorProto"]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: "list[onnx.NodeProto]") -> Iterator["onnx.TensorProto"]:
    for node in nodes:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _tensors(graph)
