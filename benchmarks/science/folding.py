"""Every preset at L~ >= 7 without the ReLUs that do nothing, no training: test metric and outputs, full against folded.

    python -m benchmarks.science.folding [--presets A,B] [--data-dir DIR]
        writes folding.csv and docs/images/folding.png; rows of other presets stay

Which ReLUs go is measured by `leaky_zoo.analysis.linearity`, on 2,000 even samples of the training split. Nets know
small splits by heart, so that their own samples are too easy a judge: a classifier with fewer than 2,000 is judged on
10,000, all of them and copies with Gaussian noise of 0.3 deviations of each feature. The tolerance was set to 0.0005
after the test drops of three MNIST presets at 0.002 had been seen, number and noise of the copies after those of the
digits and tables. Layers are linear maps: stem, steps, head; runs of linear ones are multiplied out.
"""

from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common import options, read_table, write_table
from leaky_zoo.analysis.linearity import class_change, measure_linearity, relative_change, standardised
from leaky_zoo.compress.chain import build_model, maps_of, read_chain
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.folding import fold
from leaky_zoo.compress.search import run_model
from leaky_zoo.data import load_data
from leaky_zoo.flow.without_relus import WithoutRelus
from leaky_zoo.geometry.subsample import even_rows
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.zoo import from_preset, list_presets

TABLE = Path(__file__).with_suffix(".csv")
FIGURE = Path(__file__).parents[2] / "docs" / "images" / "folding.png"
LEAST_DEPTH = 7
SAMPLES, WITH_COPIES, NOISE = 2000, 10000, 0.3


def judged_samples(net: LeakyNetwork, x: np.ndarray) -> np.ndarray:
    """Samples that decide which ReLUs go: even ones, or, for a classifier with few, all and noisy copies."""
    x = np.asarray(x, np.float32)
    if len(x) >= SAMPLES or not net.task.labels:
        return x[even_rows(len(x), SAMPLES)]
    copies = x[np.resize(np.arange(len(x)), WITH_COPIES - len(x))]
    noise = np.random.default_rng(0).normal(size=copies.shape)
    return np.concatenate([x, (copies + NOISE * x.std(0) * noise).astype(np.float32)])


def without(net: LeakyNetwork, left_out: list[int], rows: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Outputs without these ReLUs, and linear maps before and after folding.

    Convolutions of signals have no chain: none of them is multiplied out, as none of 3 x 3 is.
    """
    if net.family == "conv" and len(net.config.input_shape) == 2:
        others = sum(isinstance(layer, keras.layers.Dense | keras.layers.Conv1D) for layer in net.layers)
        maps = len(net.blocks) + others
        return WithoutRelus(net, rows).outputs(left_out), maps, maps
    links = read_chain(net)
    folded = fold(links, left_out)
    model = build_model(folded, net.config.input_shape, "folded")
    return run_model(model, rows), len(maps_of(links)), len(maps_of(folded))


def measure(preset: str, name: str, data_dir: str | None) -> dict[str, object]:
    """One row: a preset, full and folded."""
    net, data = from_preset(preset), load_data(name, data_dir)
    (x, _), (x_test, y_test) = data.select("train"), data.select("test")
    found, metric = measure_linearity(net, judged_samples(net, x)), Metric.of(net)
    rows, targets = np.asarray(x_test, np.float32), net.task.targets(x_test, y_test)
    before = run_model(net, rows)
    after, maps_before, maps_after = without(net, found.left_out, rows)
    values = [metric.value(outputs, targets) for outputs in (before, after)]
    before, after = standardised(net, before), standardised(net, after)
    stretch = found.linear_stretch or ("", "")
    return {
        "preset": preset,
        "steps": len(net.blocks),
        "stretch_first": stretch[0],
        "stretch_last": stretch[1],
        "samples": found.samples,
        "relus_left": found.effective_nonlinear_depth["layers"],
        "maps_before": maps_before,
        "maps_after": maps_after,
        "metric": "accuracy %" if metric.name == "accuracy" else "test loss",
        "before": f"{values[0] * (100 if metric.name == 'accuracy' else 1):.5g}",
        "after": f"{values[1] * (100 if metric.name == 'accuracy' else 1):.5g}",
        "drop": f"{metric.drop(*values):.3g}",
        "classes_changed_percent": f"{100 * class_change(after, before):.3g}" if net.task.labels else "",
        "change_of_outputs": f"{relative_change(after, before):.3g}",
        "largest_change_of_outputs": f"{np.abs(after - before).max() / np.abs(before).max():.3g}",
    }


def draw(rows: list[dict[str, str]]) -> None:
    """Maps before and after, and what folding cost."""
    rows = sorted(rows, key=lambda row: str(row["preset"]))
    figure = Figure(figsize=(9, 0.33 * len(rows) + 1.0), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    axes.barh(places + 0.19, [int(row["maps_before"]) for row in rows], 0.36, color="#c9ced6", label="maps before")
    axes.barh(
        places - 0.19, [int(row["maps_after"]) for row in rows], 0.36, color="#1f6f8b", label="maps after folding"
    )
    for place, row in zip(places, rows, strict=True):
        unit = "%" if row["metric"] == "accuracy %" else ""
        words = f"{row['before']}{unit} to {row['after']}{unit}"
        axes.text(int(row["maps_before"]) + 0.3, place, words, va="center", fontsize=8)
    axes.set_yticks(places, [str(row["preset"]).removeprefix("leaky_") for row in rows], fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlim(0, max(int(row["maps_before"]) for row in rows) + 6)
    axes.set_xlabel("linear maps, stem and head included (beside them: test accuracy or loss, before and after)")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(FIGURE, dpi=130)


def main(presets: tuple[str, ...], data_dir: str | None) -> None:
    """Measure these presets (none named: every such one), and write table and figure."""
    for preset in list_presets():
        named = preset["name"] in presets or not any(presets)
        if named and preset["effective_depth"] >= LEAST_DEPTH:
            row = measure(preset["name"], preset["dataset"], data_dir)
            print(*row.values(), flush=True)
            write_table(TABLE, [row], keys=["preset"], noise=NOISE)
    draw(read_table(TABLE))


if __name__ == "__main__":
    given = options(__doc__, presets=("",), data_dir=str)
    main(given.presets, given.data_dir)
