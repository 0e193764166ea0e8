"""Which code a bottleneck chooses when the activation passes a share of what is negative: max(x, slope x).

    python -m benchmarks.science.slopes train      84 nets, about 15 s of one core each; none that slopes.csv has
    python -m benchmarks.science.slopes measure    adds those that are there to slopes.csv
    python -m benchmarks.science.slopes draw       writes docs/images/slopes.png

A signed code of k numbers costs 4 k / (1 + slope)^2 there, one that is nowhere negative k + 1: above a slope of
sqrt(4 k / (k + 1)) - 1 the signed one is the cheaper (docs/linear_bottleneck.md).
"""

from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, IMAGES, ROOT, markdown, read_table, write_table
from benchmarks.science import studies
from benchmarks.science.verdict_pool import generators
from leaky_zoo.io.files import replacing

CSV = Path(__file__).with_suffix(".csv")
FAMILY = "benchmarks.science.sloped_family"  # imported where nets are made: it registers a family
SAMPLES, DEPTH, EFFECTIVE_DEPTH = 300, 12, 7.0
SLOPES = (0.0, 0.2, 0.35, 0.5, 0.6, 0.7, 0.85)
KEYS = ("teacher", "k", "slope", "seed")
SIGNED = 0.1  # share of the squares of a representation that is negative, above which its code is called signed
BASE: dict[str, Any] = {
    "data": {"batch_size": "full"},
    "network": {"family": "sloped", "width": 48, "depth": DEPTH, "effective_depth": EFFECTIVE_DEPTH},
    "objective": {"weight_decay": 1e-3, "ramp": 0.4},
    "optimizer": {"steps": 2500, "learning_rate": 4e-3},
    "log_every": 500,
    "checkpoint_every": 2500,
}


def switch(k: int) -> float:
    """The slope at which a signed code of `k` numbers and a code that is nowhere negative cost the same.

    >>> round(switch(1), 2), round(switch(2), 2)
    (0.41, 0.63)
    """
    return float(np.sqrt(4 * k / (k + 1)) - 1)


def data(generator: str, k: int, seed: int) -> str:
    """Samples as a file, as recipes name it."""
    path = BUILD / "slopes_data" / f"{generator}_k{k}_seed{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([seed, k, *map(ord, generator)])
        x, y = (part.astype(np.float32) for part in getattr(generators, generator)(random, 2 * SAMPLES, k=k))
        with replacing(path) as aside:
            np.savez_compressed(aside, x=x[:SAMPLES], y=y[:SAMPLES], x_test=x[SAMPLES:], y_test=y[SAMPLES:])
    return path.relative_to(ROOT).as_posix()


def cases(seeds: range, ks: tuple[int, ...], teachers: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every slope for each teacher, code and seed; those whose row the table has are not trained again."""
    import_module(FAMILY)
    known = {tuple(row[key] for key in KEYS) for row in (read_table(CSV) if CSV.exists() else [])}
    for seed, teacher, k, slope in product(seeds, teachers, ks, SLOPES):
        if (teacher, str(k), f"{slope:.5g}", str(seed)) not in known:
            yield {"data.name": data(teacher, k, seed), "network.slope": slope, "seed": seed}


def measure() -> None:
    """What became of each net's code in the middle of its path."""
    import keras

    import_module(FAMILY)
    rows = []
    for net in studies.finished("slopes"):
        network, dataset = net.load()
        x, _ = dataset.select("train")
        layers = keras.Model(network.inputs, network.paths[0].representations)(x)
        shares = [share_below_zero(np.asarray(layer, np.float64)) for layer in layers]
        values = np.linalg.svd(np.asarray(layers[DEPTH // 2], np.float64), compute_uv=False)[:11]
        teacher, k = Path(net.recipe.data.name).stem.split("_")[:2]
        slope, k = net.recipe.network.slope, int(k.removeprefix("k"))
        rows.append({
            "teacher": teacher, "k": k, "slope": slope, "seed": net.recipe.seed, "switch": switch(k),
            "negative_share": shares[DEPTH // 2], "least_negative_share": min(shares[1:]),
            "signed": shares[DEPTH // 2] > SIGNED, "predicted_signed": slope > switch(k),
            "directions": int(np.argmax(values[:-1] / values[1:])) + 1,
            "train_loss": net.result["metrics"]["train"]["loss"], "test_loss": net.result["metrics"]["test"]["loss"],
        })  # fmt: skip
    write_table(
        CSV, rows, KEYS, n=SAMPLES, depth=DEPTH, effective_depth=EFFECTIVE_DEPTH, weight_decay=1e-3, signed=SIGNED
    )


def table() -> str:
    """For each teacher and code, the slopes up to which no net's code is signed, and from which all are."""
    rows, lines = read_table(CSV), []
    for teacher, k in sorted({(row["teacher"], int(row["k"])) for row in rows}):
        own = [row for row in rows if row["teacher"] == teacher and int(row["k"]) == k]
        kinds = {kind: [float(row["slope"]) for row in own if row["signed"] == kind] for kind in ("True", "False")}
        agreed = sum(row["signed"] == row["predicted_signed"] for row in own)
        one_sided, signed = max(kinds["False"], default=None), min(kinds["True"], default=None)
        cells = (teacher, k, f"{switch(k):.2f}", one_sided, signed, f"{agreed} of {len(own)}")
        lines.append(["-" if cell is None else cell for cell in cells])
    columns = ("teacher", "k", "predicted switch", "one-sided up to", "signed from", "nets as predicted")
    return markdown(columns, lines)


def share_below_zero(layer: np.ndarray) -> float:
    """`||min(A, 0)||^2 / ||A||^2`."""
    return float(np.square(np.minimum(layer, 0)).sum() / np.square(layer).sum())


def draw() -> None:
    """Share below zero against the slope, a panel for each size of the code, with the predicted switch."""
    import matplotlib.pyplot as plt

    rows = read_table(CSV)
    ks = sorted({int(row["k"]) for row in rows})
    figure, panels = plt.subplots(1, len(ks), figsize=(4 * len(ks), 3.4), sharey=True, layout="constrained")
    for k, panel in zip(ks, np.atleast_1d(panels), strict=True):
        for place, teacher in enumerate(sorted({row["teacher"] for row in rows})):
            own = [row for row in rows if int(row["k"]) == k and row["teacher"] == teacher]
            x, y = ([float(row[name]) for row in own] for name in ("slope", "negative_share"))
            panel.plot(x, y, "ov"[place], label=f"{teacher} teacher", alpha=0.7)
        panel.axvline(switch(k), color="black", linestyle="--", label="predicted switch")
        panel.axhline(SIGNED, color="gray", linewidth=0.8, label="called signed above")
        panel.set_title(f"code of {k}")
        panel.set_xlabel("slope of the activation below zero")
    panels = np.atleast_1d(panels)
    panels[0].set_ylabel("negative share of the middle layer")
    panels[0].legend(fontsize=8)
    with replacing(IMAGES / "slopes.png") as aside:
        figure.savefig(aside, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    studies.main(
        __doc__, "slopes", BASE, cases, measure, draw, module=FAMILY,
        seeds=range(0, 2), ks=(1, 2, 3), teachers=("relu", "tanh"),
    )  # fmt: skip
