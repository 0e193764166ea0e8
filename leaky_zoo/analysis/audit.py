"""The result of an analysis: one documented object, JSON on disk, the only source of every published number."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.files import write_json

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class LayerAudit:
    """One step `A_{l-1} -> A_l`: energies at its input, statistics of its output. None is "undefined", never zero.

    Attributes:
        layer: `l`, from 1.
        name: name of the block.
        step_size: `rho_l`.
        position: `p_l = rho_1 + .. + rho_l`, in (0, 1].
        cost_of_identity: `COI` of `A_{l-1}`: a dimension, where `on_plateau`.
        out_of_image_fraction: part of `||A_{l-1}||^2` that no map of the features reproduces, in [0, 1].
        on_plateau: whether `cost_of_identity` changes by under 5% over a decade of `gamma_0` either way.
        cost_of_identity_sweep: `COI` at each entry of the audit's `gamma_sweep`.
        kinetic_energy: `||dA/dp||_K^2 / (2 Lt)` (`/ 2` at `Lt = 0`).
        potential_energy: `-(Lt / 2) COI`; None at `Lt = 0`.
        cross_term: `<dA/dp, A>_K`.
        kinetic_plus_potential: the Hamiltonian only where the inclusion holds; flat before the net is critical.
        hamiltonian: momentum form; None without momenta.
        rank_from_hamiltonian: `-2 H / Lt`, momentum form; None at `Lt = 0` or without momenta.
        criticality_residual: `||W_l - P_l s^T|| / ||W_l||`; 0 at a critical point; None without momenta.
        momentum_norm: `||P_l||_F`; None without momenta.
        weight_norm: `||W_l||_F`.
        weight_directions: how many singular values of `W_l` stand before the largest gap between two neighbours; None
            where no gap reaches 2.
        weight_gap: ratio of the two singular values at the largest gap.
        weight_singular_values: of `W_l`, descending.
        stable_rank: of `A_l`.
        participation_ratio: of the covariance of `A_l`.
        singular_values: of `A_l`, divided by `sqrt(N)`, descending.
    """

    layer: int
    name: str
    step_size: float
    position: float
    cost_of_identity: float
    out_of_image_fraction: float
    on_plateau: bool
    cost_of_identity_sweep: list[float]
    kinetic_energy: float
    potential_energy: float | None
    cross_term: float
    kinetic_plus_potential: float | None
    hamiltonian: float | None
    rank_from_hamiltonian: float | None
    criticality_residual: float | None
    momentum_norm: float | None
    weight_norm: float
    weight_directions: int | None
    weight_gap: float | None
    weight_singular_values: list[float]
    stable_rank: float | None
    participation_ratio: float | None
    singular_values: list[float]


@dataclass(frozen=True)
class Audit:
    """What `analyze` found, and what it was found with.

    Attributes:
        model: `name`, `class`, `effective_depth`, `depth`, `width`, `task`, `schedule`, `weights_sha256`.
        data: `name`, `split` and whether it is the training split (`is_training_split`).
        n: number of samples `N`.
        columns: columns of the paper's `A`: `N`, times the positions of a convolution.
        gamma_0: relative regulariser behind every energy and `COI`.
        gamma_sweep: the other values at which `COI` was computed.
        weight_decay: `mu`; None where momenta were not computed.
        io_weight_decay: `mu_io`.
        dtype: of the stored weights; moments and energies are float64 always.
        loss: data term on these samples; None without targets.
        input: statistics of `A_0`: `stable_rank`, `participation_ratio`, `singular_values`.
        layers: one entry for each step.
        summary: `min_cost_of_identity`, `layer_of_min_cost_of_identity`, `bottleneck_layers` (on a plateau),
            and over those: `cost_of_identity`, `weight_directions`, `weight_gap`, `rank_from_hamiltonian` (mean, min,
            max, spread = (max - min) / |mean|), `max_criticality_residual`.
        undefined: why a field is None, by field name.
        warnings: what a reader must know before believing a number.
        versions: of the packages that computed it.
        schema_version: of this format.
    """

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

    @classmethod
    def from_dict(cls, value: Any) -> "Audit":
        """The inverse of `to_dict`.

        Raises:
            InvalidInputError: no audit, or one of a schema this version does not know.
        """
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version != SCHEMA_VERSION:
            raise InvalidInputError(f"Not an audit of schema {SCHEMA_VERSION}. Received: schema_version={version!r}")
        try:
            return cls(**{**value, "layers": [LayerAudit(**layer) for layer in value["layers"]]})
        except (KeyError, TypeError) as error:
            raise InvalidInputError(f"The audit lacks a field or has one too many: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the audit as JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Audit":
        """Read an audit that `save` wrote.

        Raises:
            InvalidInputError: no such file, not JSON, or not an audit.
        """
        try:
            value = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"{path} cannot be read as an audit: {error}") from error
        return cls.from_dict(value)
