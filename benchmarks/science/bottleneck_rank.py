"""How many directions a trained bottleneck has, against its teacher's k and mu; and whether the verdict says so.

    python benchmarks/science/bottleneck_rank.py train [--shard I/N]   train every net that is not there yet (resumable)
    python benchmarks/science/bottleneck_rank.py measure               audit them all, write bottleneck_rank.csv

Teachers 30 -> k -> 30, one for each seed; the seed is the net's too. The last cases ask where the extra direction
comes from. There the inputs are the code (teachers k -> 30, nothing to encode), signed or non-negative, with and
without biases in the blocks.
"""

import argparse
import csv
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from teachers import teacher_file

from leaky_zoo.cli.console import track

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parent
RUNS = ROOT.parent / "build" / "bottleneck_rank"
TABLE = ROOT / "bottleneck_rank.csv"
RELATIVE_GAP = 20.0  # a gap of the weights' spectrum that counts as "these directions, and no more"


def cases() -> Iterator[dict]:
    """Every net: the grid of the claim, then the cases that explain its `+ 1`."""
    for mu, seed, k in product((1e-3, 2e-3), range(5), (2, 3, 5, 8)):
        yield {"teacher": "encoder", "k": k, "codes": "signed", "biases": True, "mu": mu, "seed": seed}
    for seed, k, codes, biases in product(range(2), (1, 3), ("signed", "non-negative"), (True, False)):
        yield {"teacher": "direct", "k": k, "codes": codes, "biases": biases, "mu": 1e-3, "seed": seed}


def name_of(case: dict) -> str:
    """A folder's name."""
    biases = "biases" if case["biases"] else "no_biases"
    name = f"k{case['k']}_{case['codes']}_{biases}_mu{case['mu']:g}_seed{case['seed']}"
    return name if case["teacher"] == "encoder" else f"direct_{name}"


def data_file(case: dict) -> Path:
    """The teacher's samples as an `.npz`, written when first asked for."""
    dimensions = (30, case["k"], 30) if case["teacher"] == "encoder" else (case["k"], 30)
    path = RUNS / f"{case['teacher']}_k{case['k']}_{case['codes']}_seed{case['seed']}.npz"
    return teacher_file(path, dimensions, seed=case["seed"], non_negative=case["codes"] == "non-negative")


def recipe_of(case: dict):
    """The paper's setting: `mu_io = mu`, full batch; L-BFGS to a critical point."""
    from leaky_zoo.training import Recipe

    return Recipe.from_dict(
        {
            "name": name_of(case).replace("-", "_"),
            "data": {"name": str(data_file(case)), "batch_size": "full"},
            "network": {"width": 64, "depth": 12, "effective_depth": 7, "use_bias": case["biases"]},
            "objective": {"weight_decay": case["mu"], "ramp": 0.4},
            "optimizer": {"steps": 3000 if case["teacher"] == "encoder" else 1500, "learning_rate": 2e-3},
            "lbfgs": {"iterations": 2400 if case["teacher"] == "encoder" else 1200, "criticality": 0.03},
            "log_every": 500,
            "seed": case["seed"],
        }
    )


def train_all(shard: str) -> None:
    """Train what is missing, one thread, so that two shards fill two cores."""
    import tensorflow as tf

    from leaky_zoo.training import train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    place, count = map(int, shard.split("/"))
    for row, case in enumerate(cases()):
        folder = RUNS / name_of(case)
        if row % count != place - 1 or (folder / "result.json").exists():
            continue
        _, result = train(recipe_of(case), folder, resume=True)
        print(folder.name, f"{result.seconds:.0f} s", result.metrics["test"], flush=True)


COLUMNS = (
    "teacher", "k", "codes", "biases", "mu", "seed", "narrowest", "directions", "gap", "layer_of_gap", "fewest", "most",
    "estimate", "low", "high", "verdict", "agrees", "agrees_with_sharpest", "contains", "rank_from_hamiltonian",
    "max_residual", "centred_directions", "negative_share", "train_loss", "test_loss",
)  # fmt: skip


def measure_all() -> None:
    """Audit every trained net and write the table; the verdict never sees the weights, the table compares it."""
    rows = []
    for case in track("analyzing")(list(cases())):
        if (RUNS / name_of(case) / "result.json").exists():
            rows.append(measure(case))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    grid = [row for row in rows if row["teacher"] == "encoder"]
    agree, sharp, contain = (sum(r[name] for r in grid) for name in ("agrees", "agrees_with_sharpest", "contains"))
    print(
        f"{len(rows)} nets; of the {len(grid)} of the grid the estimate is that of the narrowest layer in {agree}, of "
        f"the sharpest in {sharp}; the interval contains the sharpest in {contain}"
    )


def measure(case: dict) -> dict:
    """One row: what the weights have, what the verdict says of the representations and energies."""
    import numpy as np

    from leaky_zoo.analysis import analyze
    from leaky_zoo.data import load_data
    from leaky_zoo.networks import evaluate_network
    from leaky_zoo.zoo import load_model

    net = load_model(RUNS / name_of(case) / "model.keras")
    about = net.settings["dataset"]
    data = load_data(about["name"])
    x, y = data.select("train")
    audit = analyze(net, x, y, data=about)
    rank = audit.bottleneck_rank
    sharp = [layer for layer in audit.layers if layer.weight_directions and layer.weight_gap >= RELATIVE_GAP]
    sharpest = max(sharp[:-1] or sharp, key=lambda layer: layer.weight_gap, default=None)
    inside = [audit.layers[place - 1] for place in rank.layers]
    energies = [layer.rank_from_hamiltonian for layer in inside]
    row = {key: case[key] for key in ("teacher", "k", "codes", "biases", "mu", "seed")} | {
        # Where a direction of the outputs grows from nothing the weights have it before the representation shows it:
        # the bottleneck is the narrowest place; the sharpest layer is given beside it.
        "narrowest": min((layer.weight_directions for layer in sharp), default=None),
        "directions": sharpest and sharpest.weight_directions,
        "gap": sharpest and round(sharpest.weight_gap, 1),
        "layer_of_gap": sharpest and sharpest.layer,
        "fewest": min((layer.weight_directions for layer in inside if layer in sharp), default=None),
        "most": max((layer.weight_directions for layer in inside if layer in sharp), default=None),
        "estimate": rank.estimate, "low": rank.low, "high": rank.high, "verdict": rank.verdict,
        "agrees": bool(sharpest and rank.estimate == min(layer.weight_directions for layer in sharp)),
        "agrees_with_sharpest": bool(sharpest and rank.estimate == sharpest.weight_directions),
        "contains": bool(sharpest and rank.low and rank.low <= sharpest.weight_directions <= rank.high),
        "rank_from_hamiltonian": round(float(np.mean(energies)), 3) if energies else None,
        "max_residual": round(max((layer.criticality_residual for layer in inside), default=np.nan), 4),
        "train_loss": round(audit.loss, 5),
        "test_loss": round(evaluate_network(net, *data.select("test"))["loss"], 5),
    }  # fmt: skip
    return row | codes_in_the_bottleneck(net, x, sharpest)


def codes_in_the_bottleneck(net, x, layer) -> dict:
    """Of the representation at the sharpest layer: directions when centred, and the part of its energy below zero."""
    import numpy as np

    if layer is None:
        return {"centred_directions": None, "negative_share": None}
    a = np.asarray(net.representations.predict(x, verbose=0)[layer.layer], dtype=np.float64)
    spectrum = np.linalg.svd(a - a.mean(axis=0), compute_uv=False)
    upper = spectrum[:32]
    return {
        "centred_directions": int(np.argmax(upper[:-1] / upper[1:])) + 1,
        "negative_share": round(float(np.sum(np.minimum(a, 0) ** 2) / np.sum(a**2)), 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "measure"))
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th net, from the I-th")
    arguments = parser.parse_args()
    train_all(arguments.shard) if arguments.step == "train" else measure_all()
