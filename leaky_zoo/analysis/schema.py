"""The published JSON Schema of an audit, made from the dataclass: `python -m leaky_zoo.analysis.schema` writes it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import shown
from leaky_zoo.layers.step_sizes import is_trace

SCHEMA_FILE = Path(__file__).with_name("audit_schema.json")


@cache
def _adapter() -> TypeAdapter[Audit]:
    return TypeAdapter(Audit)


def audit_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `Audit.to_dict()`.

    >>> audit_schema()["properties"]["n"]["type"]
    'integer'
    """
    schema = _adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"leaky-zoo audit, schema {SCHEMA_VERSION}",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def read_audit(value: dict[str, Any]) -> Audit:
    """An audit from plain data of the present schema.

    Raises:
        InvalidInputError: a field is missing, unknown or of another type; the message names it.
    """
    try:
        audit = _adapter().validate_json(json.dumps(value, allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise InvalidInputError(f"The audit's field {place} is wrong: {first['msg']}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"The audit is not plain JSON: {error}") from error
    for name, part, keys in (("model", audit.model, ("name",)), ("data", audit.data, ("name", "split"))):
        missing = [key for key in keys if key not in part]
        if missing:
            raise InvalidInputError(f"The audit's field {name}.{missing[0]} is missing.")
    if audit.kind == "path":
        for key, kind in (("effective_depth", int | float), ("depth", int), ("schedule", str)):
            if not isinstance(audit.model.get(key), kind):
                raise InvalidInputError(f"The audit's field model.{key} is wrong: {shown(audit.model.get(key))}")
        trace = audit.model.get("step_size_trace")
        if not (trace is None or is_trace(trace, len(audit.layers))):
            raise InvalidInputError(f"The audit's field model.step_size_trace is wrong: {shown(trace)}")
        for row, layer in enumerate(audit.layers):
            if layer.step_size is None or layer.position is None or not layer.weight_singular_values:
                raise InvalidInputError(
                    f"The audit's field layers.{row} lacks its step or the weights' singular values."
                )
    return audit


if __name__ == "__main__":
    write_json(SCHEMA_FILE, audit_schema())
