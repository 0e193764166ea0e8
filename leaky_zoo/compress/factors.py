"""Low-rank factors of maps, weighted by what the maps see; and the moments that say what they see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from leaky_zoo.compress.chain import Link, Map, maps_of
from leaky_zoo.layers.conv import image_patches

BATCH = 64
SMALLEST = 1e-9  # eigenvalues below so much of the largest are directions that the data do not have


@dataclass(frozen=True)
class InputMoments:
    """What a map sees: its inputs after its ReLU (patches of them, for a convolution), over samples.

    Attributes:
        mean: shape `(inputs,)`.
        covariance: shape `(inputs, inputs)`.
        energies: second moment of each unit or channel **before** the ReLU.
    """

    mean: np.ndarray
    covariance: np.ndarray
    energies: np.ndarray


def input_moments(model: keras.Model, links: Sequence[Link], x: np.ndarray) -> dict[str, InputMoments]:
    """Moments of the inputs of every map of a chain, in one pass; patches of stride-1 convolutions for all strides.

    Args:
        model: of the chain, as `build_model` makes it.
        links: the chain.
        x: raw inputs.

    Returns:
        By the names of the maps.
    """
    maps = maps_of(links)
    sums: dict[str, list[Any]] = {name: [0.0, 0.0, 0.0, 0, 0] for name in maps}
    for found in signals_of(model, {name: model.get_layer(name).input for name in maps}, x):
        for name, raw in found.items():
            vectors, columns = _rows(maps[name], raw)
            total = sums[name]
            total[0] = total[0] + vectors.sum(0)
            total[1] = total[1] + vectors.T @ vectors
            total[2] = total[2] + (columns**2).sum(0)
            total[3] += len(vectors)
            total[4] += len(columns)
    moments = {}
    for name, (total, products, squares, count, pixels) in sums.items():
        mean = np.asarray(total) / count
        moments[name] = InputMoments(mean, np.asarray(products) / count - np.outer(mean, mean), squares / pixels)
    return moments


def signals_of(model: keras.Model, tensors: dict[str, Any], x: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """These tensors of a model, float64, under the same names; batch after batch."""
    watched = keras.Model(model.inputs, tensors)
    for start in range(0, len(x), BATCH):
        found = watched([np.asarray(x[start : start + BATCH], np.float32)], training=False)
        yield {name: keras.ops.convert_to_numpy(value).astype(np.float64) for name, value in found.items()}


def _rows(link: Map, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A map's inputs as rows that its matrix multiplies; and units as columns, before the ReLU."""
    active = np.maximum(raw, 0) if link.relu else raw
    if link.dense:
        return active, raw
    if link.data_format == "channels_first":
        active, raw = (np.moveaxis(each, 1, -1) for each in (active, raw))
    side = link.factors[0].shape[0]
    return image_patches(active, side), raw.reshape(-1, raw.shape[-1])


def most_rank(link: Map) -> int:
    """The largest rank at which factors are smaller than the map: `r (m + n) < m n`."""
    m, n = link.matrix.shape
    return max((m * n - 1) // (m + n), 0)


@dataclass(frozen=True)
class Spectrum:
    """A map's matrix `W` as the data see it: `cov^(1/2) W = U S V^T`.

    Attributes:
        left: `cov^(-1/2) U`, shape `(inputs, k)`; zero along directions that the data do not have.
        values: `S`, descending.
        right: `V^T`, shape `(k, units)`.
    """

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray

    def rank_within(self, loss: float) -> int:
        """The least rank that loses at most this share of the energy; 0 where there is none.

        Example:
        >>> Spectrum(np.eye(3), np.array([3.0, 1.0, 0.1]), np.eye(3)).rank_within(0.01)
        2
        """
        rest = np.append(np.cumsum(self.values[::-1] ** 2)[::-1], 0.0)
        return int(np.argmax(rest <= loss * rest[0]))


def spectrum_of(link: Map, moments: InputMoments) -> Spectrum:
    """The activation-weighted singular value decomposition of a map (Yuan et al. 2023, ASVD; in closed form)."""
    values, vectors = np.linalg.eigh(moments.covariance)
    kept = values > SMALLEST * max(values[-1], 1e-300)
    root, basis = np.sqrt(values[kept]), vectors[:, kept]
    u, s, vt = np.linalg.svd((root[:, None] * basis.T) @ link.matrix, full_matrices=False)
    return Spectrum(basis @ (u / root[:, None]), s, vt)


def factored(link: Map, moments: InputMoments, spectrum: Spectrum, rank: int) -> Map:
    """The map in two factors of this rank, which lose least on the data; the bias takes over the mean of the rest.

    Example:
    >>> link = Map("map", ("map",), (np.diag([3.0, 2.0, 1e-6]),), np.zeros(3))
    >>> seen = InputMoments(np.zeros(3), np.diag([1.0, 1.0, 1.0]), np.ones(3))
    >>> low = factored(link, seen, spectrum_of(link, seen), 2)
    >>> [factor.shape for factor in low.factors], bool(np.allclose(low.matrix, link.matrix, atol=1e-5))
    ([(3, 2), (2, 3)], True)
    """
    root = np.sqrt(spectrum.values[:rank])
    first, second = spectrum.left[:, :rank] * root, root[:, None] * spectrum.right[:rank]
    # Evened out: both factors get entries of the same size, for training and for int8.
    scale = np.sqrt((np.linalg.norm(second, axis=1) + 1e-30) / (np.linalg.norm(first, axis=0) + 1e-30))
    first, second = first * scale, second / scale[:, None]
    bias = link.bias + moments.mean @ (link.matrix - first @ second)
    return link.with_matrix(first, second, bias=bias)
