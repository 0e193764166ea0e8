"""What changed between two audits."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from leaky_zoo.errors import InvalidInputError

if TYPE_CHECKING:
    from leaky_zoo.analysis.audit import Audit

SETTINGS = ("n", "gamma_0", "weight_decay", "io_weight_decay", "dtype", "products")


@dataclass(frozen=True)
class AuditDifference:
    """Two audits side by side.

    Attributes:
        settings: what they were measured with and does not agree, as `{name: (first, second)}`; numbers that follow
            are comparable only as far as this is empty.
        layers: changed scalars of the layers, as `{(layer, field): (first, second)}`.
        bottleneck_rank: the two verdicts if they differ, else None.
    """

    settings: dict[str, tuple[Any, Any]]
    layers: dict[tuple[int, str], tuple[Any, Any]]
    bottleneck_rank: tuple[str, str] | None

    @property
    def comparable(self) -> bool:
        """Whether both were measured with the same settings on the same data."""
        return not self.settings

    def largest(self, count: int = 10) -> list[tuple[int, str, float]]:
        """The largest relative changes, as `(layer, field, |second - first| / max(|first|, |second|))`."""
        found = [
            (layer, name, abs(b - a) / max(abs(a), abs(b)))
            for (layer, name), (a, b) in self.layers.items()
            if _number(a) and _number(b) and max(abs(a), abs(b)) > 0
        ]
        return sorted(found, key=lambda entry: -entry[2])[:count]


def difference(first: "Audit", second: "Audit") -> AuditDifference:
    """Compare two audits field by field; see `Audit.diff`."""
    if len(first.layers) != len(second.layers):
        raise InvalidInputError(
            f"Audits of different depth cannot be compared by layer. Received: {len(first.layers)} and "
            f"{len(second.layers)} layers"
        )
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in SETTINGS}
    pairs |= {f"data.{name}": (first.data[name], second.data[name]) for name in ("name", "split")}
    layers = {}
    for a, b in zip(first.layers, second.layers, strict=True):
        for part in fields(a):
            one, two = getattr(a, part.name), getattr(b, part.name)
            if not isinstance(one, list | dict) and not isinstance(two, list | dict) and one != two:
                layers[(a.layer, part.name)] = (one, two)
    verdicts = tuple(audit.bottleneck_rank.verdict if audit.bottleneck_rank else "" for audit in (first, second))
    return AuditDifference(
        {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        layers,
        (verdicts[0], verdicts[1]) if verdicts[0] != verdicts[1] else None,
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
