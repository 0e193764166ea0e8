"""What goes into a preset and what comes out, in words, from its metadata alone. No heavy imports: `info` reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.input_range import checked_span

OUTPUTS = {
    "classification": "logits, one for each class",
    "regression": "predictions in the units of the targets",
    "autoencoding": "reconstructions in the units of the inputs",
}
MOST = 20  # names that are listed


def input_words(metadata: Mapping[str, Any]) -> str | None:
    """What a preset takes; None where its metadata do not say.

    Example:
    >>> input_words({"input": {"shape": [8, 8, 1], "dtype": "uint8", "range": [0.0, 16.0]}})
    'raw samples of shape (8, 8, 1), uint8 values from 0 to 16 in the training data; preprocessing is part of the net'
    """
    given = _end(metadata, "input")
    if given is None:
        return None
    span = range_words(given.get("range"))
    values = f", {given.get('dtype', '')} values{span}".replace("  ", " ") if span or "dtype" in given else ""
    return f"raw samples of shape {_shape(given)}{values}; preprocessing is part of the net"


def output_words(metadata: Mapping[str, Any]) -> str | None:
    """What a preset gives; None where its metadata do not say.

    Example:
    >>> output_words({"task": "classification", "output": {"shape": [10]}})
    'logits, one for each class, shape (10)'
    """
    made = _end(metadata, "output")
    return f"{OUTPUTS.get(metadata['task'], 'raw values')}, shape {_shape(made)}" if made else None


def feature_names(metadata: Mapping[str, Any]) -> list[str]:
    """Names of the features of a table; none where the metadata do not say."""
    names = (_end(metadata, "input") or {}).get("feature_names")
    return list(map(str, names)) if isinstance(names, list) else []


def range_words(span: Any) -> str:
    """` from 0 to 16 in the training data`; nothing where no range is known."""
    try:
        span = checked_span(span)
    except InvalidInputError:  # metadata may hold anything here; what is no range says nothing
        return ""
    if span is None:
        return ""
    if isinstance(span[0], list):
        return ", each feature in a range of its own"
    return f" from {span[0]:g} to {span[1]:g} in the training data"


def some_of(names: Sequence[str], most: int = MOST) -> str:
    """Names in a row, the first of very many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _end(metadata: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    end = metadata.get(key)
    return end if isinstance(end, dict) and isinstance(end.get("shape"), list) else None


def _shape(end: Mapping[str, Any]) -> str:
    return f"({', '.join(map(str, end['shape']))})"
