"""Giving a file its metadata back, where a tool has dropped it. Needs onnx and onnxruntime, no TensorFlow."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import replacing
from leaky_zoo.runtime.metadata import PREFIX, parse_properties, schema_version_of, to_json
from leaky_zoo.runtime.onnx_file import external_locations, first_line, properties, read_model
from leaky_zoo.runtime.several import unpack_pairs

if TYPE_CHECKING:
    import onnx


def attach_metadata(
    stripped: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    tolerance: float | None = None,
) -> dict[str, Any]:
    """Copy the metadata of one file into another that computes the same.

    Before anything is written, the other file's first output is compared with the golden pairs that the source carries.
    A reference for monitoring is copied only if the file still has its output. This project.

    Args:
        stripped: the `.onnx` file without our metadata, as an optimiser, a converter or a quantiser left it.
        source: an `.onnx` file that has it.
        out: where to write. Default None: in place of `stripped`.
        tolerance: largest `max |d| / max |ref|`, in (0, 1); it becomes the one that the written file is verified with.
            Default None: the source's own, which a quantised file does not meet.

    Returns:
        `{"path", "properties", "relative_error", "tolerance", "left_out"}`.

    Raises:
        InvalidInputError: one of them is no ONNX model, the source carries no metadata or golden pairs, the other
            carries ours already or keeps tensors outside the file, or the tolerance is out of range.
        CheckFailedError: the outputs do not agree; nothing is written.

    Example:
    >>> attach_metadata("slim.onnx", "digits.onnx")["relative_error"]  # doctest: +SKIP
    1.2e-07
    """
    if tolerance is not None and not (isinstance(tolerance, int | float) and 0 < tolerance < 1):
        raise InvalidInputError(f"`tolerance` must be in (0, 1), or None. Received: tolerance={tolerance!r}")
    model, original = read_model(stripped), read_model(source)
    if any(key.startswith(PREFIX) for key in properties(model)):
        raise InvalidInputError(f"{stripped} carries metadata of ours already; it is not overwritten.")
    if external_locations(model):
        raise InvalidInputError(f"{stripped} keeps tensors outside the file; only whole files are read.")
    given = properties(original)
    values = parse_properties(given)
    if PREFIX + "golden" not in values:
        raise InvalidInputError(f"{source} carries no golden pairs of ours, so nothing can be checked.")
    check = values.get(PREFIX + "check")
    check = check if isinstance(check, dict) else {}
    stated = check.get("tolerance")
    allowed = tolerance or (stated if isinstance(stated, float) and 0 < stated < 1 else 1e-5)
    error = _compare(model, Path(stripped), values[PREFIX + "golden"], allowed)
    left_out = _drop_what_is_gone(model, given, values)
    given[PREFIX + "check"] = to_json({**check, "tolerance": allowed}, "check")
    _write(model, original, given, Path(out or stripped))
    return {
        "path": str(out or stripped),
        "properties": len(given),
        "relative_error": error,
        "tolerance": allowed,
        "left_out": left_out,
    }


def _compare(model: "onnx.ModelProto", path: Path, golden: Any, allowed: float) -> float:
    """The largest relative error of the outputs on the golden pairs."""
    from leaky_zoo.runtime.session import RUNTIME_ERRORS, open_session, relative_error, run_named

    try:
        session = open_session(model.SerializeToString(), threads=1)
    except RUNTIME_ERRORS as error:
        raise InvalidInputError(f"{path} cannot be loaded: {first_line(error)}") from error
    inputs, outputs = ([each.name for each in side] for side in (session.get_inputs(), session.get_outputs()))
    rows, expected = unpack_pairs(golden, inputs, outputs)
    try:
        found = run_named(session, rows, list(expected), 60.0)
    except (*RUNTIME_ERRORS, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be run on the golden inputs: {first_line(error)}") from error
    difference = max(
        relative_error(found[name], values) if isinstance(found[name], np.ndarray) else float("inf")
        for name, values in expected.items()
    )
    if not difference <= allowed:
        raise CheckFailedError(
            f"{path} does not compute what the metadata is about: on the golden pairs its relative error is "
            f"{difference:.3g}, tolerance {allowed:.3g}. Nothing was written."
        )
    return difference


def _drop_what_is_gone(model: "onnx.ModelProto", given: dict[str, str], values: dict[str, Any]) -> list[str]:
    """Leave out the reference of an output that the graph does not have any more."""
    reference = values.get(PREFIX + "reference")
    watched = reference.get("output") if isinstance(reference, dict) else None
    if reference is None or watched in [output.name for output in model.graph.output]:
        return []
    del given[PREFIX + "reference"]
    rest = {key.removeprefix(PREFIX): value for key, value in values.items() if key != PREFIX + "reference"}
    del given[PREFIX + "schema_version"]
    given[PREFIX + "schema_version"] = schema_version_of(rest)
    return [PREFIX + "reference"]


def _write(model: "onnx.ModelProto", original: "onnx.ModelProto", given: dict[str, str], path: Path) -> None:
    from leaky_zoo.runtime.verify import verify_onnx

    for key, value in given.items():
        model.metadata_props.add(key=key, value=value)
    model.doc_string = model.doc_string or original.doc_string
    model.domain = model.domain or original.domain
    with replacing(path) as aside:
        aside.write_bytes(model.SerializeToString(deterministic=True))
        bad = [check for check in verify_onnx(aside).checks if not check.passed and check.name != "audit"]
        if bad:
            words = "; ".join(f"{check.name}: {check.detail}" for check in bad)
            raise CheckFailedError(f"{path} would not verify: {words} Nothing was written.")
