"""How many directions a bottleneck has, in words and as an interval; or why that cannot be said.

Two counts, from representations and energies alone (this project):

- **directions of the weights**: how many singular values of what a layer writes stand before a gap: of `W s(A_{l-1})`,
  which is `(A_l - c A_{l-1}) / rho`. Directions of the outputs that grow slowly along the path are among them;
- **stationary directions**: the cost of identity at the flattest point of its sweep over `gamma_0`, rounded up, where
  the spectrum of the representation has a gap behind as many directions. Where there is no such plateau they are not
  counted: remains of the inputs that decay by the leak alone, or outputs that grow, tilt the sweep.

`-2H/L~` in the momentum form approaches the stationary directions from below. The criticality residual (Clarke's, where
it was asked for) decides whether they may speak: away from a critical point nothing is conserved, and kinetic +
potential looks flat all the same. One threshold serves verdict, warnings and figures.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leaky_zoo.analysis.records import BottleneckRank, LayerAudit, PathAudit
from leaky_zoo.io.reading import counted

# Largest residual ||W - P s^T|| / ||W|| of a layer that is called critical. The 30 nets of figure 1, trained until it
# is 0.05 or no longer falls, have at most 0.074 on any layer; the nets of the study of step sizes, not trained to a
# critical point (docs/step_sizes.md), a median of 0.16 on their worst; classifiers that stop with Adam 0.6 and more.
CRITICAL = 0.1
GAP = 10.0  # least ratio of neighbouring singular values that counts as "these directions, and no more"
SLACK = 0.05  # -2H/L~ may exceed the rank by as much, at the residuals allowed
WIDEST = 2  # of an interval whose lower end -2H/L~ gives: farther below it says nothing
LINEAR = 0.01  # negative share of the representations under which a ReLU is said to do nothing


def residual_of(layer: LayerAudit) -> float | None:
    """The residual that judges a layer: Clarke's, where it was asked for, else that of the sign masks."""
    return layer.criticality_residual if layer.clarke_residual is None else layer.clarke_residual


def is_critical(layer: LayerAudit) -> bool:
    """Whether nothing speaks against this layer being at a critical point: no residual above `CRITICAL`."""
    return (residual_of(layer) or 0.0) <= CRITICAL


def judge(
    layers: Sequence[LayerAudit], spectrum_before: list[float], effective_depth: float, is_training_split: bool | None
) -> BottleneckRank:
    """The verdict of an audit.

    Args:
        layers: its layers.
        spectrum_before: singular values of `A_0`.
        effective_depth: `L~`.
        is_training_split: whether the audit is of the data the net was trained on; None where that is not known.

    Returns:
        The `BottleneckRank`; its numbers are None where no rank can be reported.
    """
    few = next((layer for layer in layers if layer.columns and layer.width and layer.columns <= layer.width), None)
    if few is not None:
        columns = counted(few.columns or 0, "column")
        return _none(f"too few samples: {columns} cannot show how many of {few.width} units are used", layers)
    spectra = [spectrum_before, *[layer.singular_values or [] for layer in layers[:-1]]]
    flat = [
        layer
        for layer, spectrum in zip(layers, spectra, strict=True)
        if layer.plateau is not None and _gap(spectrum, layer.plateau["rank"]) >= GAP
    ]
    # The last layer writes the outputs.
    sharp = [layer for layer in layers[:-1] if layer.written_directions and (layer.written_gap or 0.0) >= GAP]
    if not flat and not sharp:
        residual = _least_residual(layers)
        if residual is not None and residual > CRITICAL:
            return _none(_not_critical("all layers", residual), layers)
        return _none(
            f"no bottleneck: no layer but the last writes directions with a gap of {GAP:g} behind them", layers
        )
    found = sorted({layer.layer: layer for layer in (*flat, *sharp)}.values(), key=lambda layer: layer.layer)
    where, verb = in_words([layer.layer for layer in found]), "is" if len(found) == 1 else "are"
    if effective_depth == 0:
        return _none(f"effective depth 0: no Hamiltonian says whether {where} {verb} a bottleneck", layers)
    if any(residual_of(layer) is None for layer in found):
        return _none(f"no momenta: whether {where} {verb} at a critical point is not known, rank not reported", layers)
    other = "the training split: momenta belong to it, rank not reported"
    if is_training_split is False:
        return _none(f"these samples are not {other}", layers)
    flat, sharp = ([layer for layer in each if is_critical(layer)] for each in (flat, sharp))
    if not flat and not sharp:
        return _none(_not_critical(where, _least_residual(found) or 0.0), layers)
    if is_training_split is None:
        return _none(f"these samples are not known to be {other}", layers)
    return _named(flat, sharp)


def judge_together(paths: Sequence[PathAudit]) -> BottleneckRank:
    """The verdict of a net with several paths: that of the narrowest, and what each of them says.

    No path passes on more directions than the narrowest has; its numbers are therefore those of the net.

    Example:
    >>> facts = {"effective_depth": 3.0, "input": {}, "summary": {}, "bounds": None, "projection": None}
    >>> seven = BottleneckRank(6, 7, 7, "bottleneck of rank 7 in layer 3")
    >>> none = BottleneckRank(None, None, None, "no bottleneck")
    >>> wide = PathAudit("wide", 1, 4, bottleneck_rank=seven, **facts)
    >>> rank = judge_together([wide, PathAudit("none", 5, 9, bottleneck_rank=none, **facts)])
    >>> rank.estimate, rank.verdict
    (7, 'wide: bottleneck of rank 7 in layer 3; none: no bottleneck')
    """
    ranks = [path.bottleneck_rank for path in paths if path.bottleneck_rank is not None]
    named = [rank for rank in ranks if rank.estimate is not None]
    verdict = "; ".join(f"{path.name}: {path.bottleneck_rank.verdict}" for path in paths if path.bottleneck_rank)
    if not named:
        return BottleneckRank(None, None, None, verdict, [])
    return replace(min(named, key=lambda rank: rank.estimate or 0), verdict=verdict)


def _named(flat: Sequence[LayerAudit], sharp: Sequence[LayerAudit]) -> BottleneckRank:
    """The rank of critical layers: the narrowest that they write, and how many directions stand still."""
    plateaus = {layer.layer: layer.plateau for layer in flat if layer.plateau is not None}
    stationary = None
    if plateaus:  # the flattest layer speaks for all
        stationary = plateaus[min(plateaus, key=lambda layer: plateaus[layer]["change"])]["rank"]
    counts = {layer.layer: layer.written_directions or 0 for layer in sharp}
    if not counts:  # nothing written is sharp: the plateau alone
        counts = {layer: plateau["rank"] for layer, plateau in plateaus.items()}
    estimate = min(counts.values())
    around = {layer: count for layer, count in counts.items() if count <= estimate + 1}
    narrow, wider = ([each for each, n in around.items() if (n > estimate) is more] for more in (False, True))
    verdict = f"bottleneck of rank {estimate} in {in_words(narrow)}"
    if wider:
        verdict += f", of rank {estimate + 1} in {_ranges(wider)}"
    low, high = estimate, max(around.values())
    if stationary is None:
        below = max((layer.rank_from_hamiltonian or 0.0 for layer in sharp), default=0.0)
        low = int(np.clip(np.ceil(below - SLACK), max(1, estimate - WIDEST), estimate))
        verdict += "; no plateau of the cost of identity: how many of them stand still is not known"
    else:
        low, high = min(low, stationary), max(high, stationary)
        steady = {layer: plateau for layer, plateau in plateaus.items() if plateau["rank"] == stationary}
        gammas = ", ".join(f"{plateau['gamma_0']:.1e}" for plateau in steady.values())
        verdict += f"; {stationary} stand still in {in_words(list(steady))}, at gamma_0 = {gammas}"
    weights = estimate if sharp else None
    layers = sorted({*around, *plateaus})
    return BottleneckRank(low, high, estimate, verdict, layers, stationary, weights)


def _gap(spectrum: list[float], rank: int) -> float:
    """Ratio of the singular values before and after the rank; infinite where nothing is left."""
    if rank > len(spectrum) or spectrum[rank - 1] <= 0:
        return 0.0
    return np.inf if rank == len(spectrum) or spectrum[rank] <= 0 else spectrum[rank - 1] / spectrum[rank]


def _least_residual(layers: Sequence[LayerAudit]) -> float | None:
    return min((each for layer in layers if (each := residual_of(layer)) is not None), default=None)


def _not_critical(where: str, residual: float) -> str:
    return (
        "not at a critical point: energies are not conserved, rank not reported "
        f"(the least criticality residual of {where} is {residual:.2g}; it must be at most {CRITICAL:g})"
    )


def _none(verdict: str, layers: Sequence[LayerAudit]) -> BottleneckRank:
    """No rank, and what means something all the same."""
    facts = []
    sharp = [layer for layer in layers[:-1] if layer.written_directions]
    best = max(sharp, key=lambda layer: layer.written_gap or 0.0, default=None)
    if best is not None:
        facts.append(
            f"{counted(best.written_directions or 0, 'direction')} before a gap of {best.written_gap:.2g} "
            f"in layer {best.layer}"
        )
    linear = [layer.layer for layer in layers if layer.negative_share is not None and layer.negative_share < LINEAR]
    if linear:
        facts.append(f"under {LINEAR:.0%} of the representations negative after {in_words(linear)}")
    soft = [layer.stable_rank for layer in layers if layer.stable_rank is not None]
    if soft:
        facts.append(f"stable ranks of {min(soft):.2g} to {max(soft):.2g}")
    return BottleneckRank(None, None, None, verdict + (f"; what was measured: {', '.join(facts)}" if facts else ""), [])


def in_words(layers: Sequence[int]) -> str:
    """Layers as ranges.

    >>> in_words([3, 4, 5, 8]), in_words([2])
    ('layers 3-5, 8', 'layer 2')
    """
    return f"layer{'s' if len(layers) > 1 else ''} {_ranges(layers)}"


def _ranges(layers: Sequence[int]) -> str:
    """Consecutive layers as ranges.

    >>> _ranges([3, 4, 5, 8])
    '3-5, 8'
    """
    parts: list[list[int]] = []
    for layer in sorted(layers):
        if parts and layer == parts[-1][-1] + 1:
            parts[-1].append(layer)
        else:
            parts.append([layer])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
