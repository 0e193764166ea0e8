"""Sizes for a whole chain at once: greedy, by what the outputs move for each number saved. Here the ranks of maps."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import keras
import numpy as np

from leaky_zoo.compress.chain import Link, Map, build_model, maps_of, numbers_of
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.divergence import Divergence
from leaky_zoo.compress.factors import InputMoments, Spectrum, factored, most_rank, spectrum_of
from leaky_zoo.networks import LeakyNetwork

FACTOR = 0.85  # from one size to the next lower one
FIRST_STEP = 0.9  # of the largest rank that saves anything, at most;
FIRST_LOSS = 1e-5  # and at most the rank that loses so much of the energy of a map's outputs
LARGEST = 2**24  # values of one layer's outputs at once

Size = TypeVar("Size")


Runs: TypeAlias = "keras.Model | Callable[[np.ndarray], np.ndarray]"


def run_model(model: Runs, x: np.ndarray) -> np.ndarray:
    """Outputs for all samples: of a Keras model in batches that memory holds, or of a function of samples."""
    if not isinstance(model, keras.Model):
        return model(x)
    widest = max(math.prod(tensor.shape[1:]) for layer in model.layers for tensor in _outputs_of(layer))
    batch = max(1, LARGEST // widest)
    kind, starts = model.inputs[0].dtype, range(0, len(x), batch)
    found = (model(np.asarray(x[start : start + batch], kind), training=False) for start in starts)
    return np.concatenate([keras.ops.convert_to_numpy(each) for each in found])


def _outputs_of(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    return [tensor for tensor in keras.tree.flatten(layer.output) if isinstance(tensor, keras.KerasTensor)]


class Judge:
    """What candidates are judged by: how far outputs move on many samples; the metric on others is the guard.

    Candidates differ in two or three of the few samples that are held out to choose on: which has the better accuracy
    there is luck, and the luckiest of a hundred is none of the best. Outputs of the whole net are there for any input.

    Args:
        network: the whole net.
        moved: inputs to compare outputs on, as training sees them.
        choose: `(x, y)`, held out, for the metric.
        metric: of the budget.
    """

    def __init__(
        self, network: LeakyNetwork, moved: np.ndarray, choose: tuple[np.ndarray, np.ndarray], metric: Metric
    ) -> None:
        self._between, self._metric = Divergence(network), metric
        self._moved, self._wanted = np.asarray(moved, np.float32), run_model(network, moved)
        self._x, self._y = np.asarray(choose[0], np.float32), choose[1]
        self.whole = self.value(network)

    def divergence(self, model: Runs) -> float:
        """Of a model from the whole net, logits at their best scale."""
        return self._between.at_best_scale(run_model(model, self._moved), self._wanted)

    def value(self, model: Runs) -> float:
        """The metric on what is held out."""
        return self._metric.value(run_model(model, self._x), self._y)

    def cost(self, model: Runs) -> tuple[float, float]:
        """The metric on what is held out; and what counts against an allowance.

        That is the drop from the whole net's metric, or, where the metric is an accuracy, the share of the moved inputs
        whose class is another one than the whole net's, in percentage points: whichever is more. A drop cannot be
        more than that share, on as many inputs, and the share falls and rises less by chance.
        """
        value = self.value(model)
        drop = self._metric.drop(self.whole, value)
        if self._metric.name != "accuracy":
            return value, drop
        other = run_model(model, self._moved).argmax(-1) != self._wanted.argmax(-1)
        return value, max(drop, round(100 * float(np.mean(other)), 9))


@dataclass(frozen=True)
class Candidate:
    """A chain with ranks, and what it gives on the samples that are chosen on.

    Attributes:
        left_out: layers without a ReLU.
        ranks: of the maps that have factors, by name; of a chain in few directions, those that each layer reads.
        numbers: weights and biases left.
        divergence: from the whole net's outputs.
        value: of the metric, on the samples to choose on.
        drop: what it costs, as `Judge.cost` says.
        units: of a chain in few directions, how many of each layer have a ReLU.
    """

    left_out: tuple[int, ...]
    ranks: dict[str, int]
    numbers: int
    divergence: float
    value: float
    drop: float
    units: dict[str, int] = field(default_factory=dict)


class GreedySearch(ABC, Generic[Size]):
    """Lowers sizes one step at a time, that one first which moves the outputs least for each number it saves.

    Measured on the whole net with all sizes chosen so far. The last measured score of a size stands until it comes
    first; then it is measured again (lazy greedy: Minoux 1978). Subclasses say what the sizes are.
    """

    def candidates(self, stop: float) -> list[Candidate]:
        """From large sizes down, one for each step, until they cost more than `stop`."""
        divergence = self._divergence()
        found = [self._candidate(divergence)]
        scores = dict.fromkeys(self._sizes(), -np.inf)
        fresh: dict[Size, float] = {}
        while can := [size for size in scores if self._next(size) is not None]:
            size = min(can, key=lambda size: scores[size])
            if size not in fresh:
                fresh[size] = self._try(size)
                scores[size] = (fresh[size] - divergence) / self._saved(size)
                continue
            self._lower(size)
            divergence = fresh[size]
            fresh = {}
            found.append(self._candidate(divergence))
            if found[-1].drop > stop:
                break
        return found

    @abstractmethod
    def chain(self, candidate: Candidate) -> list[Link]:
        """The chain of a candidate."""

    @abstractmethod
    def _sizes(self) -> Iterable[Size]:
        """Names of all sizes."""

    @abstractmethod
    def _next(self, size: Size) -> int | None:
        """The next lower size; None where there is none."""

    @abstractmethod
    def _saved(self, size: Size) -> int:
        """Numbers that the next lower size saves."""

    @abstractmethod
    def _divergence(self) -> float:
        """Of the chain as it is now."""

    @abstractmethod
    def _try(self, size: Size) -> float:
        """The divergence with the next lower size."""

    @abstractmethod
    def _lower(self, size: Size) -> None:
        """Take the next lower size."""

    @abstractmethod
    def _candidate(self, divergence: float) -> Candidate:
        """The chain as it is now, measured."""


class RankSearch(GreedySearch[str]):
    """Ranks of the maps of a chain, each in two factors.

    Args:
        links: a chain without factors.
        moments: of its maps' inputs.
        judge: of the candidates.
        input_shape: of a sample.
        left_out: layers of it that have no ReLU.
    """

    def __init__(
        self,
        links: Sequence[Link],
        moments: dict[str, InputMoments],
        judge: Judge,
        input_shape: tuple[int, ...],
        left_out: Sequence[int],
    ) -> None:
        self._links, self._moments, self._judge, self._left_out = list(links), moments, judge, tuple(left_out)
        self._model = build_model(links, input_shape, "search")
        self.maps = maps_of(links)
        self._spectra: dict[str, Spectrum] = {}
        self.ranks: dict[str, int] = {}

    def chain(self, candidate: Candidate) -> list[Link]:
        return [self._with_rank(link, candidate.ranks) for link in self._links]

    def _sizes(self) -> Iterable[str]:
        return self.maps

    def _divergence(self) -> float:
        return self._judge.divergence(self._model)

    def _candidate(self, divergence: float) -> Candidate:
        numbers = numbers_of([self._with_rank(link, self.ranks) for link in self._links])
        return Candidate(self._left_out, dict(self.ranks), numbers, divergence, *self._judge.cost(self._model))

    def _next(self, name: str) -> int | None:
        now = self.ranks.get(name)
        if now is None:
            most = int(FIRST_STEP * most_rank(self.maps[name]))
            first = min(most, self._spectrum(name).rank_within(FIRST_LOSS))
            return first if first >= 1 else None
        return min(int(FACTOR * now), now - 1) or None

    def _saved(self, name: str) -> int:
        m, n = self.maps[name].matrix.shape
        now, after = self.ranks.get(name), self._next(name) or 0
        return (m * n if now is None else now * (m + n)) - after * (m + n)

    def _spectrum(self, name: str) -> Spectrum:
        if name not in self._spectra:
            self._spectra[name] = spectrum_of(self.maps[name], self._moments[name])
        return self._spectra[name]

    def _low(self, name: str, rank: int | None) -> Map:
        link = self.maps[name]
        return link if rank is None else factored(link, self._moments[name], self._spectrum(name), rank)

    def _with_rank(self, link: Link, ranks: dict[str, int]) -> Link:
        return self._low(link.name, ranks[link.name]) if isinstance(link, Map) and link.name in ranks else link

    def _try(self, name: str) -> float:
        before = self.ranks.get(name)
        self._assign(name, self._next(name))
        measured = self._divergence()
        self._assign(name, before)
        return measured

    def _lower(self, name: str) -> None:
        rank = self._next(name)
        assert rank is not None
        self.ranks[name] = rank
        self._assign(name, rank)

    def _assign(self, name: str, rank: int | None) -> None:
        """Give the model the product of the factors, in the shape of the whole kernel."""
        whole, low = self.maps[name], self._low(name, rank)
        self._model.get_layer(name).set_weights(whole.with_matrix(low.matrix, bias=low.bias).weights)
