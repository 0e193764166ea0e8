"""What an audit says in sum over its layers, why a field is empty, and what a reader must know first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leaky_zoo.analysis.bottleneck import CRITICAL, in_words, is_critical, residual_of
from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.flow.description import NetworkDescription


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


def explain_undefined(network: NetworkDescription, has_targets: bool, with_momenta: bool = True) -> dict[str, str]:
    """Why a field is None, by field name."""
    reasons = {}
    if any(path.effective_depth == 0 for path in network.paths):
        reasons["potential_energy"] = reasons["kinetic_plus_potential"] = "defined for effective depth > 0 only"
        reasons["rank_from_hamiltonian"] = "-2 H / L~ has no value at effective depth 0"
    if not with_momenta or not has_targets or network.weight_decay == 0:
        why = "needs targets" if not has_targets else "needs mu > 0: the net was trained without weight decay"
        why = why if with_momenta else "was left out: with_momenta=False"
        for name in ("hamiltonian", "rank_from_hamiltonian", "criticality_residual", "momentum_norm", "bounds"):
            reasons.setdefault(name, f"the momentum {why}")
    if len(network.paths) > 1:
        reasons |= dict.fromkeys(("bounds", "projection"), "one for each path: see paths")
    if not with_momenta and has_targets:
        reasons["loss"] = "comes with the momenta: with_momenta=False"
    if not network.classes or not has_targets:
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
    away = {layer.layer: residual_of(layer) or 0.0 for layer in layers if not is_critical(layer)}
    if away:
        found.append(
            f"Not at a critical point in {in_words(list(away))} (criticality residual up to {max(away.values()):.2g}; "
            f"it must be at most {CRITICAL:g}): energies are not conserved there, and -2H/L~ is not a rank. Kinetic + "
            "potential may look flat all the same."
        )
    if not any(layer.on_plateau for layer in layers):
        found.append("No layer has a cost of identity on a plateau of gamma_0: none of these values is a dimension.")
    if any(each and min(each["upper_margin"], each["lower_margin"]) < 0 for each in bounds):
        found.append(
            "A bound of the paper on the Hamiltonian does not hold here: this is not a critical point, or the steps "
            "are too long for the continuous path."
        )
    if not np.isfinite([layer.cost_of_identity or 0.0 for layer in layers]).all():
        found.append("Some costs of identity are not finite.")
    return found
