"""Sizes of a dense path in few directions: how many each layer reads, and how many of its units have a ReLU."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from leaky_zoo.compress.chain import Link, Map, Step, build_model, maps_of, numbers_of
from leaky_zoo.compress.search import FIRST_LOSS, STEP, Candidate, GreedySearch, Judge, run_model
from leaky_zoo.compress.subspace import look, slice_chain

Size: TypeAlias = tuple[str, str]  # "directions" or "units", and the layer's name


class SliceSearch(GreedySearch[Size]):
    """Directions and units of a chain that `can_slice`.

    Args:
        links: the chain, without factors.
        x: raw inputs, to see the layers' inputs on.
        judge: of the candidates.
        input_shape: of a sample.
        left_out: layers that begin without a ReLU.
    """

    def __init__(
        self,
        links: Sequence[Link],
        x: np.ndarray,
        judge: Judge,
        input_shape: tuple[int, ...],
        left_out: Iterable[int] = (),
    ) -> None:
        self._links, self._judge, self._run = list(links), judge, _Runner(links, input_shape)
        self._seen, self._maps = look(links, x, input_shape), maps_of(links)
        self._last, idle = list(self._maps)[-1], set(left_out)
        self._now: dict[Size, int] = {}
        for name, units in self._seen.units.items():
            lost = self._seen.directions[name].lost
            self._now["directions", name] = max(int(np.argmax(lost <= FIRST_LOSS)), 1)
            working = int(np.argmax(units.lost <= FIRST_LOSS))
            self._now["units", name] = 0 if self._maps[name].layer in idle else working
        self._now["directions", self._last] = len(self._seen.directions[self._last].mean)

    def chain(self, candidate: Candidate) -> list[Link]:
        return slice_chain(self._links, self._seen, candidate.ranks, candidate.units)

    def _with(self, sizes: dict[Size, int]) -> list[Link]:
        return slice_chain(self._links, self._seen, _of_kind("directions", sizes), _of_kind("units", sizes))

    def _changed(self, size: Size) -> dict[Size, int]:
        lower = self._next(size)
        assert lower is not None
        return {**self._now, size: lower}

    def _sizes(self) -> Iterable[Size]:
        return self._now

    def _next(self, size: Size) -> int | None:
        kind, name = size
        now = self._now[size]
        lower = min(int(STEP * now), now - 1)
        if kind == "units":
            return lower if lower >= 0 else None
        if lower < 1 or self._now.get(("units", name)) == 0:
            return None
        if name == self._last:
            # A map of its own for the outputs pays from here on, or not at all.
            lower = min(lower, len(self._seen.directions[name].outward))
            if numbers_of(self._with({**self._now, size: lower})) >= numbers_of(self._with(self._now)):
                return None
        return lower

    def _saved(self, size: Size) -> int:
        return numbers_of(self._with(self._now)) - numbers_of(self._with(self._changed(size)))

    def _divergence(self) -> float:
        return self._judge.divergence(self._run.of(self._with(self._now)))

    def _try(self, size: Size) -> float:
        return self._judge.divergence(self._run.of(self._with(self._changed(size))))

    def _lower(self, size: Size) -> None:
        self._now = self._changed(size)

    def _candidate(self, divergence: float) -> Candidate:
        chain = self._with(self._now)
        ranks, units = _of_kind("directions", self._now), _of_kind("units", self._now)
        left_out = tuple(link.layer for name, link in self._maps.items() if link.layer and not units.get(name, 0))
        cost = self._judge.cost(self._run.of(chain))
        return Candidate(left_out, ranks, numbers_of(chain), divergence, *cost, units)


def _of_kind(kind: str, sizes: dict[Size, int]) -> dict[str, int]:
    return {name: size for (each, name), size in sizes.items() if each == kind}


class _Runner:
    """Outputs of chains that differ in their maps and steps alone, in numpy: a Keras model of each would cost more."""

    def __init__(self, links: Sequence[Link], input_shape: tuple[int, ...]) -> None:
        begin, *_, end = (place for place, link in enumerate(links) if isinstance(link, Map))
        self._before = build_model(links[:begin], input_shape, "before")
        outputs = links[end].bias.shape  # type: ignore[union-attr]
        self._after = build_model(links[end + 1 :], outputs, "after") if links[end + 1 :] else None
        self._rows: dict[int, np.ndarray] = {}

    def of(self, links: Sequence[Link]) -> Callable[[np.ndarray], np.ndarray]:
        """A function from raw inputs to outputs; what comes before the maps is kept for inputs that come again."""
        parts = [link for link in links if isinstance(link, Map | Step)]

        def outputs(x: np.ndarray) -> np.ndarray:
            if id(x) not in self._rows:
                self._rows[id(x)] = run_model(self._before, x)
            rows = self._rows[id(x)]
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
