"""One data set in memory: named splits of raw arrays, the task they set, and the statistics a net normalises with."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks.tasks import TASKS

_SLICE = re.compile(r"^(?P<name>\w+)(\[(?P<start>\d+%?)?:(?P<stop>\d+%?)?\])?$")


@dataclass(frozen=True)
class Dataset:
    """Raw samples by split.

    Attributes:
        name: registry name, or the path of a user's file.
        config: configuration within the data set, or None.
        task: `"classification"` (integer labels) or `"regression"` (float targets, one row per sample).
        splits: `{split: (x, y)}`; `x` has one raw sample per row.
        class_names: names of the classes in label order, or None.
        normalize_features: whether each feature gets its own mean and variance (tables) or all share one (images).
    """

    name: str
    config: str | None
    task: str
    splits: dict[str, tuple[np.ndarray, np.ndarray]] = field(repr=False)
    class_names: tuple[str, ...] | None = None
    normalize_features: bool = False

    @property
    def identifier(self) -> str:
        """`name` or `name/config`, as `--data` takes it."""
        return f"{self.name}/{self.config}" if self.config else self.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return next(iter(self.splits.values()))[0].shape[1:]

    @property
    def output_size(self) -> int:
        """Number of classes or of regression outputs."""
        if self.class_names:
            return len(self.class_names)
        return max(TASKS[self.task].size_of(y) for _, y in self.splits.values())

    def select(self, split: str) -> tuple[np.ndarray, np.ndarray]:
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
        chosen = slice(_position(match["start"], 0, len(x)), _position(match["stop"], len(x), len(x)))
        if not len(x[chosen]):
            raise InvalidInputError(f"No sample of {self.identifier} is in the split. Received: split={split!r}")
        return x[chosen], y[chosen]

    def statistics(self, split: str) -> dict[str, Any]:
        """Arguments `input_mean`, `input_variance` (and, for a regression, `output_*`) of a network for this split."""
        x, y = self.select(split)
        x = x.astype(np.float64)
        axis = tuple(range(x.ndim - 1)) if self.normalize_features else None
        # A constant feature has variance zero: leave its scale alone.
        result = dict(zip(("input_mean", "input_variance"), _moments(x, axis), strict=True))
        if TASKS[self.task].standardizes:
            targets = y.reshape(len(y), -1).astype(np.float64)
            result |= dict(zip(("output_mean", "output_variance"), _moments(targets, 0), strict=True))
        return result


def content_sha256(x: np.ndarray, y: np.ndarray) -> str:
    """Hash of samples and targets, whatever they are called and whatever dtype they are stored in.

    Args:
        x: samples; hashed as float32, which is what a network sees.
        y: integer labels, hashed as int64, or targets, as float32; one for each sample.

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
    for values in (np.asarray(x), np.asarray(y)):
        labels = values is not x and np.issubdtype(values.dtype, np.integer) and values.ndim == 1
        digest.update(f"{values.shape}".encode())
        for start in range(0, len(values), 4096):
            digest.update(np.ascontiguousarray(values[start : start + 4096], "<i8" if labels else "<f4").tobytes())
    return digest.hexdigest()


def _position(text: str | None, default: int, count: int) -> int:
    if not text:
        return default
    return round(int(text[:-1]) / 100 * count) if text.endswith("%") else int(text)


def _moments(values: np.ndarray, axis: Any) -> tuple[Any, Any]:
    """Mean and variance in the seven digits of float32; 0 and 1 where data are standardised up to rounding."""
    mean, variance = values.mean(axis), values.var(axis)
    variance = np.where(variance > 1e-12, variance, 1.0)  # a constant feature keeps its scale
    mean = np.where(np.abs(mean) < 1e-6 * np.sqrt(variance), 0.0, mean)
    variance = np.where(np.abs(variance - 1) < 1e-6, 1.0, variance)
    return tuple(np.asarray(value, np.float32).astype(np.float64).tolist() for value in (mean, variance))
