"""A dense path in few directions: the steps that it becomes, with ReLUs only for the units that need one.

In the bottleneck representations lie near few directions, and most units are on for all samples or off for all: they
are linear there. So a layer reads coordinates in the main directions of its inputs, only the other units stand between,
and what is linear is multiplied out: a whole layer where no unit is left. Main directions of a residual path: Ashkboos
et al. 2024 (SliceGPT); units that are always on or off: Serra et al. 2020 (lossless compression). This project weights
the directions by what the layer does with them, and chooses all sizes by what they do to the outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leaky_zoo.compress.chain import Link, Map, Step, build_model, maps_of
from leaky_zoo.compress.factors import SMALLEST, signals_of


@dataclass(frozen=True)
class Directions:
    """The main directions of representations, first to last; coordinates in them have mean 0.

    Attributes:
        mean: shape `(width,)`.
        inward: columns that give coordinates, shape `(width, k)`.
        outward: rows that give representations back, shape `(k, width)`.
        lost: share of the weighted variance that is lost with the first 0 to `k` of them, shape `(k + 1,)`.
    """

    mean: np.ndarray
    inward: np.ndarray
    outward: np.ndarray
    lost: np.ndarray


@dataclass(frozen=True)
class Units:
    """What the ReLU of a layer does to its units.

    Attributes:
        order: of the units, that one first whose ReLU does most.
        active: which of them are on rather than off where their ReLU is left out.
        lost: share of the products' energy that is lost when only the first 0 to `width` keep their ReLU, shape
            `(width + 1,)`.
    """

    order: np.ndarray
    active: np.ndarray
    lost: np.ndarray


@dataclass(frozen=True)
class ChainStatistics:
    """What samples say of a chain.

    Attributes:
        directions: of what each layer with a ReLU gets; and of the outputs of the last map, under its name.
        units: of each layer with a ReLU.
    """

    directions: dict[str, Directions]
    units: dict[str, Units]


def is_dense_path(links: Sequence[Link]) -> bool:
    """Whether a chain is one dense path: stem, steps and head, one after another.

    Example:
    >>> from leaky_zoo.compress.chain import read_chain
    >>> from leaky_zoo.networks import LeakyConvNet, LeakyMLP
    >>> is_dense_path(read_chain(LeakyMLP((4,), 2, width=8, depth=5)))
    True
    >>> is_dense_path(read_chain(LeakyConvNet((8, 8, 1), 2, width=4, depth=5)))
    False
    """
    maps = list(maps_of(links).values())
    begin = next((place for place, link in enumerate(links) if isinstance(link, Map)), 0)
    together = all(isinstance(link, Map) for link in links[begin : begin + len(maps)])
    dense = together and all(link.dense for link in maps)
    return dense and not maps[0].relu and not maps[-1].relu and any(link.relu for link in maps)


def measure_chain(links: Sequence[Link], x: np.ndarray, input_shape: tuple[int, ...]) -> ChainStatistics:
    """What raw inputs `x` say of a chain that `is_dense_path`."""
    maps = maps_of(links)
    model, last = build_model(links, input_shape, "measured"), list(maps)[-1]
    tensors = {name: model.get_layer(name).input for name, link in maps.items() if link.relu}
    tensors[last] = model.get_layer(last).output
    sums: dict[str, list[Any]] = {name: [0.0] * 5 for name in tensors}
    for found in signals_of(model, tensors, x):
        for name, raw in found.items():
            parts = (raw.sum(0), raw.T @ raw, (np.minimum(raw, 0) ** 2).sum(0), (raw > 0).sum(0), (raw**2).sum(0))
            sums[name] = [old + new for old, new in zip(sums[name], parts, strict=True)]
    directions, units = {}, {}
    for name, (total, products, below, on, energy) in sums.items():
        mean = total / len(x)
        weights = np.ones(len(mean))
        if name != last:
            gains = (maps[name].matrix ** 2).sum(1)
            units[name] = _units(below, energy - below, gains)
            weights = on / len(x) * gains + (maps[name].leak or 0.0) ** 2
        directions[name] = _directions(mean, products / len(x) - np.outer(mean, mean), weights)
    return ChainStatistics(directions, units)


def _directions(mean: np.ndarray, covariance: np.ndarray, weights: np.ndarray) -> Directions:
    """Principal directions, each unit scaled by the root of its weight.

    Coordinates are not brought to one variance: a reference for monitoring looks for a gap between their variances.
    """
    scale = np.sqrt(np.maximum(weights, SMALLEST * max(weights.max(), 1e-300)))
    values, vectors = np.linalg.eigh(scale[:, None] * covariance * scale)
    kept = np.flatnonzero(values > SMALLEST * max(values[-1], 1e-300))[::-1]
    values, vectors = values[kept], vectors[:, kept]
    rest = np.append(np.cumsum(values[::-1])[::-1], 0.0)
    return Directions(mean, scale[:, None] * vectors, vectors.T / scale, rest / max(rest[0], 1e-300))


def _units(below: np.ndarray, above: np.ndarray, gains: np.ndarray) -> Units:
    """From the energies below and above zero, and what the layer's kernel makes of each unit."""
    work = np.minimum(below, above) * gains
    order = np.argsort(-work, kind="stable")
    rest = np.append(np.cumsum(work[order][::-1])[::-1], 0.0)
    return Units(order, above >= below, rest / max(float(((below + above) * gains).sum()), 1e-300))


@dataclass(frozen=True)
class _Hidden:
    """The units of a step that have a ReLU.

    Attributes:
        width: units of the layer in the whole net.
        up, up_bias, down: as `SubspaceStep`.
    """

    width: int
    up: np.ndarray
    up_bias: np.ndarray
    down: np.ndarray


class _Pending:
    """What a link will compute, while linear layers are still multiplied into it; a stem has no hidden units."""

    def __init__(self, carry: np.ndarray, bias: np.ndarray, hidden: _Hidden | None, names: tuple[str, ...]) -> None:
        self._carry, self._bias, self._hidden, self._names = carry, bias, hidden, names

    def multiplied(self, matrix: np.ndarray, bias: np.ndarray, names: tuple[str, ...] = ()) -> "_Pending":
        """Followed by an affine map, the work of the layers of these names."""
        hidden = self._hidden and replace(self._hidden, down=self._hidden.down @ matrix)
        return _Pending(self._carry @ matrix, self._bias @ matrix + bias, hidden, self._names + names)

    def cut(self, to: Directions, rank: int) -> Map | Step:
        """The link that gives coordinates in so many directions."""
        inward = to.inward[:, :rank]
        return self.multiplied(inward, -to.mean @ inward).link()

    def link(self) -> Map | Step:
        """The link."""
        first, last = self._names[0], self._names[-1]
        name = first if first == last else f"{first}_to_{last}"
        if self._hidden is None:
            return Map(name, self._names, (self._carry,), self._bias)
        part = self._hidden
        return Step(name, self._names, part.width, part.up, part.up_bias, part.down, self._carry, self._bias)


def in_subspaces(
    links: Sequence[Link], measured: ChainStatistics, ranks: Mapping[str, int], units: Mapping[str, int]
) -> list[Link]:
    """The chain in few directions.

    Args:
        links: a chain that `is_dense_path`.
        measured: what samples say of it.
        ranks: how many directions each layer that keeps a ReLU reads, by name. The last map is named only where its
            outputs get fewer directions than they are; it then stays a link of its own.
        units: how many units of each layer keep their ReLU; with none the layer is multiplied into what stands before.

    Returns:
        The chain; the same function, up to rounding, where all directions that the data have and all units are kept.
    """
    maps = list(maps_of(links).values())
    begin, last = links.index(maps[0]), maps[-1]
    result: list[Link] = []
    current = _Pending(maps[0].matrix, maps[0].bias, None, maps[0].made_of)
    for link in maps[1:]:
        matrix, stay = link.matrix, (link.leak or 0.0) * np.eye(*link.matrix.shape)
        named = () if link is last and last.name in ranks else link.made_of
        if not link.relu:
            current = current.multiplied(matrix + stay, link.bias, named)
            continue
        linear = measured.units[link.name].active[:, None] * matrix
        if not units[link.name]:
            current = current.multiplied(linear + stay, link.bias, named)
            continue
        there, rank = measured.directions[link.name], ranks[link.name]
        result.append(current.cut(there, rank))
        outward, working = there.outward[:rank], measured.units[link.name].order[: units[link.name]]
        hidden = _Hidden(len(matrix), outward[:, working], there.mean[working], matrix[working])
        linear[working] = 0
        linear += stay
        current = _Pending(outward @ linear, there.mean @ linear + link.bias, hidden, link.made_of)
    if last.name in ranks:
        there, rank = measured.directions[last.name], ranks[last.name]
        result += [current.cut(there, rank), Map(last.name, last.made_of, (there.outward[:rank],), there.mean)]
    else:
        result.append(current.link())
    return [*links[:begin], *result, *links[begin + len(maps) :]]
