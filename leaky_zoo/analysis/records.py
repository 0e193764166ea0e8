"""What an audit is made of: a record for each layer, for the bottleneck, for each path of a net that has several."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True)
class LayerAudit:
    """One layer. None is "undefined" or "not measured", never zero; `undefined` of the audit or `reason` says why.

    In an audit of one of our networks, layer `l` is the step `A_{l-1} -> A_l`: energies (and `cost_of_identity`) at its
    input, statistics of its output. In an audit of any other model it is the output of one layer.

    Attributes:
        layer: `l`, from 1; through all paths of a net that has several.
        name: name of the block or layer.
        kind: class of the layer. None in audits of schema 1.0.
        path: name of the path that the step belongs to. None in audits of schema 2.0 and of models that are not ours.
        reason: why the layer has no numbers; None where it has.
        width: rows of `A`, the dimension of the space. None in audits of schema 1.0.
        columns: columns of `A`: samples, times positions of a convolution. None in audits of schema 1.0.
        features: what `s(A)` is: "units", "patches 3x3", "channels" (a convolution whose patch matrix would not fit).
        step_size: `rho_l`.
        position: `p_l = rho_1 + .. + rho_l` along its path, in (0, 1].
        cost_of_identity: `COI`: a dimension, where `on_plateau`.
        out_of_image_fraction: part of `||A||^2` that no map of the features reproduces, in [0, 1].
        on_plateau: whether `cost_of_identity` changes by under 5% over a decade of `gamma_0` either way.
        cost_of_identity_sweep: `COI` at each entry of the audit's `gamma_sweep`.
        plateau: the flattest point of that sweep, at whatever `gamma_0` it is: `gamma_0`, `cost_of_identity`, `change`,
            `rank`, `low`, `high`, as `geometry.Plateau`; None where `COI` changes by over 10% a decade everywhere.
        kinetic_energy: `||dA/dp||_K^2 / (2 L~)` (`/ 2` at `L~ = 0`).
        potential_energy: `-(L~ / 2) COI`; None at `L~ = 0`.
        cross_term: `<dA/dp, A>_K`.
        lagrangian: `||dA/dp + L~ A||_K^2 / (2 L~)`: kinetic + cross - potential.
        kinetic_plus_potential: the Hamiltonian only where the inclusion holds; flat before the net is critical.
        hamiltonian: momentum form; None without momenta.
        rank_from_hamiltonian: `-2 H / L~`, momentum form; None at `L~ = 0` or without momenta.
        criticality_residual: `||W_l - P_l s^T|| / ||W_l||`; 0 at a critical point; None without momenta.
        clarke_residual: the residual with the slopes in [0, 1] of all ReLUs on a kink (entries of `A_1..A_{L-1}` under
            1e-5 of their layer's root mean square) chosen so that the sum of the squared residuals is least: 0 at a
            critical point in Clarke's sense. None where it was not asked for.
        free_kinks: how many entries of `A_l` were free; 0 for `A_L`, which no ReLU follows. None likewise.
        clarke_control: the same residual with as many free entries of each layer drawn at random from the others: what
            freedom alone buys. None likewise.
        momentum_norm: `||P_l||_F`; None without momenta.
        speed: `||dA/dp||_K`, in the stabilised norm.
        distance: `||A_l - A_{l-1}||_F / ||A_l||_F`, relative to 0 = the layer does nothing.
        path_length: `sum_{i <= l} rho_i ||dA/dp||_K`: length of its path up to here.
        turning_angle: angle in degrees between the steps `A_l - A_{l-1}` and `A_{l+1} - A_l`, in [0, 180], on the
            subsample: curvature. None for the last layer.
        weight_norm: `||W_l||_F`.
        weight_directions: how many singular values of `W_l` stand before the largest gap between two neighbours; None
            where no gap reaches 2.
        weight_gap: ratio of the two singular values at the largest gap.
        weight_singular_values: of `W_l`, descending.
        written_directions: as `weight_directions`, of what the step writes: `W_l s(A_{l-1})`, which representations
            alone give, as `(A_l - (1 - rho L~) A_{l-1}) / rho`. None in audits of schema 2.0.
        written_gap: ratio of the two singular values at its largest gap. None likewise.
        negative_share: `||min(A_l, 0)||_F^2 / ||A_l||_F^2`, in [0, 1], to rounding of the sums (1e-15, or 1e-7 with
            float32 products): near 0 the next ReLU does nothing.
        relu_effect: relative change of the net's output (standardised, where it has units) when the ReLU of this step
            is left out. None where it was not asked for.
        stable_rank: of `A_l`.
        nuclear_norm_rank: `||A_l||_*^2 / ||A_l||_F^2`.
        participation_ratio: of the covariance of `A_l`.
        two_nn_dimension: intrinsic dimension by two nearest neighbours (Facco et al. 2017), on the subsample.
        mle_dimension: intrinsic dimension by maximum likelihood (Levina & Bickel 2004), on the subsample.
        cka_with_previous: linear CKA with the layer before, in [0, 1].
        within_class_fraction: variance within classes over the whole variance: 0 at neural collapse.
        class_variances: the same by class, divided by the mean variance of all samples; None for regression.
        singular_values: of `A_l`, divided by `sqrt(columns)`, descending.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    layer: int
    name: str
    kind: str | None = None
    path: str | None = None
    reason: str | None = None
    width: int | None = None
    columns: int | None = None
    features: str | None = None
    step_size: float | None = None
    position: float | None = None
    cost_of_identity: float | None = None
    out_of_image_fraction: float | None = None
    on_plateau: bool | None = None
    cost_of_identity_sweep: list[float] | None = None
    plateau: dict[str, Any] | None = None
    kinetic_energy: float | None = None
    potential_energy: float | None = None
    cross_term: float | None = None
    lagrangian: float | None = None
    kinetic_plus_potential: float | None = None
    hamiltonian: float | None = None
    rank_from_hamiltonian: float | None = None
    criticality_residual: float | None = None
    clarke_residual: float | None = None
    free_kinks: int | None = None
    clarke_control: float | None = None
    momentum_norm: float | None = None
    speed: float | None = None
    distance: float | None = None
    path_length: float | None = None
    turning_angle: float | None = None
    weight_norm: float | None = None
    weight_directions: int | None = None
    weight_gap: float | None = None
    weight_singular_values: list[float] | None = None
    written_directions: int | None = None
    written_gap: float | None = None
    negative_share: float | None = None
    relu_effect: float | None = None
    stable_rank: float | None = None
    nuclear_norm_rank: float | None = None
    participation_ratio: float | None = None
    two_nn_dimension: float | None = None
    mle_dimension: float | None = None
    cka_with_previous: float | None = None
    within_class_fraction: float | None = None
    class_variances: list[float | None] | None = None
    singular_values: list[float] | None = None


@dataclass(frozen=True)
class BottleneckRank:
    """How many directions the bottleneck has, as an interval with a verdict in words.

    Attributes:
        low: at least so many: the stationary directions, or, where they are not known, `-2H/L~` rounded up, which
            approaches them from below, but at most two under the estimate. None where no rank is reported.
        high: at most so many: what the layers around the narrowest write, one more than there at most.
        estimate: the directions that the narrowest layer writes; in audits of schema 2.0 the stationary ones.
        verdict: one sentence: the rank and the layers, or why there is none and what was measured all the same.
        layers: the layers that it is about.
        stationary_directions: directions of `A` that stand still along these layers: the plateau of `COI` rounded up,
            where the representations' spectrum has as many directions. None where there is no plateau.
        weight_directions: directions that the weights of the narrowest layer have, those that grow slowly included, as
            seen in what it writes. None where nothing that is written has a gap.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    low: int | None
    high: int | None
    estimate: int | None
    verdict: str
    layers: list[int] = field(default_factory=list)
    stationary_directions: int | None = None
    weight_directions: int | None = None


@dataclass(frozen=True)
class PathAudit:
    """What an audit says of one path in sum; its layers are the audit's `layers[first_layer - 1 : last_layer]`.

    Attributes:
        name: of the path.
        first_layer, last_layer: numbers of its first and last layer, as `LayerAudit.layer`.
        effective_depth: `L~` of the path.
        input: statistics of its `A_0`, as `Audit.input`.
        summary: as `Audit.summary`, over its layers.
        bottleneck_rank: its own; None in audits of schema 1.0.
        bounds: as `Audit.bounds`.
        projection: as `Audit.projection`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    first_layer: int
    last_layer: int
    effective_depth: float
    input: dict[str, Any]
    summary: dict[str, Any]
    bottleneck_rank: BottleneckRank | None
    bounds: dict[str, float] | None
    projection: dict[str, Any] | None
