"""Samples as people have them: arrays, tensors, lists, dicts by input, TensorFlow's datasets."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line


class Samples:
    """Samples of a model's inputs, in the structure that the model takes.

    Args:
        structure: an array, or a list or dict of arrays, with equally many rows.

    Attributes:
        structure: as given.
        count: rows.

    Example:
    >>> Samples.of([np.ones((3, 2)), np.ones((3, 4))]).rows(0, 2)[1].shape
    (2, 4)
    """

    def __init__(self, structure: Any) -> None:
        self.structure = structure
        lengths = {len(array) for array in keras.tree.flatten(structure)}
        if len(lengths) > 1:
            raise InvalidInputError(f"Each input must have equally many samples. Received: {sorted(lengths)}")
        self.count = lengths.pop()
        if not self.count:
            raise InvalidInputError("There is no sample to analyse. Received: x of length 0")

    @classmethod
    def of(cls, x: Any) -> "Samples":
        """From an array, a list of numbers, a tensor; a list of arrays or a dict by name for several inputs.

        Raises:
            InvalidInputError: no samples, inputs of different lengths, or no numbers.
        """
        if isinstance(x, Mapping):
            if not x:
                raise InvalidInputError("There is no sample to analyse. Received: an empty dict")
            return cls({name: as_array(each) for name, each in x.items()})
        several = isinstance(x, list | tuple) and len(x) > 0 and all(_is_array(each) for each in x)
        shapes = {tuple(each.shape) for each in x} if several else set()
        # A list of equal samples, each an array without a batch, is a batch.
        if several and (len(shapes) > 1 or all(len(shape) > 1 for shape in shapes)):
            return cls([as_array(each) for each in x])
        return cls(as_array(x))

    def rows(self, start: int, stop: int) -> Any:
        """These rows of each input, in the same structure."""
        return keras.tree.map_structure(lambda array: array[start:stop], self.structure)


def as_array(x: Any) -> np.ndarray:
    """Numbers in any form as an array with one row for each sample.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        array = np.asarray(x)
    except Exception as error:  # ragged lists, tensors on other devices
        raise InvalidInputError(f"Samples must be arrays of numbers: {one_line(error)}.") from error
    if array.ndim == 0 or array.dtype.kind == "O":
        raise InvalidInputError(
            f"Samples must be arrays with one row for each sample. Received: {type(x).__name__}, dtype={array.dtype}"
        )
    return array


def from_dataset(x: Any, y: Any, rank: int | None) -> tuple[Any, Any]:
    """Whole arrays from a `tf.data.Dataset` of samples, or of samples and targets; everything else as it is.

    Args:
        x: the dataset.
        y: targets, where they are given apart.
        rank: axes of a batch that the model takes, to see whether the dataset is batched; None if unknown.

    Raises:
        InvalidInputError: it never ends, or holds nothing.
    """
    batches = isinstance(x, keras.utils.PyDataset)
    if not batches and not (hasattr(x, "element_spec") and hasattr(x, "as_numpy_iterator")):
        return x, y
    if (x.num_batches is None) if batches else int(x.cardinality()) == -1:
        raise InvalidInputError("The dataset never ends: take a number of batches of it.")
    elements = [x[number] for number in range(x.num_batches)] if batches else list(x.as_numpy_iterator())
    if not elements:
        raise InvalidInputError("There is no sample to analyse. Received: an empty dataset")
    pairs = isinstance(elements[0], tuple) and len(elements[0]) > 1
    inputs = [each[0] for each in elements] if pairs else [e[0] if isinstance(e, tuple) else e for e in elements]
    single = not batches and rank is not None and np.ndim(keras.tree.flatten(inputs[0])[0]) == rank - 1
    join = np.stack if single else np.concatenate
    whole = keras.tree.map_structure(lambda *parts: join(parts), *inputs)
    # Targets of several outputs are no labels: nothing here is measured by them.
    given = y is None and pairs and not isinstance(elements[0][1], Mapping | list | tuple)
    return whole, join([each[1] for each in elements]) if given else y


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")
