"""What to fold and where to cut: measured, smallest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leaky_zoo.analysis.linearity import Linearity, measure_linearity
from leaky_zoo.compress.chain import Link, build_model, numbers_of, read_chain
from leaky_zoo.compress.data import CompressionData, Metric
from leaky_zoo.compress.distill import augmented
from leaky_zoo.compress.factors import InputMoments, input_moments
from leaky_zoo.compress.folding import fold, remove_dead_units
from leaky_zoo.compress.search import Candidate, GreedySearch, Judge, RankSearch
from leaky_zoo.compress.subspace import is_dense_path
from leaky_zoo.compress.subspace_search import SubspaceSearch
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.geometry.subsample import even_rows
from leaky_zoo.networks import LeakyNetwork, resample

MOMENT_SAMPLES, RELU_SAMPLES, SEARCH_SAMPLES = 8000, 1000, 4000
IMAGE_SAMPLES = 1000  # for all three, where maps are convolutions
REACH = 10.0  # of the smallest candidate: its cost before distillation, in budgets
ALLOWANCES = (7.0, 5.0, 3.5, 2.0, 1.0)  # of the others
MOST_FOLDS = 2
DEAD = 1e-8
LEAST_SAVED = 0.25  # of the numbers, without distillation, where no layers fold


@dataclass(frozen=True)
class Choice:
    """One way to compress: a candidate of the search, with what was measured before distillation.

    Attributes:
        candidate: folds and sizes.
        links: the chain, cut to them.
    """

    candidate: Candidate
    links: list[Link] = field(repr=False)


@dataclass(frozen=True)
class CompressionPlan:
    """What `plan_compression` found.

    Attributes:
        max_drop: the budget.
        metric: its name.
        whole: the metric of the whole net on the samples that were chosen on.
        numbers: weights and biases of the whole net.
        linearity: which ReLUs do nothing there.
        choices: what can be tried, smallest first; the last one is within the budget without distillation, if any is.
        trail: every candidate that was measured, fold after fold.
        steps: of the paths that were discretised anew; None: the network's own.
    """

    max_drop: float
    metric: str
    whole: float
    numbers: int
    linearity: Linearity
    choices: list[Choice]
    trail: list[Candidate] = field(repr=False)
    steps: int | None = None


def plan_compression(
    network: LeakyNetwork,
    data: CompressionData,
    *,
    max_drop: float,
    metric: str | None = None,
    distill: bool = True,
    augmentation: Augmentation | None = None,
    steps: int | None = None,
    reach: float = REACH,
) -> CompressionPlan:
    """Find which layers fold and which ranks do, within a budget; nothing of the network is changed.

    Folds: the ReLUs that `measure_linearity` finds idle, then the run of them longer by one layer at a time towards the
    input, as long as the cost stays within what is allowed. Sizes: for each fold the ranks of factors (`RankSearch`),
    and of a dense path directions and units (`SubspaceSearch`), by how far the outputs move on samples of `data.fit`
    under the augmentation. With distillation to follow, candidates that cost up to `reach` budgets before it are kept
    too: `Judge.cost`, on those samples and `data.choose`. This project.

    Args:
        network: the whole net.
        data: its samples, as `split_for` divides them.
        max_drop: percentage points of accuracy, or percent of the loss, above 0.
        metric: "accuracy" or "loss". Default None: accuracy of a classifier, else the loss.
        distill: whether distillation will follow. Default True.
        augmentation: of training, for the moments of the inputs and for judging. Default None: none.
        steps: of each path, which is discretised anew with them first (`resample`, fitted to the same samples).
            Default None: the network's own.
        reach: what the smallest candidate may cost before distillation, in budgets, at least 1. Default 10.

    Returns:
        The `CompressionPlan`.

    Raises:
        InvalidInputError: a budget that is not positive, steps that `resample` refuses, or a network that is no
            chain.
        CheckFailedError: the net has no bottleneck: no two layers fold, and ranks within the budget save less than a
            quarter of the numbers. The message says what was measured. Not where `steps` are asked for.
    """
    if not (isinstance(max_drop, int | float) and 0 < max_drop <= 100):
        raise InvalidInputError(f"`max_drop` must be in (0, 100]. Received: max_drop={max_drop!r}")
    if not reach >= 1:
        raise InvalidInputError(f"`reach` must be at least 1 budget. Received: reach={reach!r}")
    allowances = [reach, *(each for each in ALLOWANCES if each < reach)] if distill else [1.0]
    allowed = max_drop * allowances[0]
    measured = Metric.of(network, metric)
    images = len(network.config.input_shape) == 3 and network.family != "mlp"
    sizes = [IMAGE_SAMPLES] * 3 if images else [MOMENT_SAMPLES, RELU_SAMPLES, SEARCH_SAMPLES]
    seen, moved = (augmented(rows, augmentation) for rows in _two_draws(data.fit[0], sizes[0], sizes[2]))
    x, y = (each[even_rows(len(data.choose[0]), sizes[2])] for each in data.choose)
    judge = Judge(network, moved, (x, y), measured)
    thinner = network if steps is None else resample(network, steps, x=seen)
    links = read_chain(thinner)
    linearity = measure_linearity(thinner, x, samples=sizes[1])
    found: list[tuple[Candidate, GreedySearch[Any]]] = []
    shape, numbers = network.config.input_shape, numbers_of(read_chain(network))
    for left_out, chain in _folds(network, links, linearity, judge, max_drop, allowed):
        searches: list[GreedySearch[Any]] = [RankSearch(*_moments(chain, seen, shape), judge, shape, left_out)]
        if is_dense_path(chain):
            searches.append(SubspaceSearch(chain, seen, judge, shape, left_out))
        for search in searches:
            found += [(each, search) for each in search.candidates(allowed) if each.numbers <= numbers]
    trail = [candidate for candidate, _ in found]
    if steps is None:
        _refuse_without_bottleneck(network, numbers, trail, max_drop, linearity)
    chosen = _chosen(trail, max_drop, allowances)
    choices = [Choice(each, search.chain(each)) for one in chosen for each, search in found if each is one]
    return CompressionPlan(max_drop, measured.name, judge.whole, numbers, linearity, choices, trail, steps)


def _folds(
    network: LeakyNetwork,
    links: Sequence[Link],
    linearity: Linearity,
    judge: Judge,
    max_drop: float,
    allowed: float,
) -> list[tuple[tuple[int, ...], list[Link]]]:
    """Sets of layers without ReLUs that cost no more than is allowed, and their chains.

    The largest ones, and the largest one within the budget, so that there is always something that needs no
    distillation.
    """
    found: list[tuple[tuple[int, ...], list[Link]]] = [((), list(links))]
    safe = found[0]
    left_out = set(linearity.left_out)
    start = linearity.linear_stretch[0] if linearity.linear_stretch else len(linearity.relu_effects) + 1
    for first in range(start, 0, -1):
        layers = left_out | set(range(first, start))
        if tuple(sorted(layers)) in [tried for tried, _ in found]:
            continue
        chain = fold(links, layers)
        _, drop = judge.cost(build_model(chain, network.config.input_shape, "folded"))
        if drop > allowed:
            break
        found.append((tuple(sorted(layers)), chain))
        if drop <= max_drop:
            safe = found[-1]
    largest = found[-MOST_FOLDS:]
    return largest if any(each is safe for each in largest) else [safe, *largest]


def _two_draws(x: np.ndarray, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples for the moments, and others to judge on; the same where there are too few."""
    rows = np.arange(len(x))[even_rows(len(x), first)]
    rest = np.setdiff1d(np.arange(len(x)), rows)
    rest = rest if len(rest) >= second else np.arange(len(x))
    return x[rows], x[rest[even_rows(len(rest), second)]]


def _moments(
    chain: list[Link], x: np.ndarray, input_shape: tuple[int, ...]
) -> tuple[list[Link], dict[str, InputMoments]]:
    """The chain without dead units, and the moments of its maps' inputs."""
    moments = input_moments(build_model(chain, input_shape, "moments"), chain, x)
    alive = remove_dead_units(chain, {name: each.energies for name, each in moments.items()}, DEAD)
    if numbers_of(alive) == numbers_of(chain):
        return chain, moments
    return alive, input_moments(build_model(alive, input_shape, "moments"), alive, x)


def _chosen(trail: Sequence[Candidate], max_drop: float, allowances: Sequence[float]) -> list[Candidate]:
    """The smallest candidate within each allowance, smallest first."""
    found: list[Candidate] = []
    for allowance in allowances:
        within = [each for each in trail if each.drop <= allowance * max_drop]
        if within:
            best = min(within, key=lambda each: each.numbers)
            if best not in found:
                found.append(best)
    return found


def _refuse_without_bottleneck(
    network: LeakyNetwork, numbers: int, trail: Sequence[Candidate], max_drop: float, linearity: Linearity
) -> None:
    within = [each.numbers for each in trail if each.drop <= max_drop]
    stretch = linearity.linear_stretch
    folds = stretch is not None and stretch[1] > stretch[0]
    smallest = min(within, default=numbers)
    if folds or smallest <= (1 - LEAST_SAVED) * numbers:
        return
    saved = max(0.0, 100 * (1 - smallest / numbers))
    doing = f"{linearity.effective_nonlinear_depth['layers']} of {len(linearity.relu_effects)} ReLUs do something"
    raise CheckFailedError(
        f"{network.name} has no bottleneck to compress along: no two neighbouring layers are linear ({doing}), and "
        f"fewer directions within {max_drop:g} save {saved:.0f}% of its {numbers:,} numbers. It is left alone."
    )


def describe_choice(choice: Choice) -> dict[str, Any]:
    """A choice in plain data."""
    each = choice.candidate
    units = {"units": each.units} if each.units else {}
    ranks = {"left_out": list(each.left_out), "ranks": each.ranks, **units}
    return {**ranks, "numbers": each.numbers, "drop_before": each.drop}
