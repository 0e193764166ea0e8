"""The statistics of one layer's representations that need neither weights nor loss."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from leaky_zoo.analysis.dimensions import intrinsic_dimensions
from leaky_zoo.flow.sums import LayerSums
from leaky_zoo.geometry import (
    cost_of_identity_sweep,
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
    moments = sums.moments
    values = singular_values(moments.outer / moments.count)
    fraction, each = None, None
    if sums.classes is not None:
        fraction, each = within_class_fractions(sums.classes.counts, sums.classes.totals, sums.classes.squares)
    return {
        "negative_share": moments.negative_share,
        "stable_rank": stable_rank(values),
        "nuclear_norm_rank": nuclear_norm_rank(values),
        "participation_ratio": participation_ratio(moments.covariance),
        **intrinsic_dimensions(sums.sample),
        "within_class_fraction": fraction,
        "class_variances": each,
        "singular_values": digits(values),
    }


def identity_statistics(sums: LayerSums, gamma_0: float) -> dict[str, Any]:
    """Cost of identity, its sweep and its plateau, by the names of `LayerAudit`."""
    costs, fractions = cost_of_identity_sweep(sums.moments, (gamma_0, 10 * gamma_0, gamma_0 / 10, *GAMMA_SWEEP))
    here, looser, tighter, *sweep = costs.tolist()
    plateau = find_plateau(GAMMA_SWEEP, sweep)
    return {
        "cost_of_identity": here,
        "out_of_image_fraction": float(fractions[0]),
        "on_plateau": bool(max(abs(looser - here), abs(tighter - here)) < PLATEAU * here),
        "cost_of_identity_sweep": digits(sweep),
        "plateau": None if plateau is None else asdict(plateau),
    }


def digits(values: Any) -> list[float]:
    """Spectra in six digits: they are drawn, and would otherwise be most of the file."""
    return [float(f"{value:.6g}") for value in np.asarray(values)]


def versions() -> dict[str, str]:
    """Of the packages that an audit's numbers come from."""
    return {name: version(name) for name in PACKAGES}
