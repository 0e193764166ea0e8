"""The last two steps before a file is in its place: what it says of itself, and a reader's look at its bytes."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.runtime.metadata import write_properties
from leaky_zoo.runtime.verify import verify_onnx

PRODUCER = "leaky-zoo"


def sign(graph: onnx.ModelProto, values: Mapping[str, Any], words: str, model_version: int) -> None:
    """Write producer, version, a sentence and the metadata (by short key) into a model."""
    graph.doc_string = words
    graph.producer_name = PRODUCER
    graph.producer_version = version(PRODUCER)
    graph.domain = "leaky_zoo"
    graph.model_version = model_version
    onnx.helper.set_model_props(graph, write_properties(values))


def verify_written(path: Path) -> None:
    """Check the written bytes as a reader of the file would. Whether there is an audit was the caller's choice.

    Raises:
        CheckFailedError: a check fails; the message names all that do.
    """
    failed = [check for check in verify_onnx(path).checks if not check.passed and check.name != "audit"]
    if failed:
        raise CheckFailedError("; ".join(f"{check.name}: {check.detail}" for check in failed))
