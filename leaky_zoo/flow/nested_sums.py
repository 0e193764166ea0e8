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
    return _add(first, second)


def _add(first: Any, second: Any) -> Any:
    if type(first) is not type(second):
        raise ValueError(f"These sums are of different kinds: {type(first).__name__} and {type(second).__name__}.")
    if first is None:
        return None
    if isinstance(first, tuple):
        if len(first) != len(second):
            raise ValueError(f"These sums have different lengths: {len(first)} and {len(second)}.")
        return tuple(_add(a, b) for a, b in zip(first, second, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        changed = {part.name: _add(getattr(first, part.name), getattr(second, part.name)) for part in fields(first)}
        return replace(first, **changed)
    if isinstance(first, np.ndarray) and first.shape != second.shape:
        raise ValueError(f"These sums have different shapes: {first.shape} and {second.shape}.")
    return first + second


def to_arrays(value: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Every number and array of a structure by its path, as `layers.3.gram`."""
    return {path: np.asarray(leaf, dtype=np.float64) for path, leaf in _leaves(value, prefix)}


def from_arrays(like: T, arrays: dict[str, np.ndarray], prefix: str = "") -> T:
    """A structure like `like`, with the numbers of `arrays`.

    Raises:
        KeyError: an array is missing.
        ValueError: an array has another shape.
    """
    return _fill(like, arrays, prefix)


def _fill(like: Any, arrays: dict[str, np.ndarray], prefix: str) -> Any:
    if like is None:
        return None
    if isinstance(like, tuple):
        return tuple(_fill(part, arrays, f"{prefix}{index}.") for index, part in enumerate(like))
    if is_dataclass(like) and not isinstance(like, type):
        parts = {part.name: _fill(getattr(like, part.name), arrays, f"{prefix}{part.name}.") for part in fields(like)}
        return replace(like, **parts)
    found = arrays[prefix.rstrip(".")]
    if isinstance(like, np.ndarray):
        if found.shape != like.shape:
            raise ValueError(f"{prefix.rstrip('.')} has shape {found.shape}; it must have {like.shape}.")
        return found.astype(like.dtype)
    return type(like)(found.item())


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
        for index, part in enumerate(value):
            yield from _leaves(part, f"{prefix}{index}.")
    elif is_dataclass(value):
        for part in fields(value):
            yield from _leaves(getattr(value, part.name), f"{prefix}{part.name}.")
    else:
        yield prefix.rstrip("."), value
