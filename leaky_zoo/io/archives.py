"""Zip archives and `.npz` files from strangers: looked at as a whole before a single member is read."""

import contextlib
import io
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import psutil

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import existing_file, one_line, shown, shown_text

MAX_MEMBERS = 1000
# What is larger than this when unpacked may be at most so many times as large as the file.
FREE_BYTES = 256 * 1024**2
MAX_RATIO = 100

# Everything that `zipfile` and zlib say of damaged archives.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@contextlib.contextmanager
def open_archive(
    path: str | os.PathLike[str], what: str = "file", content: bytes | None = None, *, size_checked: bool = True
) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose members are few, plainly named, stored or deflated, and fit into memory.

    Args:
        path: the archive.
        what: how the error calls it. Default "file".
        content: its bytes, where they have been read already. Default None: the file at `path` is read.
        size_checked: refuse what would not fit into memory; False for members that are read part by part.
            Default True.

    Raises:
        InvalidInputError: it is not; the message names file and member. Damage that is met while reading, too.
    """
    path = existing_file(path, what) if content is None else Path(path)
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as file, zipfile.ZipFile(file) as archive:
            size = file.seek(0, os.SEEK_END)
            _check_members(path, size, archive.infolist(), size_checked)
            yield archive
    except InvalidInputError:
        raise
    except ZIP_ERRORS as error:
        raise InvalidInputError(f"{path} is not a complete zip archive: {one_line(error)}.") from error


def _check_members(path: Path, size: int, members: list[zipfile.ZipInfo], size_checked: bool) -> None:
    if len(members) > MAX_MEMBERS:
        raise InvalidInputError(f"{path} has {len(members):,} members; at most {MAX_MEMBERS:,} are read.")
    seen = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0] or name in seen:
            raise InvalidInputError(f"{path} has a member that is out of place or there twice: {shown(name)}.")
        seen.add(name)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InvalidInputError(f"{path}: {shown(name)} is a link or a device, not a file.")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InvalidInputError(f"{path}: {shown(name)} is encrypted, or compressed in a way that is not read.")
    if not size_checked:
        return
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(FREE_BYTES, MAX_RATIO * size):
        raise InvalidInputError(
            f"{path} would unpack to {unpacked:,} bytes, over {MAX_RATIO} times its size: a zip bomb? If it is your "
            f"own data, mostly zeros, write it uncompressed (np.savez, not np.savez_compressed)."
        )
    available = psutil.virtual_memory().available
    if unpacked > available:
        raise InvalidInputError(f"{path} unpacks to {unpacked:,} bytes; {available:,} bytes of memory are free.")


def read_npz(
    path: str | os.PathLike[str],
    names: Collection[str] | None = None,
    content: bytes | None = None,
    *,
    size_checked: bool = True,
) -> dict[str, np.ndarray]:
    """The arrays of these names that an `.npz` file holds. Nothing is ever unpickled.

    Args:
        path: the file.
        names: names of arrays, without `.npy`. Default None: all.
        content: its bytes, where they have been read already. Default None: the file at `path` is read.
        size_checked: as `open_archive`. Default True.

    Returns:
        `{name: array}` for those that are there.

    Raises:
        InvalidInputError: no such file, not an `.npz`, an array of objects, or a header that does not fit its data; the
            message names file and array.
    """
    with open_archive(path, content=content, size_checked=size_checked) as archive:
        there = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        wanted = there if names is None else [name for name in names if name in there]
        return {name: _read_array(path, name, archive, there[name]) for name in wanted}


def npz_header(
    path: str | os.PathLike[str], name: str, archive: zipfile.ZipFile
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, dtype and length of the header of an array in an open archive, checked against its size.

    Raises:
        InvalidInputError: as `read_npz`.
    """
    member = archive.getinfo(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    with _plain_array(path, name), archive.open(member) as file:
        return _checked_header(path, shown_text(name, 80), file, member.file_size)


def _read_array(
    path: str | os.PathLike[str], name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> np.ndarray:
    with _plain_array(path, name), archive.open(member) as file:
        shape, fortran, dtype, _ = _checked_header(path, shown_text(name, 80), file, member.file_size)
        content = bytearray(file.read())  # zipfile checks the CRC at the end
        return np.frombuffer(content, dtype, math.prod(shape)).reshape(shape, order="F" if fortran else "C")


@contextlib.contextmanager
def _plain_array(path: str | os.PathLike[str], name: str) -> Iterator[None]:
    try:
        yield
    except InvalidInputError:
        raise
    except Exception as error:  # headers are Python literals: parsers of any depth may complain
        raise InvalidInputError(f"{path}: `{shown_text(name, 80)}` is not a plain array: {one_line(error)}.") from error


def _checked_header(
    path: str | os.PathLike[str], name: str, file: Any, size: int
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    shape, fortran, dtype = _read_header(file)
    if dtype.hasobject or dtype.kind == "V":
        raise InvalidInputError(f"{path}: `{name}` holds objects or records; only plain arrays are read.")
    if any(type(side) is not int or side < 0 for side in shape):
        raise InvalidInputError(f"{path}: `{name}` has an impossible shape. Received: shape={shown(shape)}")
    # Python integers: no overflow
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise InvalidInputError(
            f"{path}: the header of `{name}` does not fit its data. Received: shape={shown(shape)}, dtype={dtype}"
        )
    return shape, fortran, dtype, file.tell()


def _read_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"array format {version} is not read")
    return read(file)
