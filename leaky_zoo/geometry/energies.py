"""Kinetic and potential energy, cross term, Hamiltonian and criticality of one step of the flow (paper, section 2.2).

Row `l` of an audit is the step `A_{l-1} -> A_l`: every energy is taken at the input of the step and with its momentum.
"""

from dataclasses import dataclass

import numpy as np

from leaky_zoo.geometry.identity import Identity
from leaky_zoo.geometry.moments import Moments, MomentumMoments


@dataclass(frozen=True)
class Energies:
    """Energies of one step. What has no value is None (all in units of `||W||^2 / L~`, dimensionless).

    Attributes:
        kinetic_energy: `||dA/dp||_K^2 / (2 L~)`; at `L~ = 0`, `||dA/dp||_K^2 / 2`.
        potential_energy: `-(L~ / 2) COI`; None at `L~ = 0`.
        cross_term: `<dA/dp, A>_K`.
        lagrangian: kinetic + cross - potential `= Tr[W S (S + gamma)^-1 W^T] / (2 L~)`; tends to `||W||^2 / (2 L~)`
            as gamma goes to 0.
        kinetic_plus_potential: the Hamiltonian where the inclusion `dA/dp in image` holds; flat long before the net is
            critical, so it proves nothing. None at `L~ = 0`.
        hamiltonian: momentum form, `||P s^T||^2 / (2 L~) - Tr P A^T`; conserved on a geodesic. At `L~ = 0`,
            `||P s^T||^2 / 2`, stated in `P`. None without momenta.
        rank_from_hamiltonian: `-2 H / L~`, momentum form: approaches the bottleneck rank from below. None at `L~ = 0`
            or without momenta.
        criticality_residual: `||W_l - P_l s^T|| / ||W_l||`; 0 at a critical point. None without momenta.
        momentum_norm: `||P_l||_F`. None without momenta.
    """

    kinetic_energy: float
    potential_energy: float | None
    cross_term: float
    lagrangian: float
    kinetic_plus_potential: float | None
    hamiltonian: float | None
    rank_from_hamiltonian: float | None
    criticality_residual: float | None
    momentum_norm: float | None


def energies(
    moments: Moments,
    identity: Identity,
    weights: np.ndarray,
    effective_depth: float,
    momentum: MomentumMoments | None = None,
) -> Energies:
    """Energies of the step with weights `W_l` from a layer with these moments.

    Args:
        moments: sums over the samples at the input of the step, `A_{l-1}`.
        identity: its least-squares identity, which fixes gamma.
        weights: `W_l` with the bias as the last column, shape `(w, f)`; not `V`, not multiplied by `rho`.
        effective_depth: `L~ >= 0`.
        momentum: sums that pair `P_l` with `A_{l-1}`. Default: none, and what needs it is None.

    Returns:
        The `Energies` of the step.
    """
    depth = float(effective_depth)
    unit = depth if depth > 0 else 1.0
    # With dA/dp = W s - L~ A every product is a function of W, W_id and COI: no difference of large sums appears.
    shrunk = identity.solve(weights @ moments.gram)
    weights_squared = float(np.vdot(shrunk, weights))
    overlap = float(np.vdot(weights, identity.weights))
    speed_squared = max(weights_squared - 2 * depth * overlap + depth**2 * identity.cost, 0.0)
    kinetic = speed_squared / (2 * unit)
    potential = -(depth / 2) * identity.cost if depth > 0 else None
    hamiltonian = rank = residual = norm = None
    if momentum is not None:
        pairing = float(np.vdot(momentum.features, momentum.features))
        hamiltonian = pairing / (2 * unit) - (momentum.trace if depth > 0 else 0.0)
        rank = -2 * hamiltonian / depth if depth > 0 else None
        scale = float(np.linalg.norm(weights))
        residual = float(np.linalg.norm(weights - momentum.features)) / scale if scale > 0 else None
        norm = float(np.sqrt(momentum.norm_squared))
    return Energies(
        kinetic_energy=kinetic,
        potential_energy=potential,
        cross_term=overlap - depth * identity.cost,
        lagrangian=weights_squared / (2 * unit),
        kinetic_plus_potential=kinetic + potential if potential is not None else None,
        hamiltonian=hamiltonian,
        rank_from_hamiltonian=rank,
        criticality_residual=residual,
        momentum_norm=norm,
    )
