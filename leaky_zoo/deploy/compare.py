"""Does a graph compute what the Keras model computes? At several batch sizes, in the scale of the output."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.runtime.onnx_file import first_line
from leaky_zoo.runtime.session import CHECK_BATCHES, RUNTIME_ERRORS, open_session, relative_error, run_rows, take_rows


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


def load_checked(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Load the model in ONNX Runtime, after ONNX's own full check.

    Raises:
        CheckFailedError: either refuses it.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckFailedError(f"The graph is not valid ONNX: {first_line(error)}") from error
    try:
        # One thread: the sums, and so the errors in the report, do not depend on the number of cores.
        return open_session(model.SerializeToString(deterministic=True), threads=1)
    except RUNTIME_ERRORS as error:
        raise CheckFailedError(f"ONNX Runtime cannot load the graph: {first_line(error)}") from error


def compare(
    session: onnxruntime.InferenceSession,
    reference: keras.Model,
    inputs: np.ndarray,
    *,
    tolerance: float,
    classifier: bool,
    golden: tuple[np.ndarray, np.ndarray] | None = None,
    golden_tolerance: float | None = None,
) -> Comparison:
    """Compare a graph with the model it was made from.

    Args:
        session: the graph.
        reference: the model.
        inputs: raw float32 samples, used in turn.
        tolerance: largest `max |d| / max |ref|`.
        classifier: whether the largest output must be the same; one tied with the largest to within rounding will do.
        golden: inputs and the outputs they must give. Default None.
        golden_tolerance: for the golden pairs. Default None: `tolerance`.

    Raises:
        CheckFailedError: an error beyond the tolerance, or another class; the message gives the numbers.
    """
    errors, agree = {}, True
    for batch in CHECK_BATCHES:
        rows = take_rows(inputs, batch)
        expected = np.asarray(reference.predict_on_batch(rows.astype(reference.inputs[0].dtype)))
        found = _run(session, rows)
        errors[batch] = relative_error(found, expected)
        _require(errors[batch], tolerance, f"At batch size {batch} the graph does not agree with Keras")
        agree = agree and (not classifier or same_labels(found, expected, tolerance))
    if not agree:
        raise CheckFailedError("The graph gives some sample another class than Keras does.")
    golden_error = None
    if golden is not None:
        golden_error = relative_error(_run(session, golden[0]), golden[1])
        _require(golden_error, golden_tolerance or tolerance, "The golden pairs are not reproduced")
    return Comparison(errors, golden_error, agree if classifier else None)


def same_labels(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether each row's largest output is at the same place, or at one that ties with it to `2 tolerance max |ref|`.

    Two classes that share their weights tie exactly; rounding then chooses, in Keras as in ONNX Runtime.
    """
    chosen = np.take_along_axis(expected, found.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return bool(np.all(expected.max(axis=-1) - chosen <= 2 * tolerance * np.max(np.abs(expected))))


def _run(session: onnxruntime.InferenceSession, rows: np.ndarray) -> np.ndarray:
    try:
        return run_rows(session, rows)
    except RUNTIME_ERRORS as error:
        raise CheckFailedError(f"ONNX Runtime cannot run {len(rows)} samples: {first_line(error)}") from error


def _require(error: float, tolerance: float, sentence: str) -> None:
    if not error <= tolerance:
        raise CheckFailedError(f"{sentence}: relative error {error:.3g}, tolerance {tolerance:.3g}.")


def as_recorded(tolerance: float) -> dict[str, Any]:
    """What `leaky_zoo.check` says of the comparison that the file has passed.

    Neither times nor measured errors, which differ between processors: the same model gives the same bytes anywhere.
    """
    return {"batches": list(CHECK_BATCHES), "onnxruntime": onnxruntime.__version__, "tolerance": tolerance}
