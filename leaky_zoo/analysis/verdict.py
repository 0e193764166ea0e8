"""What an audit says in sum: how many directions a bottleneck has, or why that cannot be said; what to know first.

For the rank there are three witnesses, none of which looks at the weights (this project):

- the cost of identity at the flattest point of its sweep over `gamma_0`, rounded up: the estimate;
- the spectrum of the representation, which must have a gap behind just as many directions;
- `-2H/L~` in the momentum form, which approaches the rank from below: the lower end of the interval.

The criticality residual decides whether the three may speak: away from a critical point nothing is conserved, and
kinetic + potential looks flat all the same. One threshold serves verdict, warnings and figures.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from leaky_zoo.analysis.records import BottleneckRank, LayerAudit, PathAudit
from leaky_zoo.flow.description import NetworkDescription

# Largest residual ||W - P s^T|| / ||W|| of a layer that is called critical. The 30 nets of figure 1, trained until it
# is 0.05 or no longer falls, have at most 0.074 on any layer; the nets of the study of step sizes, not trained to a
# critical point (docs/step_sizes.md), a median of 0.16 on their worst; classifiers that stop with Adam 0.6 and more.
CRITICAL = 0.1
GAP = 10.0  # least ratio of neighbouring singular values of the representation at the rank
SLACK = 0.05  # -2H/L~ may exceed the rank by as much, at the residuals allowed


def is_critical(layer: LayerAudit) -> bool:
    """Whether nothing speaks against this layer being at a critical point: no residual above `CRITICAL`."""
    return (layer.criticality_residual or 0.0) <= CRITICAL


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
    critical = [layer for layer in flat if is_critical(layer)]
    if not critical:
        residual = _least_residual(flat)
        assert residual is not None
        return _none(f"not at a critical point: energies are not conserved, rank not reported ({_say(residual)})")
    return _rank(critical)


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
        return _none(verdict)
    return replace(min(named, key=lambda rank: rank.estimate or 0), verdict=verdict)


def _rank(layers: Sequence[LayerAudit]) -> BottleneckRank:
    plateaus = {layer.layer: layer.plateau for layer in layers if layer.plateau is not None}
    # The flattest layer speaks for all; others that disagree widen the interval and are named.
    flattest = min(plateaus, key=lambda layer: plateaus[layer]["change"])
    estimate = plateaus[flattest]["rank"]
    below = max(layer.rank_from_hamiltonian or 0.0 for layer in layers)
    low = max(1, int(np.ceil(below - SLACK)))
    high = max(plateau["high"] for plateau in plateaus.values())
    low, high = min(low, estimate), max(high, estimate)
    counts = Counter(plateau["rank"] for plateau in plateaus.values())
    agreeing = [layer for layer, plateau in plateaus.items() if plateau["rank"] == estimate]
    verdict = f"bottleneck of rank {estimate} in {_layers(agreeing)}"
    for other in sorted(set(counts) - {estimate}):
        where = _ranges([layer for layer, plateau in plateaus.items() if plateau["rank"] == other])
        low, verdict = min(low, other), f"{verdict}, of rank {other} in {where}"
    return BottleneckRank(low, high, estimate, verdict, sorted(plateaus))


def _gap(spectrum: list[float], rank: int) -> float:
    """Ratio of the singular values before and after the rank; infinite where nothing is left."""
    if rank > len(spectrum) or spectrum[rank - 1] <= 0:
        return 0.0
    return np.inf if rank == len(spectrum) or spectrum[rank] <= 0 else spectrum[rank - 1] / spectrum[rank]


def _least_residual(layers: Sequence[LayerAudit]) -> float | None:
    return min((layer.criticality_residual for layer in layers if layer.criticality_residual is not None), default=None)


def _say(residual: float) -> str:
    return f"least criticality residual there {residual:.2g}, {CRITICAL:g} would do"


def _none(verdict: str) -> BottleneckRank:
    return BottleneckRank(None, None, None, verdict, [])


def _layers(layers: Sequence[int]) -> str:
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


def summarize(layers: Sequence[LayerAudit]) -> dict[str, Any]:
    """The audit's `summary`; see `Audit`."""
    least = min(layers, key=lambda layer: layer.cost_of_identity or np.inf)
    norms = [layer.weight_norm or 0.0 for layer in layers]
    inside = [layer for layer in layers if layer.on_plateau]
    result: dict[str, Any] = {
        "min_cost_of_identity": least.cost_of_identity,
        "layer_of_min_cost_of_identity": least.layer,
        "weight_norm_balance": min(norms) / max(norms) if max(norms) > 0 else None,
        "path_length": sum(layer.path_length or 0.0 for layer in _last_of_each_path(layers)),
        "bottleneck_layers": [layer.layer for layer in inside],
        "cost_of_identity": None,
        "weight_directions": None,
        "weight_gap": None,
        "rank_from_hamiltonian": None,
        "max_criticality_residual": None,
        "linear_stretch": None,
        "effective_nonlinear_depth": None,
    }
    if not inside:
        return result
    costs = [layer.cost_of_identity for layer in inside]
    result["cost_of_identity"] = {"min": min(costs), "max": max(costs)}  # type: ignore[type-var]
    result["weight_directions"] = sorted({layer.weight_directions for layer in inside if layer.weight_directions})
    result["weight_gap"] = min(
        (layer.weight_gap for layer in inside if layer.weight_gap and layer.weight_directions), default=None
    )
    result["rank_from_hamiltonian"] = _spread_of_rank(inside)
    residuals = [layer.criticality_residual for layer in inside if layer.criticality_residual is not None]
    result["max_criticality_residual"] = max(residuals, default=None)
    return result


def _spread_of_rank(layers: Sequence[LayerAudit]) -> dict[str, float | None] | None:
    """Mean, least, largest and relative spread of `-2H/L~` over some layers; None where it has no value."""
    ranks = [layer.rank_from_hamiltonian for layer in layers if layer.rank_from_hamiltonian is not None]
    if not ranks:
        return None
    mean = sum(ranks) / len(ranks)
    spread = (max(ranks) - min(ranks)) / abs(mean) if mean else None
    return {"mean": mean, "min": min(ranks), "max": max(ranks), "spread": spread}


def _last_of_each_path(layers: Sequence[LayerAudit]) -> list[LayerAudit]:
    return list({layer.path: layer for layer in layers}.values())


def explain_undefined(network: NetworkDescription, has_targets: bool) -> dict[str, str]:
    """Why a field is None, by field name."""
    reasons = {}
    if any(path.effective_depth == 0 for path in network.paths):
        reasons["potential_energy"] = reasons["kinetic_plus_potential"] = "defined for effective depth > 0 only"
        reasons["rank_from_hamiltonian"] = "-2 H / L~ has no value at effective depth 0"
    if not has_targets or network.weight_decay == 0:
        why = "needs targets" if not has_targets else "needs mu > 0: the net was trained without weight decay"
        for name in ("hamiltonian", "rank_from_hamiltonian", "criticality_residual", "momentum_norm", "bounds"):
            reasons.setdefault(name, f"the momentum {why}")
    if len(network.paths) > 1:
        reasons |= dict.fromkeys(("bounds", "projection"), "one for each path: see paths")
    if not network.classes:
        reasons["within_class_fraction"] = reasons["class_variances"] = "needs a classifier and its labels"
    return reasons


def is_training(trained: dict[str, Any] | None, about: dict[str, Any]) -> tuple[bool | None, str | None]:
    """Whether these samples are what the net was trained on, and by what that is known: "content" or "name".

    By the hash of the content where both have one, whatever they are called; nets that store none are recognised by the
    names of data set and split. (None, None) where neither is known.

    Example:
    >>> is_training({"name": "a", "split": "train", "sha256": "5f"}, {"name": "b", "split": "all", "sha256": "5f"})
    (True, 'content')
    """
    if trained and trained.get("sha256") and about.get("sha256"):
        return trained["sha256"] == about["sha256"], "content"
    if not trained or about["name"] is None or about["split"] is None:
        return None, None
    return trained["name"] == about["name"] and trained["split"] == about["split"], "name"


def warn(
    layers: Sequence[LayerAudit], about: dict[str, Any], with_momenta: bool, bounds: Sequence[dict[str, float] | None]
) -> list[str]:
    """What a reader must know before believing a number."""
    found = []
    if with_momenta and about["is_training_split"] is not True:
        known = "are not" if about["is_training_split"] is False else "are not known to be"
        found.append(
            f"These samples {known} the training split: momentum, Hamiltonian and criticality residual belong to "
            "another objective than the one the net was trained on."
        )
    away = {layer.layer: layer.criticality_residual or 0.0 for layer in layers if not is_critical(layer)}
    if away:
        found.append(
            f"Not at a critical point in {_layers(list(away))} (criticality residual up to {max(away.values()):.2g}, "
            f"{CRITICAL:g} would do): energies are not conserved there, and -2H/L~ is no rank. Kinetic + potential may "
            "look flat all the same."
        )
    if not any(layer.on_plateau for layer in layers):
        found.append("No layer has a cost of identity on a plateau of gamma_0: none of these values is a dimension.")
    if any(each and min(each["upper_margin"], each["lower_margin"]) < 0 for each in bounds):
        found.append(
            "A bound of the paper on the Hamiltonian does not hold here: this is no critical point, or the steps are "
            "too long for the continuous path."
        )
    if not np.isfinite([layer.cost_of_identity or 0.0 for layer in layers]).all():
        found.append("Some costs of identity are not finite.")
    return found
