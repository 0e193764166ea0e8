"""The search for the sizes of a dense path in few directions: how many each layer reads, how many units have a ReLU."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from leaky_zoo.compress.chain import Link, Map, Step, build_model, maps_of, numbers_of
from leaky_zoo.compress.search import FACTOR, FIRST_LOSS, Candidate, GreedySearch, Judge, run_model
from leaky_zoo.compress.subspace import in_subspaces, measure_chain

SizeName: TypeAlias = tuple[str, str]  # "directions" or "units", and the layer's name


class SubspaceSearch(GreedySearch[SizeName]):
    """Directions and units of a chain that `is_dense_path`.

    Args:
        links: the chain, without factors; what was folded is folded in it.
        x: raw inputs, to see the layers' inputs on.
        judge: of the candidates.
        input_shape: of a sample.
        left_out: layers of it that have no ReLU.
    """

    def __init__(
        self,
        links: Sequence[Link],
        x: np.ndarray,
        judge: Judge,
        input_shape: tuple[int, ...],
        left_out: Iterable[int] = (),
    ) -> None:
        self._links, self._judge, self._run = list(links), judge, _NumpyChain(links, input_shape)
        self._measured, self._maps = measure_chain(links, x, input_shape), maps_of(links)
        self._left_out, self._last = tuple(left_out), list(self._maps)[-1]
        self._now: dict[SizeName, int] = {}
        for name, units in self._measured.units.items():
            lost = self._measured.directions[name].lost
            self._now["directions", name] = max(int(np.argmax(lost <= FIRST_LOSS)), 1)
            self._now["units", name] = int(np.argmax(units.lost <= FIRST_LOSS))
        self._now["directions", self._last] = len(self._measured.directions[self._last].mean)

    def chain(self, candidate: Candidate) -> list[Link]:
        return in_subspaces(self._links, self._measured, candidate.ranks, candidate.units)

    def _with(self, sizes: dict[SizeName, int]) -> list[Link]:
        return in_subspaces(self._links, self._measured, *self._ranks_and_units(sizes))

    def _ranks_and_units(self, sizes: dict[SizeName, int]) -> tuple[dict[str, int], dict[str, int]]:
        """The sizes that `in_subspaces` needs: no directions for layers without units, nor for outputs as they are."""
        units = {name: size for (kind, name), size in sizes.items() if kind == "units"}
        ranks = {name: size for (kind, name), size in sizes.items() if kind == "directions"}
        outputs = len(self._measured.directions[self._last].mean)
        return {name: rank for name, rank in ranks.items() if units.get(name, rank < outputs)}, units

    def _numbers(self, sizes: dict[SizeName, int]) -> int:
        """Weights and biases of the chain; quicker than to make it."""
        ranks, units = self._ranks_and_units(sizes)
        reads, hidden, total = len(next(iter(self._maps.values())).matrix), 0, 0

        def part(writes: int) -> int:
            return (reads + 1) * writes + hidden * (reads + 1 + writes)

        for name in self._measured.units:
            if units[name]:
                total += part(ranks[name])
                reads, hidden = ranks[name], units[name]
        outputs = len(self._measured.directions[self._last].mean)
        others = numbers_of([link for link in self._links if not isinstance(link, Map)])
        if self._last in ranks:
            return others + total + part(ranks[self._last]) + (ranks[self._last] + 1) * outputs
        return others + total + part(outputs)

    def _changed(self, size: SizeName) -> dict[SizeName, int]:
        lower = self._next(size)
        assert lower is not None
        return {**self._now, size: lower}

    def _sizes(self) -> Iterable[SizeName]:
        return self._now

    def _next(self, size: SizeName) -> int | None:
        kind, name = size
        now, least = self._now[size], 0 if kind == "units" else 1
        begin = min(int(FACTOR * now), now - 1)
        if kind == "directions":
            if self._now.get(("units", name)) == 0:
                return None
            begin = min(begin, len(self._measured.directions[name].outward))
        numbers = self._numbers(self._now)
        # Not every step saves: a layer without units is read in more directions, a cut before outputs is one map more.
        return next((n for n in range(begin, least - 1, -1) if self._numbers({**self._now, size: n}) < numbers), None)

    def _saved(self, size: SizeName) -> int:
        return self._numbers(self._now) - self._numbers(self._changed(size))

    def _divergence(self) -> float:
        return self._judge.divergence(self._run.outputs_of(self._with(self._now)))

    def _try(self, size: SizeName) -> float:
        return self._judge.divergence(self._run.outputs_of(self._with(self._changed(size))))

    def _lower(self, size: SizeName) -> None:
        self._now = self._changed(size)

    def _candidate(self, divergence: float) -> Candidate:
        ranks, units = self._ranks_and_units(self._now)
        folded = {link.layer for name, link in self._maps.items() if link.layer and units.get(name) == 0}
        cost = self._judge.cost(self._run.outputs_of(self._with(self._now)))
        left_out = tuple(sorted({*self._left_out, *folded}))
        return Candidate(left_out, ranks, self._numbers(self._now), divergence, *cost, units)


class _NumpyChain:
    """Outputs of chains that differ in their maps and steps alone, in numpy: a Keras model of each would cost more."""

    def __init__(self, links: Sequence[Link], input_shape: tuple[int, ...]) -> None:
        begin, *_, end = (place for place, link in enumerate(links) if isinstance(link, Map))
        self._before = build_model(links[:begin], input_shape, "before")
        outputs = links[end].bias.shape  # type: ignore[union-attr]
        self._after = build_model(links[end + 1 :], outputs, "after") if links[end + 1 :] else None
        self._rows: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def outputs_of(self, links: Sequence[Link]) -> Callable[[np.ndarray], np.ndarray]:
        """A function from raw inputs to outputs; what comes before the maps is kept for inputs that come again."""
        parts = [link for link in links if isinstance(link, Map | Step)]

        def outputs(x: np.ndarray) -> np.ndarray:
            if id(x) not in self._rows:
                self._rows[id(x)] = x, run_model(self._before, x)  # with `x`, so that nothing else gets its id
            rows = self._rows[id(x)][1]
            for part in parts:
                rows = _computed(part, rows)
            return rows if self._after is None else run_model(self._after, rows)

        return outputs


def _computed(part: Map | Step, rows: np.ndarray) -> np.ndarray:
    """In float32, of a map without ReLU and leak, or a step."""
    weights = [each.astype(np.float32) for each in part.weights]
    if isinstance(part, Map):
        *factors, bias = weights
        for factor in factors:
            rows = rows @ factor
        return rows + bias
    up, up_bias, down, carry, bias = weights
    return np.maximum(rows @ up + up_bias, 0) @ down + rows @ carry + bias
