"""Moments of one layer's representations, and the norms and energies that follow from them. Pure numpy, float64."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.geometry.bounds import HamiltonianBounds, hamiltonian_bounds
    from leaky_zoo.geometry.energies import Energies, energies
    from leaky_zoo.geometry.euler import euler_adjoint, euler_step, leak, velocity
    from leaky_zoo.geometry.identity import (
        Identity,
        cost_of_identity,
        cost_of_identity_sweep,
        cost_of_identity_sweeps,
        k_norms_squared,
    )
    from leaky_zoo.geometry.kinks import Kinks, clarke_residuals
    from leaky_zoo.geometry.moments import Moments, MomentumMoments, moments
    from leaky_zoo.geometry.next_moments import cross_to_next, outer_after_step, squared_length
    from leaky_zoo.geometry.plateau import Plateau, find_plateau
    from leaky_zoo.geometry.probe import ProbePath
    from leaky_zoo.geometry.spectra import (
        largest_gap,
        linear_cka,
        live_units,
        nuclear_norm_rank,
        participation_ratio,
        singular_values,
        stable_rank,
        within_class_fractions,
    )
    from leaky_zoo.geometry.sums import MomentSums, MomentumSums

__all__ = [
    "Energies",
    "HamiltonianBounds",
    "Identity",
    "Kinks",
    "MomentSums",
    "Moments",
    "MomentumMoments",
    "MomentumSums",
    "Plateau",
    "ProbePath",
    "clarke_residuals",
    "cost_of_identity",
    "cost_of_identity_sweep",
    "cost_of_identity_sweeps",
    "cross_to_next",
    "energies",
    "euler_adjoint",
    "euler_step",
    "find_plateau",
    "hamiltonian_bounds",
    "k_norms_squared",
    "largest_gap",
    "leak",
    "linear_cka",
    "live_units",
    "moments",
    "nuclear_norm_rank",
    "outer_after_step",
    "participation_ratio",
    "singular_values",
    "squared_length",
    "stable_rank",
    "velocity",
    "within_class_fractions",
]
