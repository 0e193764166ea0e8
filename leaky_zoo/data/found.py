"""What a reader finds in a source, before anybody decides what its targets are: splits of samples, names, notes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

CHUNK = 4096  # samples looked at together, so that no copy of everything is made


@dataclass(frozen=True)
class Chunked:
    """Samples that are not held: read in order, as often as asked.

    Attributes:
        shape: `(samples, ...)`.
        dtype: of the samples.
        read: gives an iterator over arrays of successive samples.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], Iterator[np.ndarray]] = field(repr=False)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Axes, that of the samples included."""
        return len(self.shape)


Samples: TypeAlias = np.ndarray | Chunked


@dataclass(frozen=True)
class Found:
    """A source as it was found.

    Attributes:
        name: what `--data` said.
        splits: `{split: (x, y)}`, raw; `y` is None where there are no targets.
        class_names: names of classes `0..k-1` where the source has them (folders, TFDS), else None.
        feature_names: names of the columns of a table, or None.
        target: name of the target, for messages. Default "y".
        notes: sentences about how it was read.
        files: `(path, bytes, time of change)` of what was read, by which a converted copy is known again.
    """

    name: str
    splits: dict[str, tuple[Samples, np.ndarray | None]] = field(repr=False)
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target: str = "y"
    notes: tuple[str, ...] = ()
    files: tuple[tuple[str, int, int], ...] = field(default=(), repr=False)


def chunks(samples: Samples) -> Iterator[np.ndarray]:
    """The samples in parts, in order.

    Example:
    >>> [len(part) for part in chunks(np.zeros((5000, 2)))]
    [4096, 904]
    """
    if isinstance(samples, Chunked):
        yield from samples.read()
        return
    size = rows_at_once(samples.shape)
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def rows_at_once(shape: tuple[int, ...]) -> int:
    """How many samples are looked at together: at most `CHUNK`, and no more than a million numbers.

    Example:
    >>> rows_at_once((50_000, 32, 32, 3)), rows_at_once((10, 4))
    (341, 4096)
    """
    return max(1, min(CHUNK, 2**20 // max(1, math.prod(shape[1:]))))


def part_of(samples: Any, rows: slice) -> Any:
    """A range of samples: of an array a view, of streamed samples the same without reading them.

    Example:
    >>> part_of(np.arange(5), slice(1, 3)).tolist()
    [1, 2]
    """
    return samples.view_rows(rows) if hasattr(samples, "view_rows") else samples[rows]


def stamps(*paths: Any) -> tuple[tuple[str, int, int], ...]:
    """Path, size and time of change of each file, as `Found.files` takes them."""
    found = [(path, path.stat()) for path in paths]
    return tuple((str(path.resolve()), state.st_size, state.st_mtime_ns) for path, state in found)
