"""Audit the finished nets of the pool: a row for each net and one for each of its layers.

    python -m benchmarks.science.verdict_pool.measure --part calibration        writes nets.csv and layers.csv

Audits are kept beside the weights in `build/verdict_pool`, so that a net is measured once.
"""

from pathlib import Path

import numpy as np

from benchmarks.common import options, write_table
from benchmarks.science.verdict_pool.pool import Case, cases
from leaky_zoo.analysis import Audit
from leaky_zoo.io.reading import read_json

NETS, LAYERS = (Path(__file__).with_name(f"{name}.csv") for name in ("nets", "layers"))
GAP = 10.0  # of the weights: "these directions, and no more"


def audit_of(case: Case, clarke: bool = True) -> Audit | None:
    """The audit of a finished net, with the best slopes on kinks or with sign masks; None where it is not trained."""
    if not (case.folder / "result.json").exists():
        return None
    stored = case.folder / ("audit.json" if clarke else "audit_signs.json")
    if not stored.exists():
        from leaky_zoo.analysis import analyze
        from leaky_zoo.zoo import load_model
        from leaky_zoo.zoo.training_data import training_data

        network = load_model(case.folder / "model.keras")
        samples = training_data(network)
        analyze(network, *samples.arrays, data=samples.about, clarke=clarke).save(stored)
    return Audit.load(stored)


def spread_of_h(audit: Audit) -> float | None:
    """Standard deviation of `-2H/L~` over the layers with a written gap, of its mean; None for fewer than two."""
    found = [x.rank_from_hamiltonian for x in audit.layers[:-1] if x.written_gap and x.written_gap >= GAP]
    return float(np.std(found) / abs(np.mean(found))) if len(found) > 1 else None


def net_row(case: Case, audit: Audit, signs: Audit) -> dict:
    """What a net is, how critical it is, and what its weights have."""
    result = read_json(case.folder / "result.json")
    phase, layers, rank = result["lbfgs"], audit.layers, audit.bottleneck_rank
    sharp = [layer for layer in layers[:-1] if layer.weight_directions and layer.weight_gap >= GAP]
    sharpest = max(sharp, key=lambda layer: layer.weight_gap, default=None)
    return {
        "net": case.name, "part": case.part, "generator": case.generator, "effective_depth": case.effective_depth,
        "seed": case.seed, "n": audit.n, "iterations": phase["iterations"], "converged": phase["converged"],
        "worst_sign_residual": max(layer.criticality_residual for layer in layers),
        "worst_clarke_residual": max(layer.clarke_residual for layer in layers),
        "worst_control": max(layer.clarke_control for layer in layers),
        "free_kinks": sum(layer.free_kinks for layer in layers),
        "spread_of_h": spread_of_h(audit), "spread_of_h_signs": spread_of_h(signs),
        "entries": audit.n * layers[0].width * (len(layers) - 1),
        "sharpest_gap": sharpest and round(sharpest.weight_gap, 1),
        "fewest_directions": min((layer.weight_directions for layer in sharp), default=None),
        "most_directions": max((layer.weight_directions for layer in sharp), default=None),
        "directions_at_sharpest": sharpest and sharpest.weight_directions,
        "estimate": rank.estimate, "low": rank.low, "high": rank.high, "stationary": rank.stationary_directions,
        "verdict": rank.verdict, "train_loss": float(audit.loss), "test_loss": float(result["metrics"]["test"]["loss"]),
        "seconds": float(result["seconds"]),
    }  # fmt: skip


def layer_rows(case: Case, audit: Audit) -> list[dict]:
    """Every count of every layer; statistics of `A_{l-1}`, which the step starts from."""
    spectra = [audit.input["singular_values"], *[layer.singular_values for layer in audit.layers]]
    rows = []
    for layer, spectrum in zip(audit.layers, spectra, strict=False):
        values = np.array(spectrum[:25])
        ratios = values[:-1] / np.maximum(values[1:], 1e-12 * values[0])
        plateau = layer.plateau or {}
        rows.append({
            "net": case.name, "part": case.part, "layer": layer.layer, "weight_directions": layer.weight_directions,
            "weight_gap": layer.weight_gap, "written_directions": layer.written_directions,
            "written_gap": layer.written_gap, "spectrum_directions": int(np.argmax(ratios)) + 1,
            "spectrum_gap": float(ratios.max()), "plateau_rank": plateau.get("rank"),
            "plateau_high": plateau.get("high"), "plateau_change": plateau.get("change"),
            "plateau_gamma_0": plateau.get("gamma_0"), "rank_from_hamiltonian": layer.rank_from_hamiltonian,
            "sign_residual": layer.criticality_residual, "clarke_residual": layer.clarke_residual,
            "clarke_control": layer.clarke_control, "free_kinks": layer.free_kinks,
            "negative_share": layer.negative_share, "distance": layer.distance,
        })  # fmt: skip
    return rows


def main(part: str) -> None:
    """Measure what is finished."""
    found = [(case, audit) for case in cases(part or None) if (audit := audit_of(case)) is not None]
    about = {"samples": "up to 300", "gamma_0": 1e-5}
    rows = [net_row(case, audit, signs) for case, audit in found if (signs := audit_of(case, clarke=False))]
    write_table(NETS, rows, ("net",), **about)
    write_table(LAYERS, [row for each in found for row in layer_rows(*each)], ("net", "layer"), **about)
    print(f"{len(found)} nets")


if __name__ == "__main__":
    main(options(__doc__, part="calibration").part)
