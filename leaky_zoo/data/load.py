"""The one place that decides what `--data` and the Python functions take, and makes a `Dataset` of it."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.arguments import naming_the_nearest, switch
from leaky_zoo.data.checks import changed
from leaky_zoo.data.dataset import Dataset
from leaky_zoo.data.found import Chunked, Found, Samples
from leaky_zoo.data.image_folder import read_image_folder
from leaky_zoo.data.inspection import look, native, warnings_of_columns, warnings_of_labels, warnings_of_splits
from leaky_zoo.data.labels import evident_task, understand
from leaky_zoo.data.npz_file import read_npz_file
from leaky_zoo.data.python_objects import find_objects
from leaky_zoo.data.registry import DATASETS, record_of
from leaky_zoo.data.table_file import SPLITS, is_table, read_table
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import existing_file, shown

FEWEST = 5  # samples that can be split
_TABLE_TARGET = re.compile(r"^(?P<path>.+?\.(csv|tsv|csv\.gz|tsv\.gz|parquet|pq)):(?P<target>.+)$", re.IGNORECASE)
ACCEPTED = ".npz, .csv:TARGET, .tsv:TARGET, .parquet:TARGET, a folder of images or of train and test tables"


@naming_the_nearest
def load_data(
    data: Any,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    task: str | None = None,
    classes: Sequence[str] | int | None = None,
    target: str | Sequence[str] | None = None,
    stream: bool = False,
    need_targets: bool = True,
) -> Dataset:
    """Load a data set: by name, from a file or a folder, or from what Python holds. This project.

    Without a test split, every fifth sample of a fixed permutation becomes one (where there are targets).

    Args:
        data: `name` or `name/config` of the registry, `tfds:NAME[/CONFIG]`, the path of an `.npz`, `FILE.csv:TARGET` or
            `FILE.parquet:TARGET`, a folder with one folder of images for each class (under `train`, `test`,
            `validation`, or not), a folder `FOLDER:TARGET` of `train.csv` and `test.csv`; or objects of Python as
            `find_objects` takes them.
        data_dir: TFDS folder to look in; nothing is written there. Default None: `TFDS_DATA_DIR`, then TFDS's own.
        task: `"classification"` or `"regression"`, where the targets could be either; `"autoencoding"` leaves them
            aside. Default None: what is evident.
        classes: of the network that is to see the data, as names in their order or as a number: labels are then read as
            that network's. Default None: those that occur.
        target: columns of a frame of pandas to predict. Default None.
        stream: keep the inputs on the disk, converted once into the cache, and read rows as they are needed.
            Default False.
        need_targets: refuse inputs alone where `task` is one with targets. Default True.

    Returns:
        The `Dataset`.

    Raises:
        InvalidInputError: nothing of this kind, data that cannot be used, targets that could be labels or numbers, or a
            data set that is neither on this machine nor can be downloaded.
        WriteFailedError: the cache cannot be written.

    Example:
    >>> digits = load_data("optical_digits/fold_0")
    >>> digits.select("test")[0].shape
    (360, 8, 8, 1)
    >>> load_data(([[0.1], [0.2], [0.3], [0.4], [0.5]], ["a", "b", "a", "b", "a"])).notes
    ('2 classes from texts: a, b',)
    """
    stream = switch("stream", stream)
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str | os.PathLike):
        if target is not None:
            raise InvalidInputError("`target` is for frames; a file's is part of its name, as data.csv:price.")
        name = os.fspath(data)
        if name.partition("/")[0] in DATASETS and not name.endswith("/"):
            return _registered(name, data_dir, task, classes, stream)
        return _understood(find(name, data_dir, stream), task, classes, stream, need_targets)
    return _understood(find_objects(data, target), task, classes, stream, need_targets)


def _registered(
    name: str,
    data_dir: str | os.PathLike[str] | None,
    task: str | None,
    classes: Sequence[str] | int | None,
    stream: bool,
) -> Dataset:
    from leaky_zoo.data.tfds_sets import read_record

    name, config, record = record_of(name)
    found = read_record(name, config, record, data_dir, stream)
    dataset = _understood(found, task or record.task, classes, stream, checked=False)
    said: tuple[str, ...] = ()
    if record.pinned and not stream:
        differ = changed(dataset.name, {split: x for split, (x, _) in dataset.splits.items()})
        if differ:
            said = (f"the pixels of {', '.join(differ)} differ from those on record: another decoder of JPEG",)
    return replace(
        dataset, name=name, config=config or None, normalize_features=record.normalize_features, warnings=said,
        asked=False,
    )  # fmt: skip


def find(name: str, data_dir: str | os.PathLike[str] | None, stream: bool) -> Found:
    """What a name, a file or a folder holds, before its targets are understood; arguments as `load_data`.

    Raises:
        InvalidInputError: as `load_data`.
    """
    if name.startswith("tfds:"):
        from leaky_zoo.data.tfds_sets import read_tfds

        return read_tfds(name.removeprefix("tfds:"), data_dir, stream)
    if name.lower().endswith(".npz"):
        return read_npz_file(existing_file(name), stream)
    match = None if _exists(name) else _TABLE_TARGET.match(name)
    path, target = (match["path"], match["target"]) if match else (name, None)
    if is_table(path):
        return read_table({"train": existing_file(path)}, target, name, stream)
    folder, _, column = (name, "", "") if _exists(name) else name.rpartition(":")
    if folder and Path(folder).is_dir():
        tables = _tables(Path(folder))
        if tables:
            return read_table(tables, column or None, name, stream)
        if column:
            raise InvalidInputError(f"{folder} holds no train.csv or train.parquet to have a target {shown(column)}.")
        return read_image_folder(Path(folder), stream)
    if _exists(name) or Path(name).suffix or os.sep in name:
        existing_file(name, "file or folder of data")
        raise InvalidInputError(f"{name} is not a kind of file that can be read here. Accepted: {ACCEPTED}.")
    from leaky_zoo.data.tfds_sets import read_record

    return read_record(*record_of(name), data_dir, stream)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def _tables(folder: Path) -> dict[str, Path]:
    """`{split: path}` of the tables train, test and validation in a folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = SPLITS.get(path.name.partition(".")[0].lower())
        if split and is_table(path) and path.is_file():
            if split in found:
                raise InvalidInputError(
                    f"{folder} has two tables for its {split} split: {found[split].name}, {path.name}."
                )
            found[split] = path
    return (
        {split: found[split] for split in ("train", "validation", "test") if split in found} if "train" in found else {}
    )


def _understood(
    found: Found,
    task: str | None,
    classes: Sequence[str] | int | None,
    stream: bool,
    need_targets: bool = True,
    checked: bool = True,
) -> Dataset:
    """Samples and targets as networks take them, with notes and warnings."""
    ordered = sorted(found.splits.items(), key=lambda pair: pair[0] != "train")  # the others are held against the first
    splits = {split: (native(found.name, x, _named(split, "x")), y) for split, (x, y) in ordered}
    _check_shapes(found, splits)
    notes = list(found.notes)
    if task == "autoencoding":
        splits = {split: (x, None) for split, (x, _) in splits.items()}
    labelled = all(y is not None for _, y in splits.values())
    names, meant, asked = found.class_names, None, False
    if labelled:
        raw = {split: _finite_targets(found, split, y) for split, (_, y) in splits.items() if y is not None}
        targets = understand(raw, task=task, classes=classes, class_names=names, what=found.target)
        splits = {split: (x, targets.values[split]) for split, (x, _) in splits.items()}
        names, meant = targets.class_names, targets.task
        asked = task is not None and found.class_names is None and targets.task != evident_task(raw)
        notes += [targets.note] if targets.note else []
    elif need_targets and task not in (None, "autoencoding"):
        raise InvalidInputError(f"{found.name} has no targets for a {task}. Received: inputs alone")
    if "test" not in splits and "train" in splits and (labelled or task == "autoencoding"):
        if checked and isinstance(splits["train"][0], np.ndarray):
            look(found.name, "x", splits["train"][0])  # before the split: rows have the numbers that the user knows
        splits = _with_test(found.name, splits)
    first = next(iter(splits))
    normalize = splits[first][0].ndim == 2

    def sentences() -> list[str]:
        if not checked:
            return []
        looks = {split: look(found.name, _named(split, "x"), x) for split, (x, _) in splits.items()}
        said = warnings_of_columns(looks[first], found.feature_names, splits[first][0].shape[1:])
        said += warnings_of_splits(looks)
        if meant == "classification":
            said += warnings_of_labels({split: y for split, (_, y) in splits.items() if y is not None}, names)
        return said

    if stream:
        from leaky_zoo.data.stream import converted

        key: dict[str, Any] = {"files": found.files, "name": found.name, "task": meant, "checked": checked}
        if not found.files:  # objects of Python: told apart by what they hold
            key["content"] = [hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest() for x, _ in splits.values()]
        splits, said = converted(key, splits, sentences)  # type: ignore[assignment]
    else:
        said = sentences()
    return Dataset(
        found.name, None, meant, dict(splits), names if labelled else None, normalize, found.feature_names,
        tuple(notes), tuple(said), asked,
    )  # fmt: skip


def _named(split: str, role: str) -> str:
    return role if split == "train" else f"{role}_{split}"


def _check_shapes(found: Found, splits: dict[str, tuple[Samples, np.ndarray | None]]) -> None:
    first = next(iter(splits.values()))[0]
    for split, (x, y) in splits.items():
        name = _named(split, "x")
        if not len(x) or 0 in x.shape or (y is not None and y.size == 0):
            raise InvalidInputError(f"{found.name}: `{name}` or its targets hold no samples.")
        if x.ndim < 2 or (y is not None and (y.ndim == 0 or len(x) != len(y))):
            words = "" if y is None else f" and as many rows as `{_named(split, found.target)}`"
            shapes = f"{name}.shape={x.shape}" + (
                "" if y is None else f", {_named(split, found.target)}.shape={y.shape}"
            )
            raise InvalidInputError(
                f"{found.name}: `{name}` needs one row of features per sample{words}. Received: {shapes}"
            )
        if x.shape[1:] != first.shape[1:]:
            raise InvalidInputError(
                f"{found.name}: `{name}` has samples of another shape than `x`: {x.shape[1:]}, not {first.shape[1:]}."
            )


def _finite_targets(found: Found, split: str, y: np.ndarray) -> np.ndarray:
    name = _named(split, found.target)
    if y.dtype.kind not in "buifUSO":
        raise InvalidInputError(f"{found.name}: `{name}` must hold real numbers or texts. Received: dtype={y.dtype}")
    if y.dtype.kind in "buif":
        y = native(found.name, y, name) if y.dtype.kind != "b" else y  # type: ignore[assignment]
        look(found.name, name, y.reshape(len(y), -1))
    return y


def _with_test(
    name: str, splits: dict[str, tuple[Samples, np.ndarray | None]]
) -> dict[str, tuple[Samples, np.ndarray | None]]:
    x, y = splits["train"]
    if len(x) < FEWEST:
        raise InvalidInputError(f"{name} has {len(x)} samples; at least {FEWEST} are needed for a test split.")
    order = np.random.default_rng(0).permutation(len(x))
    test, train = np.sort(order[: len(x) // 5]), np.sort(order[len(x) // 5 :])
    made = {name: (_some(x, rows), None if y is None else y[rows]) for name, rows in (("train", train), ("test", test))}
    return {**made, **{split: pair for split, pair in splits.items() if split != "train"}}


def _some(x: Samples, rows: np.ndarray) -> Samples:
    """Samples of sorted rows."""
    if isinstance(x, np.ndarray):
        return x[rows]

    def read() -> Iterator[np.ndarray]:
        start = 0
        for part in x.read():
            inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(part))] - start
            if len(inside):
                yield part[inside]
            start += len(part)

    return Chunked((len(rows), *x.shape[1:]), x.dtype, read)
