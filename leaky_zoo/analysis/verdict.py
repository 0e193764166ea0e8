"""How many directions a bottleneck has, in words and as an interval; or why that cannot be said.

Three witnesses, none of which looks at the weights (this project):

- the cost of identity at the flattest point of its sweep over `gamma_0`, rounded up: the estimate;
- the spectrum of the representation, which must have a gap behind just as many directions;
- `-2H/L~` in the momentum form, which approaches the rank from below: the lower end of the interval.

The criticality residual decides whether the three may speak: away from a critical point nothing is conserved, and
kinetic + potential looks flat all the same.
"""

from collections import Counter

import numpy as np

from leaky_zoo.analysis.audit import BottleneckRank, LayerAudit

CRITICAL = 0.1  # largest residual ||W - P s^T|| / ||W|| of a layer that is called critical
GAP = 10.0  # least ratio of neighbouring singular values of the representation at the rank
SLACK = 0.05  # -2H/L~ may exceed the rank by as much, at the residuals allowed


def judge(
    layers: list[LayerAudit], spectrum_before: list[float], effective_depth: float, is_training_split: bool | None
) -> BottleneckRank:
    """The verdict of an audit.

    Args:
        layers: its rows.
        spectrum_before: singular values of `A_0`.
        effective_depth: `L~`.
        is_training_split: whether the audit is of the data the net was trained on; None where that is not known.

    Returns:
        The `BottleneckRank`; its numbers are None where no rank can be reported.
    """
    spectra = [spectrum_before, *[layer.singular_values or [] for layer in layers[:-1]]]
    flat = [
        layer
        for layer, spectrum in zip(layers, spectra, strict=True)
        if layer.plateau is not None and _gap(spectrum, layer.plateau["rank"]) >= GAP
    ]
    if not flat:
        residual = _least_residual(layers)
        if residual is not None and residual > CRITICAL:
            return _none(f"not at a critical point: energies are not conserved, rank not reported ({_say(residual)})")
        return _none(
            "no bottleneck: at no layer is the cost of identity flat in gamma_0 with a gap in the spectrum there"
        )
    where = _ranges([layer.layer for layer in flat])
    if effective_depth == 0:
        return _none(f"effective depth 0: no Hamiltonian says whether the plateau in layers {where} is a bottleneck")
    if any(layer.criticality_residual is None for layer in flat):
        return _none(
            f"no momenta: whether the plateau in layers {where} is at a critical point is not known, rank not reported"
        )
    if is_training_split is not True:
        known = "not" if is_training_split is False else "not known to be"
        return _none(f"these samples are {known} the training split: momenta belong to it, rank not reported")
    critical = [layer for layer in flat if (layer.criticality_residual or 0.0) <= CRITICAL]
    if not critical:
        residual = _least_residual(flat)
        assert residual is not None
        return _none(f"not at a critical point: energies are not conserved, rank not reported ({_say(residual)})")
    return _rank(critical)


def _rank(layers: list[LayerAudit]) -> BottleneckRank:
    plateaus = {layer.layer: layer.plateau for layer in layers if layer.plateau is not None}
    # The flattest layer speaks for all; others that disagree widen the interval and are named.
    flattest = min(plateaus, key=lambda place: plateaus[place]["change"])
    estimate = plateaus[flattest]["rank"]
    below = max(layer.rank_from_hamiltonian or 0.0 for layer in layers)
    low = max(1, int(np.ceil(below - SLACK)))
    high = max(plateau["high"] for plateau in plateaus.values())
    low, high = min(low, estimate), max(high, estimate)
    counts = Counter(plateau["rank"] for plateau in plateaus.values())
    agreeing = [place for place, plateau in plateaus.items() if plateau["rank"] == estimate]
    verdict = f"bottleneck of rank {estimate} in layers {_ranges(agreeing)}"
    if len(agreeing) == 1:
        verdict = verdict.replace("layers", "layer")
    for other in sorted(set(counts) - {estimate}):
        places = _ranges([place for place, plateau in plateaus.items() if plateau["rank"] == other])
        low, verdict = min(low, other), f"{verdict}, of rank {other} in {places}"
    return BottleneckRank(low, high, estimate, verdict, sorted(plateaus))


def _gap(spectrum: list[float], rank: int) -> float:
    """Ratio of the singular values before and after the rank; infinite where nothing is left."""
    if rank > len(spectrum) or spectrum[rank - 1] <= 0:
        return 0.0
    return np.inf if rank == len(spectrum) or spectrum[rank] <= 0 else spectrum[rank - 1] / spectrum[rank]


def _least_residual(layers: list[LayerAudit]) -> float | None:
    return min((layer.criticality_residual for layer in layers if layer.criticality_residual is not None), default=None)


def _say(residual: float) -> str:
    return f"least criticality residual there {residual:.2g}, {CRITICAL:g} would do"


def _none(verdict: str) -> BottleneckRank:
    return BottleneckRank(None, None, None, verdict, [])


def _ranges(places: list[int]) -> str:
    """Consecutive layers as ranges.

    >>> _ranges([3, 4, 5, 8])
    '3-5, 8'
    """
    parts: list[list[int]] = []
    for place in sorted(places):
        if parts and place == parts[-1][-1] + 1:
            parts[-1].append(place)
        else:
            parts.append([place])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
