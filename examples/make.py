"""Write the data and the model of this folder: small real files that the commands of README and docs/ use.

    python examples/make.py            # into examples/
    python examples/make.py --out DIR  # elsewhere, to compare

Digits and flowers come from scikit-learn's wheel, pictures from MNIST through TFDS. Arrays, tables and pictures come
out the same to the byte; `my.keras` too, on one machine: training on another rounds otherwise.
"""

import argparse
import csv
import json
import os
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_iris

from leaky_zoo.data import load_data

HERE = Path(__file__).parent
FOLD = "optical_digits/fold_0"
CLASSES = {"loop": (0, 6, 8, 9), "no_loop": (1, 3, 5, 7)}  # 2 and 4 are written either way
PICTURES = {"train": 60, "test": 30}  # of each class
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_arrays(out: Path) -> None:
    """`my.npz`: the digits of the fold that presets were not trained on."""
    x, y = load_data(FOLD).select("test")
    np.savez(out / "my.npz", x=x.astype(np.uint8), y=y.astype(np.int64))


def write_tables(out: Path) -> None:
    """`my.csv`: flowers. `digits.csv`: the digits of `my.npz`, a column for each pixel, and whether they are odd."""
    iris = load_iris()
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in iris.feature_names]
    flowers = [[*row, iris.target_names[label]] for row, label in zip(iris.data, iris.target, strict=True)]
    x, y = load_data(FOLD).select("test")
    digits = [
        [*row, "odd" if label % 2 else "even"] for row, label in zip(x.reshape(len(x), -1).astype(int), y, strict=True)
    ]
    tables = {
        "my.csv": ([*names, "species"], flowers),
        "digits.csv": ([*(f"pixel_{row}{column}" for row in range(8) for column in range(8)), "parity"], digits),
    }
    for name, (header, rows) in tables.items():
        with (out / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def write_pictures(out: Path, data_dir: str | None) -> None:
    """`images/`: digits of MNIST's test split with and without a closed loop, which no MNIST preset was trained for."""
    x, y = load_data("mnist", data_dir).select("test")
    for name, digits in CLASSES.items():
        rows = np.flatnonzero(np.isin(y, digits))
        for split, count in PICTURES.items():
            folder = out / "images" / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for row in rows[:count]:
                Image.fromarray(x[row, ..., 0].astype(np.uint8)).save(folder / f"{row:04d}.png", optimize=True)
            rows = rows[count:]


def write_model(out: Path) -> None:
    """`my.keras`: a plain Keras classifier of digits, none of ours."""
    x, y = load_data(FOLD).select("train")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="pixels"),
            keras.layers.Rescaling(1 / 16, name="rescaling"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(32, "relu", name="first"),
            keras.layers.Dense(32, "relu", name="second"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="plain_digits",
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x.astype(np.float32), y, batch_size=32, epochs=10, verbose=0)
    bare = keras.Sequential.from_config(model.get_config())  # a file without the optimiser's state
    bare.set_weights(model.get_weights())
    path = out / "my.keras"
    bare.save(path)
    _undated(path)


def _undated(path: Path) -> None:
    """Write a `.keras` archive again without the time it was saved at."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(parts["metadata.json"])
    parts["metadata.json"] = json.dumps(metadata | {"date_saved": "1980-01-01@00:00:00"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content)


def main() -> None:
    """All files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write into [examples/]")
    parser.add_argument("--data-dir", help="TFDS folder that has MNIST [TFDS_DATA_DIR]")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    write_arrays(given.out)
    write_tables(given.out)
    write_pictures(given.out, given.data_dir)
    write_model(given.out)


if __name__ == "__main__":
    main()
