"""Sums that add: nested dataclasses of float64 arrays, added, sent and stored without knowing what they hold.

Everything an analysis collects over samples is additive, so batches, replicas, workers and processes merge by one
function, and one vector or one `.npz` file carries it.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def add(first: T, second: T) -> T:
    """The sum of two values of the same structure: numbers, arrays, None, tuples and dataclasses of such.

    Raises:
        ValueError: the structures differ.

    Example:
    >>> add((1, np.ones(2), None), (2, np.ones(2), None))
    (3, array([2., 2.]), None)
    """
    if (first is None) != (second is None) or type(first) is not type(second):
        raise ValueError(f"These sums are of different kinds: {type(first).__name__} and {type(second).__name__}.")
    if first is None:
        return first
    if isinstance(first, tuple):
        if len(first) != len(second):  # type: ignore[arg-type]
            raise ValueError(f"These sums have different lengths: {len(first)} and {len(second)}.")  # type: ignore[arg-type]
        return tuple(add(a, b) for a, b in zip(first, second, strict=True))  # type: ignore[return-value, arg-type]
    if is_dataclass(first):
        changed = {part.name: add(getattr(first, part.name), getattr(second, part.name)) for part in fields(first)}
        return replace(first, **changed)  # type: ignore[type-var]
    if isinstance(first, np.ndarray) and first.shape != second.shape:  # type: ignore[attr-defined]
        raise ValueError(f"These sums have different shapes: {first.shape} and {second.shape}.")  # type: ignore[attr-defined]
    return first + second  # type: ignore[operator]


def to_arrays(value: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Every number and array of a structure by its path, as `layers.3.gram`."""
    return {path: np.asarray(leaf, dtype=np.float64) for path, leaf in _leaves(value, prefix)}


def from_arrays(like: T, arrays: dict[str, np.ndarray], prefix: str = "") -> T:
    """A structure like `like`, with the numbers of `arrays`.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has another shape.
    """
    if like is None:
        return like
    if isinstance(like, tuple):
        return tuple(from_arrays(part, arrays, f"{prefix}{row}.") for row, part in enumerate(like))  # type: ignore[return-value]
    if is_dataclass(like):
        changed = {
            part.name: from_arrays(getattr(like, part.name), arrays, f"{prefix}{part.name}.") for part in fields(like)
        }
        return replace(like, **changed)  # type: ignore[type-var]
    found = arrays[prefix.rstrip(".")]
    if isinstance(like, np.ndarray):
        if found.shape != like.shape:
            raise ValueError(f"{prefix.rstrip('.')} has shape {found.shape}; it must have {like.shape}.")
        return found.astype(like.dtype)  # type: ignore[return-value]
    return type(like)(found.item())  # type: ignore[call-arg]


def to_vector(value: Any) -> np.ndarray:
    """All numbers of a structure in one float64 vector, for an all-reduce."""
    return np.concatenate([array.ravel() for array in to_arrays(value).values()])


def from_vector(like: T, vector: np.ndarray) -> T:
    """The inverse of `to_vector`, for a structure like `like`."""
    arrays, start = {}, 0
    for path, array in to_arrays(like).items():
        arrays[path] = vector[start : start + array.size].reshape(array.shape)
        start += array.size
    return from_arrays(like, arrays)


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    if isinstance(value, tuple):
        for row, part in enumerate(value):
            yield from _leaves(part, f"{prefix}{row}.")
    elif is_dataclass(value):
        for part in fields(value):
            yield from _leaves(getattr(value, part.name), f"{prefix}{part.name}.")
    else:
        yield prefix.rstrip("."), value
