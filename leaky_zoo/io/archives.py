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
    path: str | os.PathLike[str], what: str = "file", content: bytes | None = None
) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose members are few, plainly named, stored or deflated, and fit into memory.

    Args:
        path: the archive.
        what: how the error calls it. Default "file".
        content: its bytes, where they have been read already. Default None: the file at `path` is read.

    Raises:
        InvalidInputError: it is not; the message names file and member. Damage that is met while reading, too.
    """
    path = existing_file(path, what) if content is None else Path(path)
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as file, zipfile.ZipFile(file) as archive:
            size = file.seek(0, os.SEEK_END)
            _check_members(path, size, archive.infolist())
            yield archive
    except InvalidInputError:
        raise
    except ZIP_ERRORS as error:
        raise InvalidInputError(f"{path} is no whole zip archive: {one_line(error)}.") from error


def _check_members(path: Path, size: int, members: list[zipfile.ZipInfo]) -> None:
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
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(FREE_BYTES, MAX_RATIO * size):
        raise InvalidInputError(
            f"{path} would unpack to {unpacked:,} bytes, over {MAX_RATIO} times its size: a zip bomb?"
        )
    available = psutil.virtual_memory().available
    if unpacked > available:
        raise InvalidInputError(f"{path} unpacks to {unpacked:,} bytes; {available:,} bytes of memory are free.")


def read_npz(
    path: str | os.PathLike[str], names: Collection[str] | None = None, content: bytes | None = None
) -> dict[str, np.ndarray]:
    """The arrays of these names that an `.npz` file holds. Nothing is ever unpickled.

    Args:
        path: the file.
        names: names of arrays, without `.npy`. Default None: all.
        content: its bytes, where they have been read already. Default None: the file at `path` is read.

    Returns:
        `{name: array}` for those that are there.

    Raises:
        InvalidInputError: no such file, not an `.npz`, an array of objects, or a header that does not fit its data; the
            message names file and array.
    """
    with open_archive(path, content=content) as archive:
        there = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        wanted = there if names is None else [name for name in names if name in there]
        return {name: _read_array(path, name, archive, there[name]) for name in wanted}


def _read_array(
    path: str | os.PathLike[str], name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> np.ndarray:
    shown_name = shown_text(name, 80)
    try:
        with archive.open(member) as file:
            shape, fortran, dtype = _read_header(file)
            if dtype.hasobject or dtype.kind == "V":
                raise InvalidInputError(f"{path}: `{shown_name}` holds objects or records; only plain arrays are read.")
            if any(type(side) is not int or side < 0 for side in shape):
                raise InvalidInputError(f"{path}: the shape of `{shown_name}` is none. Received: shape={shown(shape)}")
            count = math.prod(shape)  # Python integers: no overflow
            if count * dtype.itemsize != member.file_size - file.tell():
                raise InvalidInputError(
                    f"{path}: the header of `{shown_name}` does not fit its data. "
                    f"Received: shape={shown(shape)}, dtype={dtype}"
                )
            content = bytearray(file.read())  # zipfile checks the CRC at the end
        return np.frombuffer(content, dtype, count).reshape(shape, order="F" if fortran else "C")
    except InvalidInputError:
        raise
    except Exception as error:  # headers are Python literals: parsers of any depth may complain
        raise InvalidInputError(f"{path}: `{shown_name}` is not a plain array: {one_line(error)}.") from error


def _read_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"array format {version} is not read")
    return read(file)
