"""What the effective depth does, everything else the same: accuracy, directions, corruptions, calibration.

    python -m benchmarks.science.effective_depth train --here    18 nets in this process, a minute of one core each
    python -m benchmarks.science.effective_depth measure         writes effective_depth.csv, _corruptions.csv
    python -m benchmarks.science.effective_depth draw            writes docs/images/effective_depth.png

MNIST, the first 50,000 images moved by up to two pixels, 15 epochs; width 128, 24 equal steps at L~ = 0, 1, 3, 7, 12
and 20, lambda = 3e-3 (mu = lambda / max(L~, 1)), mu_io = 3e-4, three seeds. Nothing is chosen. Accuracies, losses and
calibration are of the test split, the temperature is fitted on the 5,000 images that follow the training images, the
audit is of 10,000 training images.
`calibration_error`: 15 bins of equal width (Guo et al. 2017). `participation_ratio`: of the representations, at the
layer where it is least. `strong_directions`: singular values of the weights above a tenth of the largest, at the layer
that has fewest; `largest_gap`: the audit's `weight_gap`, of all layers. `nonlinear_layers`: those whose ReLU does
something, as the audit's effective nonlinear depth counts them. Corruptions: `benchmarks/science/corruptions.py`.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import draw_band, markdown, read_table, save, shown, write_table
from benchmarks.science.corruptions import KINDS, LEVELS, corrupted
from benchmarks.science.studies import finished, main
from leaky_zoo.analysis import analyze
from leaky_zoo.data import load_data
from leaky_zoo.runtime import fit_temperature
from leaky_zoo.zoo import load_model

TABLE = Path(__file__).with_suffix(".csv")
CORRUPTIONS = TABLE.with_name("effective_depth_corruptions.csv")
COMPRESSION = TABLE.with_name("effective_depth_compression.csv")
EFFECTIVE_DEPTHS = (0.0, 1.0, 3.0, 7.0, 12.0, 20.0)
STRENGTH, BINS, SAMPLES = 3e-3, 15, 10_000
BASE: dict[str, Any] = {
    "data": {"name": "mnist", "train": "train[:50000]", "validation": "train[50000:55000]", "translation": 2},
    "network": {"family": "mlp", "width": 128, "depth": 24},
    "objective": {"io_weight_decay": 3e-4},
    "optimizer": {"learning_rate": 1.5e-3, "epochs": 15},
}


def cases(seeds: range, depths: tuple[float, ...]) -> Iterator[dict[str, Any]]:
    """One net for each seed and effective depth."""
    for seed, depth in product(seeds, depths):
        mu = STRENGTH / max(depth, 1.0)
        yield {"network.effective_depth": depth, "objective.weight_decay": mu, "seed": seed}


def measure() -> None:
    """One row for each net, and one for each net, kind and level of corruption."""
    data = load_data("mnist")
    (x, y), (x_fit, y_fit), (x_test, y_test) = (
        data.select(split) for split in (f"train[:{SAMPLES}]", "train[50000:55000]", "test")
    )
    moved = {each: corrupted(x_test, *each) for each in product(KINDS, range(LEVELS))}
    rows, worse = [], []
    for net in finished("effective_depth"):
        network = load_model(net.folder / "model.keras")
        about = {"effective_depth": net.recipe.network.effective_depth, "seed": net.recipe.seed}
        logits = network.predict(x_test, batch_size=1000, verbose=0)
        temperature = fit_temperature(network.predict(x_fit, batch_size=1000, verbose=0), y_fit)
        row = {"accuracy": 100 * float(np.mean(logits.argmax(1) == y_test))}
        for name, scaled in (("", logits), ("_with_temperature", logits / temperature)):
            loss, error = calibration(scaled, y_test)
            row |= {f"cross_entropy{name}": loss, f"calibration_error{name}": 100 * error}
        rows.append(about | row | {"temperature": float(temperature)} | structure(network, (x, y)))
        for (kind, level), images in moved.items():
            right = network.predict(images, batch_size=1000, verbose=0).argmax(1) == y_test
            worse.append(about | {"kind": kind, "level": level + 1, "accuracy": 100 * float(np.mean(right))})
    write_table(TABLE, rows, ("effective_depth", "seed"), samples=len(x_test), audit_samples=SAMPLES)
    write_table(CORRUPTIONS, worse, ("effective_depth", "seed", "kind", "level"), samples=len(x_test))


def structure(network: Any, samples: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """How few dimensions representations and weights have, and layers whose ReLUs do something."""
    audit = analyze(network, *samples, relu_samples=2000)
    spectra = [np.linalg.svd(block.weight_matrix, compute_uv=False) for block in network.blocks]
    return {
        "participation_ratio": min(layer.participation_ratio for layer in audit.layers),
        "strong_directions": min(int(np.sum(spectrum > spectrum[0] / 10)) for spectrum in spectra),
        "largest_gap": max(layer.weight_gap for layer in audit.layers),
        "nonlinear_layers": audit.summary["effective_nonlinear_depth"]["layers"],
    }


def calibration(logits: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Cross-entropy, and the mean distance between confidence and accuracy over bins of the confidence.

    >>> loss, error = calibration(np.log([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    >>> round(loss, 4), round(error, 12)
    (0.5623, 0.0)
    """
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    confidence, right = np.exp(log.max(1)), log.argmax(1) == y
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    distances = [abs(np.sum(confidence[bins == place]) - np.sum(right[bins == place])) for place in range(BINS)]
    return float(-np.mean(log[np.arange(len(y)), y])), float(np.sum(distances) / len(y))


def table() -> str:
    """A line for each effective depth: mean and 95% interval over seeds."""
    columns = {
        "accuracy": ("test accuracy, %", 2), "cross_entropy": ("cross-entropy", 4),
        "calibration_error": ("calibration error, %", 2), "temperature": ("temperature", 2),
        "calibration_error_with_temperature": ("calibration error with it, %", 2),
        "participation_ratio": ("participation ratio", 1),
        "strong_directions": ("directions above a tenth", 1), "nonlinear_layers": ("layers that need their ReLU", 1),
    }  # fmt: skip
    rows, lines = read_table(TABLE), []
    for depth in EFFECTIVE_DEPTHS:
        own = [row for row in rows if float(row["effective_depth"]) == depth]
        cells = (shown(np.array([float(row[name]) for row in own]), digits) for name, (_, digits) in columns.items())
        lines.append((f"{depth:g}", len(own), *cells))
    return markdown(("L~", "seeds", *(words for words, _ in columns.values())), lines)


def corruptions_table() -> str:
    """Accuracy on corrupted images, mean over the five levels, with its 95% interval over seeds."""
    rows, lines = read_table(CORRUPTIONS), []
    for depth in EFFECTIVE_DEPTHS:
        own = [row for row in rows if float(row["effective_depth"]) == depth]
        seeds = sorted({row["seed"] for row in own})
        means = {
            kind: np.array([
                np.mean([float(row["accuracy"]) for row in own if (row["kind"], row["seed"]) == (kind, seed)])
                for seed in seeds
            ])
            for kind in KINDS
        }  # fmt: skip
        lines.append((f"{depth:g}", *(shown(each, 1) for each in means.values()),
                      shown(np.mean(list(means.values()), axis=0), 1)))  # fmt: skip
    return markdown(("L~", *(f"{kind}, %" for kind in KINDS), "all four, %"), lines)


def draw() -> None:
    """Eight panels against the effective depth."""
    import matplotlib.pyplot as plt

    rows, worse = read_table(TABLE), read_table(CORRUPTIONS)
    figure, axes = plt.subplots(2, 4, figsize=(15.5, 6.4), layout="constrained", sharex=True)
    entropy, corrupted, calibrated = axes[0, 1:]

    def band(panel: Any, found: list[dict[str, str]], field: str, label: str, factor: float = 1.0) -> None:
        groups = [
            [factor * float(row[field]) for row in found if float(row["effective_depth"]) == depth]
            for depth in EFFECTIVE_DEPTHS
        ]
        draw_band(panel, EFFECTIVE_DEPTHS, groups, label)

    band(axes[0, 0], rows, "accuracy", "mean of three seeds, 95% interval")
    axes[0, 0].set_ylabel("test accuracy, %")
    band(entropy, rows, "cross_entropy", "")
    entropy.set_ylabel("test cross-entropy, nats")
    for kind in KINDS:
        means = [
            {"effective_depth": depth, "accuracy": str(np.mean([
                float(row["accuracy"]) for row in worse
                if (row["kind"], row["effective_depth"], row["seed"]) == (kind, depth, seed)
            ]))}
            for depth, seed in sorted({(row["effective_depth"], row["seed"]) for row in worse})
        ]  # fmt: skip
        band(corrupted, means, "accuracy", kind)
    corrupted.set_ylabel("accuracy on corrupted images, %\n(mean of five levels)")
    corrupted.set_ylim(56, None)  # room for the legend below the bands
    corrupted.legend(fontsize=8, loc="lower left", ncols=2)
    band(calibrated, rows, "calibration_error", "as trained")
    band(calibrated, rows, "calibration_error_with_temperature", "with a fitted temperature")
    calibrated.set_ylabel("calibration error, %")
    calibrated.legend(fontsize=8)
    smaller, losing = read_table(COMPRESSION), "(half a point lost at most)"
    for panel, found, field, words, factor in (
        (axes[1, 0], rows, "participation_ratio", "least participation ratio\nof the representations", 1),
        (axes[1, 1], rows, "strong_directions", "singular values of the weights\nabove a tenth, where fewest", 1),
        (axes[1, 2], rows, "nonlinear_layers", "layers that need their ReLU\n(of 24)", 1),
        (axes[1, 3], smaller, "left", f"numbers left after compression, %\n{losing}", 100),
    ):
        band(panel, found, field, "", factor)
        panel.set(ylabel=words, xlabel="effective depth L~", ylim=(0, None))
    axes[0, 0].legend(fontsize=8)
    save(figure, "effective_depth")


if __name__ == "__main__":
    main(__doc__, "effective_depth", BASE, cases, measure, draw, seeds=range(3), depths=EFFECTIVE_DEPTHS)
