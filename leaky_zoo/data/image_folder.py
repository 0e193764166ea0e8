"""Folders of images: one folder for each class, with train, test and validation above them or not; or images alone."""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from leaky_zoo.data.found import Chunked, Found, Samples, rows_at_once, stamps
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import counted, one_line, shown_text

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "validation": "validation"}
SPLITS |= {"valid": "validation", "val": "validation"}
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B")  # modes of Pillow
MAX_PIXELS = 2**24


def read_image_folder(folder: Path, stream: bool = False) -> Found:
    """Images by the names of their folders.

    Classes are the sub-folders in alphabetical order, or in numerical order where all are whole numbers. Pixels are
    uint8 (uint16 for 16-bit images), shape `(height, width, channels)`: one channel where every image is grey, else
    three; transparency is dropped, and turned photos are put upright.

    Args:
        folder: of classes, or of `train`, `test` (and `validation`) with classes in each, or of images alone.
        stream: do not hold the pixels; read them in order, part by part. Default False.

    Returns:
        What it holds.

    Raises:
        InvalidInputError: no images, unequal sizes, a file that is no image, or splits of other classes; the message
            names the file.
    """
    inner = {path.name.lower(): path for path in _folders(folder)}
    roots = {SPLITS[name]: path for name, path in inner.items() if name in SPLITS}
    if roots and len(roots) == len(inner) and "train" in roots:
        roots = {split: roots[split] for split in ("train", "validation", "test") if split in roots}
    else:
        _refuse_other_layouts(folder, inner)
        roots = {"train": folder}
    files = {split: _by_class(root) for split, root in roots.items()}
    classes = _ordered({name for each in files.values() for name in each if name is not None})
    every = [path for each in files.values() for paths in each.values() for path in paths]
    if not every:
        raise InvalidInputError(f"{folder} holds no images: neither in it, nor in one folder for each class.")
    notes = [f"{counted(len(classes), 'class')} from folders"] if classes else []
    left = sum(1 for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")) - len(every)
    if left:
        notes.append(f"{counted(left, 'other file')} left out")
    shape, dtype = _common(every)
    splits: dict[str, tuple[Samples, np.ndarray | None]] = {}
    for split, each in files.items():
        kept: list[str | None] = [*classes] if classes else [None]
        paths = [path for name in kept for path in each.get(name, [])]
        labels = [row for row, name in enumerate(classes) for _ in each.get(name, [])]
        pixels = Chunked((len(paths), *shape), dtype, partial(_pixels, paths, shape, dtype))
        splits[split] = (pixels if stream else _held(pixels), np.array(labels, np.int64) if classes else None)
    return Found(str(folder), splits, tuple(classes) or None, None, "class", tuple(notes), stamps(*every))


def read_image(
    path: Path, channels: int | None = None, size: tuple[int | None, int | None] | None = None
) -> np.ndarray:
    """The pixels of one image, `(height, width, channels)`, uint8 or uint16.

    Args:
        path: of the image.
        channels: 1 for grey, 3 for colours. Default None: what it has.
        size: `(height, width)` to bring it to, None for a side that is free. Default None: as it is.

    Raises:
        InvalidInputError: no image that can be read, or Pillow is missing.
    """
    image, image_ops = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # decompression bombs
            with image.open(path) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise InvalidInputError(
                        f"{path} has {opened.width} x {opened.height} pixels; at most {MAX_PIXELS:,} are read."
                    )
                upright = image_ops.exif_transpose(opened)
                if upright.mode == "F":
                    raise InvalidInputError(
                        f"{path} holds floats; images of 8 or 16 bits are read. Give such samples as an .npz."
                    )
                wide, grey = upright.mode.startswith("I"), upright.mode in GREY
                if size is not None and upright.size != (size[1], size[0]):
                    upright = upright.convert("I" if wide else "L" if grey else "RGB")
                    upright = upright.resize((size[1] or upright.width, size[0] or upright.height))
                if wide:
                    pixels = _sixteen_bits(path, np.asarray(upright))
                elif channels == 1 or (channels is None and grey):
                    pixels = np.asarray(upright.convert("L"))
                else:
                    pixels = np.asarray(upright.convert("RGB"))
    except InvalidInputError:
        raise
    except Exception as error:  # whatever a decoder says of bytes that are no image
        raise InvalidInputError(f"{path} is not an image that can be read: {one_line(error)}.") from error
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.repeat(pixels, 3, axis=2) if channels == 3 and pixels.shape[2] == 1 else pixels


def _sixteen_bits(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.min() < 0 or pixels.max() > 65_535:
        raise InvalidInputError(
            f"{path} holds values from {pixels.min()} to {pixels.max()}; images of 8 or 16 bits are read. Give such "
            "samples as an .npz."
        )
    return pixels.astype(np.uint16)


def _pillow() -> tuple:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InvalidInputError("Images are read by Pillow: pip install pillow.") from error
    return Image, ImageOps


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _images(folder: Path, deep: bool) -> list[Path]:
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(
        path for path in found
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )  # fmt: skip


def _by_class(root: Path) -> dict[str | None, list[Path]]:
    """Images by class; the class is None where they lie in the folder itself."""
    found: dict[str | None, list[Path]] = {path.name: _images(path, True) for path in _folders(root)}
    found = {name: paths for name, paths in found.items() if paths}
    loose = _images(root, False)
    if found and loose:
        raise InvalidInputError(f"{root} holds images beside folders of images: {loose[0].name} belongs to no class.")
    return found or ({None: loose} if loose else {})


def _refuse_other_layouts(folder: Path, inner: dict[str, Path]) -> None:
    """Refuse folders that are no classes: some of them splits, or all of them folders of folders of images."""
    splits = [path.name for name, path in inner.items() if name in SPLITS and _folders(path)]
    others = [path.name for name, path in inner.items() if name not in SPLITS]
    if splits and others:
        raise InvalidInputError(
            f"{folder} holds {shown_text(', '.join(splits))} beside {shown_text(', '.join(others[:5]))}: either one "
            "folder for each class, or only train, test and validation with classes in each."
        )
    deep = [path for path in inner.values() if _images(path, True)]
    if deep and not any(_images(path, False) for path in deep):
        raise InvalidInputError(
            f"{folder} has its images two folders down ({shown_text(str(_images(deep[0], True)[0].parent))}): folders "
            "above those of classes are called train, test and validation. Or name the folder that holds the classes. "
            f"Received: {shown_text(', '.join(path.name for path in deep[:5]))}"
        )


def _ordered(names: set[str]) -> list[str]:
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def _common(paths: Sequence[Path]) -> tuple[tuple[int, int, int], np.dtype]:
    """Shape and dtype of all images, from their headers."""
    image, _ = _pillow()
    sizes: dict[tuple[int, int], Path] = {}
    bits: dict[int, Path] = {}
    grey = True
    for path in paths:
        try:
            with image.open(path) as opened:
                turned = opened.getexif().get(0x0112, 1) >= 5
                size = (opened.width, opened.height) if turned else (opened.height, opened.width)
                grey &= opened.mode in GREY
                bits.setdefault(16 if opened.mode.startswith("I") else 8, path)
        except Exception as error:
            raise InvalidInputError(f"{path} is not an image that can be read: {one_line(error)}.") from error
        sizes.setdefault(size, path)
        if len(sizes) > 1:
            (one, first), (other, second) = sizes.items()
            raise InvalidInputError(
                f"Images must have one size: {shown_text(str(first))} has {one[1]} x {one[0]} pixels, "
                f"{shown_text(str(second))} {other[1]} x {other[0]}. Resize or crop them first."
            )
    if len(bits) > 1:
        raise InvalidInputError(
            f"Images must all have 8 bits, or all 16. Received: {shown_text(str(bits[8]))} with 8, "
            f"{shown_text(str(bits[16]))} with 16"
        )
    (height, width), _ = next(iter(sizes.items()))
    return (height, width, 1 if grey else 3), np.dtype(np.uint16 if 16 in bits else np.uint8)


def _pixels(paths: Sequence[Path], shape: tuple[int, int, int], dtype: np.dtype) -> Iterator[np.ndarray]:
    iterator = iter(paths)
    while block := list(itertools.islice(iterator, rows_at_once((0, *shape)))):
        part = np.empty((len(block), *shape), dtype)
        for row, path in enumerate(block):
            part[row] = read_image(path, shape[2])
        yield part


def _held(samples: Chunked) -> np.ndarray:
    held = np.empty(samples.shape, samples.dtype)
    start = 0
    for part in samples.read():
        held[start : start + len(part)] = part
        start += len(part)
    return held
