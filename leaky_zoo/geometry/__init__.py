"""Moments of one layer's representations, and the norms and energies that follow from them. Pure numpy, float64."""

from leaky_zoo.geometry.energies import Energies, energies
from leaky_zoo.geometry.identity import Identity, cost_of_identity, cost_of_identity_sweep, k_norm_squared
from leaky_zoo.geometry.moments import Moments, MomentumMoments, moments
from leaky_zoo.geometry.spectra import participation_ratio, singular_values, stable_rank

__all__ = [
    "Energies",
    "Identity",
    "Moments",
    "MomentumMoments",
    "cost_of_identity",
    "cost_of_identity_sweep",
    "energies",
    "k_norm_squared",
    "moments",
    "participation_ratio",
    "singular_values",
    "stable_rank",
]
