"""A whole audit in at most 16 kB, for files that are smaller than their audit. Needs Python only."""

import hashlib
from collections.abc import Mapping
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.metadata import to_json

MAX_SUMMARY_BYTES = 16 * 1024
SPECTRUM = 12  # singular values kept of each layer
_WHOLE = ("schema_version", "kind", "model", "data", "n", "gamma_0", "weight_decay", "io_weight_decay", "loss",
          "summary", "bottleneck_rank", "warnings")  # fmt: skip
# Columns that go first when an audit of very many layers would not fit, and those that go last.
_LAST_TO_GO = (
    "layer", "position", "step_size", "negative_share", "cost_of_identity", "participation_ratio",
    "criticality_residual", "kinetic_energy", "potential_energy", "hamiltonian", "weight_directions",
)  # fmt: skip


def summarise_audit(audit: Mapping[str, Any], max_bytes: int = MAX_SUMMARY_BYTES) -> dict[str, Any]:
    """Verdict, summary and one column for each number that layers have; sweeps and long spectra are left out.

    Args:
        audit: the full audit, as `Audit.to_dict` gives it.
        max_bytes: of the summary as compact JSON. Default 16 KiB.

    Returns:
        `audit_sha256` (of the full audit as compact JSON with sorted keys), the audit's own general entries, `layers`
        (`{name: [one value for each layer]}`, five digits) and `singular_values` (the first twelve of each layer's
        representations); of an audit of very many layers fewer columns. This project.

    Raises:
        InvalidInputError: not an audit, or one whose general entries alone are too long.

    Example:
    >>> audit = {"schema_version": "2.0", "layers": [{"layer": 1, "position": 0.123456789}]}
    >>> summarise_audit(audit)["layers"]
    {'layer': [1], 'position': [0.12346]}
    """
    layers = audit.get("layers") if isinstance(audit, Mapping) else None
    if not isinstance(layers, list) or not all(isinstance(layer, Mapping) for layer in layers):
        raise InvalidInputError(f"`audit` must be an audit as a dict. Received: audit={type(audit).__name__}")
    digest = hashlib.sha256(to_json(audit, "audit").encode("utf-8")).hexdigest()
    columns = {name: [_short(layer.get(name)) for layer in layers] for name in _columns(layers)}
    spectra = [[_short(value) for value in (layer.get("singular_values") or [])[:SPECTRUM]] for layer in layers]
    value: dict[str, Any] = {name: audit[name] for name in _WHOLE if name in audit}
    value |= {"audit_sha256": digest, "layers": columns, "singular_values": spectra}
    removable = sorted(columns, key=lambda name: _LAST_TO_GO.index(name) if name in _LAST_TO_GO else len(_LAST_TO_GO))
    while len(to_json(value, "audit").encode("utf-8")) > max_bytes:
        if value.pop("singular_values", None) is not None:
            continue
        if removable:
            del columns[removable.pop()]
        elif value.pop("warnings", None) is None:
            raise InvalidInputError(f"`audit` says too much about itself to be summarised in {max_bytes:,} bytes.")
    return value


def _columns(layers: list[Mapping[str, Any]]) -> list[str]:
    """Names of what is a number, a truth value or nothing in every layer, and in some layer something."""
    names = dict.fromkeys(name for layer in layers for name in layer)
    return [
        name
        for name in names
        if all(isinstance(layer.get(name), bool | int | float | None) for layer in layers)
        and any(layer.get(name) is not None for layer in layers)
    ]


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
