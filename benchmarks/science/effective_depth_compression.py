"""How small the nets of `effective_depth` get without training, against L~: folded layers and low ranks, half a point.

    python -m benchmarks.science.effective_depth_compression [--seeds 0-2] [--depths 0,1,3,7,12,20]
                                                   writes effective_depth_compression.csv, two minutes a net

`plan_compression` without distillation: the smallest chain that costs at most 0.5 percentage points on samples of the
training split that no size was fitted to (`Judge.cost`). `left` is the share of the whole net's numbers; 1 where it
refuses, because it would save less than a quarter. `folded` counts layers whose ReLU is left out. The test split is
looked at once, for `test_drop`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown, options, read_table, shown, write_table
from benchmarks.science.effective_depth import EFFECTIVE_DEPTHS
from benchmarks.science.studies import finished
from leaky_zoo.compress import plan_compression
from leaky_zoo.compress.chain import build_model
from leaky_zoo.compress.data import split_for
from leaky_zoo.data import load_data
from leaky_zoo.errors import CheckFailedError
from leaky_zoo.zoo import load_model

TABLE = Path(__file__).with_suffix(".csv")
MAX_DROP = 0.5


def measure(seeds: range, depths: tuple[float, ...]) -> None:
    """One row for each net."""
    data = load_data("mnist")
    x, y = data.select("test")
    for net in finished("effective_depth"):
        depth, seed = net.recipe.network.effective_depth, net.recipe.seed
        if seed not in seeds or depth not in depths:
            continue
        network = load_model(net.folder / "model.keras")
        row: dict[str, Any] = {"effective_depth": depth, "seed": seed, "refused": False}
        try:
            plan = plan_compression(
                network, split_for(network, data, net.recipe.data.train), max_drop=MAX_DROP, distill=False
            )
        except CheckFailedError as error:
            print(error, flush=True)
            row |= {"refused": True, "left": 1.0, "folded": None, "drop": None, "test_drop": None}
        else:
            choice = plan.choices[-1]
            small = build_model(choice.links, network.config.input_shape, "small")
            right = [np.mean(each.predict(x, batch_size=1000, verbose=0).argmax(1) == y) for each in (network, small)]
            row |= {
                "left": choice.candidate.numbers / plan.numbers, "folded": len(choice.candidate.left_out),
                "drop": choice.candidate.drop, "test_drop": 100 * float(right[0] - right[1]),
            }  # fmt: skip
        write_table(TABLE, [row], ("effective_depth", "seed"), max_drop=MAX_DROP, samples=len(x))
        print(row, flush=True)


def table() -> str:
    """A line for each effective depth: mean and 95% interval over seeds."""
    rows, lines = read_table(TABLE), []
    for depth in EFFECTIVE_DEPTHS:
        own = [row for row in rows if float(row["effective_depth"]) == depth]
        if own:
            kept = [row for row in own if row["refused"] == "False"]
            cells = [shown(np.array([100 * float(row["left"]) for row in own]), 1)]
            for name, digits in (("folded", 1), ("test_drop", 2)):
                cells.append(shown(np.array([float(row[name]) for row in kept]), digits) if kept else "-")
            lines.append((f"{depth:g}", len(own), len(own) - len(kept), *cells))
    columns = ("L~", "seeds", "refused", "numbers left, %", "layers without their ReLU", "test accuracy lost, points")
    return markdown(columns, lines)


if __name__ == "__main__":
    chosen = options(__doc__, seeds=range(3), depths=EFFECTIVE_DEPTHS)
    measure(chosen.seeds, chosen.depths)
