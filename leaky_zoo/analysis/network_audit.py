"""From the sums of a network to its audit: every number of every step of every path, and what must be said of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.bottleneck import judge, judge_together
from leaky_zoo.analysis.dimensions import project_path
from leaky_zoo.analysis.records import LayerAudit, PathAudit
from leaky_zoo.analysis.settings import AnalysisSettings
from leaky_zoo.analysis.statistics import (
    GAMMA_SWEEP,
    digits,
    identity_statistics,
    representation_statistics,
    versions,
)
from leaky_zoo.analysis.verdict import explain_undefined, is_training, summarize, warn
from leaky_zoo.flow.collect import MAX_THREADS
from leaky_zoo.flow.description import NetworkDescription, PathDescription
from leaky_zoo.flow.stream import NetworkSums, PathSums
from leaky_zoo.geometry import (
    HamiltonianBounds,
    Kinks,
    MomentumMoments,
    cost_of_identity,
    cross_to_next,
    energies,
    hamiltonian_bounds,
    largest_gap,
    linear_cka,
    live_units,
    singular_values,
    squared_length,
)


def audit_network(
    network: NetworkDescription,
    sums: NetworkSums,
    settings: AnalysisSettings,
    data: dict[str, Any] | None,
    has_targets: bool,
    kinks: Kinks | None = None,
) -> Audit:
    """The audit of a network from its sums.

    Args:
        network: weights, steps and what the net was trained with.
        sums: over all samples.
        settings: what the sums were made with.
        data: `name`, `split` and, where it is known, `sha256`; or None.
        has_targets: whether the samples came with targets, for the reasons of what is undefined.
        kinks: of the one path on the same samples: its momenta are used. Default None: sign masks.

    Returns:
        The `Audit`.
    """
    with_momenta = sums.loss is not None
    momenta: Sequence[Sequence[MomentumMoments | None]] = [[None] * len(path.weights) for path in network.paths]
    if with_momenta:
        momenta = sums.momenta(network.weight_decay) if kinks is None else [kinks.momenta]
    about = {"name": None, "split": None, **(data or {})}
    about["is_training_split"], about["recognised_by"] = is_training(network.dataset, about)
    labels = sums.sample_labels if has_targets else None
    layers: list[LayerAudit] = []
    paths: list[PathAudit] = []
    # Solves with a few hundred rows: a thread for each layer, one BLAS thread each.
    with threadpool_limits(1), ThreadPoolExecutor(MAX_THREADS) as pool:
        for each in zip(network.paths, sums.paths, momenta, strict=True):
            found, gammas, first = _path_layers(*each, len(layers), settings.gamma_0, pool)
            found = found if kinks is None else _with_kinks(found, kinks)
            paths.append(_path_audit(each[0], each[1], found, gammas, first, about["is_training_split"], labels))
            layers += found
    whole = paths[0]
    if len(paths) > 1:
        rank = judge_together(paths)
        whole = replace(whole, summary=summarize(layers), bottleneck_rank=rank, bounds=None, projection=None)
    return Audit(
        model=network.about,
        data=about,
        n=sums.samples,
        columns=sums.paths[0].layers[0].moments.count,
        gamma_0=settings.gamma_0,
        gamma_sweep=list(GAMMA_SWEEP),
        weight_decay=network.weight_decay if with_momenta else None,
        io_weight_decay=network.io_weight_decay if with_momenta else None,
        dtype=network.dtype,
        loss=None if sums.loss is None else sums.loss / sums.samples,
        input=whole.input,
        layers=layers,
        summary=whole.summary,
        bottleneck_rank=whole.bottleneck_rank,
        bounds=whole.bounds,
        subsample={"samples": len(sums.sample_labels), "rule": "evenly spaced rows of the data"},
        projection=whole.projection,
        paths=paths if len(paths) > 1 else [],
        products=settings.products,
        undefined=explain_undefined(network, has_targets, settings.with_momenta),
        warnings=warn(layers, about, with_momenta, [path.bounds for path in paths]),
        versions=versions(),
    )


def _with_kinks(layers: list[LayerAudit], kinks: Kinks) -> list[LayerAudit]:
    """The layers with both residuals, how many entries of `A_l` were free, and the control."""
    assert kinks.control is not None
    columns = (kinks.sign_residuals.tolist(), kinks.residuals.tolist(), kinks.free.tolist(), kinks.control.tolist())
    return [
        replace(layer, criticality_residual=sign, clarke_residual=least, free_kinks=free, clarke_control=control)
        for layer, sign, least, free, control in zip(layers, *columns, strict=True)
    ]


def _path_layers(
    path: PathDescription,
    sums: PathSums,
    momenta: Sequence[MomentumMoments | None],
    before: int,
    gamma_0: float,
    pool: ThreadPoolExecutor,
) -> tuple[list[LayerAudit], list[float], dict[str, Any]]:
    """The layers of a path, `before` of them in earlier paths; their gammas; the statistics of its `A_0`."""
    first, *statistics = pool.map(representation_statistics, sums.layers)
    steps = list(pool.map(lambda index: _step(path, sums, momenta[index], index, gamma_0), range(len(path.weights))))
    angles = _angles([layer.sample for layer in sums.layers])
    layers: list[LayerAudit] = []
    travelled = 0.0
    for (fields, _), after, angle in zip(steps, statistics, angles, strict=True):
        travelled += fields["step_size"] * fields["speed"]
        number = before + len(layers) + 1
        layers.append(LayerAudit(layer=number, path_length=travelled, turning_angle=angle, **fields, **after))
    return layers, [gamma for _, gamma in steps], first


def _path_audit(
    path: PathDescription,
    sums: PathSums,
    layers: list[LayerAudit],
    gammas: list[float],
    first: dict[str, Any],
    is_training_split: bool | None,
    labels: np.ndarray | None,
) -> PathAudit:
    depth = path.effective_depth
    bounds = asdict(_bounds(layers, gammas, depth)) if sums.gradients is not None and depth > 0 else None
    return PathAudit(
        name=path.name,
        first_layer=layers[0].layer,
        last_layer=layers[-1].layer,
        effective_depth=depth,
        input=first,
        summary=summarize(layers),
        bottleneck_rank=judge(layers, first["singular_values"], depth, is_training_split),
        bounds=bounds,
        projection=project_path([layer.sample for layer in sums.layers], labels),
    )


def _step(
    path: PathDescription, sums: PathSums, momentum: MomentumMoments | None, index: int, gamma_0: float
) -> tuple[dict[str, Any], float]:
    """The fields of step `index + 1` that need more than the representations after it; and its gamma."""
    before, after = sums.layers[index].moments, sums.layers[index + 1].moments
    weights, step, leak = path.weights[index], float(path.step_sizes[index]), float(path.leaks[index])
    identity = cost_of_identity(before, gamma_0)
    # The solve and the sweep agree to rounding; the solve's cost goes with the energies.
    statistics = {**identity_statistics(sums.layers[index], gamma_0), "cost_of_identity": identity.cost}
    energy = energies(before, identity, weights, path.effective_depth, momentum)
    spectrum = np.linalg.svd(weights, compute_uv=False)
    directions, gap = largest_gap(spectrum, live_units(np.linalg.norm(weights, axis=1)))
    moment = weights @ before.gram @ weights.T  # of what the step writes
    # More directions than samples are not there: the zeros behind them are no gap.
    live = min(live_units(np.sqrt(moment.diagonal().clip(0))), before.count)
    written, written_gap = largest_gap(singular_values(moment), live)
    mean_before, mean_after = before.total / before.count, after.total / after.count
    cross = cross_to_next(before, weights, leak, step) / before.count - np.outer(mean_before, mean_after)
    moved = squared_length(before, weights, path.effective_depth, step)
    speed = np.sqrt(2 * (path.effective_depth or 1.0) * energy.kinetic_energy)
    return {
        "name": path.blocks[index],
        "kind": path.kind,
        "path": path.name,
        "width": len(weights),
        "columns": before.count,
        "features": path.features,
        "step_size": step,
        "position": float(path.step_sizes[: index + 1].sum()),
        **statistics,
        **asdict(energy),
        "speed": float(speed),
        "distance": float(np.sqrt(moved / after.squared)) if after.squared > 0 else None,
        "cka_with_previous": linear_cka(cross, before.covariance, after.covariance),
        "weight_norm": float(np.linalg.norm(weights)),
        "weight_directions": directions,
        "weight_gap": gap,
        "weight_singular_values": digits(spectrum),
        "written_directions": written,
        "written_gap": written_gap,
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
