"""What the verdict is worth on a part of the pool: named, right, contained, wide, refused and why.

    python -m benchmarks.science.verdict_pool.evaluate --part confirmation        reads nets.csv; writes verdict.csv

The thresholds are those of `leaky_zoo.analysis.bottleneck`. Eligible are nets with a Clarke residual of at most 0.05
and a layer whose weights have a gap of at least 10: they ought to be named. *Right* is that the named number is the
weights' own at their narrowest layer, *contained* that the interval holds it and the stationary count.
"""

from pathlib import Path

from benchmarks.common import markdown, options, read_table, write_table
from benchmarks.science.verdict_pool.measure import NETS

TABLE = Path(__file__).with_name("verdict.csv")
RESIDUAL = 0.05


def counts(rows: list[dict[str, str]]) -> dict[str, int]:
    """Over some nets; a share is its count over the one that its name ends with."""
    eligible = [row for row in rows if float(row["worst_clarke_residual"]) <= RESIDUAL and row["sharpest_gap"]]
    named = [row for row in rows if row["estimate"]]
    known = [row for row in named if row["fewest_directions"]]
    nothing = [row for row in rows if row["verdict"].startswith("no bottleneck")]

    def holds(row: dict[str, str]) -> bool:
        inside = [row["fewest_directions"], *([row["stationary"]] if row["stationary"] else [])]
        return all(int(row["low"]) <= int(each) <= int(row["high"]) for each in inside)

    return {
        "nets": len(rows), "eligible": len(eligible), "eligible_named": sum(bool(row["estimate"]) for row in eligible),
        "named": len(named), "named_right": sum(row["estimate"] == row["fewest_directions"] for row in known),
        "named_contained": sum(map(holds, known)),
        "named_at_most_2_wide": sum(int(row["high"]) - int(row["low"]) <= 2 for row in named),
        "named_without_plateau": sum(not row["stationary"] for row in named),
        "named_counts_differ": sum(row["stationary"] not in ("", row["estimate"]) for row in named),
        "no_bottleneck": len(nothing), "no_bottleneck_with_gap_10": sum(bool(row["sharpest_gap"]) for row in nothing),
    }  # fmt: skip


def main(part: str) -> None:
    """All of a part, and each of its generators; then the refusals with their reasons."""
    rows = [row for row in read_table(NETS) if row["part"] == part]
    names = sorted({row["generator"] for row in rows})
    groups = {"all": rows} | {name: [row for row in rows if row["generator"] == name] for name in names}
    lines = [{"part": part, "generator": name} | counts(group) for name, group in groups.items()]
    write_table(TABLE, lines, ("part", "generator"))
    print(markdown(lines[0], (line.values() for line in lines)))
    for row in rows:
        if not row["estimate"]:
            print(f"{row['net']}: {row['verdict']}")


if __name__ == "__main__":
    main(options(__doc__, part="calibration").part)
