"""Data larger than memory: converted once into TFDS's array_record files, then read by row.

TFDS's random access gives any sample by its row, so the order of the training data stays what `BatchOrder` says, a
function of (seed, pass), and a run resumes, is shared out and repeats exactly as with data in memory.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.data.cache import cache_dir, make_aside
from leaky_zoo.data.found import Samples, chunks, rows_at_once
from leaky_zoo.data.tfds_sets import quiet_tfds
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import one_line, read_json, shown

VERSION = "1.0.0"
SHARD_BYTES = 256 * 1024**2


class Rows:
    """Samples on the disk that are taken by row, like an array of which only a part is ever held.

    Args:
        source: of TFDS: takes a list of rows, gives their records.
        shape: `(samples, ...)`, of the rows from `start` on.
        dtype: of the samples in the file.
        start: first row. Default 0.
        given: dtype in which they are given. Default None: that of the file.
    """

    def __init__(self, source: Any, shape: tuple[int, ...], dtype: Any, start: int = 0, given: Any = None) -> None:
        self._source, self._start, self._stored = source, start, np.dtype(dtype)
        self.shape, self.dtype = tuple(shape), np.dtype(given or dtype)

    @property
    def ndim(self) -> int:
        """Axes, that of the samples included."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """The samples of these rows, read now."""
        if isinstance(rows, slice):
            places = range(len(self))[rows]
        else:
            places = np.atleast_1d(np.asarray(rows))  # type: ignore[assignment]
            if len(places) and not (np.min(places) >= 0 and np.max(places) < len(self)):
                raise IndexError(f"rows are in 0..{len(self) - 1}")
        return self.read([self._start + int(place) for place in places])

    def read(self, rows: list[int]) -> np.ndarray:
        """Samples by their rows in the file.

        Raises:
            CheckFailedError: the converted copy is damaged.
        """
        part = np.empty((len(rows), *self.shape[1:]), self.dtype)
        size = rows_at_once(self.shape)
        for start in range(0, len(rows), size):
            try:
                records = self._source.__getitems__(rows[start : start + size])
            except Exception as error:  # whatever the readers say of files that were cut or removed
                raise CheckFailedError(f"The streamed copy of the data is damaged: {one_line(error)}.") from error
            for place, record in enumerate(records, start):
                part[place] = record["x"]
        return part

    def view_rows(self, rows: slice) -> "Rows":
        """The samples of a range of rows, without reading them."""
        start, stop, _ = rows.indices(len(self))
        shape = (max(stop - start, 0), *self.shape[1:])
        return Rows(self._source, shape, self._stored, self._start + start, self.dtype)

    def astype(self, dtype: Any, copy: bool = True) -> "Rows":
        """The same samples in another dtype, without reading them."""
        return Rows(self._source, self.shape, self._stored, self._start, dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise InvalidInputError(
            f"These {len(self):,} samples are streamed and not held in memory, which this needs: leave out `stream`."
        )


def converted(
    key: dict[str, Any],
    splits: dict[str, tuple[Samples, np.ndarray | None]],
    look: Any,
) -> tuple[dict[str, tuple[Rows, np.ndarray | None]], list[str]]:
    """Splits as rows on the disk, converted into the cache unless they are there.

    Args:
        key: plain data that tell this source, as it is read, from all others.
        splits: inputs (of which no more than a part is held at once) and encoded targets.
        look: called with nothing before a conversion; its sentences are kept with the copy.

    Returns:
        `{split: (Rows, y)}`, `y` mapped from the disk, and the kept sentences.

    Raises:
        WriteFailedError: the cache is full or cannot be written.
    """
    about = {
        "key": key, "version": VERSION,
        "splits": {
            split: [list(x.shape), x.dtype.str, None if y is None else _digest(y)] for split, (x, y) in splits.items()
        },
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    target = cache_dir() / "streams" / digest
    said = target / "said.json"
    if not said.is_file():
        sentences = look()
        make_aside(target, said.is_file, lambda aside: _write(aside, splits, sentences))
    with quiet_tfds() as tfds:
        builder = tfds.builder_from_directory(str(target))
        sources = {split: builder.as_data_source(split=split) for split in splits}
    rows: dict[str, tuple[Rows, np.ndarray | None]] = {}
    for split, (x, y) in splits.items():
        if len(sources[split]) != len(x):
            raise CheckFailedError(f"{target} is not whole: remove it, and it is made again.")
        targets = None if y is None else np.load(target / f"{split}.npy", mmap_mode="r")
        rows[split] = (Rows(sources[split], x.shape, x.dtype), targets)
    return rows, read_json(said)


def _write(aside: Path, splits: dict[str, tuple[Samples, np.ndarray | None]], sentences: list[str]) -> Path:
    folder = aside / "made"
    folder.mkdir()
    x, _ = next(iter(splits.values()))
    with quiet_tfds() as tfds:
        tensor = tfds.features.Tensor(shape=x.shape[1:], dtype=x.dtype, encoding=tfds.features.Encoding.BYTES)
        identity = tfds.core.dataset_info.DatasetIdentity("stream", tfds.core.Version(VERSION), str(folder), "")
        info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict({"x": tensor}))
        size = max(1, int(np.prod(x.shape[1:], dtype=int)) * x.dtype.itemsize)
        writer = tfds.core.SequentialWriter(info, max(1, SHARD_BYTES // size), file_format="array_record")
        writer.initialize_splits(list(splits))
        for split, (samples, targets) in splits.items():
            for part in chunks(samples):
                writer.add_examples({split: [{"x": sample} for sample in _native(part, x.dtype)]})
            writer.close_splits([split])
            if targets is not None:
                np.save(folder / f"{split}.npy", targets)
    write_json(folder / "said.json", sentences)
    return folder


def _native(part: np.ndarray, dtype: np.dtype) -> Iterator[np.ndarray]:
    yield from np.ascontiguousarray(part, dtype)


def _digest(y: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(y).tobytes()).hexdigest() + shown(y.dtype.str)
