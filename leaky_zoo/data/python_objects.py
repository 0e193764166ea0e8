"""Data as Python holds them: numpy, lists, tensors, `tf.data.Dataset`, Keras's `PyDataset`, frames of pandas."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from leaky_zoo.data.found import Chunked, Found
from leaky_zoo.data.inspection import first_missing
from leaky_zoo.data.npz_file import find_roles
from leaky_zoo.data.table_file import frame_arrays
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, shown

SPLITS = ("train", "validation", "test")
ACCEPTED = (
    "an array or anything that numpy takes as one, a pair (x, y), a mapping of arrays or of splits, a tf.data.Dataset, "
    "a keras PyDataset, or a frame of pandas with `target`"
)


def find_objects(data: Any, target: str | Sequence[str] | None = None) -> Found:
    """Samples and targets of Python objects.

    Args:
        data: `x`, a tuple `(x, y)`, a mapping with the names that `.npz` files have, a mapping
            `{"train": (x, y), "test": (x, y)}`, a finite `tf.data.Dataset` or `PyDataset` (batched or not), or a frame.
        target: columns of a frame that are to be predicted. Default None: none.

    Returns:
        What they hold.

    Raises:
        InvalidInputError: nothing of these, or an endless data set.

    Example:
    >>> find_objects(([[0.0, 1.0], [2.0, 3.0]], [0, 1])).splits["train"][0].shape
    (2, 2)
    """
    if _is_frame(data):
        return frame_arrays(data, target)
    if target is not None:
        raise InvalidInputError(f"`target` names a column of a frame or a file. Received: {type(data).__name__}")
    if isinstance(data, Mapping):
        if data and set(data) <= set(SPLITS) and not hasattr(data[next(iter(data))], "dtype"):
            splits: dict[str, tuple[Any, Any]] = {split: _pair(data[split]) for split in SPLITS if split in data}
        else:
            held = {str(name): plain_array(value, str(name)) for name, value in data.items()}
            roles = find_roles("The mapping", list(held))
            splits = {
                split: (held[roles[split, "x"]], held[roles[split, "y"]] if (split, "y") in roles else None)
                for split, role in roles
                if role == "x"
            }
        return Found("arrays", splits)
    x, y = _pair(data)
    names = tuple(map(str, data[0].columns)) if isinstance(data, tuple) and _is_frame(data[0]) else None
    return Found("arrays", {"train": (x, y)}, None, names)


def arrays(x: Any, y: Any = None, rank: int | None = None) -> tuple[Any, Any]:
    """`x` and `y` as numpy arrays, whatever of `find_objects` they come as; streamed samples stay as they are.

    Args:
        x: samples, or samples and targets in one.
        y: targets, if they come apart; they count before those of `x`. Default None.
        rank: axes of a batch of samples, which tell whether a `tf.data.Dataset` is batched. Default None: unknown.

    Raises:
        InvalidInputError: they are nothing of that.
    """
    if isinstance(x, np.ndarray | Chunked) or hasattr(x, "view_rows"):
        return x, None if y is None else (y if hasattr(y, "view_rows") else plain_array(y, "y"))
    if _is_batches(x) or (y is None and not _is_frame(x)):
        x, own = _pair(x, rank)
        return x, own if y is None else plain_array(y, "y")
    return plain_array(x, "x"), None if y is None else plain_array(y, "y")


def plain_array(value: Any, name: str) -> np.ndarray:
    """A numpy array of numbers or texts.

    Raises:
        InvalidInputError: rows of unequal length, or objects.
    """
    if _is_frame(value) or type(value).__module__.startswith("pandas"):
        value = value.to_numpy()
    if hasattr(value, "detach"):  # a tensor of PyTorch, wherever it is
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidInputError(f"`{name}` is not an array: {one_line(error)}.") from error
    # numpy makes a text of a NaN among texts.
    objects = np.array(value, object) if array.dtype.kind == "U" and isinstance(value, list | tuple) else array
    row = first_missing(objects) if array.ndim else None
    if row is not None:
        raise InvalidInputError(f"`{name}` has no value in sample {row}.")
    if array.dtype.kind == "O":
        kinds = {type(item) for item in array.ravel()[:1000].tolist()}
        if kinds <= {str}:
            return array.astype(str)
        try:
            return np.array(array.tolist())
        except ValueError as error:
            raise InvalidInputError(f"`{name}` is not an array: {one_line(error)}.") from error
    return array


def _is_batches(data: Any) -> bool:
    """Whether it is a `tf.data.Dataset` or a Keras `PyDataset`; neither is imported for that."""
    keras, tensorflow = sys.modules.get("keras"), sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(data, tensorflow.data.Dataset):
        return True
    return keras is not None and isinstance(data, keras.utils.PyDataset)


def _pair(data: Any, rank: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    if hasattr(data, "element_spec") and _is_batches(data):
        return _tf_data(data, rank)
    if _is_batches(data):
        if data.num_batches is None:
            raise InvalidInputError("An endless PyDataset cannot be read: give it `__len__`.")
        return _batches(data[row] for row in range(data.num_batches))
    if isinstance(data, tuple) and len(data) in (1, 2):
        return plain_array(data[0], "x"), plain_array(data[1], "y") if len(data) == 2 else None
    if data is None or isinstance(data, str | bytes | int | float | tuple) or callable(data):
        raise InvalidInputError(f"Data are {ACCEPTED}. Received: {shown(data)}")
    return plain_array(data, "x"), None


def _tf_data(data: Any, rank: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    if data.cardinality() == -1:
        raise InvalidInputError("An endless tf.data.Dataset cannot be read: leave out `repeat`, or `take` a number.")
    spec = data.element_spec
    if isinstance(spec, Mapping):
        roles = find_roles("The elements", list(spec))
        names = [name for name in (roles.get(("train", "x")), roles.get(("train", "y"))) if name]
        data = data.map(lambda element: tuple(element[name] for name in names))
        spec = data.element_spec
    batched = _is_batched([each.shape for each in (spec if isinstance(spec, tuple) else (spec,))[:2]], rank)
    elements = (element if isinstance(element, tuple) else (element,) for element in data.as_numpy_iterator())
    if batched:
        return _batches(elements)
    rows = list(elements)
    if not rows:
        raise InvalidInputError("The tf.data.Dataset has no element.")
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return columns[0], columns[1] if len(columns) > 1 else None


def _is_batched(shapes: Sequence[Any], rank: int | None) -> bool:
    """Whether elements of these shapes, of samples and maybe targets, are batches; a question where both could be."""
    first = shapes[0].rank
    if rank is not None:
        return bool(first == rank)
    if first is None or first < 2 or any(shape.rank == 0 for shape in shapes):
        return bool(first) and shapes[0][0] is None  # a batch without features is none; nor are scalars
    if shapes[0][0] is None or first > 3:  # samples have at most three axes
        return True
    if len(shapes) == 1 or shapes[0][0] != shapes[1][0]:
        return False
    if shapes[1].rank > 1:
        raise InvalidInputError(
            f"Elements of the shapes {shapes[0]} and {shapes[1]} may be batches of {shapes[0][0]} or single samples: "
            "give batches made without `drop_remainder`, or arrays."
        )
    return True


def _batches(batches: Iterable[Any]) -> tuple[np.ndarray, np.ndarray | None]:
    xs, ys = [], []
    for batch in batches:
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        xs.append(plain_array(parts[0], "x"))
        if len(parts) > 1:
            ys.append(plain_array(parts[1], "y"))
    if not xs:
        raise InvalidInputError("The data set has no batch.")
    return np.concatenate(xs), np.concatenate(ys) if ys else None


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "iloc")
