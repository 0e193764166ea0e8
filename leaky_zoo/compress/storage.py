"""Weights in fewer bits: int8 with a scale for each column, or float16; the numbers that the file will hold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leaky_zoo.compress.chain import Link, Map
from leaky_zoo.errors import InvalidInputError

STORAGES = ("float32", "float16", "int8")


def rounded(links: Sequence[Link], storage: str) -> list[Link]:
    """The chain with the kernels of its maps as a file of this storage holds them; biases stay in float32.

    Args:
        links: a chain.
        storage: "float32", "float16" or "int8".

    Raises:
        InvalidInputError: another storage, or a kernel that float16 cannot hold.
    """
    if storage not in STORAGES:
        raise InvalidInputError(f"`storage` is one of {', '.join(STORAGES)}. Received: storage={storage!r}")
    if storage == "float32":
        return list(links)
    cut = _to_float16 if storage == "float16" else _to_int8
    return [replace(link, factors=tuple(map(cut, link.factors))) if isinstance(link, Map) else link for link in links]


def int8_of(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel as int8 and the float32 scale of each of its last axis: `kernel = scale * int8`, largest entry 127.

    Example:
    >>> int8_of(np.array([[0.5, -2.0], [1.0, 0.0]]))[0].tolist()
    [[64, -127], [127, 0]]
    """
    largest = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0)
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    return np.rint(kernel / scale).clip(-127, 127).astype(np.int8), scale


def _to_int8(kernel: np.ndarray) -> np.ndarray:
    values, scale = int8_of(kernel)
    return (values.astype(np.float32) * scale).astype(np.float64)


def _to_float16(kernel: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        cut = kernel.astype(np.float16).astype(np.float64)
    if not np.isfinite(cut).all():
        raise InvalidInputError(f"float16 cannot hold a kernel. Received: entries up to {np.abs(kernel).max():.3g}")
    return cut
