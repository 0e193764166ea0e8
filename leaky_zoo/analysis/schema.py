"""The published JSON Schema of an audit, made from the dataclass: `python -m leaky_zoo.analysis.schema` writes it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.files import write_json

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
        return _adapter().validate_json(json.dumps(value, allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise InvalidInputError(f"The audit's field {place} is wrong: {first['msg']}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"The audit is not plain JSON: {error}") from error


if __name__ == "__main__":
    write_json(SCHEMA_FILE, audit_schema())
