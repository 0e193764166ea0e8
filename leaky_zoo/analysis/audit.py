"""The result of an analysis: one documented object, JSON on disk, the only source of every published number."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict

from leaky_zoo.analysis.older import upgraded
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import read_json

if TYPE_CHECKING:
    import pandas

    from leaky_zoo.analysis.difference import AuditDifference

SCHEMA_VERSION = "2.0"


@dataclass(frozen=True)
class LayerAudit:
    """One layer. None is "undefined" or "not measured", never zero; `undefined` of the audit or `reason` says why.

    In an audit of one of our networks, row `l` is the step `A_{l-1} -> A_l`: energies (and `cost_of_identity`) at its
    input, statistics of its output. In an audit of any other model a row is the output of one layer.

    Attributes:
        layer: `l`, from 1.
        name: name of the block or layer.
        kind: class of the layer. None in audits of schema 1.0.
        reason: why the layer has no numbers; None where it has.
        width: rows of `A`, the dimension of the space. None in audits of schema 1.0.
        columns: columns of `A`: samples, times positions of a convolution. None in audits of schema 1.0.
        features: what `s(A)` is: "units", "patches 3x3", "channels" (a convolution whose patch matrix would not fit).
        step_size: `rho_l`.
        position: `p_l = rho_1 + .. + rho_l`, in (0, 1].
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
        momentum_norm: `||P_l||_F`; None without momenta.
        speed: `||dA/dp||_K`, in the stabilised norm.
        distance: `||A_l - A_{l-1}||_F / ||A_l||_F`, relative to 0 = the layer does nothing.
        path_length: `sum_{i <= l} rho_i ||dA/dp||_K`: length of the path up to here.
        turning_angle: angle in degrees between the steps `A_l - A_{l-1}` and `A_{l+1} - A_l`, in [0, 180], on the
            subsample: curvature. None for the last layer.
        weight_norm: `||W_l||_F`.
        weight_directions: how many singular values of `W_l` stand before the largest gap between two neighbours; None
            where no gap reaches 2.
        weight_gap: ratio of the two singular values at the largest gap.
        weight_singular_values: of `W_l`, descending.
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
    momentum_norm: float | None = None
    speed: float | None = None
    distance: float | None = None
    path_length: float | None = None
    turning_angle: float | None = None
    weight_norm: float | None = None
    weight_directions: int | None = None
    weight_gap: float | None = None
    weight_singular_values: list[float] | None = None
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
        low: at least so many, from `-2H/L~`, which approaches the rank from below; None where no rank is reported.
        high: at most so many, from the plateaus of `COI`, which approach it from above.
        estimate: the plateau of `COI` rounded up, where the representations' spectrum has as many directions.
        verdict: one sentence: the rank and the layers, or why there is none.
        layers: the layers that it is about.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    low: int | None
    high: int | None
    estimate: int | None
    verdict: str
    layers: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Audit:
    """What `analyze` found, and what it was found with.

    Attributes:
        model: `name`, `class`, `effective_depth`, `depth`, `width`, `task`, `schedule`, `weights_sha256`; what a model
            that is not ours does not have is None. With `step_size_trace`, as `LeakyNetwork` has it, where training
            moved the steps.
        data: `name`, `split` and whether it is the training split (`is_training_split`).
        n: number of samples `N`.
        columns: columns of the paper's `A`: `N`, times the positions of a convolution.
        gamma_0: relative regulariser behind every energy and `COI`.
        gamma_sweep: the other values at which `COI` was computed.
        weight_decay: `mu`; None where momenta were not computed.
        io_weight_decay: `mu_io`.
        dtype: of the stored weights; sums and energies are float64 always.
        loss: data term on these samples; None without targets.
        input: statistics of `A_0`, by the names of `LayerAudit`; empty for a model that is not ours.
        layers: one entry for each step, or for each layer of a model that is not ours.
        summary: `min_cost_of_identity`, `layer_of_min_cost_of_identity`, `bottleneck_layers` (on a plateau at
            `gamma_0`), and over those: `cost_of_identity`, `weight_directions`, `weight_gap`, `rank_from_hamiltonian`
            (mean, min, max, spread = (max - min) / |mean|), `max_criticality_residual`. Also `weight_norm_balance`:
            least over largest `||W_l||_F`, 1 where all layers share the norm; `path_length`.
        kind: "path" (one of our networks: everything) or "representations" (the half that needs no loss).
        bottleneck_rank: see `BottleneckRank`; None in audits of schema 1.0.
        bounds: the paper's bounds on `H`, as `geometry.HamiltonianBounds`; None without momenta or at `L~ = 0`.
        subsample: `samples`, `rule`: what intrinsic dimensions and the projection were measured on.
        projection: the path in its first two principal components: `explained` (fractions of the variance),
            `coordinates` (layer, sample, component), `labels`; None for a model that is not ours.
        products: "float64", or "float32" where the products of a batch were.
        undefined: why a field is None, by field name.
        warnings: what a reader must know before believing a number.
        versions: of the packages that computed it.
        schema_version: of this format.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    model: dict[str, Any]
    data: dict[str, Any]
    n: int
    columns: int
    gamma_0: float
    gamma_sweep: list[float]
    weight_decay: float | None
    io_weight_decay: float | None
    dtype: str
    loss: float | None
    input: dict[str, Any]
    layers: list[LayerAudit]
    summary: dict[str, Any]
    kind: str = "path"
    bottleneck_rank: BottleneckRank | None = None
    bounds: dict[str, float] | None = None
    subsample: dict[str, Any] | None = None
    projection: dict[str, Any] | None = None
    products: str = "float64"
    undefined: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    schema_version: str = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the JSON file holds it."""
        return {"schema_version": self.schema_version, **asdict(self)}

    def to_json(self) -> str:
        """Compact JSON without NaN."""
        return json.dumps(self.to_dict(), allow_nan=False, separators=(",", ":"))

    def to_dataframe(self) -> "pandas.DataFrame":
        """One row for each layer: its scalars, and what every number of the row was measured with.

        The columns `model`, `weights_sha256`, `data`, `split`, `n`, `gamma_0`, `weight_decay`, `io_weight_decay`,
        `dtype` repeat the audit's, so that rows of several audits can be stacked.

        Raises:
            InvalidInputError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise InvalidInputError("to_dataframe needs pandas: pip install pandas") from error
        about = {
            "model": self.model["name"],
            "weights_sha256": self.model["weights_sha256"],
            "data": self.data["name"],
            "split": self.data["split"],
            **{key: getattr(self, key) for key in ("n", "gamma_0", "weight_decay", "io_weight_decay", "dtype")},
        }
        names = [part.name for part in fields(LayerAudit)]
        rows = [
            {name: value for name in names if not isinstance(value := getattr(layer, name), list | dict)}
            for layer in self.layers
        ]
        columns = [name for name in names if any(name in row for row in rows)]
        return pandas.DataFrame([{**about, **row} for row in rows], columns=[*about, *columns])

    def diff(self, other: "Audit") -> "AuditDifference":
        """What changed from this audit to another, and whether the two may be compared at all.

        Args:
            other: an audit with as many layers.

        Raises:
            InvalidInputError: another number of layers.
        """
        from leaky_zoo.analysis.difference import difference

        return difference(self, other)

    @classmethod
    def from_dict(cls, value: Any) -> "Audit":
        """The inverse of `to_dict`; audits of older schemas are brought up to date, with None for what they lack.

        Raises:
            InvalidInputError: no audit, or one of a schema this version does not know; the message names the field.
        """
        from leaky_zoo.analysis.schema import read_audit

        return read_audit(upgraded(value, SCHEMA_VERSION))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the audit as JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Audit":
        """Read an audit that `save` wrote, of this or an older schema.

        Raises:
            InvalidInputError: no such file, not JSON, or not an audit.
        """
        try:
            value = read_json(path)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path} cannot be read as an audit: {error}") from error
        try:
            return cls.from_dict(value)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from error
