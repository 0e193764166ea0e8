"""Raw samples from an `.npz` file. Needs numpy only."""

import os

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import read_npz

NAMES = ("inputs", "x")


def read_samples(path: str | os.PathLike[str]) -> np.ndarray:
    """The array `inputs` of an `.npz` file, or `x` if there is none of that name.

    Raises:
        InvalidInputError: no such file, not an `.npz`, neither array in it, or one that does not hold real numbers.

    Example:
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "today.npz"
    >>> np.savez(path, x=np.zeros((3, 2)))
    >>> read_samples(path).shape
    (3, 2)
    """
    arrays = read_npz(path, NAMES)
    name = next((name for name in NAMES if name in arrays), None)
    if name is None:
        raise InvalidInputError(f"{path} must hold raw samples as `inputs` or `x`. Received: neither")
    if arrays[name].dtype.kind not in "buif":
        raise InvalidInputError(f"{path}: `{name}` must hold real numbers. Received: dtype={arrays[name].dtype}")
    return arrays[name]
