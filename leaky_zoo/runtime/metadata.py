"""What a file says about itself: the keys, and how their values are written and read. Needs Python and numpy only.

Every key starts with `leaky_zoo.`; ONNX metadata is text to text, so everything but plain words is compact JSON with
sorted keys and without NaN. `metadata_schema.json`, beside this file, is the JSON Schema of what `parse_properties`
gives.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, parse_json

SCHEMA_VERSION = "1.2"
SCHEMA_VERSIONS = ("1.0", "1.1", SCHEMA_VERSION)
PREFIX = "leaky_zoo."
TEXT_KEYS = ("citation", "golden_sha256", "schema_version", "task", "weights_sha256")
JSON_KEYS = (
    "audit",
    "audit_summary",
    "check",
    "class_names",
    "compression",
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
    "reference",
    "step_sizes",
    "temperature",
)
NEW_IN_1_1 = ("audit_summary", "compression", "reference", "temperature")
NEW_INPUT_KEYS_IN_1_2 = ("feature_names", "range")
REQUIRED_KEYS = ("check", "input", "output", "preprocessing", "preset", "schema_version", "weights_sha256")
MAX_GOLDEN = 4
MAX_GOLDEN_BYTES = 256 * 1024
SCHEMA_FILE = "metadata_schema.json"


def schema_version_of(values: Mapping[str, Any]) -> str:
    """The lowest schema version that has all these short keys: older readers read what they can.

    Example:
    >>> schema_version_of({"task": "regression"}), schema_version_of({"temperature": 1.3})
    ('1.0', '1.1')
    """
    given = values.get("input")
    if isinstance(given, Mapping) and any(key in given for key in NEW_INPUT_KEYS_IN_1_2):
        return SCHEMA_VERSION
    new = any(values.get(key) is not None for key in NEW_IN_1_1)
    golden = values.get("golden")
    return "1.1" if new or (isinstance(golden, Mapping) and "dtype" in golden["inputs"]) else "1.0"


def metadata_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file's metadata as `parse_properties` gives it.

    Example:
    >>> metadata_schema()["properties"]["leaky_zoo.temperature"]["exclusiveMinimum"]
    0
    """
    return json.loads(Path(__file__).with_name(SCHEMA_FILE).read_text(encoding="utf-8"))


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

    `schema_version` comes last, the lowest that has all the keys unless `values` names one: a file cut off between two
    properties lacks it, and `parse_properties` notices.

    Raises:
        InvalidInputError: a value holds what JSON does not have.

    Example:
    >>> write_properties({"task": "regression", "effective_depth": 3.0})
    {'leaky_zoo.effective_depth': '3.0', 'leaky_zoo.task': 'regression', 'leaky_zoo.schema_version': '1.0'}
    """
    values = {"schema_version": schema_version_of(values), **values}
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


def pack_golden(inputs: np.ndarray, outputs: np.ndarray, max_bytes: int = MAX_GOLDEN_BYTES) -> dict[str, Any]:
    """Up to four pairs of samples and outputs in base64, fewer where they would pass `max_bytes`; at least one.

    Args:
        inputs: raw samples, shape `(n, *input_shape)`.
        outputs: outputs for them, shape `(n, *output_shape)`.
        max_bytes: most bytes of the inputs, before base64. Default 256 KiB. Below that default whole numbers in
            `[0, 255]` are kept as bytes, a quarter of float32's (schema 1.1).

    Returns:
        `{"inputs": {"shape", "data"}, "outputs": {"shape", "data"}}`, float32, little-endian; bytes say `"dtype"`.
    """
    values = np.asarray(inputs, dtype=np.float32)
    whole = max_bytes < MAX_GOLDEN_BYTES and bool(np.all((values >= 0) & (values <= 255) & (values == np.rint(values))))
    count = max(1, min(MAX_GOLDEN, max_bytes // ((1 if whole else 4) * max(inputs[0].size, 1))))
    return {"inputs": _pack(inputs[:count], "|u1" if whole else "<f4"), "outputs": _pack(outputs[:count], "<f4")}


def unpack_golden(golden: Any) -> tuple[np.ndarray, np.ndarray]:
    """Undo `pack_golden`.

    Raises:
        InvalidInputError: it is not what `pack_golden` writes.
    """
    try:
        inputs, outputs = _unpack(golden["inputs"]), _unpack(golden["outputs"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, binascii.Error) as error:
        raise InvalidInputError(f"The file's golden pairs are damaged: {one_line(error)}.") from error
    if not (np.isfinite(inputs).all() and np.isfinite(outputs).all()):
        raise InvalidInputError("The file's golden pairs are damaged: they hold NaN or infinity.")
    if inputs.ndim == 0 or outputs.ndim == 0 or len(inputs) != len(outputs) or len(inputs) == 0:
        raise InvalidInputError(
            f"The file's golden pairs must be equally many inputs and outputs. "
            f"Received: {inputs.shape}, {outputs.shape}"
        )
    return inputs, outputs


def _pack(values: np.ndarray, dtype: str) -> dict[str, Any]:
    data = np.ascontiguousarray(values, dtype=dtype).tobytes()
    packed = {"shape": list(values.shape), "data": base64.b64encode(data).decode("ascii")}
    return packed if dtype == "<f4" else {**packed, "dtype": "uint8"}


def _unpack(packed: dict[str, Any]) -> np.ndarray:
    kinds = {"float32": "<f4", "uint8": "|u1"}
    kind = packed.get("dtype", "float32")
    if kind not in kinds:
        raise ValueError(f"dtype {kind!r} is not read")
    flat = np.frombuffer(base64.b64decode(packed["data"], validate=True), dtype=kinds[kind])
    return flat.reshape(packed["shape"]).astype(np.float32)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not plain data")
