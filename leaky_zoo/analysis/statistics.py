"""The statistics of one layer's representations that need neither weights nor loss."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from leaky_zoo.analysis.dimensions import intrinsic_dimensions
from leaky_zoo.flow.sums import LayerSums
from leaky_zoo.geometry import (
    Moments,
    cost_of_identity_sweeps,
    find_plateau,
    nuclear_norm_rank,
    participation_ratio,
    singular_values,
    stable_rank,
    within_class_fractions,
)

# Four to a decade: enough to see a plateau of one decade, and where it ends.
GAMMA_SWEEP = tuple(float(f"{10 ** (step / 4):.6g}") for step in range(-32, -3))
PLATEAU = 0.05
PACKAGES = ("leaky-zoo", "keras", "numpy", "scipy", "scikit-dimension")


def representation_statistics(sums: LayerSums) -> dict[str, Any]:
    """Ranks, spectrum, intrinsic dimensions and class variances of `A`, by the names of `LayerAudit`."""
    return spectrum_statistics(sums.moments) | sample_statistics(sums)


def spectrum_statistics(moments: Moments) -> dict[str, Any]:
    """What the moments alone say."""
    values = singular_values(moments.outer / moments.count, moments.count)
    return {
        "negative_share": moments.negative_share,
        "stable_rank": stable_rank(values),
        "nuclear_norm_rank": nuclear_norm_rank(values),
        "participation_ratio": participation_ratio(moments.covariance),
        "singular_values": digits(values),
    }


def sample_statistics(sums: LayerSums) -> dict[str, Any]:
    """What the classes and the subsample say."""
    fraction, each = None, None
    if sums.classes is not None:
        fraction, each = within_class_fractions(sums.classes.counts, sums.classes.totals, sums.classes.squares)
    return {**intrinsic_dimensions(sums.sample), "within_class_fraction": fraction, "class_variances": each}


def identity_statistics(sums: LayerSums, gamma_0: float) -> dict[str, Any]:
    """Cost of identity, its sweep and its plateau, by the names of `LayerAudit`."""
    return identities_statistics([sums.moments], gamma_0)[0]


def identities_statistics(several: Sequence[Moments], gamma_0: float) -> list[dict[str, Any]]:
    """As `identity_statistics`, of several representations with the same features."""
    sweeps = cost_of_identity_sweeps(several, (gamma_0, 10 * gamma_0, gamma_0 / 10, *GAMMA_SWEEP))
    enough = several[0].count >= len(several[0].gram)
    return [_of_sweep(costs, fractions, enough) for costs, fractions in sweeps]


def _of_sweep(costs: np.ndarray, fractions: np.ndarray, enough: bool) -> dict[str, Any]:
    """With fewer columns than features the cost goes to their number as `gamma_0` falls: a plateau that says N."""
    here, looser, tighter, *sweep = costs.tolist()
    plateau = find_plateau(GAMMA_SWEEP, sweep) if enough else None
    return {
        "cost_of_identity": here,
        "out_of_image_fraction": float(fractions[0]),
        "on_plateau": enough and bool(max(abs(looser - here), abs(tighter - here)) < PLATEAU * here),
        "cost_of_identity_sweep": digits(sweep),
        "plateau": None if plateau is None else asdict(plateau),
    }


def digits(values: Any) -> list[float]:
    """Spectra in six digits: they are drawn, and would otherwise be most of the file."""
    return [float(f"{value:.6g}") for value in np.asarray(values)]


def versions() -> dict[str, str]:
    """Of the packages that an audit's numbers come from."""
    return {name: version(name) for name in PACKAGES}
