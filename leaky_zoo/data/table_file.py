"""Tables: CSV and Parquet files, and the frames of pandas, with named columns of which some are targets."""

import csv
import difflib
import gzip
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.data.found import CHUNK, Chunked, Found, Samples, stamps
from leaky_zoo.data.inspection import first_missing
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, shown, shown_text

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
SPLITS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}
INDEX_NAMES = ("", "Unnamed: 0", "index", "__index_level_0__")
LONGEST = 1024**2  # characters of a line
MISSING = ("na", "n/a", "nan", "null", "none", "?", "-", ".", "missing")  # as people write that there is no value


def is_table(path: str | Path) -> bool:
    """Whether a path is named like a table that is read."""
    return str(path).lower().endswith(SUFFIXES)


def read_table(files: dict[str, Path], target: str | None, name: str, stream: bool = False) -> Found:
    """Features and targets of a table, or of one for each split.

    Args:
        files: `{split: path}` of CSV, TSV (both also `.gz`) or Parquet files with the same columns.
        target: name of the target column, or several, separated by commas. None: no targets.
        name: what `--data` said.
        stream: do not hold the features; read them in order, part by part. Default False.

    Returns:
        What they hold; features are float64 columns.

    Raises:
        InvalidInputError: no such column (the message names those there are), cells that are empty or hold text or
            dates, rows of unequal length, or pyarrow is needed and missing.
    """
    splits: dict[str, tuple[Samples, np.ndarray | None]] = {}
    notes: list[str] = []
    features: tuple[str, ...] = ()
    for split, path in files.items():
        open_parts = _parquet_parts if str(path).lower().endswith((".parquet", ".pq")) else _csv_parts
        columns, parts = open_parts(path)
        targets = _targets(path, columns, target)
        index = columns[0] if columns[0] in INDEX_NAMES and columns[0] not in targets and len(columns) > 2 else None
        if index is not None:
            notes.append(f"column {index!r} is a row number and left out" if index else "a first column without a name "
                         "is a row number and left out")  # fmt: skip
        mine = tuple(column for column in columns if column not in targets and column != index)
        if features and mine != features:
            raise InvalidInputError(f"{path} has other columns than the split before it: {_list(mine)}.")
        if not mine:
            raise InvalidInputError(f"{path} has no column beside its target. It has {_list(columns)}.")
        features = mine
        splits[split] = _read(path, parts, features, targets, stream)
    word = ",".join(targets) if targets else "y"
    return Found(name, splits, None, features, word, tuple(dict.fromkeys(notes)), stamps(*files.values()))


def frame_arrays(frame: Any, target: str | Sequence[str] | None) -> Found:
    """Features and targets of a pandas frame, as `read_table` reads a file."""
    columns = [str(column) for column in frame.columns]
    _check_columns("The frame", columns)
    asked = target if target is None or isinstance(target, str) else ",".join(target)
    targets = _targets("The frame", columns, asked)
    values = {column: frame.iloc[:, row].to_numpy() for row, column in enumerate(columns)}
    features = tuple(column for column in columns if column not in targets)
    x = np.column_stack([_feature("The frame", column, values[column], 0, bool(targets)) for column in features])
    y = _joined([_complete("The frame", column, values[column]) for column in targets]) if targets else None
    return Found("frame", {"train": (x, y)}, None, features, ",".join(targets) or "y")


Parts = Callable[[Sequence[str]], Iterator[dict[str, np.ndarray]]]


def _read(
    path: Path, parts: Parts, features: Sequence[str], targets: Sequence[str], stream: bool
) -> tuple[Samples, np.ndarray | None]:
    def rows() -> Iterator[np.ndarray]:
        start = 0
        for part in parts(features):
            yield np.column_stack([_feature(path, column, part[column], start, bool(targets)) for column in features])
            start += len(part[features[0]])

    y = None
    if targets:
        read = list(parts(targets))
        if not read:
            raise InvalidInputError(f"{path} has a header and no rows.")
        y = _joined([_cells(path, column, np.concatenate([part[column] for part in read])) for column in targets])
    if not stream:
        x = list(rows())
        if not x:
            raise InvalidInputError(f"{path} has a header and no rows.")
        return np.concatenate(x), y
    count = len(y) if y is not None else sum(len(part[features[0]]) for part in parts(features[:1]))
    return Chunked((count, len(features)), np.dtype(np.float64), rows), y


def _csv_parts(path: Path) -> tuple[list[str], Parts]:
    """Columns of a CSV file, and its cells as texts, part by part."""

    def lines() -> Iterator[str]:
        try:
            with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(LONGEST), b"")):
                    yield line.decode("utf-8-sig" if number == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{path} is not UTF-8 text: {one_line(error)}.") from error
        except (OSError, EOFError) as error:
            raise InvalidInputError(f"{path} cannot be read: {one_line(error)}.") from error

    header = next(lines(), "")
    if not header.strip():
        raise InvalidInputError(f"{path} is empty; a table needs a line of column names.")
    if "\0" in header:
        raise InvalidInputError(f"{path} is not text: its first line holds zero bytes.")
    marks = "\t" if ".tsv" in path.name.lower() else max(",;\t", key=header.count)
    columns = [name.strip() for name in next(csv.reader([header.rstrip("\r\n")], delimiter=marks))]
    if all(_is_number(name) for name in columns):
        raise InvalidInputError(
            f"{path} has no line of column names: its first line is {shown_text(header.strip(), 60)!r}."
        )
    _check_columns(path, columns)

    def parts(wanted: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        places = [columns.index(name) for name in wanted]
        start = 0
        try:
            reader = csv.reader(lines(), delimiter=marks, strict=True)
            next(reader)
            for block in _blocks(row for row in reader if row):
                for number, row in enumerate(block):
                    if len(row) != len(columns):
                        raise InvalidInputError(
                            f"{path}, row {start + number + 1}: {len(row)} cells for {len(columns)} columns."
                        )
                yield {
                    name: np.array([row[place] for row in block]) for name, place in zip(wanted, places, strict=True)
                }
                start += len(block)
        except csv.Error as error:
            raise InvalidInputError(f"{path} is not a CSV file: {one_line(error)}.") from error

    return columns, parts


def _blocks(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    iterator = iter(rows)
    while block := list(itertools.islice(iterator, CHUNK)):
        yield block


def _parquet_parts(path: Path) -> tuple[list[str], Parts]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InvalidInputError(f"{path} needs pyarrow: pip install 'leaky-zoo[pandas]'.") from error
    try:
        columns = [str(name) for name in parquet.read_schema(path).names]
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInputError(f"{path} is not a Parquet file: {one_line(error)}.") from error
    _check_columns(path, columns)

    def parts(wanted: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(CHUNK, columns=list(wanted)):
                    yield {name: _arrow(path, name, batch.column(name)) for name in wanted}
        except (pyarrow.ArrowException, OSError, KeyError) as error:
            raise InvalidInputError(f"{path} is damaged: {one_line(error)}.") from error

    return columns, parts


def _arrow(path: Path, name: str, column: Any) -> np.ndarray:
    if column.null_count:
        raise InvalidInputError(f"{path}: column {shown(name)} has empty cells; fill them or drop the rows.")
    return _native(column.to_numpy(zero_copy_only=False))


def _targets(path: Any, columns: Sequence[str], target: str | None) -> tuple[str, ...]:
    if target is None:
        return ()
    chosen = (target,) if target in columns else tuple(name.strip() for name in target.split(","))
    for name in chosen:
        if name not in columns:
            lower = {each.lower(): each for each in columns}
            near = difflib.get_close_matches(name.lower(), lower, n=1)
            meant = f"; did you mean {shown(lower[near[0]])}?" if near else "."
            raise InvalidInputError(f"{path} has no column {shown(name)}{meant} It has {_list(columns)}.")
    return chosen


def _check_columns(path: Any, columns: Sequence[str]) -> None:
    twice = next((name for name in columns if list(columns).count(name) > 1), None)
    if twice is not None:
        raise InvalidInputError(f"{path} has two columns called {shown(twice)}.")


def _cells(path: Any, name: str, cells: np.ndarray) -> np.ndarray:
    """A target column as what its texts evidently are: integers, floats, bools, or texts."""
    if cells.dtype.kind != "U":
        return cells
    texts = np.char.strip(cells)
    if (texts == "").any():
        raise InvalidInputError(f"{path}: target {shown(name)} has no value in row {int(np.argmax(texts == '')) + 1}.")
    for kind in (np.int64, np.float64):
        try:
            return texts.astype(kind)
        except (ValueError, OverflowError):
            continue
    lower = np.char.lower(texts)
    absent = np.isin(lower, MISSING)
    if absent.any() and all(map(_is_number, texts[~absent])):
        row = int(np.argmax(absent))
        raise InvalidInputError(
            f"{path}: target {shown(name)} holds numbers, and {shown(str(texts[row]))} in row {row + 1}: fill it or "
            "drop the row."
        )
    return lower == "true" if np.isin(lower, ("true", "false")).all() else texts


def _feature(path: Any, name: str, cells: np.ndarray, start: int, has_target: bool) -> np.ndarray:
    """A column of features as float64; a column of texts may be the target, where nobody named one."""
    cells = _native(cells)
    if cells.dtype.kind in "mM":
        raise InvalidInputError(
            f"{path}: column {shown(name)} holds dates; nets take numbers, such as days since the first of them."
        )
    try:
        values = cells.astype(np.float64)
    except (ValueError, TypeError):
        row = next(row for row, cell in enumerate(cells) if not _is_number(str(cell)))
        cell = str(cells[row]).strip()
        what = f"holds {shown(cell)}, which is not a number" if cell else "is empty"
        advice = "Turn columns of texts into columns of 0 and 1 (`pandas.get_dummies`), and fill empty cells."
        if cell and not has_target:
            advice = (
                f"If it is the target, name it: {shown_text(f'{path}:{name}', 120)} (of a frame: `target`). {advice}"
            )
        raise InvalidInputError(
            f"{path}: column {shown(name)} {what}, in row {start + row + 1}: nets take numbers. {advice}"
        ) from None
    if np.isnan(values).any():
        raise InvalidInputError(
            f"{path}: column {shown(name)} has no number in row {start + int(np.argmax(np.isnan(values))) + 1}."
        )
    return values


def _complete(path: Any, name: str, cells: np.ndarray) -> np.ndarray:
    """A target column of a frame, in which every row has a value."""
    row = first_missing(cells)
    if row is not None:
        raise InvalidInputError(f"{path}: the target {shown(name)} has no value in row {row + 1}.")
    return _native(cells)


def _native(values: np.ndarray) -> np.ndarray:
    """Columns of Python objects as numpy would have them: bools, numbers, texts."""
    if values.dtype.kind != "O":
        return values
    kinds = {type(value) for value in values.tolist()}
    if kinds <= {bool, np.bool_}:
        return values.astype(bool)
    if kinds <= {int, float, np.int64, np.float64}:
        return values.astype(np.int64 if kinds <= {int, np.int64} else np.float64)
    return np.array([str(value) for value in values.tolist()])


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _list(columns: Sequence[str]) -> str:
    return "the columns " + shown_text(", ".join(columns), 300)
