"""Where the project keeps data that it generated, converted or downloaded."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from leaky_zoo.errors import WriteFailedError
from leaky_zoo.io.files import writing


def cache_dir() -> Path:
    """The folder for generated, converted and downloaded data: `LEAKY_ZOO_CACHE`, or `~/.cache/leaky_zoo`.

    Raises:
        WriteFailedError: it cannot be written; the message names the variable that helps.
    """
    try:
        named = os.environ.get("LEAKY_ZOO_CACHE")
        path = Path(named) if named else Path.home() / ".cache" / "leaky_zoo"
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except (OSError, RuntimeError) as error:  # RuntimeError: no home directory at all
        where = named or "~/.cache/leaky_zoo"
        raise WriteFailedError(
            f"Generated data are kept in {where}, which cannot be written "
            f"({getattr(error, 'strerror', None) or error}): set LEAKY_ZOO_CACHE to a folder that can."
        ) from error
    return path


def make_aside(target: Path, is_whole: Callable[[], bool], make: Callable[[Path], Path]) -> None:
    """Make a folder elsewhere in the cache and rename it to `target`, unless another process was first.

    Two processes that start at once do not disturb each other, and nothing half-written is ever at `target`.

    Args:
        target: the folder to be, in the cache.
        is_whole: whether `target` is there and complete.
        make: fills an empty folder and returns what is to become `target`.

    Raises:
        WriteFailedError: disk full or forbidden; nothing is at `target`.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=cache_dir(), prefix=".aside-"))
        try:
            made = make(aside)
            try:
                made.rename(target)
            except OSError:
                if not is_whole():  # not another process that was first
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
