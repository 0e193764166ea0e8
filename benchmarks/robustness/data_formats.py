"""One data set in many dresses: formats, label styles and layouts; the same task, classes and numbers, or a question.

    python -m benchmarks.robustness.data_formats

Writes data_formats.csv: what was given, what was expected ("same", or "asks": refused with the names of the flag and
the recipe's field that decide), and what came out.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from PIL import Image

from benchmarks.common import options, write_table
from leaky_zoo.data import load_data
from leaky_zoo.errors import InvalidInputError

TABLE = Path(__file__).with_suffix(".csv")
CLASSES, COUNT, FEATURES = 3, 60, 4
NAMES = np.array(["bird", "cat", "dog"])
Give = Callable[[Path], tuple[Any, dict[str, Any]]]


@dataclass(frozen=True)
class Way:
    """One way to give the data.

    Attributes:
        kind: format, label style or layout.
        name: what it is.
        give: writes it into a folder, and gives what `load_data` is called with: data and further arguments.
        expected: "same", or "asks".
        names: the class names that should come out; None for none.
        task: that should come out.
    """

    kind: str
    name: str
    give: Give
    expected: str = "same"
    names: tuple[str, ...] | None = None
    task: str = "classification"


def samples() -> tuple[np.ndarray, np.ndarray]:
    """The data set: 60 rows of four numbers, labels 0, 1, 2; float32 numbers, so that every format keeps them."""
    random = np.random.default_rng(0)
    y = np.arange(COUNT) % CLASSES
    x = (random.normal(size=(COUNT, FEATURES)) + y[:, None]).astype(np.float32).astype(np.float64)
    return x, y


def pictures() -> np.ndarray:
    """Sixty grey images of 6 x 5 pixels."""
    return np.random.default_rng(1).integers(0, 256, (COUNT, 6, 5, 1)).astype(np.uint8)


X, Y = samples()


def npz(**arrays: np.ndarray) -> Give:
    """An `.npz` of these arrays."""

    def give(folder: Path) -> tuple[Any, dict[str, Any]]:
        np.savez(folder / "d.npz", **arrays)
        return folder / "d.npz", {}

    return give


def frame(y: Any = Y) -> pd.DataFrame:
    """The data set as a frame with a column `kind`."""
    return pd.DataFrame({f"f{place}": X[:, place] for place in range(FEATURES)} | {"kind": y})


def table(suffix: str, y: Any = Y, **options: Any) -> Give:
    """A table of this suffix, its target `kind`."""

    def give(folder: Path) -> tuple[Any, dict[str, Any]]:
        path = folder / f"a table{suffix}"
        if "parquet" in suffix:
            frame(y).to_parquet(path, **({"index": False} | options))
        else:
            frame(y).to_csv(path, **({"index": False} | options))
        return f"{path}:kind", {}

    return give


def label_styles() -> Iterator[Way]:
    """Styles of labels, in an `.npz` with `x` and `y`."""
    same = {
        "int64": Y, "int32": Y.astype("i4"), "uint8": Y.astype("u1"), "big-endian int16": Y.astype(">i2"),
        "column of integers": Y[:, None], "column of uint8": Y[:, None].astype("u1"), "(n, 1, 1)": Y[:, None, None],
    }  # fmt: skip
    for name, y in same.items():
        yield Way("labels", name, npz(x=X, y=y))
    named = {
        "texts": (NAMES[Y], tuple(NAMES)), "column of texts": (NAMES[Y][:, None], tuple(NAMES)),
        "byte strings": (NAMES[Y].astype("S"), tuple(NAMES)),
        "unicode": (np.array(["ä", "ö", "ü"])[Y], ("ä", "ö", "ü")),
        "texts with spaces": (np.array(["a b", "c d", "e f"])[Y], ("a b", "c d", "e f")),
        "from 1": (Y + 1, ("1", "2", "3")), "from -1": (Y - 1, ("-1", "0", "1")),
        "with gaps": (np.array([0, 1, 500])[Y], ("0", "1", "500")),
        "identifiers": (np.array([1001, 2002, 900_000])[Y], ("1001", "2002", "900000")),
    }  # fmt: skip
    for name, (y, names) in named.items():
        yield Way("labels", name, npz(x=X, y=y), names=names)
    yield Way("labels", "one-hot bools", npz(x=X, y=np.eye(CLASSES, dtype=bool)[Y]))
    yield Way("labels", "whole floats", npz(x=X, y=Y.astype(float)), "asks")
    yield Way("labels", "column of whole floats", npz(x=X, y=Y[:, None].astype("f4")), "asks")
    yield Way("labels", "one-hot floats", npz(x=X, y=np.eye(CLASSES)[Y]), "asks")
    yield Way("labels", "one-hot integers", npz(x=X, y=np.eye(CLASSES, dtype=int)[Y]), "asks")
    for name, y in {"whole floats": Y.astype(float), "one-hot floats": np.eye(CLASSES)[Y]}.items():
        yield Way("labels", f"{name}, --task classification", _with(npz(x=X, y=y), task="classification"))
    yield Way("labels", "one-hot floats, --task regression",
              _with(npz(x=X, y=np.eye(CLASSES)[Y]), task="regression"), task="regression")  # fmt: skip
    yield Way("labels", "fractions", npz(x=X, y=Y + 0.5), task="regression")


def npz_layouts() -> Iterator[Way]:
    """Names of the arrays of an `.npz`, and types of the inputs."""
    for x, y in (
        ("X", "Y"), ("X", "y"), ("images", "labels"), ("data", "target"), ("features", "targets"),
        ("inputs", "outputs"),
        ("arr_0", "arr_1"), ("x_train", "y_train"), ("train_data", "train_labels"), ("trainX", "trainY"),
    ):  # fmt: skip
        yield Way("npz", f"{x}, {y}", npz(**{x: X, y: Y}))
    halves = {"x_train": X, "y_train": Y, "x_test": X[:9], "y_test": Y[:9]}
    yield Way("npz", "x_train, y_train, x_test, y_test", npz(**halves))
    yield Way("npz", "with x_val, y_val", npz(**halves, x_val=X[:6], y_val=Y[:6]))
    yield Way("npz", "train_images, ..., test_labels",
              npz(train_images=X, train_labels=Y, test_images=X[:9], test_labels=Y[:9]))  # fmt: skip
    yield Way("npz", "more arrays beside", npz(x=X, y=Y, identifiers=np.arange(COUNT)))
    yield Way("npz", "target_names beside", npz(data=X, target=Y, target_names=NAMES), names=tuple(NAMES))
    yield Way("npz", "long double", npz(x=X.astype(np.longdouble), y=Y))
    yield Way("npz", "big-endian", npz(x=X.astype(">f8"), y=Y))
    yield Way("npz", "Fortran order", npz(x=np.asfortranarray(X), y=Y))
    yield Way("npz", "compressed", _compressed)
    yield Way("npz", "a path with spaces and umlauts", _odd_path)


def tables() -> Iterator[Way]:
    """CSV and Parquet."""
    yield Way("table", "csv", table(".csv"))
    yield Way("table", "tsv", table(".tsv", sep="\t"))
    yield Way("table", "csv with semicolons", table(".csv", sep=";"))
    yield Way("table", "csv with a row number", table(".csv", index=True))
    yield Way("table", "csv with quotes", table(".csv", quoting=1))
    yield Way("table", "csv with a byte order mark", table(".csv", encoding="utf-8-sig"))
    yield Way("table", "csv with CRLF", table(".csv", lineterminator="\r\n"))
    yield Way("table", "csv.gz", _gzipped)
    yield Way("table", "csv with texts", table(".csv", NAMES[Y]), names=tuple(NAMES))
    yield Way("table", "csv with True and False", table(".csv", Y > 0), names=("False", "True"))
    yield Way("table", "csv with labels 1.0", table(".csv", Y.astype(float)), "asks")
    yield Way("table", "parquet", table(".parquet"))
    yield Way("table", "parquet with texts", table(".parquet", NAMES[Y]), names=tuple(NAMES))
    yield Way("table", "parquet with a category", table(".parquet", pd.Categorical(NAMES[Y])), names=tuple(NAMES))
    yield Way("table", "parquet of float32 labels", table(".parquet", Y.astype("f4")), "asks")
    yield Way("table", "a folder of train.csv and test.csv", _table_folder)


def python_objects() -> Iterator[Way]:
    """What Python holds."""
    given = {
        "arrays": (X, Y), "lists": (X.tolist(), Y.tolist()), "tensors": (tf.constant(X), tf.constant(Y)),
        "a list of texts": (X, NAMES[Y].tolist()),
        "a frame and a series": (frame().iloc[:, :FEATURES], frame()["kind"]),
        "a mapping": {"x": X, "y": Y}, "a mapping of splits": {"train": (X, Y), "test": (X[:9], Y[:9])},
        "tf.data, unbatched": tf.data.Dataset.from_tensor_slices((X, Y)),
        "tf.data, batched": tf.data.Dataset.from_tensor_slices((X, Y)).batch(7),
        "tf.data of mappings": tf.data.Dataset.from_tensor_slices({"image": X, "label": Y}).batch(7),
        "PyDataset": _Batches(),
    }  # fmt: skip
    for name, data in given.items():
        names = tuple(NAMES) if "texts" in name else None
        yield Way("python", name, lambda folder, data=data: (data, {}), names=names)
    yield Way("python", "a frame", lambda folder: (frame(), {"target": "kind"}))
    yield Way("python", "a frame of objects", lambda folder: (frame(NAMES[Y].astype(object)), {"target": "kind"}),
              names=tuple(NAMES))  # fmt: skip


def image_folders() -> Iterator[Way]:
    """Folders of images; expected are the sixty pictures, by class."""
    yield Way("images", "a folder for each class", _folders("png"), names=tuple(NAMES))
    yield Way("images", "bmp", _folders("bmp"), names=tuple(NAMES))
    yield Way("images", "upper case suffixes", _folders("PNG"), names=tuple(NAMES))
    yield Way("images", "train and test above", _folders("png", ("train", "test")), names=tuple(NAMES))
    yield Way("images", "folders called 0, 1, 2", _folders("png", names=np.array(["0", "1", "2"])), names=tuple("012"))
    yield Way("images", "folders called 9, 10, 11", _folders("png", names=np.array(["9", "10", "11"])),
              names=("9", "10", "11"))  # fmt: skip
    yield Way("images", "other files beside", _folders("png", beside=True), names=tuple(NAMES))
    yield Way("images", "(n, 6, 5) uint8 in an npz", npz(images=pictures()[..., 0], labels=Y))


class _Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return X[10 * index : 10 * index + 10], Y[10 * index : 10 * index + 10]


def _with(give: Give, **arguments: Any) -> Give:
    return lambda folder: (give(folder)[0], arguments)


def _compressed(folder: Path) -> tuple[Any, dict[str, Any]]:
    np.savez_compressed(folder / "d.npz", x=X, y=Y)
    return folder / "d.npz", {}


def _odd_path(folder: Path) -> tuple[Any, dict[str, Any]]:
    (folder / "böse Daten").mkdir()
    np.savez(folder / "böse Daten" / "my data.npz", x=X, y=Y)
    return folder / "böse Daten" / "my data.npz", {}


def _gzipped(folder: Path) -> tuple[Any, dict[str, Any]]:
    frame().to_csv(folder / "d.csv.gz", index=False)
    return f"{folder / 'd.csv.gz'}:kind", {}


def _table_folder(folder: Path) -> tuple[Any, dict[str, Any]]:
    frame().to_csv(folder / "train.csv", index=False)
    frame().iloc[:9].to_csv(folder / "test.csv", index=False)
    return f"{folder}:kind", {}


def _folders(suffix: str, splits: tuple[str, ...] = (), names: np.ndarray = NAMES, beside: bool = False) -> Give:
    def give(folder: Path) -> tuple[Any, dict[str, Any]]:
        for split in splits or ("",):
            for row, picture in enumerate(pictures()):
                path = folder / split / names[Y[row]] / f"{row:03d}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture[..., 0]).save(path)
        if beside:
            (folder / "notes.txt").write_text("not an image")
            (folder / names[0] / ".DS_Store").write_bytes(b"\0")
        return folder, {}

    return give


def outcome(way: Way, folder: Path) -> tuple[str, str]:
    """What came of a way: "same", "asks" or "differs"; and in words."""
    data, arguments = way.give(folder)
    try:
        found = load_data(data if not isinstance(data, Path) else str(data), **arguments)
    except InvalidInputError as error:
        asks = "--task" in str(error) and "data.task" in str(error)
        return ("asks" if asks else "refused"), str(error).replace(str(folder), "")
    x, y = (np.concatenate([found.splits[split][place] for split in _parts(found)]) for place in (0, 1))
    wanted, labels = (pictures(), Y) if x.ndim == 4 else (X, Y)
    if way.task == "regression":
        labels = np.eye(CLASSES)[Y] if y.shape[1] == CLASSES else Y[:, None] + 0.5
    elif way.names == ("False", "True"):
        labels = (Y > 0).astype(int)
    same = found.task == way.task and found.class_names == way.names and _pairs(x, y) == _pairs(wanted, labels)
    return ("same" if same else "differs"), "; ".join(found.notes)


def _parts(found: Any) -> tuple[str, ...]:
    """The splits that hold the sixty samples: a test split that was given repeats some of them."""
    return ("train",) if len(found.splits["train"][0]) == COUNT else ("train", "test")


def _pairs(x: np.ndarray, y: np.ndarray) -> list[tuple[bytes, bytes]]:
    """Samples with their targets, in no order."""
    rows = zip(x.reshape(len(x), -1).astype(np.float64), y.reshape(len(y), -1).astype(np.float64), strict=True)
    return sorted((row.tobytes(), target.tobytes()) for row, target in rows)


def ways() -> Iterator[Way]:
    """All of them."""
    for some in (label_styles, npz_layouts, tables, python_objects, image_folders):
        yield from some()


def main() -> None:
    """Try all ways."""
    options(__doc__)
    rows = []
    for way in ways():
        with tempfile.TemporaryDirectory() as folder:
            came, words = outcome(way, Path(folder))
        rows.append({"kind": way.kind, "given": way.name, "expected": way.expected, "came": came, "said": words})
    write_table(TABLE, rows, ways=len(rows))
    print(f"{len(rows)} ways, {sum(row['expected'] == row['came'] for row in rows)} as expected")


if __name__ == "__main__":
    main()
