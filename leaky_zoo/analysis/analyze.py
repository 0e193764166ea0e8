"""`analyze`: a model and data in, an `Audit` out."""

import hashlib
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.analysis.audit import Audit, LayerAudit
from leaky_zoo.analysis.streaming import PathMoments, collect
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import (
    cost_of_identity,
    cost_of_identity_sweep,
    energies,
    participation_ratio,
    singular_values,
    stable_rank,
)
from leaky_zoo.networks import LeakyNetwork

GAMMA_SWEEP = tuple(10.0**power for power in range(-8, -1))
PLATEAU = 0.05
LEAST_GAP = 2.0
BATCH = 1024


def analyze(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None = None,
    *,
    gamma_0: float = 1e-5,
    data: dict[str, Any] | None = None,
    batch_size: int = BATCH,
    track: Callable[[Iterable[int]], Iterable[int]] | None = None,
) -> Audit:
    """Measure the geometry of a network's path on data, streaming, in float64 (paper, sections 2 and 3).

    Momenta and criticality mean something only on the data the net was trained on, with its `mu`: pass the training
    split and its targets. Without targets, or at `mu = 0`, the audit has its representation half.

    Args:
        network: a `LeakyMLP` or `LeakyConvNet`.
        x: raw inputs, one sample per row.
        y: labels or targets as in training (ignored for an autoencoder: its inputs are). Default None.
        gamma_0: relative regulariser, in [1e-12, 1]. Default 1e-5.
        data: what the samples are, as `{"name", "split"}`, to be written into the audit. Default None.
        batch_size: samples at a time. Default 1024.
        track: wraps the iterable of batches, to draw a progress bar. Default None.

    Returns:
        The `Audit`.

    Raises:
        InvalidInputError: not one of our networks, samples of another shape, no sample, or values not finite.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> audit = analyze(net, np.random.default_rng(0).normal(size=(100, 4)), np.zeros(100, int))
    >>> len(audit.layers), audit.n, audit.gamma_0
    (5, 100, 1e-05)
    """
    if not isinstance(network, LeakyNetwork):
        raise InvalidInputError(f"analyze takes a LeakyMLP or LeakyConvNet. Received: {type(network).__name__}")
    if not 1e-12 <= gamma_0 <= 1:
        raise InvalidInputError(f"`gamma_0` must be in [1e-12, 1]. Received: gamma_0={gamma_0}")
    if batch_size < 1:
        raise InvalidInputError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    x = np.asarray(x)
    settings = network.settings
    if tuple(x.shape[1:]) != tuple(settings["input_shape"]):
        raise InvalidInputError(
            f"The network takes samples of shape {tuple(settings['input_shape'])}. Received: x.shape={x.shape}"
        )
    mu = settings["weight_decay"]
    if network.task == "autoencoding":
        y = x
    if y is not None and len(y) != len(x):
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {len(x)} and {len(y)}")
    if y is not None:
        y = np.asarray(y)
        network.check_targets(y)
    with_momenta = y is not None and mu > 0
    starts: Iterable[int] = range(0, len(x), batch_size)
    sums = collect(network, x, y if with_momenta else None, batch_size, track(starts) if track else starts)
    with threadpool_limits(1):  # solves with a few hundred rows: more BLAS threads are slower
        layers = _layers(network, sums, gamma_0, mu if with_momenta else None)
    about = {"name": None, "split": None, **(data or {})}
    about["is_training_split"] = _is_training(settings["dataset"], about)
    first = sums.layers[0]
    return Audit(
        model={
            "name": network.name,
            "class": type(network).__name__,
            **{key: settings[key] for key in ("effective_depth", "depth", "width", "task")},
            "schedule": settings["schedule"]["name"],
            "weights_sha256": weights_sha256(network),
        },
        data=about,
        n=sums.samples,
        columns=first.count,
        gamma_0=gamma_0,
        gamma_sweep=list(GAMMA_SWEEP),
        weight_decay=mu if with_momenta else None,
        io_weight_decay=settings["io_weight_decay"] if with_momenta else None,
        dtype=str(network.dtype_policy.variable_dtype),
        loss=None if sums.loss is None else sums.loss / sums.samples,
        input=_statistics(first),
        layers=layers,
        summary=_summary(layers),
        undefined=_undefined(network, y is not None, mu),
        warnings=_warnings(network, layers, about, with_momenta),
        versions={name: version(name) for name in ("leaky-zoo", "keras", "numpy", "scipy")},
    )


def weights_sha256(network: LeakyNetwork) -> str:
    """Hash of the network's weights, in order, as little-endian bytes of their dtype."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight).astype(weight.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _layers(network: LeakyNetwork, sums: PathMoments, gamma_0: float, mu: float | None) -> list[LayerAudit]:
    momenta = sums.momenta(mu) if mu is not None else (None,) * len(network.blocks)
    steps = network.step_sizes
    rows = []
    for row, block in enumerate(network.blocks):
        before, weights = sums.layers[row], block.weight_matrix
        identity = cost_of_identity(before, gamma_0)
        energy = energies(before, identity, weights, network.effective_depth, momenta[row])
        looser, tighter, *sweep = cost_of_identity_sweep(before, (10 * gamma_0, gamma_0 / 10, *GAMMA_SWEEP)).tolist()
        spectrum = np.linalg.svd(weights, compute_uv=False)
        directions, gap = _largest_gap(spectrum)
        statistics = _statistics(sums.layers[row + 1])
        rows.append(
            LayerAudit(
                layer=row + 1,
                name=block.name,
                step_size=float(steps[row]),
                position=float(steps[: row + 1].sum()),
                cost_of_identity=identity.cost,
                out_of_image_fraction=identity.out_of_image_fraction,
                on_plateau=max(abs(looser - identity.cost), abs(tighter - identity.cost)) < PLATEAU * identity.cost,
                cost_of_identity_sweep=sweep,
                kinetic_energy=energy.kinetic_energy,
                potential_energy=energy.potential_energy,
                cross_term=energy.cross_term,
                kinetic_plus_potential=energy.kinetic_plus_potential,
                hamiltonian=energy.hamiltonian,
                rank_from_hamiltonian=energy.rank_from_hamiltonian,
                criticality_residual=energy.criticality_residual,
                momentum_norm=energy.momentum_norm,
                weight_norm=float(np.linalg.norm(weights)),
                weight_directions=directions,
                weight_gap=gap,
                weight_singular_values=_digits(spectrum),
                **statistics,
            )
        )
    return rows


def _statistics(layer: Any) -> dict[str, Any]:
    values = singular_values(layer.outer / layer.count)
    return {
        "stable_rank": stable_rank(values),
        "participation_ratio": participation_ratio(layer.covariance),
        "singular_values": _digits(values),
    }


def _digits(values: np.ndarray) -> list[float]:
    """Spectra in six digits: they are drawn, and would otherwise be most of the file."""
    return [float(f"{value:.6g}") for value in values]


def _largest_gap(spectrum: np.ndarray) -> tuple[int | None, float | None]:
    """Where the ratio of neighbouring singular values is largest, in the upper half; no place if it is under 2."""
    upper = spectrum[: max(2, len(spectrum) // 2 + 1)]
    if len(upper) < 2 or upper[0] == 0:
        return None, None
    ratios = upper[:-1] / np.maximum(upper[1:], 1e-12 * upper[0])
    place = int(np.argmax(ratios))
    return place + 1 if ratios[place] >= LEAST_GAP else None, float(ratios[place])


def _summary(layers: list[LayerAudit]) -> dict[str, Any]:
    least = min(layers, key=lambda layer: layer.cost_of_identity)
    inside = [layer for layer in layers if layer.on_plateau]
    result: dict[str, Any] = {
        "min_cost_of_identity": least.cost_of_identity,
        "layer_of_min_cost_of_identity": least.layer,
        "bottleneck_layers": [layer.layer for layer in inside],
        "cost_of_identity": None,
        "weight_directions": None,
        "weight_gap": None,
        "rank_from_hamiltonian": None,
        "max_criticality_residual": None,
    }
    if not inside:
        return result
    costs = [layer.cost_of_identity for layer in inside]
    result["cost_of_identity"] = {"min": min(costs), "max": max(costs)}
    result["weight_directions"] = sorted({layer.weight_directions for layer in inside if layer.weight_directions})
    result["weight_gap"] = min(
        (layer.weight_gap for layer in inside if layer.weight_gap and layer.weight_directions), default=None
    )
    ranks = [layer.rank_from_hamiltonian for layer in inside if layer.rank_from_hamiltonian is not None]
    if ranks:
        mean = sum(ranks) / len(ranks)
        spread = (max(ranks) - min(ranks)) / abs(mean) if mean else None
        result["rank_from_hamiltonian"] = {"mean": mean, "min": min(ranks), "max": max(ranks), "spread": spread}
    residuals = [layer.criticality_residual for layer in inside if layer.criticality_residual is not None]
    result["max_criticality_residual"] = max(residuals, default=None)
    return result


def _undefined(network: LeakyNetwork, has_targets: bool, mu: float) -> dict[str, str]:
    reasons = {}
    if network.effective_depth == 0:
        reasons["potential_energy"] = reasons["kinetic_plus_potential"] = "defined for effective depth > 0 only"
        reasons["rank_from_hamiltonian"] = "-2 H / Lt has no value at effective depth 0"
    if not has_targets or mu == 0:
        why = "needs targets" if not has_targets else "needs mu > 0: the net was trained without weight decay"
        for name in ("hamiltonian", "rank_from_hamiltonian", "criticality_residual", "momentum_norm"):
            reasons.setdefault(name, f"the momentum {why}")
    return reasons


def _is_training(trained: dict[str, Any] | None, about: dict[str, Any]) -> bool | None:
    """Whether these samples are what the net was trained on; None where one of the two is not known."""
    if not trained or about["name"] is None or about["split"] is None:
        return None
    return trained["name"] == about["name"] and trained["split"] == about["split"]


def _warnings(network: LeakyNetwork, layers: list[LayerAudit], about: dict[str, Any], with_momenta: bool) -> list[str]:
    found = []
    if with_momenta and about["is_training_split"] is not True:
        known = "are not" if about["is_training_split"] is False else "are not known to be"
        found.append(
            f"These samples {known} the training split: momentum, Hamiltonian and criticality residual belong to "
            "another objective than the one the net was trained on."
        )
    residuals = [layer.criticality_residual for layer in layers if layer.criticality_residual is not None]
    if residuals and max(residuals) > 0.3:
        found.append(
            f"Not at a critical point (largest criticality residual {max(residuals):.2g}): energies are not conserved "
            "there, and -2H/Lt is no rank. Kinetic + potential may look flat all the same."
        )
    if not any(layer.on_plateau for layer in layers):
        found.append("No layer has a cost of identity on a plateau of gamma_0: none of these values is a dimension.")
    if not np.isfinite([layer.cost_of_identity for layer in layers]).all():
        found.append("Some costs of identity are not finite.")
    return found
