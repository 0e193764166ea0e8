"""Writing files so that a reader sees the old one or the new one, never half of one."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leaky_zoo.errors import WriteFailedError

ASIDE = ".aside-"
_REFUSED = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG, errno.ENOTDIR,
    errno.ENAMETOOLONG,
}  # fmt: skip


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends without an error, put it in place of `path`.

    The temporary file has the same suffix (Keras and ONNX choose a format by it), is flushed to the disk before the
    rename, the folder after it, and is removed when the block raises, so that `path` is never half-written.

    Raises:
        WriteFailedError: disk full, read-only or forbidden folder; `path` is what it was.

    Example:
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(target) as aside:
    ...     _ = aside.write_text("whole or not at all")
    >>> target.read_text()
    'whole or not at all'
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The stem ends in the full suffix chain: Keras refuses weights that do not end in `.weights.h5`.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=ASIDE, suffix="-" + path.name)
        os.close(handle)
        aside = Path(name)
        try:
            yield aside
            _flush(aside)
            aside.chmod(0o666 & ~_umask())
            aside.replace(path)
            _flush(path.parent)
        finally:
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def making_folder(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder beside `path`; when the block ends without an error, flush its files and rename it.

    Args:
        path: the folder to make.
        replace: whether a folder that is there already is replaced, as a whole. Killed between its two renames, the
            old one is left beside as `.aside-old-<name>`, and the next call puts it back first. Default False: `path`
            must not exist yet.

    Raises:
        WriteFailedError: disk full, read-only or forbidden folder; what was at `path` before is there.

    Example:
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "pair"
    >>> for text in "12":
    ...     with making_folder(target, replace=True) as aside:
    ...         _ = (aside / f"{text}.txt").write_text(text)
    >>> [file.name for file in target.iterdir()]
    ['2.txt']
    """
    path = Path(path)
    old = path.parent / f"{ASIDE}old-{path.name}"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if replace:
            _put_back(old, path)
        aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=ASIDE, suffix="-" + path.name))
        try:
            yield aside
            for file in aside.rglob("*"):
                _flush(file)
            aside.chmod(0o777 & ~_umask())
            _flush(aside)
            if replace and path.exists():
                path.rename(old)
            aside.rename(path)
            _flush(path.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            if replace:
                _put_back(old, path)


def _put_back(old: Path, path: Path) -> None:
    """Undo half of a replacement, or remove what a whole one has left."""
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the refusals of the operating system into one sentence that names `path`.

    Raises:
        WriteFailedError: in place of an `OSError` that says so: disk full, read-only, forbidden, no such place.
    """
    try:
        yield
    except WriteFailedError:
        raise
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        if number is None and "No space left on device" in str(error):  # h5py keeps the number in its text
            number = errno.ENOSPC
        if number not in _REFUSED:
            raise
        raise WriteFailedError(
            f"{path} could not be written: {os.strerror(number)}. What was there before is intact."
        ) from error


def remove_asides(folder: str | os.PathLike[str]) -> int:
    """Remove what killed writers left in a folder; only for one who knows that nobody writes there now."""
    left = list(Path(folder).glob(ASIDE + "*"))
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 `text` to `path` atomically."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically. NaN and infinity are refused: JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex digest of the file at `path`."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Ask the operating system to put a file, or the names in a folder, on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
