"""What a file says about itself: the keys, and how their values are written and read. Needs Python and numpy only.

Every key starts with `leaky_zoo.`; ONNX metadata is text to text, so everything but plain words is compact JSON with
sorted keys and without NaN.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, parse_json

SCHEMA_VERSION = "1.0"
PREFIX = "leaky_zoo."
TEXT_KEYS = ("citation", "golden_sha256", "schema_version", "task", "weights_sha256")
JSON_KEYS = (
    "audit",
    "check",
    "class_names",
    "dataset",
    "effective_depth",
    "external_data",
    "golden",
    "input",
    "inputs",
    "metrics",
    "output",
    "outputs",
    "preprocessing",
    "preset",
    "step_sizes",
)
REQUIRED_KEYS = ("check", "input", "output", "preprocessing", "preset", "schema_version", "weights_sha256")
MAX_GOLDEN = 4
MAX_GOLDEN_BYTES = 256 * 1024


def to_json(value: Any, what: str) -> str:
    """Compact JSON with sorted keys; numpy numbers and arrays as lists.

    Raises:
        InvalidInputError: `value` (the argument called `what`) holds NaN, infinity or what JSON does not have.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"`{what}` must be plain data for JSON, without NaN. Received: {error}") from error


def write_properties(values: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as ONNX holds it, from values by short key; keys whose value is None are left out.

    `schema_version` comes last: a file cut off between two properties lacks it, and `parse_properties` notices.

    Example:
    >>> write_properties({"task": "regression", "effective_depth": 3.0, "schema_version": "1.0"})
    {'leaky_zoo.effective_depth': '3.0', 'leaky_zoo.task': 'regression', 'leaky_zoo.schema_version': '1.0'}
    """
    order = sorted(values, key=lambda key: (key == "schema_version", key))
    given = {key: values[key] for key in order if values[key] is not None}
    return {PREFIX + key: str(value) if key in TEXT_KEYS else to_json(value, key) for key, value in given.items()}


def parse_properties(properties: Mapping[str, str]) -> dict[str, Any]:
    """Undo `write_properties`, with full keys; what is not ours stays text.

    Raises:
        InvalidInputError: a value of ours is not JSON, or the last of our keys is missing: the file was cut off.
    """
    parsed: dict[str, Any] = {}
    for key, text in properties.items():
        parsed[key] = text
        if key.removeprefix(PREFIX) in JSON_KEYS and key.startswith(PREFIX):
            try:
                parsed[key] = parse_json(text, key)
            except InvalidInputError as error:
                raise InvalidInputError(f"The file's metadata is damaged: {error}") from error
    if any(key.startswith(PREFIX) for key in parsed) and PREFIX + "schema_version" not in parsed:
        raise InvalidInputError(f"The file's metadata is cut off: it has no {PREFIX}schema_version.")
    return parsed


def pack_golden(inputs: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    """Up to four pairs of samples and outputs as float32 in base64, fewer where they would pass 256 KiB; at least one.

    Args:
        inputs: raw samples, shape `(n, *input_shape)`.
        outputs: outputs for them, shape `(n, *output_shape)`.

    Returns:
        `{"inputs": {"shape", "data"}, "outputs": {"shape", "data"}}`, little-endian.
    """
    count = max(1, min(MAX_GOLDEN, MAX_GOLDEN_BYTES // (4 * max(inputs[0].size, 1))))
    return {"inputs": _pack(inputs[:count]), "outputs": _pack(outputs[:count])}


def unpack_golden(golden: Any) -> tuple[np.ndarray, np.ndarray]:
    """Undo `pack_golden`.

    Raises:
        InvalidInputError: it is not what `pack_golden` writes.
    """
    try:
        inputs, outputs = _unpack(golden["inputs"]), _unpack(golden["outputs"])
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInputError(f"The file's golden pairs are damaged: {one_line(error)}.") from error
    if not (np.isfinite(inputs).all() and np.isfinite(outputs).all()):
        raise InvalidInputError("The file's golden pairs are damaged: they hold NaN or infinity.")
    if inputs.ndim == 0 or outputs.ndim == 0 or len(inputs) != len(outputs) or len(inputs) == 0:
        raise InvalidInputError(
            f"The file's golden pairs must be equally many inputs and outputs. "
            f"Received: {inputs.shape}, {outputs.shape}"
        )
    return inputs, outputs


def _pack(values: np.ndarray) -> dict[str, Any]:
    data = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return {"shape": list(values.shape), "data": base64.b64encode(data).decode("ascii")}


def _unpack(packed: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(packed["data"], validate=True), dtype="<f4")
    return flat.reshape(packed["shape"]).astype(np.float32)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not plain data")
