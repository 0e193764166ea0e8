"""What an exported file takes: one input or several, by name or in order, in the dtypes of its graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.input_range import refuse_not_finite

DTYPES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class Input:
    """One input of a graph.

    Attributes:
        name: in the graph.
        shape: of one raw sample; sides that are no integers are free.
        dtype: what the graph takes.
    """

    name: str
    shape: tuple[Any, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, value: Any) -> "Input":
        """From ONNX Runtime's description.

        Raises:
            InvalidInputError: it has no batch axis, or holds no numbers.
        """
        kind = value.type.removeprefix("tensor(").removesuffix(")")
        try:
            dtype = np.dtype(DTYPES.get(kind, kind))
        except TypeError:
            dtype = np.dtype(object)
        if dtype.kind not in "buif" or not value.shape:
            raise InvalidInputError(
                f"An input must be a tensor of numbers with a batch axis. Received: {value.name}, {value.type} of "
                f"shape {tuple(value.shape)}"
            )
        return cls(value.name, tuple(value.shape)[1:], dtype)


def inputs_of(values: Sequence[Any], path: Any) -> list[Input]:
    """The inputs that a session lists.

    Raises:
        InvalidInputError: there are none.
    """
    if not values:
        raise InvalidInputError(f"{path} takes no inputs: there is nothing to predict from.")
    return [Input.of(value) for value in values]


def named_samples(inputs: Sequence[Input], x: Any, finite: bool = False) -> dict[str, np.ndarray]:
    """Raw samples as a graph takes them.

    Args:
        inputs: of the graph.
        x: samples of its one input; of several a dict by name, or a list or tuple in their order.
        finite: refuse NaN and infinity. Default False.

    Returns:
        An array for each input, equally long.

    Raises:
        InvalidInputError: other names, other shapes, numbers of samples that differ, or values that are not real, or
            not finite where they must be.

    Example:
    >>> two = [Input("a", (2,), np.dtype("float32")), Input("b", (), np.dtype("int32"))]
    >>> {name: values.dtype.name for name, values in named_samples(two, (np.ones((3, 2)), [1, 2, 3])).items()}
    {'a': 'float32', 'b': 'int32'}
    """
    names = [each.name for each in inputs]
    if isinstance(x, Mapping):
        if set(x) != set(names):
            raise InvalidInputError(
                f"`x` by name must have {', '.join(names)}. Received: {', '.join(map(str, x)) or 'none'}"
            )
        given = {name: x[name] for name in names}
    elif len(inputs) == 1:
        return {names[0]: as_samples(x, inputs[0], "x", finite)}
    elif isinstance(x, list | tuple) and len(x) == len(inputs):
        given = dict(zip(names, x, strict=True))
    else:
        received = f"{len(x)} arrays" if isinstance(x, list | tuple) else type(x).__name__
        raise InvalidInputError(
            f"The file has {len(inputs)} inputs: give a dict with {', '.join(names)}, or a tuple in that order. "
            f"Received: {received}"
        )
    found = {each.name: as_samples(given[each.name], each, f"x[{each.name!r}]", finite) for each in inputs}
    if len({len(values) for values in found.values()}) != 1:
        counts = ", ".join(f"{len(values)} of {name}" for name, values in found.items())
        raise InvalidInputError(f"All inputs must have equally many samples. Received: {counts}")
    return found


def as_samples(x: Any, taken: Input, what: str, finite: bool = False) -> np.ndarray:
    """`x` (the argument called `what`) in the dtype of an input, if it is at least one of its samples.

    Raises:
        InvalidInputError: it is not, or holds numbers that the dtype does not, or NaN or infinity where `finite`.
    """
    array = checked(x, taken.shape, what)
    if taken.dtype.kind in "iub":
        found = array.astype(taken.dtype)
        if not np.array_equal(found, array):
            raise InvalidInputError(f"`{what}` must hold {taken.dtype} numbers. Received: others, {array.dtype}")
        return np.ascontiguousarray(found)
    found = np.ascontiguousarray(array, dtype=taken.dtype)
    if finite:
        refuse_not_finite(found, what)
    return found


def as_float32(x: Any, sample_shape: Sequence[Any], what: str) -> np.ndarray:
    """`x` (the argument called `what`) as float32, if it is at least one sample of this shape.

    Raises:
        InvalidInputError: it is not; axes that the shape gives by name or as None may have any length.
    """
    return np.ascontiguousarray(checked(x, sample_shape, what), dtype=np.float32)


def checked(x: Any, sample_shape: Sequence[Any], what: str) -> np.ndarray:
    """`x` as an array, as `as_float32` takes it."""
    array = np.asarray(x)
    expected = ", ".join(["n", *map(str, sample_shape)]) + ("" if len(sample_shape) else ",")
    if array.dtype.kind not in "buif":
        raise InvalidInputError(f"`{what}` must hold real numbers. Received: {what}.dtype={array.dtype}")
    fits = array.ndim == 1 + len(sample_shape) and all(
        not isinstance(side, int) or side == given for side, given in zip(sample_shape, array.shape[1:], strict=True)
    )
    if not fits or len(array) == 0:
        raise InvalidInputError(
            f"`{what}` must have shape ({expected}), n at least 1. Received: {what}.shape={array.shape}"
        )
    return array
