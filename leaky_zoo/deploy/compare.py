"""Does a graph compute what the Keras model computes? At several batch sizes, in the scale of the output."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from leaky_zoo.deploy.ports import Reference
from leaky_zoo.errors import CheckFailedError
from leaky_zoo.runtime.onnx_file import first_line
from leaky_zoo.runtime.session import (
    RUNTIME_ERRORS,
    check_batches,
    open_session,
    relative_error,
    run_named,
    take_rows,
)

Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes:
        relative_errors: `max |d| / max |ref|` by batch size.
        golden_relative_error: on the given golden pairs; None without.
        labels_agree: whether the classes agree; None unless the model is a classifier.
    """

    relative_errors: dict[int, float]
    golden_relative_error: float | None
    labels_agree: bool | None


def load_checked(model: onnx.ModelProto | Path) -> onnxruntime.InferenceSession:
    """Load a model, or the file at a path, in ONNX Runtime, after ONNX's own full check.

    Raises:
        CheckFailedError: either refuses it.
    """
    try:
        onnx.checker.check_model(str(model) if isinstance(model, Path) else model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckFailedError(f"The graph is not valid ONNX: {first_line(error)}") from error
    try:
        # One thread: the sums, and so the errors in the report, do not depend on the number of cores.
        source = str(model) if isinstance(model, Path) else model.SerializeToString(deterministic=True)
        return open_session(source, threads=1)
    except RUNTIME_ERRORS as error:
        raise CheckFailedError(f"ONNX Runtime cannot load the graph: {first_line(error)}") from error


def running(session: onnxruntime.InferenceSession) -> Run:
    """A session as `compare` runs it.

    Raises:
        CheckFailedError: from the call, where ONNX Runtime cannot run the samples.
    """

    def run(rows: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            return run_named(session, rows, outputs)
        except RUNTIME_ERRORS as error:
            count = len(next(iter(rows.values())))
            raise CheckFailedError(f"ONNX Runtime cannot run {count} samples: {first_line(error)}") from error

    return run


def compare(
    run: Run,
    reference: Reference,
    inputs: Mapping[str, np.ndarray],
    *,
    tolerance: float,
    classifier: bool,
    golden: tuple[np.ndarray, np.ndarray] | None = None,
    golden_tolerance: float | None = None,
) -> Comparison:
    """Compare a graph, or another file, with the model it was made from.

    Args:
        run: gives outputs of the graph by name, from inputs by name and the names that are asked for.
        reference: the model and its ports.
        inputs: raw float32 samples by input, used in turn.
        tolerance: largest `max |d| / max |ref|` of any output.
        classifier: whether the largest output must be the same; one tied with the largest to within rounding will do.
        golden: inputs and the outputs they must give, of a model with one of each. Default None.
        golden_tolerance: for the golden pairs. Default None: `tolerance`.

    Raises:
        CheckFailedError: an error beyond the tolerance, or another class; the message gives the numbers.
    """
    errors, agree = {}, True
    for batch in check_batches(inputs):
        rows = {name: take_rows(values, batch) for name, values in inputs.items()}
        expected = reference(rows)
        found = run(rows, list(expected))
        worst = max(expected, key=lambda name: relative_error(found[name], expected[name]))
        errors[batch] = relative_error(found[worst], expected[worst])
        which = f" in {worst}" if len(expected) > 1 else ""
        _require(errors[batch], tolerance, f"At batch size {batch} the graph does not agree with Keras{which}")
        agree = agree and (not classifier or same_labels(found[worst], expected[worst], tolerance))
    if not agree:
        raise CheckFailedError("The graph gives some sample another class than Keras does.")
    golden_error = None
    if golden is not None:
        name = reference.outputs[0].name
        found = run({reference.inputs[0].name: golden[0]}, [name])
        golden_error = relative_error(found[name], golden[1])
        _require(golden_error, golden_tolerance or tolerance, "The golden pairs are not reproduced")
    return Comparison(errors, golden_error, agree if classifier else None)


def same_labels(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether each row's largest output is at the same place, or at one that ties with it to `2 tolerance max |ref|`.

    Two classes that share their weights tie exactly; rounding then chooses, in Keras as in ONNX Runtime.
    """
    chosen = np.take_along_axis(expected, found.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return bool(np.all(expected.max(axis=-1) - chosen <= 2 * tolerance * np.max(np.abs(expected))))


def _require(error: float, tolerance: float, sentence: str) -> None:
    if not error <= tolerance:
        raise CheckFailedError(f"{sentence}: relative error {error:.3g}, tolerance {tolerance:.3g}.")


def as_recorded(tolerance: float, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What `leaky_zoo.check` says of the comparison with these inputs that the file has passed.

    Neither times nor measured errors, which differ between processors: the same model gives the same bytes anywhere.
    """
    return {"batches": list(check_batches(inputs)), "onnxruntime": onnxruntime.__version__, "tolerance": tolerance}
