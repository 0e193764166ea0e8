"""Files that Keras's own exporters write, SavedModel and LiteRT: checked as ONNX files are, their audit beside them."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.deploy.arguments import (
    check_class_names,
    checked_audit,
    checked_golden,
    checked_metadata,
    checked_model,
    checked_tolerance,
)
from leaky_zoo.deploy.compare import Run, compare
from leaky_zoo.deploy.describe import describe_model, task_of
from leaky_zoo.deploy.export import ExportReport
from leaky_zoo.deploy.graph import OPSET
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.deploy.prepared import kept_golden, low_precision_error, reference_for, samples_to_compare
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.flow import weights_sha256
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import one_line
from leaky_zoo.runtime.metadata import parse_properties, write_properties
from leaky_zoo.runtime.session import check_batches
from leaky_zoo.runtime.several import count_pairs


@dataclass(frozen=True)
class KerasTarget:
    """A format that Keras exports to.

    Attributes:
        name: as `--format` takes it.
        keras_format: as `keras.Model.export` takes it.
        checked_path: gives the path, if it can name such a file or folder.
        require: refuses where a package or backend that it needs is missing, before any work.
        placing: gives a path aside, and puts what is written there in place of the path.
        open: gives what runs a written file.
        versions: what it was checked with.
    """

    name: str
    keras_format: str
    checked_path: Callable[[Any], Path]
    require: Callable[[], None]
    placing: Callable[[Path], AbstractContextManager[Path]]
    open: Callable[[Path], Run]
    versions: Callable[[], dict[str, str]]


class _Named(keras.Model):
    """A model whose inputs and outputs have the names of its ports, all float32, whatever class it is of."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(name=f"{reference.model.name}_exported")
        self._ports, self.exported = reference, reference.model

    def call(self, inputs: Any) -> dict[str, Any]:
        tensors = [inputs[port.name] for port in self._ports.inputs] if isinstance(inputs, dict) else [inputs]
        outputs = self._ports.call(tensors)
        named = zip(self._ports.outputs, outputs, strict=True)
        return {port.name: keras.ops.cast(output, "float32") for port, output in named}

    def signature(self) -> list[Any]:
        """What `keras.Model.export` takes: a single input by itself, several as a dict."""
        specs = {
            port.name: keras.InputSpec(shape=(None, *port.shape), dtype="float32", name=port.name)
            for port in self._ports.inputs
        }
        return [specs if len(specs) > 1 else next(iter(specs.values()))]


def export_keras_target(
    model: keras.Model,
    path: str | os.PathLike[str],
    target: KerasTarget,
    *,
    audit: Any = None,
    metadata: Mapping[str, Any] | None = None,
    check_inputs: Any = None,
    golden: tuple[Any, Any] | None = None,
    tolerance: float = 1e-5,
    keep_samples: bool = True,
) -> ExportReport:
    """Write a model through Keras's own exporter, after comparing the two on real inputs at batch sizes 1, 2 and 257.

    The one signature, `serving_default`, takes float32 and gives float32 under the names that an ONNX file would have.
    Beside the model, `<name>.audit.json` holds the audit and `<name>.metadata.json` what an ONNX file says of itself,
    by the same keys.

    Args:
        model: as `export_onnx`.
        path: the file or folder; an existing one of this kind is replaced only after all checks passed.
        target: the format.
        audit, metadata, check_inputs, golden, tolerance, keep_samples: as `export_onnx`; golden pairs are kept in
            `<name>.metadata.json`.

    Returns:
        What was measured; `nodes` is None.

    Raises:
        InvalidInputError: an argument that cannot be used, or a package that is missing; nothing was done.
        CheckFailedError: Keras cannot convert the model, or the file does not load or does not agree; the old one is
            as it was.
    """
    path = target.checked_path(path)
    target.require()
    model = checked_model(model, False, OPSET)
    tolerance, about = checked_tolerance(tolerance), checked_metadata(metadata)
    task = task_of(model, about)
    reference, words = reference_for(model, task.output_name, check_inputs, direct=False)
    inputs, inputs_from = samples_to_compare(model, reference, check_inputs)
    check_class_names(model, about, reference.outputs)
    pairs = checked_golden(golden, reference.inputs, reference.outputs)
    digest = weights_sha256(model)
    audit = checked_audit(audit, digest, about)
    values = describe_model(model, reference, about, None, digest)
    values["golden"] = kept_golden(model, reference, inputs, pairs) if keep_samples else None
    values["check"] = {
        "batches": list(check_batches(inputs)),
        **target.versions(),
        "format": target.name,
        "inputs": inputs_from,
        "reference": words,
        "tolerance": tolerance,
        **({} if keep_samples else {"samples_kept": 0}),
        **({} if audit else {"audit": False}),
    }
    with target.placing(path) as aside:
        _write(reference, aside, target)
        measured = compare(
            target.open(aside),
            reference,
            inputs,
            tolerance=tolerance,
            classifier=task.labels,
            golden=pairs,
            golden_tolerance=max(tolerance, low_precision_error(model)),
        )
        size = bytes_of(aside)
    _write_beside(path, audit, values)
    return ExportReport(
        path=str(path),
        file_bytes=size,
        route=f"keras.Model.export, {target.keras_format}",
        nodes=None,
        reference=words,
        inputs_from=inputs_from,
        tolerance=tolerance,
        samples_kept=count_pairs(values["golden"]),
        **asdict(measured),
    )


def _write(reference: Reference, aside: Path, target: KerasTarget) -> None:
    named = _Named(reference)
    named({port.name: rows for port, rows in zip(reference.inputs, _two_rows(reference), strict=True)})
    try:
        named.export(aside, format=target.keras_format, verbose=False, input_signature=named.signature())
    except Exception as error:  # the exporter raises whatever its converters do
        raise CheckFailedError(
            f"Keras cannot export {reference.model.name!r} as {target.name}: {type(error).__name__}: "
            f"{one_line(error, 300)}"
        ) from error


def _two_rows(reference: Reference) -> list[np.ndarray]:
    return [np.zeros((2, *port.shape), np.float32) for port in reference.inputs]


def _write_beside(path: Path, audit: dict[str, Any] | None, values: Mapping[str, Any]) -> None:
    """The audit, and what is said of the model; an audit of a file that was there before goes."""
    for name, content in (("audit", audit), ("metadata", parse_properties(write_properties(values)))):
        file = path.with_name(f"{path.name}.{name}.json")
        if content is None:
            file.unlink(missing_ok=True)
        else:
            write_json(file, json.loads(json.dumps(content, default=_plain)))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def bytes_of(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def refuse_path(path: Any, words: str) -> InvalidInputError:
    """The error for a path that cannot name such a file."""
    return InvalidInputError(f"`path` must name {words}. Received: path={path!r}")
