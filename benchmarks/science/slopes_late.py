"""Why some codes stay one-sided above the slope that `slopes` predicts: biases, or the end of training.

    python -m benchmarks.science.slopes_late train --here    18 nets, 10 to 40 s of one core each
    python -m benchmarks.science.slopes_late measure         adds those that are there to slopes_late.csv

Asked after `slopes` was measured: in 7 of its 84 nets the code is one-sided above the predicted slope, all on tanh
teachers with codes of 1 and 2. Two explanations, each with nets of its own on the same data; what they say was written
before these nets were trained.

- `no_biases`: a code of k numbers that a bias shifts costs k + t with t in (0, 1), not the k + 1 of a cone, so the
  signed code is the cheaper one only from a later slope on. Then, without biases, codes of 1 are one-sided at slope
  0.35 and signed at 0.5 and 0.6, codes of 2 one-sided at 0.6 and signed at 0.7 and 0.85.
- `longer`: the one-sided code is what training meets first, and 2,500 steps end before it turns. Then, after 10,000
  steps, codes of 1 are signed at 0.5 and 0.6, codes of 2 at 0.85.

`measure` looks at the nets of `slopes` with the same k and slope as well, where they are in `build/slopes`, and prints
the table. So far slopes_late.csv has those alone: the nets of the two explanations wait to be trained.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, markdown, read_table, write_table
from benchmarks.science import slopes, studies
from benchmarks.science.slopes import DEPTH, FAMILY, SIGNED, share_below_zero, switch

CSV = Path(__file__).with_suffix(".csv")
KEYS = ("nets", "k", "slope", "seed")
GAMMA_0 = 1e-3
CHOSEN = {
    "as_slopes": {1: (0.35, 0.5, 0.6), 2: (0.6, 0.7, 0.85)},
    "no_biases": {1: (0.35, 0.5, 0.6), 2: (0.6, 0.7, 0.85)},
    "longer": {1: (0.5, 0.6), 2: (0.85,)},
}
STEPS = {"no_biases": 2500, "longer": 10_000}


def every(seeds: range) -> Iterator[tuple[str, int, float, int]]:
    """`(nets, k, slope, seed)` of what is trained here."""
    for seed in reversed(seeds):
        for nets in STEPS:
            for k, chosen in CHOSEN[nets].items():
                yield from ((nets, k, slope, seed) for slope in chosen)


def cases(seeds: range) -> Iterator[dict[str, Any]]:
    """Those whose row the table does not have."""
    import_module(FAMILY)
    known = {tuple(row[key] for key in KEYS) for row in (read_table(CSV) if CSV.exists() else [])}
    for nets, k, slope, seed in every(seeds):
        if (nets, str(k), f"{slope:.5g}", str(seed)) not in known:
            yield {
                "data.name": slopes.data("tanh", k, seed), "network.slope": slope, "seed": seed,
                "network.use_bias": nets != "no_biases", "optimizer.steps": STEPS[nets],
            }  # fmt: skip


def measure() -> None:
    """The code and its cost in the middle of each net's path."""
    import_module(FAMILY)
    there = [name for name in ("slopes", "slopes_late") if (BUILD / name).exists()]
    rows = [row for name in there for net in studies.finished(name) if (row := row_of(net))]
    write_table(CSV, rows, KEYS, n=slopes.SAMPLES, gamma_0=GAMMA_0, signed=SIGNED)
    print(table())


def row_of(net: studies.Net) -> dict[str, Any] | None:
    """None for a net of `slopes` that is not asked for."""
    import keras

    from leaky_zoo.geometry import cost_of_identity, moments

    teacher, code = Path(net.recipe.data.name).stem.split("_")[:2]
    slope, k, biases = net.recipe.network.slope, int(code.removeprefix("k")), net.recipe.network.use_bias
    nets = "no_biases" if not biases else "longer" if net.recipe.optimizer.steps == STEPS["longer"] else "as_slopes"
    if teacher != "tanh" or slope not in CHOSEN[nets].get(k, ()):
        return None
    network, dataset = net.load()
    layers = keras.Model(network.inputs, network.paths[0].representations)(dataset.select("train")[0])
    middle = np.asarray(layers[DEPTH // 2], np.float64)
    features = np.hstack([np.maximum(middle, slope * middle), np.ones((len(middle), int(biases)))])
    share = share_below_zero(middle)
    return {
        "nets": nets, "k": k, "slope": slope, "seed": net.recipe.seed, "negative_share": share,
        "signed": share > SIGNED, "predicted_signed": slope > switch(k),
        "cost_of_identity": float(cost_of_identity(moments(middle, features), GAMMA_0).cost),
        "cost_of_a_signed_code": 4 * k / (1 + slope) ** 2,
        "objective": net.result["metrics"]["train"]["loss"] + float(network.penalty()),
    }  # fmt: skip


def table() -> str:
    """A line for each k and slope, seeds side by side."""
    rows, lines = read_table(CSV), []
    for k, slope in sorted({(int(row["k"]), float(row["slope"])) for row in rows}):
        cells = []
        for nets in CHOSEN:
            own = [r for r in rows if (r["nets"], int(r["k"]), float(r["slope"])) == (nets, k, slope)]
            found = [f"{100 * float(r['negative_share']):.0f}% ({float(r['cost_of_identity']):.2f})" for r in own]
            cells.append(", ".join(found) or "-")
        predicted = "signed" if slope > switch(k) else "one-sided"
        lines.append((k, f"{slope:g}", predicted, f"{4 * k / (1 + slope) ** 2:.2f}", *cells))
    columns = ("k", "slope", "predicted", "cost of a signed code", "as above", "without biases", "10,000 steps")
    return markdown(columns, lines)


if __name__ == "__main__":
    base = slopes.BASE | {"optimizer": {"learning_rate": 4e-3}, "checkpoint_every": None}
    studies.main(__doc__, "slopes_late", base, cases, measure, module=FAMILY, seeds=range(2))
