"""Where the data of a recipe are: from the current folder, or beside the recipe."""

import os
from pathlib import Path

from leaky_zoo.data.registry import DATASETS


def beside(name: str, folder: str | os.PathLike[str]) -> str:
    """The name of data with the folder before it, where the data are in that folder.

    Args:
        name: as `load_data` takes it; a target stays, as in `prices.csv:price`.
        folder: of the file that names the data.

    Returns:
        The name as it is where it is no relative path, or nothing of this name is in the folder.

    Example:
    >>> import tempfile, pathlib
    >>> place = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (place / "prices.csv").write_text("x,price")
    >>> beside("prices.csv:price", place) == f"{place}/prices.csv:price"
    True
    >>> beside("mnist", place), beside("tfds:mnist", place), beside("/data/x.npz", place)
    ('mnist', 'tfds:mnist', '/data/x.npz')
    """
    if name.startswith("tfds:") or name.partition("/")[0] in DATASETS or Path(name).is_absolute():
        return name
    path, _, _ = name.rpartition(":")
    for candidate in (name, path):
        try:
            if candidate and (Path(folder) / candidate).exists():
                return str(Path(folder) / candidate) + name[len(candidate) :]
        except (OSError, ValueError):  # too long, or no path at all
            return name
    return name
