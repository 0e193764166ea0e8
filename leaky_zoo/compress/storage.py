"""Weights in fewer bits: int8 kernels with a scale for each channel, or float16; as the file will hold them."""

from collections.abc import Sequence

import numpy as np

from leaky_zoo.compress.chain import Link, Map, Step
from leaky_zoo.errors import InvalidInputError

STORAGES = ("float32", "float16", "int8")


def check_storage(storage: str) -> None:
    """Refuse a storage that there is not."""
    if storage not in STORAGES:
        raise InvalidInputError(f"`storage` must be one of {', '.join(STORAGES)}. Received: storage={storage!r}")


def rounded(links: Sequence[Link], storage: str) -> list[Link]:
    """The chain with the numbers of its maps as a file of this storage holds them.

    Args:
        links: a chain.
        storage: "float32"; "float16"; or "int8": kernels in 8 bits, biases in float16.

    Raises:
        InvalidInputError: another storage, or a number that float16 cannot hold.
    """
    check_storage(storage)
    if storage == "float32":
        return list(links)
    cut = _to_float16 if storage == "float16" else _to_int8

    def smaller(link: Map | Step) -> Link:
        return link.with_weights([cut(each) if each.ndim > 1 else _to_float16(each) for each in link.weights])

    return [smaller(link) if isinstance(link, Map | Step) else link for link in links]


def int8_of(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel as int8 and its float32 scales: `kernel = scale * int8`, the largest entry of each channel 127.

    The channels are those of the outputs, or those of the inputs where a dense or 1 x 1 kernel has fewer of them: the
    second of two factors then has a scale for each of the few directions between them.

    Returns:
        `(values, scale)`; `scale` broadcasts against `values`.

    Example:
    >>> values, scale = int8_of(np.array([[0.5, -2.0], [1.0, 0.0]]))
    >>> values.tolist(), scale.shape
    ([[64, -127], [127, 0]], (1, 2))
    """
    inputs, outputs = kernel.shape[-2:]
    by_inputs = kernel.size == inputs * outputs and 1 < inputs < outputs
    axis = kernel.ndim - (2 if by_inputs else 1)
    others = tuple(each for each in range(kernel.ndim) if each != axis)
    largest = np.abs(kernel).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    return np.rint(kernel / scale).clip(-127, 127).astype(np.int8), scale


def _to_int8(kernel: np.ndarray) -> np.ndarray:
    values, scale = int8_of(kernel)
    return (values.astype(np.float32) * scale).astype(np.float64)


def _to_float16(kernel: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        cut = kernel.astype(np.float16).astype(np.float64)
    if not np.isfinite(cut).all():
        raise InvalidInputError(
            f"float16 cannot hold these weights. Received: numbers up to {np.abs(kernel).max():.3g}"
        )
    return cut
