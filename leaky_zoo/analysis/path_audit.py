"""From the sums of a path to its audit: every number of every step, and what must be said about them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.analysis.audit import Audit, LayerAudit
from leaky_zoo.analysis.dimensions import project_path
from leaky_zoo.analysis.statistics import GAMMA_SWEEP, digits, identity_statistics, representation_statistics
from leaky_zoo.analysis.summary import explain_undefined, is_training, summarize, warn
from leaky_zoo.analysis.verdict import judge
from leaky_zoo.flow.collect import MAX_THREADS
from leaky_zoo.flow.description import PathModel
from leaky_zoo.flow.stream import PathSums
from leaky_zoo.geometry import (
    HamiltonianBounds,
    MomentumMoments,
    cost_of_identity,
    cross_to_next,
    energies,
    hamiltonian_bounds,
    largest_gap,
    linear_cka,
    squared_length,
)


def audit_path(
    model: PathModel,
    sums: PathSums,
    gamma_0: float,
    data: dict[str, Any],
    has_targets: bool,
    products: str = "float64",
) -> Audit:
    """The audit of a path from its sums.

    Args:
        model: the network's weights, steps and settings.
        sums: over all samples.
        gamma_0: relative regulariser.
        data: `name` and `split`.
        has_targets: whether the samples came with targets, for the reasons of what is undefined.
        products: what the sums were made with, see `MomentSums`. Default "float64".

    Returns:
        The `Audit`.
    """
    momenta: tuple[MomentumMoments | None, ...] = (None,) * len(model.weights)
    if sums.gradients is not None:
        momenta = sums.momenta(model.weight_decay)
    depth = len(model.weights)
    # Solves with a few hundred rows: a thread for each layer, one BLAS thread each.
    with threadpool_limits(1), ThreadPoolExecutor(MAX_THREADS) as pool:
        statistics = list(pool.map(representation_statistics, sums.layers))
        steps = list(pool.map(lambda row: _step(model, sums, momenta[row], row, gamma_0), range(depth)))
    layers, travelled = [], 0.0
    for row, ((fields, _gamma), after) in enumerate(zip(steps, statistics[1:], strict=True)):
        travelled += fields["step_size"] * fields["speed"]
        layers.append(LayerAudit(layer=row + 1, path_length=travelled, **fields, **after))
    samples = [layer.sample for layer in sums.layers]
    layers = [replace(layer, turning_angle=angle) for layer, angle in zip(layers, _angles(samples), strict=True)]
    about = {"name": None, "split": None, **data}
    about["is_training_split"] = is_training(model.dataset, about)
    with_momenta = sums.gradients is not None
    first = sums.layers[0]
    bounds = None
    if with_momenta and model.effective_depth > 0:
        bounds = asdict(_bounds(layers, [gamma for _, gamma in steps], model.effective_depth))
    return Audit(
        model=model.about,
        data=about,
        n=sums.samples,
        columns=first.moments.count,
        gamma_0=gamma_0,
        gamma_sweep=list(GAMMA_SWEEP),
        weight_decay=model.weight_decay if with_momenta else None,
        io_weight_decay=model.io_weight_decay if with_momenta else None,
        dtype=model.dtype,
        loss=None if sums.loss is None else sums.loss / sums.samples,
        input=statistics[0],
        layers=layers,
        summary=summarize(layers),
        bottleneck_rank=judge(
            layers, statistics[0]["singular_values"], model.effective_depth, about["is_training_split"]
        ),
        bounds=bounds,
        subsample={"samples": len(samples[0]), "rule": "evenly spaced rows of the data"},
        projection=project_path(samples, sums.sample_labels if has_targets else None),
        products=products,
        undefined=explain_undefined(model, has_targets),
        warnings=warn(layers, about, with_momenta, bounds),
        versions={name: version(name) for name in ("leaky-zoo", "keras", "numpy", "scipy", "scikit-dimension")},
    )


def _step(
    model: PathModel, sums: PathSums, momentum: MomentumMoments | None, row: int, gamma_0: float
) -> tuple[dict[str, Any], float]:
    """The fields of step `row + 1` that need more than the representations after it; and its gamma."""
    before, after = sums.layers[row].moments, sums.layers[row + 1].moments
    weights, step, leak = model.weights[row], float(model.step_sizes[row]), float(model.leaks[row])
    identity = cost_of_identity(before, gamma_0)
    # The solve and the sweep agree to rounding; the solve's cost goes with the energies.
    statistics = {**identity_statistics(sums.layers[row], gamma_0), "cost_of_identity": identity.cost}
    energy = energies(before, identity, weights, model.effective_depth, momentum)
    spectrum = np.linalg.svd(weights, compute_uv=False)
    directions, gap = largest_gap(spectrum)
    mean_before, mean_after = before.total / before.count, after.total / after.count
    cross = cross_to_next(before, weights, leak, step) / before.count - np.outer(mean_before, mean_after)
    moved = squared_length(before, weights, model.effective_depth, step)
    speed = np.sqrt(2 * (model.effective_depth or 1.0) * energy.kinetic_energy)
    return {
        "name": model.names[row],
        "kind": model.kind,
        "width": len(weights),
        "columns": before.count,
        "features": model.features,
        "step_size": step,
        "position": float(model.step_sizes[: row + 1].sum()),
        **statistics,
        **asdict(energy),
        "speed": float(speed),
        "distance": float(np.sqrt(moved / after.squared)) if after.squared > 0 else None,
        "cka_with_previous": linear_cka(cross, before.covariance, after.covariance),
        "weight_norm": float(np.linalg.norm(weights)),
        "weight_directions": directions,
        "weight_gap": gap,
        "weight_singular_values": digits(spectrum),
    }, identity.gamma


def _angles(samples: list[np.ndarray]) -> list[float | None]:
    """Angle between each step and the next on the subsample, in degrees; None after the last, or for no length."""
    steps = [after.astype(np.float64) - before for before, after in pairwise(samples)]
    angles: list[float | None] = []
    for first, second in pairwise(steps):
        scale = float(np.linalg.norm(first) * np.linalg.norm(second))
        cosine = np.clip(float(np.vdot(first, second)) / scale, -1, 1) if scale > 0 else None
        angles.append(None if cosine is None else float(np.degrees(np.arccos(cosine))))
    return [*angles, None]


def _bounds(layers: list[LayerAudit], gammas: list[float], effective_depth: float) -> HamiltonianBounds:
    def column(name: str) -> list[float]:
        return [getattr(layer, name) for layer in layers]

    return hamiltonian_bounds(
        costs=column("cost_of_identity"),
        ranks=column("rank_from_hamiltonian"),
        speeds=column("speed"),
        gammas=gammas,
        momenta=column("momentum_norm"),
        step_sizes=column("step_size"),
        effective_depth=effective_depth,
    )
