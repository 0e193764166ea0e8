"""HDF5 weights from strangers: plain numbers in the file itself, and nothing else."""

from typing import Any, BinaryIO

import h5py

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, shown

MAX_OBJECTS = 100_000

# What h5py says of damaged files.
H5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError, MemoryError)


def check_weights(file: "str | BinaryIO", source: str) -> None:
    """Refuse HDF5 that is more than numbers: external and soft links, external or virtual storage, compression, bombs.

    Keras would follow links out of the file, and allocate whatever a dataset claims to hold.

    Args:
        file: path, or an open binary file.
        source: what the error calls it.

    Raises:
        InvalidInputError: it holds any of these, or is no whole HDF5 file.
    """
    try:
        with h5py.File(file, "r") as weights:
            _check_group(weights, source, 0)
    except InvalidInputError:
        raise
    except H5_ERRORS as error:
        raise InvalidInputError(f"{source} is not a whole HDF5 file of weights: {one_line(error)}.") from error


def _check_group(group: h5py.Group, source: str, seen: int, depth: int = 0) -> int:
    """Check what a group holds; returns how many objects were seen so far."""
    if depth > 32:
        raise InvalidInputError(f"{source} is nested too deeply for weights.")
    for name in group:
        seen += 1
        if seen > MAX_OBJECTS:
            raise InvalidInputError(f"{source} holds more than {MAX_OBJECTS:,} objects.")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InvalidInputError(
                f"{source}: {shown(_place(group, name))} is a link; weights are in the file itself."
            )
        entry = group[name]
        if isinstance(entry, h5py.Group):
            seen = _check_group(entry, source, seen, depth + 1)
        elif isinstance(entry, h5py.Dataset):
            _check_dataset(entry, f"{source}: {shown(_place(group, name))}")
        else:
            raise InvalidInputError(f"{source}: {shown(_place(group, name))} is neither a group nor an array.")
    return seen


def _check_dataset(entry: h5py.Dataset, where: str) -> None:
    if entry.external is not None or entry.is_virtual:
        raise InvalidInputError(f"{where} is kept in another file.")
    if entry.shape is None or not (entry.dtype.kind in "buif" or _is_short_float(entry)):
        # Keras keeps a few texts (a layer's vocabulary); none of ours has one.
        raise InvalidInputError(f"{where} must hold numbers. Received: dtype={entry.dtype}")
    bytes_claimed = int(entry.dtype.itemsize)
    for side in entry.shape:
        bytes_claimed *= int(side)
    if entry.compression is not None or (bytes_claimed and entry.id.get_storage_size() != bytes_claimed):
        raise InvalidInputError(f"{where} claims {bytes_claimed:,} bytes that are not in the file as they are.")


def _is_short_float(entry: h5py.Dataset) -> bool:
    """HDF5 has no such type: Keras writes the bytes as they are, and the type's name beside them."""
    sizes = {"bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}
    stated = str(entry.attrs.get("dtype"))
    return entry.dtype.kind == "V" and entry.dtype.names is None and sizes.get(stated) == entry.dtype.itemsize


def _place(group: Any, name: str) -> str:
    return f"{str(group.name).rstrip('/')}/{name}"
