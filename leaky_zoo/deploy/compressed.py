"""A compressed net to an ONNX file, with its record, checked before it is written."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from leaky_zoo.compress import Compressed
from leaky_zoo.compress.chain import Map, Step
from leaky_zoo.deploy.arguments import (
    checked_audit,
    checked_inputs,
    checked_metadata,
    checked_path,
    checked_tolerance,
)
from leaky_zoo.deploy.compare import as_recorded, compare, load_checked, running
from leaky_zoo.deploy.compressed_graph import build_compressed
from leaky_zoo.deploy.describe import describe_model
from leaky_zoo.deploy.graph import INPUT_NAME
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.deploy.reference import MOST_CHOSEN, add_reference
from leaky_zoo.deploy.signing import sign, verify_written
from leaky_zoo.flow import weights_sha256
from leaky_zoo.io.files import replacing
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.runtime import summarise_audit
from leaky_zoo.runtime.metadata import MAX_GOLDEN_BYTES, pack_golden

GOLDEN_SHARE = 0.02  # of a file's weights, for the inputs of its golden pairs
_STALE = ("metrics", "sha256", "parameters", "temperature")  # what a preset's metadata say of the whole net's files


def export_compressed(
    compressed: Compressed,
    network: LeakyNetwork,
    path: str | os.PathLike[str],
    *,
    check_inputs: np.ndarray,
    audit: Any = None,
    metadata: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    monitor_data: np.ndarray | None = None,
    tolerance: float = 1e-5,
) -> dict[str, Any]:
    """Write a compressed net as one ONNX file, after comparing it with its Keras model at batch sizes 1, 2 and 257.

    The file carries the record (`leaky_zoo.compression`), the temperature, golden pairs in proportion to its size, and
    a summary of the whole net's audit of at most 16 KiB. This project.

    Args:
        compressed: the smaller net.
        network: the net it was made from.
        path: the `.onnx` file; an existing one is replaced only after all checks passed.
        check_inputs: raw samples to compare on; the first of them become golden pairs: give none that must stay
            private.
        audit: of the whole net, an `Audit` or its dict. Default None: none.
        metadata: of the whole net's preset; what it says of the whole net's files and metrics is left out.
        metrics: of the smaller net, by split. Default None.
        monitor_data: as `export_onnx`. Default None.
        tolerance: largest `max |d| / max |ref|`, in (0, 1). Default 1e-5.

    Returns:
        `{"path", "bytes", "weight_bytes", "nodes", "relative_errors", "record"}`.

    Raises:
        InvalidInputError: an argument that cannot be used, or a layer that has no graph here.
        CheckFailedError: the graph does not load, or does not agree with Keras; the old file is as it was.
    """
    path, tolerance = checked_path(path), checked_tolerance(tolerance)
    about = {key: value for key, value in checked_metadata(metadata).items() if key not in _STALE}
    digest, shape = weights_sha256(network), network.config.input_shape
    checked_audit(audit, digest, about)
    rows = checked_inputs(check_inputs, {INPUT_NAME: shape}, "check_inputs")[INPUT_NAME]
    if monitor_data is not None:
        monitor_data = checked_inputs(monitor_data, {INPUT_NAME: shape}, "monitor_data")[INPUT_NAME]
    graph = build_compressed(compressed, network.task.output_name)
    weight_bytes = graph.ByteSize()
    watch = None
    if monitor_data is not None:
        kept_in_16 = compressed.storage != "float32"
        tensors, count = to_watch(compressed, graph)
        if tensors:
            watch = add_reference(graph, monitor_data, tensors=tensors, directions=count, float16=kept_in_16)
    reference = Reference(compressed.model, network.task.output_name, [rows])
    inputs = {reference.inputs[0].name: rows}
    classifier = network.task.labels
    measured = compare(running(load_checked(graph)), reference, inputs, tolerance=tolerance, classifier=classifier)
    values = describe_model(network, reference, about, None, digest)
    values["preset"] = {**values["preset"], "name": compressed.model.name}
    values |= {
        "audit_summary": None if audit is None else summarise_audit(_as_dict(audit)),
        "check": {
            **as_recorded(tolerance, inputs),
            "inputs": f"{len(rows)} given samples",
            "reference": "its Keras model",
            **({} if audit else {"audit": False}),
        },
        "compression": compressed.record,
        "golden_sha256": None,
        "golden": _golden(compressed.model, rows, weight_bytes),
        "metrics": metrics,
        "reference": watch,
        "temperature": compressed.temperature,
    }
    record = compressed.record
    words = (
        f"{network.name} compressed: {record['parameters']:,} of {record['source']['parameters']:,} numbers, kernels "
        f"in {compressed.storage}; raw float32 {INPUT_NAME}, preprocessing included."
    )
    sign(graph, values, words, 1)
    with replacing(path) as aside:
        aside.write_bytes(graph.SerializeToString(deterministic=True))
        verify_written(aside)
    return {
        "path": str(path),
        "bytes": Path(path).stat().st_size,
        "weight_bytes": weight_bytes,
        "nodes": len(graph.graph.node),
        "relative_errors": {str(batch): error for batch, error in measured.relative_errors.items()},
        "record": compressed.record,
    }


def to_watch(compressed: Compressed, graph: onnx.ModelProto) -> tuple[list[str], int | None]:
    """Names of the representations to watch for drift, none where all have one direction; and how many directions.

    Of a path in few directions the first step that makes at most 20 of them, and all of these but the last: what lay
    outside them was cut away, and the bottleneck itself has forgotten more of what is strange (docs/monitoring.md). Of
    other chains all but the last, and None: where the gap is.
    """
    *inside, _ = [link for link in compressed.links if isinstance(link, Map | Step)]
    for link in inside:
        if isinstance(link, Step) and 1 < link.bias.size <= MOST_CHOSEN:
            return [f"{link.name}/step"], link.bias.size - 1
    made = {name for node in graph.graph.node for name in node.output}
    every = [f"{link.name}/step" for link in inside if link.bias.size > 1]
    return [name for name in every if name in made], None


def _as_dict(audit: Any) -> dict[str, Any]:
    return audit if isinstance(audit, dict) else audit.to_dict()


def _golden(model: keras.Model, rows: np.ndarray, weight_bytes: int) -> dict[str, Any]:
    kept = rows[:4]
    outputs = np.asarray(model.predict_on_batch(kept))
    return pack_golden(kept, outputs, max_bytes=min(MAX_GOLDEN_BYTES - 1, int(GOLDEN_SHARE * weight_bytes)))
