"""A Keras model to an ONNX file that carries its analysis; written only if it computes what Keras computes."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from leaky_zoo.deploy.arguments import (
    check_class_names,
    checked_audit,
    checked_golden,
    checked_metadata,
    checked_model,
    checked_path,
    checked_tolerance,
)
from leaky_zoo.deploy.build import build_onnx, can_build
from leaky_zoo.deploy.compare import Comparison, as_recorded, compare, load_checked
from leaky_zoo.deploy.describe import describe_model, sentence, task_of
from leaky_zoo.deploy.reference import add_reference
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.flow import weights_sha256
from leaky_zoo.io.files import replacing
from leaky_zoo.networks import LeakyNetwork, Task
from leaky_zoo.runtime.metadata import pack_golden, write_properties
from leaky_zoo.runtime.model import as_float32
from leaky_zoo.runtime.session import CHECK_BATCHES
from leaky_zoo.runtime.verify import verify_onnx

PRODUCER = "leaky-zoo"


@dataclass(frozen=True)
class ExportReport:
    """What was written and what was measured.

    Attributes:
        path: the file.
        file_bytes: its size.
        route: `"direct"` (from the weights) or `"tf2onnx"`.
        nodes: of the graph.
        reference: the Keras model it was compared with.
        inputs_from: where the compared inputs came from.
        tolerance: largest relative error allowed.
        relative_errors: `max |d| / max |ref|` measured, by batch size.
        golden_relative_error: on the given golden pairs; None without.
        labels_agree: whether the classes agree; None unless it is a classifier.
    """

    path: str
    file_bytes: int
    route: str
    nodes: int
    reference: str
    inputs_from: str
    tolerance: float
    relative_errors: dict[int, float]
    golden_relative_error: float | None
    labels_agree: bool | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; batch sizes as text."""
        return {**asdict(self), "relative_errors": {str(key): value for key, value in self.relative_errors.items()}}


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
) -> ExportReport:
    """Write a model as one ONNX file, after comparing the two on real inputs at batch sizes 1, 2 and 257.

    A network whose family has a builder is built directly from its weights, with the same bytes each time; any other
    functional model goes through tf2onnx. Float32 inside, whatever the dtype: a net that computes in bfloat16 or
    float16 is compared with its float32 twin, and its golden pairs to 16 roundings of its own precision. Up to four
    golden pairs are kept in the file (the first given, else the first inputs of the comparison), so that it can check
    itself anywhere: give none that must stay private. This project.

    Args:
        model: a functional Keras model of one input and one output, shapes of samples fully known.
        path: the `.onnx` file; an existing one is replaced only after all checks passed.
        audit: the analysis to carry: an `Audit`, or its dict. Default None: none, which `verify_onnx` will
            report as a failed check.
        metadata: of a preset (`metadata.json`): `metrics`, `citation`, `class_names`, `task` of a foreign model, ...;
            what has no key of its own is kept under `leaky_zoo.preset`. Default None.
        check_inputs: raw samples to compare on, shape `(n, *input_shape)`, used in turn. Default None: normal
            ones with the net's own input mean and variance (standard normal for a foreign model).
        golden: raw inputs and the outputs they must give. Default None.
        representations: also output `A_0..A_L` as `representation_0`..; a slower file, for analysis. Default False.
        monitor_data: raw samples that the network was not trained on, to watch for drift with: the file gets the
            output `bottleneck` and `leaky_zoo.reference` (`leaky_zoo.deploy.reference`). Default None: neither.
        tolerance: largest `max |d| / max |ref|`, in (0, 1). Default 1e-5.
        model_version: a whole number, at least 1. Default 1.

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
    model = checked_model(model, representations)
    tolerance = checked_tolerance(tolerance)
    metadata = checked_metadata(metadata)
    check_class_names(model, metadata)
    if not isinstance(model_version, int) or model_version < 1:
        raise InvalidInputError(
            f"`model_version` must be a whole number >= 1. Received: model_version={model_version!r}"
        )
    inputs, inputs_from = _check_inputs(model, check_inputs)
    monitored = None if monitor_data is None else _finite(monitor_data, model, "monitor_data")
    pairs = checked_golden(golden, model)
    digest = weights_sha256(model)
    audit = checked_audit(audit, digest, metadata)

    reference, reference_words = _reference(model)
    route = "direct" if can_build(model) else "tf2onnx"
    graph = _build(reference, route, task_of(model, metadata), representations)
    watch = None if monitored is None else add_reference(graph, monitored)
    measured = _measure(graph, model, reference, inputs, pairs, tolerance, task_of(model, metadata))
    values = describe_model(model, metadata, audit, digest)
    values["check"] = {**as_recorded(tolerance), "inputs": inputs_from, "reference": reference_words}
    values["reference"] = watch
    values["golden"] = _kept_golden(model, reference, inputs, pairs)
    _sign(graph, values, sentence(model, route, task_of(model, metadata)), model_version)
    with replacing(path) as aside:
        aside.write_bytes(graph.SerializeToString(deterministic=True))
        _verify_written(aside)
    return ExportReport(
        path=str(path),
        file_bytes=path.stat().st_size,
        route=route,
        nodes=len(graph.graph.node),
        reference=reference_words,
        inputs_from=inputs_from,
        tolerance=tolerance,
        **asdict(measured),
    )


def _check_inputs(model: keras.Model, given: Any) -> tuple[np.ndarray, str]:
    shape = tuple(model.inputs[0].shape[1:])
    if given is not None:
        inputs = _finite(given, model, "check_inputs")
        return inputs, f"{len(inputs)} given samples"
    noise = np.random.default_rng(0).standard_normal((max(CHECK_BATCHES), *shape))
    if not isinstance(model, LeakyNetwork):
        return noise.astype(np.float32), "random: standard normal"
    mean, variance = map(np.asarray, (model.config.input_mean, model.config.input_variance))
    return (mean + np.sqrt(variance) * noise).astype(
        np.float32
    ), "random: normal with the net's input mean and variance"


def _finite(given: Any, model: keras.Model, what: str) -> np.ndarray:
    inputs = as_float32(given, tuple(model.inputs[0].shape[1:]), what)
    if not np.isfinite(inputs).all():
        raise InvalidInputError(f"`{what}` must be finite in float32. Received: {what} with NaN or infinity")
    return inputs


def _reference(model: keras.Model) -> tuple[keras.Model, str]:
    """Choose what to build from and compare with: the model, or its float32 twin if it computes in fewer digits."""
    policy = model.dtype_policy
    if isinstance(model, LeakyNetwork):
        exact = policy.compute_dtype in ("float32", "float64")
        # A subclass goes through tf2onnx, which keeps float64: it is converted from the twin too.
        if not exact or (policy.compute_dtype == "float64" and not can_build(model)):
            return model.astype("float32"), f"its float32 twin (the model computes in {policy.compute_dtype})"
    return model, f"the Keras model in {policy.compute_dtype}"


def _build(model: keras.Model, route: str, task: Task, representations: bool) -> onnx.ModelProto:
    if route == "direct":
        return build_onnx(model, representations=representations)
    # TensorFlow and the converter are imported for foreign models only.
    from leaky_zoo.deploy.convert import convert_with_tf2onnx

    return convert_with_tf2onnx(model, task.output_name)


def _measure(
    graph: onnx.ModelProto,
    model: keras.Model,
    reference: keras.Model,
    inputs: np.ndarray,
    golden: tuple[np.ndarray, np.ndarray] | None,
    tolerance: float,
    task: Task,
) -> Comparison:
    return compare(
        load_checked(graph),
        reference,
        inputs,
        tolerance=tolerance,
        classifier=task.labels,
        golden=golden,
        golden_tolerance=max(tolerance, _low_precision_error(model)),
    )


def _low_precision_error(model: keras.Model) -> float:
    """16 roundings of a compute dtype shorter than float32; 0 for the others."""
    return {"bfloat16": 16 * 2.0**-8, "float16": 16 * 2.0**-11}.get(model.dtype_policy.compute_dtype, 0.0)


def _kept_golden(
    model: keras.Model, reference: keras.Model, inputs: np.ndarray, golden: tuple[np.ndarray, np.ndarray] | None
) -> dict[str, Any]:
    """Given pairs are kept as they are, unless they were made in low precision: the file could not reproduce those."""
    if golden is not None and _low_precision_error(model) == 0:
        return pack_golden(*golden)
    rows = (inputs if golden is None else golden[0])[: CHECK_BATCHES[1] * 2]
    return pack_golden(rows, np.asarray(reference.predict_on_batch(rows.astype(reference.inputs[0].dtype))))


def _sign(graph: onnx.ModelProto, values: Mapping[str, Any], words: str, model_version: int) -> None:
    graph.doc_string = words
    graph.producer_name = PRODUCER
    graph.producer_version = version(PRODUCER)
    graph.domain = "leaky_zoo"
    graph.model_version = model_version
    onnx.helper.set_model_props(graph, write_properties(values))


def _verify_written(path: Path) -> None:
    """Check the written bytes as a reader of the file would. Whether there is an audit was the caller's choice."""
    failed = [check for check in verify_onnx(path).checks if not check.passed and check.name != "audit"]
    if failed:
        raise CheckFailedError("; ".join(f"{check.name}: {check.detail}" for check in failed))
