"""Audits of older schemas, brought up to the present one; what they did not measure is None."""

from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown


def upgraded(value: Any, current: str) -> dict[str, Any]:
    """An audit's plain data in the present schema.

    Args:
        value: what the JSON file holds.
        current: the present schema.

    Returns:
        A dict of the present schema.

    Raises:
        InvalidInputError: not an audit, or of a schema that is not known.
    """
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version == current:
        return dict(value)
    if version == "1.0":
        return _from_1_0(value, current)
    raise InvalidInputError(f"Not an audit of schema 1.0 or {current}. Received: schema_version={shown(version)}")


def _from_1_0(value: dict[str, Any], current: str) -> dict[str, Any]:
    """1.0 had paths only, no verdict, no bounds; every field it had keeps its name and meaning."""
    return {**value, "schema_version": current, "kind": "path"}
