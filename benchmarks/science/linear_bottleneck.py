"""Where each preset's ReLUs do nothing, beside the plateau of its cost of identity; from the presets' own audits.

python -m benchmarks.science.linear_bottleneck      writes linear_bottleneck.csv, docs/images/linear_bottleneck.png
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import IMAGES, markdown, options, read_table, write_table
from leaky_zoo.analysis import Audit
from leaky_zoo.io.files import replacing
from leaky_zoo.zoo import list_presets, preset_folder

TABLE = Path(__file__).with_suffix(".csv")
RANKS, POOL = TABLE.with_name("bottleneck_rank.csv"), TABLE.parent / "verdict_pool" / "layers.csv"
CRITICAL = 0.1  # a Clarke residual up to which the verdict names a rank
QUIET = 0.01  # negative share under which a ReLU has next to nothing to do
DEEP = 7.0  # effective depth from which a bottleneck is expected
LEAST_EFFECT = 1e-3  # what the figure's axis begins with


def audits() -> list[tuple[str, float, Audit]]:
    """`(name, L~, audit)` of every preset with one path of measured layers."""
    found = []
    for metadata in list_presets():
        audit = Audit.load(preset_folder(metadata["name"]) / "audit.json")
        if len(audit.paths or [0]) == 1 and all(layer.relu_effect is not None for layer in audit.layers):
            found.append((metadata["name"], float(metadata["effective_depth"]), audit))
    return found


def shares_and_effects(audit: Audit) -> tuple[np.ndarray, np.ndarray]:
    """For each ReLU the negative share of what it reads, and what leaving it out changes."""
    shares = [audit.input["negative_share"], *(layer.negative_share for layer in audit.layers[:-1])]
    return np.array(shares, float), np.array([layer.relu_effect for layer in audit.layers], float)


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic)


def ends(layers: Sequence[int]) -> str:
    """First and last layer, in words for a table."""
    return f"{layers[0]}-{layers[-1]}" if layers else ""


def row_of(name: str, effective_depth: float, audit: Audit) -> dict[str, Any]:
    """One preset: its stretches, counted in layers."""
    shares, effects = shares_and_effects(audit)
    plateau = [layer.layer for layer in audit.layers if layer.plateau]
    stretch = audit.summary.get("linear_stretch") or []
    quiet = [layer.layer for layer, share in zip(audit.layers, shares, strict=True) if share < QUIET]
    return {
        "preset": name, "effective_depth": effective_depth, "layers": len(audit.layers),
        "quiet_relus": ends(quiet), "linear_stretch": ends(stretch), "plateau": ends(plateau),
        "starts_before": plateau[0] - stretch[0] if plateau and stretch else None,
        "ends_before": plateau[-1] - stretch[-1] if plateau and stretch else None,
        "least_negative_share": float(shares.min()), "spearman": spearman(shares, effects),
    }  # fmt: skip


def measure() -> None:
    """Write the table."""
    rows = [row_of(*each) for each in audits()]
    rows.sort(key=lambda row: (row["effective_depth"], row["preset"]))
    write_table(TABLE, rows, quiet=QUIET)


def table() -> str:
    """The table for the page."""
    columns = {
        "preset": "preset", "L~": "effective_depth", "layers": "layers", "ReLUs that read < 1% negative": "quiet_relus",
        "linear stretch (measured)": "linear_stretch", "plateau": "plateau",
        "stretch starts before it by": "starts_before", "ends before it by": "ends_before",
        "rank correlation": "spearman",
    }  # fmt: skip
    rows = read_table(TABLE)
    return markdown(list(columns), [[row[key] or "-" for key in columns.values()] for row in rows])


def critical_table() -> str:
    """The critical nets of two other studies: how negative what they keep is.

    Of `bottleneck_rank` the representation at the layer with the sharpest gap; of `verdict_pool` those on a plateau, in
    layers with a Clarke residual of at most 0.1.
    """
    lines = []
    nets = [row for row in read_table(RANKS) if row["max_residual"] not in ("", "nan")]
    for teacher, codes in (("encoder", "signed"), ("direct", "signed"), ("direct", "non-negative")):
        for biases in ("True", "False"):
            kind = (teacher, codes, biases)
            own = [row for row in nets if (row["teacher"], row["codes"], row["biases"]) == kind]
            if own:
                what = "ReLU teachers" if teacher == "encoder" else f"inputs are the code, {codes}"
                shares = [float(row["negative_share"]) for row in own]
                lines.append((what, "on" if biases == "True" else "off", len(own), *spread(shares)))
    for part in ("calibration", "confirmation"):
        if shares := [max(found) for found in plateau_shares(part).values()]:
            lines.append((f"the verdict's pool, {part}", "on", len(shares), *spread(shares)))
    return markdown(("teachers", "biases", "nets", "median of the negative share", "largest", "nets above 10%"), lines)


def spread(shares: list[float]) -> tuple[str, str, int]:
    """Median and largest in percent, and how many are above a tenth."""
    return f"{100 * np.median(shares):.2g}%", f"{100 * max(shares):.2g}%", sum(share > 0.1 for share in shares)


def plateau_shares(part: str) -> dict[str, list[float]]:
    """For each net of the pool the negative shares of the representations on a plateau."""
    rows, found = read_table(POOL), {}
    shares = {(row["net"], int(row["layer"])): float(row["negative_share"]) for row in rows}
    for row in rows:
        before = (row["net"], int(row["layer"]) - 1)  # the plateau is of what the step starts from
        if (
            row["part"] == part
            and row["plateau_rank"]
            and float(row["clarke_residual"]) <= CRITICAL
            and before in shares
        ):
            found.setdefault(row["net"], []).append(shares[before])
    return found


def draw() -> None:
    """What leaving a ReLU out changes against the negative share of what it reads."""
    import matplotlib.pyplot as plt

    found = audits()
    groups = (
        ("L~ at least 7", [each for each in found if each[1] >= DEEP]),
        ("below", [e for e in found if e[1] < DEEP]),
    )
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained")
    for panel, (title, group) in zip(panels, groups, strict=True):
        pairs = [shares_and_effects(audit) for _, _, audit in group]
        shares, effects = (np.concatenate(part) for part in zip(*pairs, strict=True))
        panel.loglog(np.maximum(shares, LEAST_EFFECT / 10), np.maximum(effects, LEAST_EFFECT / 10), "o", markersize=3)
        panel.set_title(f"{title}: {len(group)} presets, rank correlation {spearman(shares, effects):.2f}")
        panel.set_xlabel("negative share of what the ReLU reads")
    panels[0].set_ylabel("change of the output without this ReLU")
    with replacing(IMAGES / "linear_bottleneck.png") as aside:
        figure.savefig(aside, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    options(__doc__)
    measure()
    draw()
