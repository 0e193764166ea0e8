"""A user's own data: an `.npz` file with `x` and `y`."""

import os
from pathlib import Path

import numpy as np

from leaky_zoo.data.dataset import Dataset
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import read_npz
from leaky_zoo.io.reading import existing_file
from leaky_zoo.networks.tasks import task_of_targets

LARGEST = 1e18  # squares of larger numbers leave float32
MAX_CLASSES = 100_000


def load_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read `x`, `y` and optionally `x_test`, `y_test` from an `.npz` file. Pickled arrays are refused.

    One-dimensional integer `y` makes a classification, anything else a regression. Without a test split, every fifth
    sample of a fixed permutation becomes one.

    Args:
        path: the file.

    Returns:
        The `Dataset`.

    Raises:
        InvalidInputError: no such file, not an `.npz`, missing arrays, pickles, lengths that differ, negative labels,
            or values that are not finite; the message names the array.
    """
    path = existing_file(path)
    arrays = read_npz(path, ("x", "y", "x_test", "y_test"))
    missing = {"x", "y"} - arrays.keys()
    if missing or ("x_test" in arrays) != ("y_test" in arrays):
        raise InvalidInputError(
            f"{path} needs the arrays `x` and `y` (and `x_test` with `y_test`, or neither). "
            f"Received: {', '.join(arrays) or 'none of them'}"
        )
    splits = {"train": _checked(path, "x", arrays["x"], "y", arrays["y"])}
    if "x_test" in arrays:
        splits["test"] = _checked(path, "x_test", arrays["x_test"], "y_test", arrays["y_test"])
        if splits["test"][0].shape[1:] != splits["train"][0].shape[1:]:
            raise InvalidInputError(f"{path}: `x_test` has samples of another shape than `x`.")
    else:
        x, y = splits["train"]
        if len(x) < 5:
            raise InvalidInputError(f"{path} has {len(x)} samples; 5 are the least that can be split.")
        order = np.random.default_rng(0).permutation(len(x))
        test, train = np.sort(order[: len(x) // 5]), np.sort(order[len(x) // 5 :])
        splits = {"train": (x[train], y[train]), "test": (x[test], y[test])}
    task = task_of_targets(splits["train"][1])
    splits = {name: (x, task.prepared(y)) for name, (x, y) in splits.items()}
    return Dataset(str(path), None, task.name, splits, None, splits["train"][0].ndim == 2)


def _checked(path: Path, x_name: str, x: np.ndarray, y_name: str, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not (x.ndim and y.ndim and x.size and y.size):
        raise InvalidInputError(f"{path}: `{x_name}` or `{y_name}` holds no samples.")
    for name, array in ((x_name, x), (y_name, y)):
        if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool) or np.iscomplexobj(array):
            raise InvalidInputError(f"{path}: `{name}` must hold real numbers. Received: dtype={array.dtype}")
        bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            raise InvalidInputError(f"{path}: `{name}` holds NaN or infinity, first in sample {int(np.argmax(bad))}.")
        if array.size and max(abs(float(array.max())), abs(float(array.min()))) > LARGEST:
            raise InvalidInputError(
                f"{path}: `{name}` holds numbers beyond {LARGEST:g}, too large for float32 training."
            )
    if x.ndim < 2 or len(x) != len(y) or not len(x):
        raise InvalidInputError(
            f"{path}: `{x_name}` needs one row of features per sample and as many rows as `{y_name}`. "
            f"Received: {x_name}.shape={x.shape}, {y_name}.shape={y.shape}"
        )
    if y.ndim == 1 and np.issubdtype(y.dtype, np.integer) and y.min() < 0:
        raise InvalidInputError(f"{path}: labels in `{y_name}` must not be negative. Received: {y.min()}")
    if y.ndim == 1 and np.issubdtype(y.dtype, np.integer) and y.max() >= MAX_CLASSES:
        raise InvalidInputError(f"{path}: labels in `{y_name}` must be under {MAX_CLASSES:,}. Received: {y.max()}")
    return x, y
