"""What changed between two audits."""

import math
from dataclasses import dataclass, fields
from typing import Any

from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.errors import InvalidInputError


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


def changed(first: list[LayerAudit], second: list[LayerAudit]) -> dict[tuple[int, str], tuple[Any, Any]]:
    """The changed scalars of two lists of layers, as `AuditDifference.layers`.

    Raises:
        InvalidInputError: they are not equally long.
    """
    if len(first) != len(second):
        raise InvalidInputError(
            f"Audits of different depth cannot be compared by layer. Received: {len(first)} and {len(second)} layers"
        )
    found = {}
    for a, b in zip(first, second, strict=True):
        for part in fields(a):
            one, two = getattr(a, part.name), getattr(b, part.name)
            if not isinstance(one, list | dict) and not isinstance(two, list | dict) and one != two:
                found[a.layer, part.name] = one, two
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
