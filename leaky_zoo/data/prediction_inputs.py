"""Raw samples to predict: an array, a table, one image or many; targets beside them are left aside. No TensorFlow."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leaky_zoo.data.found import Chunked, Found
from leaky_zoo.data.image_folder import SUFFIXES, read_image
from leaky_zoo.data.inspection import look, native
from leaky_zoo.data.load import find
from leaky_zoo.data.registry import DATASETS
from leaky_zoo.errors import InvalidInputError

_TARGET = re.compile(r"\.\w+:[^/]+$")  # a table with its target named


def read_inputs(
    data: str | os.PathLike[str], shape: Sequence[int | str | None], resize: bool = False
) -> tuple[list[str], np.ndarray]:
    """The samples of a file or a folder, as a network of these inputs takes them.

    Args:
        data: an `.npz`, `FILE.csv` (or `FILE.csv:TARGET`, whose target is left aside), Parquet, one image, or a folder
            of images, in folders or not; or the name of a data set, whose test split is taken.
        shape: of one sample; sides that are no integers are free.
        resize: bring images of another size to the network's. Default False: refuse them.

    Returns:
        A name for each sample (its row from 0, or its file), and the samples.

    Raises:
        InvalidInputError: as `load_data`, or samples of another shape; the message says which are taken.

    Example:
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "new.npz"
    >>> np.savez(path, images=np.zeros((2, 8, 8), "uint8"))
    >>> names, x = read_inputs(path, (8, 8, 1))
    >>> names, x.shape
    (['0', '1'], (2, 8, 8, 1))
    """
    path = Path(data)
    sides = tuple(side if isinstance(side, int) else None for side in shape)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return [path.name], _images([path], sides, resize)
    if path.is_dir() and not _has_tables(path):
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise InvalidInputError(f"{path} holds no images.")
        return [str(file.relative_to(path)) for file in files], _images(files, sides, resize)
    name = os.fspath(data)
    found = find(name, None, False)
    named = name.startswith("tfds:") or name.partition("/")[0] in DATASETS
    split = "test" if "test" in found.splits and (named or "train" not in found.splits) else next(iter(found.splits))
    x = native(found.name, found.splits[split][0], "x")
    assert not isinstance(x, Chunked)
    look(found.name, "x", x)
    x = _fitting(found, x, sides)
    return [str(row) for row in range(len(x))], x


def _has_tables(folder: Path) -> bool:
    return any(file.suffix.lower() in (".csv", ".tsv", ".parquet") for file in folder.iterdir())


def _images(files: list[Path], sides: tuple[int | None, ...], resize: bool) -> np.ndarray:
    if len(sides) != 3:
        raise InvalidInputError(f"The network takes samples of shape {_words(sides)}, no images. Received: {files[0]}")
    channels = sides[2] if sides[2] in (1, 3) else None
    size = (sides[0], sides[1]) if resize else None
    pictures = [read_image(file, channels, size) for file in files]
    for file, picture in zip(files, pictures, strict=True):
        wanted = [side or own for side, own in zip(sides, picture.shape, strict=True)]
        if list(picture.shape) != wanted or picture.shape != pictures[0].shape:
            raise InvalidInputError(
                f"The network takes images of {_words(sides)} (height, width, channels). Received: {file} of "
                f"{picture.shape[0]} x {picture.shape[1]} pixels; --resize brings them to size."
            )
    return np.stack(pictures)


def _fitting(found: Found, x: np.ndarray, sides: tuple[int | None, ...]) -> np.ndarray:
    """Samples in the network's shape: as they are, with or without an axis of one channel, or rows of their size."""
    for candidate in (x, x[..., None], *([x[..., 0]] if x.shape[-1] == 1 else [])):
        if candidate.ndim == 1 + len(sides) and all(
            side in (None, own) for side, own in zip(sides, candidate.shape[1:], strict=True)
        ):
            return candidate
    known = [side for side in sides if side is not None]
    if x.ndim == 2 and len(known) == len(sides) and x.shape[1] == math.prod(known):
        return x.reshape(len(x), *known)
    aside = "" if _TARGET.search(found.name) else "; a table's target is left aside as FILE.csv:TARGET"
    names = f" (columns {', '.join(found.feature_names[:8])}, ...)" if found.feature_names else ""
    raise InvalidInputError(
        f"The network takes samples of shape {_words(sides)}. Received: {found.name} with samples of shape "
        f"{x.shape[1:]}{names}{aside}."
    )


def _words(sides: tuple[int | None, ...]) -> str:
    return (
        "(" + ", ".join("any" if side is None else str(side) for side in sides) + ("," if len(sides) == 1 else "") + ")"
    )
