"""The published JSON Schema of an audit, made from the dataclass: `python -m leaky_zoo.analysis.schema` writes it."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from leaky_zoo.analysis.audit import SCHEMA_VERSION, Audit
from leaky_zoo.io.files import write_json

SCHEMA_FILE = Path(__file__).with_name("audit_schema.json")


def audit_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `Audit.to_dict()`.

    >>> audit_schema()["properties"]["n"]["type"]
    'integer'
    """
    schema = TypeAdapter(Audit).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"leaky-zoo audit, schema {SCHEMA_VERSION}",
        **{key: value for key, value in schema.items() if key != "title"},
    }


if __name__ == "__main__":
    write_json(SCHEMA_FILE, audit_schema())
