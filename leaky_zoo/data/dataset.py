"""One data set in memory: named splits of raw arrays, the task they set, and the statistics a net normalises with."""

import hashlib
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leaky_zoo.data.found import part_of, rows_at_once
from leaky_zoo.data.inspection import LEAST_VARIANCE
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks.tasks import TASKS

_SLICE = re.compile(r"^(?P<name>\w+)(\[(?P<start>\d+%?)?:(?P<stop>\d+%?)?\])?$")


@dataclass(frozen=True)
class Dataset:
    """Raw samples by split.

    Attributes:
        name: registry name, or the path of a user's file.
        config: configuration within the data set, or None.
        task: `"classification"` (integer labels), `"regression"` (float targets, one row per sample), or None where
            there are no targets: for an autoencoder, or an analysis without momenta.
        splits: `{split: (x, y)}`; `x` has one raw sample per row, in memory or as `Rows` on the disk; `y` is None
            without targets.
        class_names: names of the classes in label order, or None.
        normalize_features: whether each feature gets its own mean and variance (tables) or all share one (images).
        feature_names: names of the features of a table, in order, or None.
        notes: sentences about how it was read: what the labels are, what was left out.
        asked: whether the task had to be said, because the targets could be labels or numbers.
        warnings: sentences about what may not be meant: constant columns, dates as numbers, a single class.
    """

    name: str
    config: str | None
    task: str | None
    splits: dict[str, tuple[Any, Any]] = field(repr=False)
    class_names: tuple[str, ...] | None = None
    normalize_features: bool = False
    feature_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    asked: bool = False

    @property
    def identifier(self) -> str:
        """`name` or `name/config`, as `--data` takes it."""
        return f"{self.name}/{self.config}" if self.config else self.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return next(iter(self.splits.values()))[0].shape[1:]

    @property
    def targets_task(self) -> str:
        """The task, where there are targets.

        Raises:
            InvalidInputError: there are none.
        """
        if self.task is None:
            raise InvalidInputError(
                f"{self.identifier} has inputs alone: name its targets (`y` in an .npz, FILE.csv:COLUMN), or train an "
                "autoencoder (network.task: autoencoding)."
            )
        return self.task

    @property
    def output_size(self) -> int:
        """Number of classes or of regression outputs.

        Raises:
            InvalidInputError: there are no targets.
        """
        task = TASKS[self.targets_task]
        return len(self.class_names) if self.class_names else max(task.size_of(y) for _, y in self.splits.values())

    @property
    def streamed(self) -> bool:
        """Whether the inputs stay on the disk."""
        return not isinstance(next(iter(self.splits.values()))[0], np.ndarray)

    def select(self, split: str) -> tuple[Any, Any]:
        """Samples of a split, or of a slice of it in TFDS's notation.

        Args:
            split: `"train"`, `"test"`, `"train[:50000]"`, `"train[90%:]"`, ...

        Returns:
            `(x, y)`.

        Raises:
            InvalidInputError: no such split, a malformed slice, or an empty one.
        """
        match = _SLICE.match(split)
        if not match or match["name"] not in self.splits:
            raise InvalidInputError(
                f"{self.identifier} has the splits {', '.join(self.splits)}, each with an optional slice such as "
                f"[:90%] or [5000:]. Received: split={split!r}"
            )
        x, y = self.splits[match["name"]]
        if any(int(part[:-1]) > 100 for part in (match["start"], match["stop"]) if part and part.endswith("%")):
            raise InvalidInputError(f"A slice in percent is within 0% to 100%. Received: split={split!r}")
        chosen = slice(_position(match["start"], 0, len(x)), _position(match["stop"], len(x), len(x)))
        if not len(range(len(x))[chosen]):
            raise InvalidInputError(f"No sample of {self.identifier} is in the split. Received: split={split!r}")
        return part_of(x, chosen), None if y is None else y[chosen]

    def statistics(self, split: str) -> dict[str, Any]:
        """Arguments `input_mean`, `input_variance` (and, for a regression, `output_*`) of a network for this split.

        Raises:
            InvalidInputError: no such split, or targets that vary by too little to be standardised.
        """
        x, y = self.select(split)
        result = dict(zip(("input_mean", "input_variance"), _moments(x, self.normalize_features), strict=True))
        if self.task is not None and TASKS[self.task].standardizes:
            targets = y.reshape(len(y), -1)
            _check_spread(self.identifier, targets)
            result |= dict(zip(("output_mean", "output_variance"), _moments(targets, True), strict=True))
        return result

    def input_range(self, split: str) -> list[Any]:
        """`[least, most]` of a split's inputs: numbers, or of a table a list each with one for each feature."""
        x, _ = self.select(split)
        axis = tuple(range(x.ndim - 1)) if self.normalize_features else None
        size = rows_at_once(x.shape)
        parts = (np.asarray(x[start : start + size]) for start in range(0, len(x), size))
        least, most = zip(*((part.min(axis), part.max(axis)) for part in parts), strict=True)
        ends = np.min(least, axis=0), np.max(most, axis=0)
        return [np.asarray(end, np.float32).astype(np.float64).tolist() for end in ends]


def content_sha256(x: Any, y: Any) -> str:
    """Hash of samples and targets, whatever they are called and whatever dtype they are stored in.

    Args:
        x: samples, in memory or on the disk; hashed as float32, which is what a network sees.
        y: integer labels, hashed as int64, or targets, as float32; one for each sample. None where there are none.

    Returns:
        SHA-256, hexadecimal, of shapes and values in order.

    Example:
    >>> x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 1])
    >>> content_sha256(x, y) == content_sha256(x.astype("float32"), y.astype("uint8"))
    True
    >>> content_sha256(x[::-1], y) == content_sha256(x, y)
    False
    """
    digest = hashlib.sha256()
    for values in (x, y):
        if values is None:
            continue
        labels = values is y and np.issubdtype(values.dtype, np.integer) and values.ndim == 1
        digest.update(f"{tuple(values.shape)}".encode())
        size = rows_at_once(values.shape)
        for start in range(0, len(values), size):
            digest.update(np.ascontiguousarray(values[start : start + size], "<i8" if labels else "<f4").tobytes())
    return digest.hexdigest()


def _position(text: str | None, default: int, count: int) -> int:
    if not text:
        return default
    return round(int(text[:-1]) / 100 * count) if text.endswith("%") else int(text)


def _check_spread(name: str, targets: np.ndarray) -> None:
    """Refuse targets that vary, but by less than float32 and Keras can standardise: a net would learn nothing."""
    wide = targets.astype(np.float64)
    deviation = wide.std(0)
    small = (wide.min(0) < wide.max(0)) & (deviation**2 <= LEAST_VARIANCE)
    if small.any():
        column = int(np.argmax(small))
        which = f" of output {column}" if targets.shape[1] > 1 else ""
        raise InvalidInputError(
            f"{name}: the targets{which} must have a standard deviation above {LEAST_VARIANCE**0.5:g}: give them in "
            f"other units. Received: {deviation[column]:.3g}"
        )


def _moments(values: Any, by_feature: bool) -> tuple[Any, Any]:
    """Mean and variance in the seven digits of float32; 0 and 1 where data are standardised up to rounding.

    Summed part by part, so that samples in memory and on the disk give the same.
    """
    axis = tuple(range(values.ndim - 1)) if by_feature else None
    count = math.prod(values.shape[:-1] if by_feature else values.shape)
    size = rows_at_once(values.shape)
    parts = [slice(start, start + size) for start in range(0, len(values), size)]
    mean = sum(np.asarray(values[part], np.float64).sum(axis) for part in parts) / count
    squares = (np.square(np.asarray(values[part], np.float64) - mean).sum(axis) for part in parts)
    variance = sum(squares) / count
    variance = np.where(variance > LEAST_VARIANCE, variance, 1.0)  # a constant feature keeps its scale
    mean = np.where(np.abs(mean) < 1e-6 * np.sqrt(variance), 0.0, mean)
    variance = np.where(np.abs(variance - 1) < 1e-6, 1.0, variance)
    return tuple(np.asarray(value, np.float32).astype(np.float64).tolist() for value in (mean, variance))
