"""The verdict of an audit where the true dimension is known: factors of sprites, codes of teachers.

    python -m benchmarks.science.zoo.verdicts      writes verdicts.csv from the audits of the presets

One row for each preset that was brought towards a critical point by L-BFGS. `known` is how many factors vary, or the
dimension of the teacher's code; a code of k dimensions with signs is carried by k + 1 non-negative directions
(docs/analysis.md). `directions` are those of the weights in the layers that the verdict names.
"""

import re
from pathlib import Path

from benchmarks.common import markdown, options, read_table, write_table
from leaky_zoo.zoo import Preset, list_presets

TABLE = Path(__file__).with_suffix(".csv")
KNOWN = re.compile(r"^(?:bottleneck_teacher/k|sprites/factors_)(\d+)$")
RESIDUAL_TEACHER = ("bottleneck_teacher/resnet", 3)  # 30 -> 6 -> 3 -> 30: its narrowest code


def known_dimension(data: str) -> int | None:
    """The true dimension behind a data set; None where there is none to know."""
    match = KNOWN.match(data)
    if match:
        return int(match[1])
    return RESIDUAL_TEACHER[1] if data == RESIDUAL_TEACHER[0] else None


def measure() -> None:
    """One row for each preset."""
    rows = []
    for entry in list_presets():
        known = known_dimension(entry["dataset"] or "")
        preset = Preset.open(entry["name"], ("recipe.yaml", "audit.json")) if known is not None else None
        if preset is None or not (preset.recipe and preset.recipe.lbfgs_phase and preset.audit):
            continue
        rank, layers = preset.audit.bottleneck_rank, preset.audit.layers
        assert rank
        inside = [layers[layer - 1].weight_directions for layer in rank.layers]
        residuals = [
            layer.criticality_residual if layer.clarke_residual is None else layer.clarke_residual for layer in layers
        ]
        rows.append({
            "preset": preset.name, "data": entry["dataset"], "known": known,
            "effective_depth": entry["effective_depth"],
            "estimate": rank.estimate, "low": rank.low if rank.estimate is not None else None,
            "high": rank.high if rank.estimate is not None else None,
            "layers": f"{rank.layers[0]}-{rank.layers[-1]}" if rank.estimate is not None else "",
            "directions": " ".join(map(str, sorted({each for each in inside if each}))),
            "worst_residual": max(each for each in residuals if each is not None), "verdict": rank.verdict,
        })  # fmt: skip
    write_table(TABLE, rows)


def table() -> str:
    """The verdicts as a page has them."""
    lines = [
        (
            f"`{row['preset']}`", row["known"], row["effective_depth"],
            f"{row['estimate']} ({row['low']}-{row['high']})" if row["estimate"] else row["verdict"].split(":")[0],
            row["layers"] or "-", row["directions"] or "-", row["worst_residual"],
        )
        for row in sorted(read_table(TABLE), key=_order)
    ]  # fmt: skip
    columns = ("preset", "known", "L~", "verdict", "layers", "directions of their weights", "largest residual")
    return markdown(columns, lines)


def _order(row: dict[str, str]) -> tuple[str, float, str]:
    return row["data"], float(row["effective_depth"]), row["preset"]


if __name__ == "__main__":
    options(__doc__)
    measure()
    print(table())
