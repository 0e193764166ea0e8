"""A Keras model to an ONNX file that carries its analysis; written only if it computes what Keras computes."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import onnx

from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.deploy.arguments import (
    check_class_names,
    checked_audit,
    checked_golden,
    checked_inputs,
    checked_metadata,
    checked_model,
    checked_path,
    checked_tolerance,
)
from leaky_zoo.deploy.build import build_onnx, can_build
from leaky_zoo.deploy.compare import as_recorded, compare, load_checked, running
from leaky_zoo.deploy.describe import describe_model, sentence, task_of
from leaky_zoo.deploy.external import writing_graph
from leaky_zoo.deploy.graph import OPSET
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.deploy.prepared import kept_golden, low_precision_error, reference_for, samples_to_compare
from leaky_zoo.deploy.reference import add_reference
from leaky_zoo.deploy.signing import sign, verify_written
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import weights_sha256
from leaky_zoo.runtime.several import count_pairs


@dataclass(frozen=True)
class ExportReport:
    """What was written and what was measured.

    Attributes:
        path: the file.
        file_bytes: its size.
        route: `"direct"` (from the weights) or `"tf2onnx"`.
        nodes: of the graph; None where it is not ONNX.
        reference: the Keras model it was compared with.
        inputs_from: where the compared inputs came from.
        tolerance: largest relative error allowed.
        relative_errors: `max |d| / max |ref|` measured, by batch size.
        golden_relative_error: on the given golden pairs; None without.
        labels_agree: whether the classes agree; None unless it is a classifier.
        samples_kept: golden pairs in the file.
    """

    path: str
    file_bytes: int
    route: str
    nodes: int | None
    reference: str
    inputs_from: str
    tolerance: float
    relative_errors: dict[int, float]
    golden_relative_error: float | None
    labels_agree: bool | None
    samples_kept: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; batch sizes as text."""
        return {**asdict(self), "relative_errors": {str(key): value for key, value in self.relative_errors.items()}}


@naming_the_nearest
def export_onnx(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    audit: Any = None,
    metadata: Mapping[str, Any] | None = None,
    check_inputs: Any = None,
    golden: tuple[Any, Any] | None = None,
    representations: bool = False,
    monitor_data: Any = None,
    tolerance: float = 1e-5,
    model_version: int = 1,
    opset: int = OPSET,
    keep_samples: bool = True,
) -> ExportReport:
    """Write a model as one ONNX file, after comparing the two on real inputs at batch sizes 1, 2 and 257.

    Of samples so large that 257 hold more than 4 million numbers as many are taken as hold those.

    A network whose family has a builder is built directly from its weights, with the same bytes each time; any other
    Keras model goes through tf2onnx: functional, sequential, nested, subclassed, of several inputs and outputs, which
    keep their names. Float32 inside, whatever the dtype: a model that computes in others is compared with its float32
    twin, golden pairs of a low precision to 16 of its roundings. Up to four golden pairs are kept in the file (the
    first given, else the first inputs of the comparison), so that it can check itself anywhere: leave them out where
    they must stay private. More than 2 GiB go into one file of tensors beside it. This project.

    Args:
        model: a Keras model; shapes of samples known, no fixed batch, no state, no quantised layer.
        path: the `.onnx` file; an existing one is replaced only after all checks passed.
        audit: the analysis to carry: an `Audit`, or its dict. Default None: none, and the file says so.
        metadata: of a preset (`metadata.json`): `metrics`, `citation`, `class_names`, `task` of a foreign model, ...;
            what has no key of its own is kept under `leaky_zoo.preset`. Default None.
        check_inputs: raw samples to compare on, shape `(n, *input_shape)`, used in turn; for several inputs a list
            or a dict by name. Default None: normal ones with the net's own input mean and variance (standard normal
            for a foreign model; zeros and ones where it does not take those).
        golden: raw inputs and the outputs they must give. Default None.
        representations: also output `A_0..A_L` as `representation_0`..; a slower file, for analysis. Default False.
        monitor_data: raw samples that the network was not trained on, to watch for drift with: the file gets the
            output `bottleneck` and `leaky_zoo.reference` (`leaky_zoo.deploy.reference`). Default None: neither.
        tolerance: largest `max |d| / max |ref|`, in (0, 1). Default 1e-5.
        model_version: a whole number, at least 1. Default 1.
        opset: of ONNX: 17 to 21 where the graph is built directly, 17 or 18 where tf2onnx writes it. Default 17.
        keep_samples: whether golden pairs are kept in the file. Default True.

    Returns:
        What was measured.

    Raises:
        InvalidInputError: an argument that cannot be used; nothing was done.
        CheckFailedError: the graph does not load, or does not agree with Keras; the old file is as it was.

    Example:
    >>> import tempfile, pathlib
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 3, width=8, depth=5)
    >>> report = export_onnx(net, pathlib.Path(tempfile.mkdtemp()) / "net.onnx")
    >>> report.route, report.nodes, max(report.relative_errors.values()) < 1e-5
    ('direct', 17, True)
    """
    path = checked_path(path)
    model = checked_model(model, representations, opset)
    tolerance = checked_tolerance(tolerance)
    metadata = checked_metadata(metadata)
    task = task_of(model, metadata)
    if not isinstance(model_version, int) or model_version < 1:
        raise InvalidInputError(
            f"`model_version` must be a whole number >= 1. Received: model_version={model_version!r}"
        )
    reference, words = reference_for(model, task.output_name, check_inputs, direct=True)
    inputs, inputs_from = samples_to_compare(model, reference, check_inputs)
    check_class_names(model, metadata, reference.outputs)
    monitored = None if monitor_data is None else _monitored(reference, monitor_data)
    pairs = checked_golden(golden, reference.inputs, reference.outputs)
    digest = weights_sha256(model)
    audit = checked_audit(audit, digest, metadata)

    route = "direct" if can_build(model) else "tf2onnx"
    graph = _build(reference, route, representations, opset)
    watch = None if monitored is None else add_reference(graph, monitored)
    values = describe_model(model, reference, metadata, audit, digest)
    values["reference"] = watch
    values["golden"] = kept_golden(model, reference, inputs, pairs) if keep_samples else None
    values["check"] = {
        **as_recorded(tolerance, inputs),
        "inputs": inputs_from,
        "reference": words,
        **({} if keep_samples else {"samples_kept": 0}),
        **({"whole_numbers": True} if reference.whole_numbers else {}),
        **({} if audit else {"audit": False}),
    }
    with writing_graph(graph, path) as (aside, external):
        measured = compare(
            running(load_checked(aside)),
            reference,
            inputs,
            tolerance=tolerance,
            classifier=task.labels,
            golden=pairs,
            golden_tolerance=max(tolerance, low_precision_error(model)),
        )
        values["external_data"] = external
        sign(graph, values, sentence(model, reference, route), model_version)
        aside.write_bytes(graph.SerializeToString(deterministic=True))
        verify_written(aside)
    return ExportReport(
        path=str(path),
        file_bytes=path.stat().st_size + (external or {}).get("bytes", 0),
        route=route,
        nodes=len(graph.graph.node),
        reference=words,
        inputs_from=inputs_from,
        tolerance=tolerance,
        samples_kept=count_pairs(values["golden"]),
        **asdict(measured),
    )


def _monitored(reference: Reference, given: Any) -> np.ndarray:
    if len(reference.inputs) != 1:
        names = ", ".join(port.name for port in reference.inputs)
        raise InvalidInputError(f"`monitor_data` is for a model of one input. Received: a model of {names}")
    port = reference.inputs[0]
    return checked_inputs(given, {port.name: port.shape}, "monitor_data")[port.name]


def _build(reference: Reference, route: str, representations: bool, opset: int) -> onnx.ModelProto:
    if route == "direct":
        return build_onnx(reference.model, representations=representations, opset=opset)
    # TensorFlow and the converter are imported for foreign models only.
    from leaky_zoo.deploy.convert import convert_with_tf2onnx

    return convert_with_tf2onnx(reference, opset)
