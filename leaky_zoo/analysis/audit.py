"""The result of an analysis: one documented object, JSON on disk, the only source of every published number."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from leaky_zoo.analysis.difference import AuditDifference, changed
from leaky_zoo.analysis.records import BottleneckRank, LayerAudit, PathAudit
from leaky_zoo.errors import InvalidInputError, naming_extras
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import read_json, shown
from leaky_zoo.networks.config import is_trace

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = "2.1"
OLDER_VERSIONS = ("1.0", "2.0")
SETTINGS = ("n", "gamma_0", "weight_decay", "io_weight_decay", "dtype", "products")


@dataclass(frozen=True)
class Audit:
    """What `analyze` found, and what it was found with.

    Attributes:
        model: `name`, `class`, `effective_depth`, `depth`, `width`, `task`, `schedule`, `weights_sha256`; what a model
            that is not ours does not have is None. With `step_size_trace`, as `LeakyNetwork` has it, where training
            moved the steps.
        data: `name`, `split` and whether it is the training split (`is_training_split`), known by
            `recognised_by`: "content", by the hash of the samples, or "name"; `sha256`, where it was computed.
        n: number of samples `N`.
        columns: columns of the paper's `A`: `N`, times the positions of a convolution.
        gamma_0: relative regulariser behind every energy and `COI`.
        gamma_sweep: the other values at which `COI` was computed.
        weight_decay: `mu`; None where momenta were not computed.
        io_weight_decay: `mu_io`.
        dtype: of the stored weights; sums and energies are float64 always.
        loss: data term on these samples; None without targets.
        input: statistics of `A_0`, of the first path, by the names of `LayerAudit`; empty for a model that is not ours.
        layers: one entry for each step, path after path, or for each layer of a model that is not ours.
        summary: `min_cost_of_identity`, `layer_of_min_cost_of_identity`, `bottleneck_layers` (on a plateau at
            `gamma_0`), and over those: `cost_of_identity`, `weight_directions`, `weight_gap`, `rank_from_hamiltonian`
            (mean, min, max, spread = (max - min) / |mean|), `max_criticality_residual`. Also `weight_norm_balance`:
            least over largest `||W_l||_F`, 1 where all layers share the norm; `path_length`, of all paths together;
            `linear_stretch`, `[first, last]` layer of the longest run whose ReLUs can be left out; and
            `effective_nonlinear_depth`, `{"layers", "tolerance", "measure", "samples"}`: how many ReLUs must stay for
            the net's outputs to change by at most the tolerance, as `analysis.linearity.Linearity` says. The last two
            are None where they were not asked for (`AnalysisSettings.relu_samples`).
        kind: "path" (one of our networks: everything) or "representations" (the half that needs no loss).
        bottleneck_rank: see `BottleneckRank`; of a net with several paths that of the narrowest, with a sentence on
            each. None in audits of schema 1.0.
        bounds: the paper's bounds on `H`, as `geometry.HamiltonianBounds`; None without momenta, at `L~ = 0`, or with
            several paths, which have their own.
        subsample: `samples`, `rule`: what intrinsic dimensions and the projection were measured on.
        projection: the path in its first two principal components: `explained` (fractions of the variance),
            `coordinates` (layer, sample, component), `labels`; None where there is no path or several.
        paths: one `PathAudit` for each path of a net with several; empty where all of the audit is about one: see
            `per_path`.
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
    paths: list[PathAudit] = field(default_factory=list)
    products: str = "float64"
    undefined: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    schema_version: str = SCHEMA_VERSION

    def per_path(self) -> list[PathAudit]:
        """One entry for each path, also where there is one; empty for a model that is not ours."""
        if self.paths or self.kind != "path":
            return self.paths
        (name,) = {layer.path for layer in self.layers}
        facts = self.input, self.summary, self.bottleneck_rank, self.bounds, self.projection
        return [PathAudit(name or "path", 1, len(self.layers), self.model["effective_depth"], *facts)]

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
            MissingExtraError: pandas is not installed.
        """
        with naming_extras():
            import pandas
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
        settings = {name: (getattr(self, name), getattr(other, name)) for name in SETTINGS}
        settings |= {f"data.{name}": (self.data[name], other.data[name]) for name in ("name", "split")}
        verdicts = [audit.bottleneck_rank.verdict if audit.bottleneck_rank else "" for audit in (self, other)]
        return AuditDifference(
            {name: pair for name, pair in settings.items() if pair[0] != pair[1]},
            changed(self.layers, other.layers),
            (verdicts[0], verdicts[1]) if verdicts[0] != verdicts[1] else None,
        )

    @classmethod
    def from_dict(cls, value: Any) -> "Audit":
        """The inverse of `to_dict`; audits of older schemas are brought up to date, with None for what they lack.

        Raises:
            InvalidInputError: no audit, or one of a schema this version does not know; the message names the field.
        """
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version not in (*OLDER_VERSIONS, SCHEMA_VERSION):
            raise InvalidInputError(
                f"Not an audit of schema {', '.join(OLDER_VERSIONS)} or {SCHEMA_VERSION}. "
                f"Received: schema_version={shown(version)}"
            )
        # Every field of an older version keeps its name and meaning; 1.0 had paths only, and did not say so.
        added = {"kind": "path"} if version == "1.0" else {}
        try:
            text = json.dumps({**value, "schema_version": SCHEMA_VERSION, **added}, allow_nan=False)
            audit = _adapter().validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "as a whole"
            raise InvalidInputError(f"The audit's field {place} is wrong: {first['msg']}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidInputError(f"The audit is not plain JSON: {error}") from error
        audit._check()
        return audit

    def _check(self) -> None:
        """What the types alone do not say of an audit that was read."""
        for name, part, keys in (("model", self.model, ("name",)), ("data", self.data, ("name", "split"))):
            missing = [key for key in keys if key not in part]
            if missing:
                raise InvalidInputError(f"The audit's field {name}.{missing[0]} is missing.")
        if self.kind != "path":
            return
        for key, kind in (("effective_depth", int | float), ("depth", int), ("schedule", str)):
            if not isinstance(self.model.get(key), kind):
                raise InvalidInputError(f"The audit's field model.{key} is wrong: {shown(self.model.get(key))}")
        trace = self.model.get("step_size_trace")
        if not (trace is None or is_trace(trace, len(self.layers))):
            raise InvalidInputError(f"The audit's field model.step_size_trace is wrong: {shown(trace)}")
        for index, layer in enumerate(self.layers):
            if layer.step_size is None or layer.position is None or not layer.weight_singular_values:
                raise InvalidInputError(
                    f"The audit's field layers.{index} lacks its step or the weights' singular values."
                )
        names = [path.name for path in self.paths for _ in range(path.first_layer, path.last_layer + 1)]
        if names != [layer.path for layer in self.layers] if self.paths else len({r.path for r in self.layers}) != 1:
            raise InvalidInputError("The audit's paths are not those of its layers.")

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


@cache
def _adapter() -> TypeAdapter[Audit]:
    return TypeAdapter(Audit)
