"""What an ONNX file carries, without TensorFlow, Keras or ONNX Runtime."""

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.runtime.metadata import PREFIX, parse_properties
from leaky_zoo.runtime.onnx_file import existing_file, properties, read_model

if TYPE_CHECKING:
    import onnx

OURS = "ours"
STRIPPED = "ours, without its metadata: put it back with `leaky-zoo attach`"
FOREIGN = "not ours"
# Names that the builder gives to nodes and tensors; what optimisers rename or fuse, they do not rename everywhere.
_OUR_NAMES = re.compile(r"^(block_\d+/(step|relu|conv|leak|weight|bias)|(stem|head)/(weight|bias)|bottleneck/basis)")
_OUR_WORDS = re.compile(r"^Leaky\w+ of \d+ blocks, width \d+, effective depth ")


@naming_the_nearest
def inspect_onnx(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the metadata of an ONNX file.

    Args:
        path: an `.onnx` file.

    Returns:
        One entry for each of the file's metadata properties, under its full name (`leaky_zoo.audit`, ...); values of
        ours that are JSON are parsed, everything else is text. Empty for a file without metadata. This project.

    Raises:
        InvalidInputError: no such file, no whole ONNX model, or damaged metadata.

    Example:
    >>> inspect_onnx("digits.onnx")["leaky_zoo.metrics"]  # doctest: +SKIP
    {'test': {'accuracy': 0.98}}
    """
    return parse_properties(properties(read_model(path)))


def describe_onnx(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts about the graph of an ONNX file.

    Args:
        path: an `.onnx` file.

    Returns:
        `file_bytes`, `metadata` (as `provenance`), `producer`, `model_version`, `description`, `ir_version`, `opset`
        (of the standard operators), `inputs` and `outputs` (`{name: shape}`, axes of any length by name), `nodes`,
        `node_counts` (`{op: count}`, most frequent first), `parameters` (numbers in initialisers, reshape targets
        aside). This project.

    Raises:
        InvalidInputError: no such file, or no whole ONNX model.

    Example:
    >>> describe_onnx("digits.onnx")["inputs"]  # doctest: +SKIP
    {'inputs': ['batch', 8, 8, 1]}
    """
    model = read_model(path)
    counts = Counter(node.op_type for node in model.graph.node)
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type != tensor.INT64]
    return {
        "file_bytes": existing_file(path).stat().st_size,
        "metadata": _provenance(model),
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "model_version": model.model_version,
        "description": model.doc_string,
        "ir_version": model.ir_version,
        "opset": max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=None),
        "inputs": {value.name: _shape(value) for value in model.graph.input},
        "outputs": {value.name: _shape(value) for value in model.graph.output},
        "nodes": len(model.graph.node),
        "node_counts": dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))),
        "parameters": sum(_size(tensor) for tensor in weights),
    }


def provenance(path: str | os.PathLike[str]) -> str:
    """Say whether a file is one of ours with its metadata, one of ours that a tool has stripped, or a foreign one.

    A stripped file is known by its producer or domain, by the sentence in its documentation, or by at least three
    names that this project's builder gives (`block_3/step`, `stem/weight`, ...). This project.

    Args:
        path: an `.onnx` file.

    Returns:
        `OURS`, `STRIPPED` or `FOREIGN` of this module.

    Raises:
        InvalidInputError: no such file, or no whole ONNX model.

    Example:
    >>> provenance("slim.onnx")  # doctest: +SKIP
    'ours, without its metadata: put it back with `leaky-zoo attach`'
    """
    return _provenance(read_model(path))


def _provenance(model: "onnx.ModelProto") -> str:
    if any(key.startswith(PREFIX) for key in properties(model)):
        return OURS
    names = {name for node in model.graph.node for name in (node.name, *node.output) if _OUR_NAMES.match(name)}
    names |= {tensor.name for tensor in model.graph.initializer if _OUR_NAMES.match(tensor.name)}
    signed = model.producer_name == "leaky-zoo" or model.domain == "leaky_zoo" or _OUR_WORDS.match(model.doc_string)
    return STRIPPED if signed or len(names) >= 3 else FOREIGN


def _shape(value: "onnx.ValueInfoProto") -> list[int | str]:
    axes = value.type.tensor_type.shape.dim
    return [axis.dim_value if axis.HasField("dim_value") else axis.dim_param or "?" for axis in axes]


def _size(tensor: "onnx.TensorProto") -> int:
    size = 1
    for side in tensor.dims:
        size *= side
    return size
