"""What the verdict is worth on a part of the pool: named, right, contained, wide, refused and why.

    python -m benchmarks.science.verdict_pool.evaluate        reads nets.csv; writes verdict.csv and kinks.csv

The thresholds are those of `leaky_zoo.analysis.bottleneck`. Eligible are nets with a Clarke residual of at most 0.05
and a layer whose weights have a gap of at least 10: they ought to be named. *Right* is that the named number is the
weights' own at their narrowest layer, *contained* that the interval holds it and the stationary count.

Kinks: the residual with sign masks, with the best slopes on kinks (Clarke's), and with as many others freed; the
spread of `-2H/L~` over the layers with a gap, with the one and with the other momenta. Medians over nets.
"""

from pathlib import Path

import numpy as np

from benchmarks.common import markdown, options, read_table, write_table
from benchmarks.science.verdict_pool.measure import NETS

TABLE, KINKS = Path(__file__).with_name("verdict.csv"), Path(__file__).with_name("kinks.csv")
RESIDUAL = 0.05


def counts(rows: list[dict[str, str]]) -> dict[str, int]:
    """Over some nets; a share is its count over the one that its name ends with."""
    eligible = [row for row in rows if float(row["worst_clarke_residual"]) <= RESIDUAL and row["sharpest_gap"]]
    named = [row for row in rows if row["estimate"]]
    known = [row for row in named if row["fewest_directions"]]
    among = [row for row in eligible if row["estimate"]]
    nothing = [row for row in rows if row["verdict"].startswith("no bottleneck")]

    def holds(row: dict[str, str]) -> bool:
        inside = [row["fewest_directions"], *([row["stationary"]] if row["stationary"] else [])]
        return all(int(row["low"]) <= int(each) <= int(row["high"]) for each in inside)

    return {
        "nets": len(rows), "eligible": len(eligible), "eligible_named": len(among),
        "eligible_right": sum(row["estimate"] == row["fewest_directions"] for row in among),
        "eligible_contained": sum(map(holds, among)),
        "eligible_at_most_2_wide": sum(int(row["high"]) - int(row["low"]) <= 2 for row in among),
        "named": len(named), "named_right": sum(row["estimate"] == row["fewest_directions"] for row in known),
        "named_contained": sum(map(holds, known)),
        "named_at_most_2_wide": sum(int(row["high"]) - int(row["low"]) <= 2 for row in named),
        "named_without_plateau": sum(not row["stationary"] for row in named),
        "named_counts_differ": sum(row["stationary"] not in ("", row["estimate"]) for row in named),
        "no_bottleneck": len(nothing), "no_bottleneck_with_gap_10": sum(bool(row["sharpest_gap"]) for row in nothing),
    }  # fmt: skip


def kinks(rows: list[dict[str, str]]) -> dict[str, float]:
    """Over some nets, what the choice of slopes on kinks does."""

    def middle(column: str, of: list[dict[str, str]] = rows) -> float:
        return float(np.median([float(row[column]) for row in of if row[column]]))

    def small(column: str) -> list[dict[str, str]]:
        return [row for row in rows if float(row[column]) <= RESIDUAL]

    both = [row for row in small("worst_clarke_residual") if row["spread_of_h"] and row["spread_of_h_signs"]]
    return {
        "nets": len(rows),
        "critical_by_signs": len(small("worst_sign_residual")),
        "critical_by_clarke": len(small("worst_clarke_residual")),
        "critical_by_control": len(small("worst_control")),
        "sign_residual": middle("worst_sign_residual"),
        "clarke_residual": middle("worst_clarke_residual"),
        "control": middle("worst_control"),
        "free_percent": float(np.median([100 * float(row["free_kinks"]) / float(row["entries"]) for row in rows])),
        "critical_spread_of_h_signs": middle("spread_of_h_signs", both),
        "critical_spread_of_h": middle("spread_of_h", both),
        "spread_smaller": sum(float(row["spread_of_h"]) < float(row["spread_of_h_signs"]) for row in both),
        "spread_of": len(both),
    }


def table() -> str:
    """For docs/analysis.md: what was confirmed, by generator."""
    shown = {
        "nets": "nets", "eligible": "critical, with a gap", "eligible_named": "named", "eligible_right": "right",
        "eligible_contained": "contained", "named": "named of all", "named_right": "right of these",
        "named_contained": "contained of these",
    }  # fmt: skip
    rows = [row for row in read_table(TABLE) if row["part"] == "confirmation" or row["generator"] == "all"]
    names = [row["part"] if row["generator"] == "all" else row["generator"] for row in rows]
    lines = zip(names, ([row[column] for column in shown] for row in rows), strict=True)
    return markdown(["", *shown.values()], ([name, *cells] for name, cells in lines))


def main() -> None:
    """Each part whole, and each of its generators; then the refusals with their reasons."""
    rows = read_table(NETS)
    parts = {part: [row for row in rows if row["part"] == part] for part in ("calibration", "confirmation")}
    lines = []
    for part, nets in parts.items():
        names = sorted({row["generator"] for row in nets})
        groups = {"all": nets} | {name: [row for row in nets if row["generator"] == name] for name in names}
        lines += [{"part": part, "generator": name} | counts(group) for name, group in groups.items()]
    write_table(TABLE, lines, ("part", "generator"))
    write_table(KINKS, [{"part": part} | kinks(nets) for part, nets in parts.items()], ("part",))
    print(markdown(lines[0], (line.values() for line in lines)))
    for row in rows:
        if not row["estimate"]:
            print(f"{row['net']}: {row['verdict']}")


if __name__ == "__main__":
    options(__doc__)
    main()
