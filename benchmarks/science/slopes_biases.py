"""Whether biases are why some codes stay one-sided above the slope that `slopes` predicts.

    python -m benchmarks.science.slopes_biases train --here    12 nets, about 10 s of one core each
    python -m benchmarks.science.slopes_biases measure         adds those that are there to slopes_biases.csv

Asked after `slopes` was measured (in 7 of its 84 nets the code is one-sided above the predicted slope, all on tanh
teachers with codes of 1 and 2), and written before these nets were trained. A code of k numbers that a bias shifts
costs k + t with t in (0, 1), not the k + 1 of a cone, so the signed code is the cheaper one only from a later slope on,
`sqrt(4 k / (k + t)) - 1`. Without biases there is nothing to shift with. So on the same data without biases:

- codes of 1 are one-sided at slope 0.35, signed at 0.5 and 0.6; codes of 2 one-sided at 0.6, signed at 0.7 and 0.85;
- with biases the cost of identity of the one-sided ones is under k + 1.

`measure` looks at the nets of `slopes` with the same teacher, k and slope as well, where they are in `build/slopes`.
"""

from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown, read_table, write_table
from benchmarks.science import slopes, studies
from benchmarks.science.slopes import DEPTH, FAMILY, SIGNED, share_below_zero, switch

CSV = Path(__file__).with_suffix(".csv")
KEYS = ("biases", "k", "slope", "seed")
GAMMA_0 = 1e-3
CHOSEN = {1: (0.35, 0.5, 0.6), 2: (0.6, 0.7, 0.85)}
BASE = slopes.BASE | {"network": slopes.BASE["network"] | {"use_bias": False}}


def cases(seeds: range) -> Iterator[dict[str, Any]]:
    """Those whose row the table does not have."""
    import_module(FAMILY)
    known = {tuple(row[key] for key in KEYS) for row in (read_table(CSV) if CSV.exists() else [])}
    for seed, (k, chosen) in product(seeds, CHOSEN.items()):
        for slope in chosen:
            if ("False", str(k), f"{slope:.5g}", str(seed)) not in known:
                yield {"data.name": slopes.data("tanh", k, seed), "network.slope": slope, "seed": seed}


def measure() -> None:
    """The code and its cost in the middle of each net's path."""
    import_module(FAMILY)
    rows = [row for name in ("slopes", "slopes_biases") for net in studies.finished(name) if (row := row_of(net))]
    write_table(CSV, rows, KEYS, n=slopes.SAMPLES, gamma_0=GAMMA_0, signed=SIGNED)


def row_of(net: studies.Net) -> dict[str, Any] | None:
    """None for a net of `slopes` that is not asked for."""
    import keras

    from leaky_zoo.geometry import cost_of_identity, moments

    teacher, k = Path(net.recipe.data.name).stem.split("_")[:2]
    slope, k = net.recipe.network.slope, int(k.removeprefix("k"))
    if teacher != "tanh" or slope not in CHOSEN.get(k, ()):
        return None
    network, dataset = net.load()
    layers = keras.Model(network.inputs, network.paths[0].representations)(dataset.select("train")[0])
    middle, biases = np.asarray(layers[DEPTH // 2], np.float64), net.recipe.network.use_bias
    features = np.hstack([np.maximum(middle, slope * middle), np.ones((len(middle), int(biases)))])
    share = share_below_zero(middle)
    return {
        "biases": biases, "k": k, "slope": slope, "seed": net.recipe.seed, "negative_share": share,
        "signed": share > SIGNED, "predicted_signed": slope > switch(k),
        "cost_of_identity": float(cost_of_identity(moments(middle, features), GAMMA_0).cost),
        "cost_of_a_signed_code": 4 * k / (1 + slope) ** 2,
        "train_loss": net.result["metrics"]["train"]["loss"],
    }  # fmt: skip


def table() -> str:
    """A line for each k and slope: seeds side by side, with biases and without."""
    rows, lines = read_table(CSV), []
    for k, slope in sorted({(int(row["k"]), float(row["slope"])) for row in rows}):
        cells = []
        for biases in ("True", "False"):
            own = [r for r in rows if (r["biases"], int(r["k"]), float(r["slope"])) == (biases, k, slope)]
            shares, costs = ([float(row[key]) for row in own] for key in ("negative_share", "cost_of_identity"))
            cells += [", ".join(f"{100 * share:.1f}%" for share in shares) or "-",
                      ", ".join(f"{each:.2f}" for each in costs) or "-"]  # fmt: skip
        predicted = "signed" if slope > switch(k) else "one-sided"
        lines.append((k, f"{slope:g}", f"{4 * k / (1 + slope) ** 2:.2f}", *cells[:2], predicted, *cells[2:]))
    columns = ("k", "slope", "cost of a signed code", "with biases: negative share", "cost of identity",
               "predicted without", "without biases: negative share", "cost of identity")  # fmt: skip
    return markdown(columns, lines)


if __name__ == "__main__":
    studies.main(__doc__, "slopes_biases", BASE, cases, measure, module=FAMILY, seeds=range(2))
