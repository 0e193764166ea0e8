"""How many directions a trained bottleneck has, against its teacher's k and mu; and whether the verdict says so.

    python -m benchmarks.science.bottleneck_rank train [--seeds 0-4] [--jobs 2] [--shard I/N]
    python -m benchmarks.science.bottleneck_rank measure               audits all nets, writes bottleneck_rank.csv

Teachers 30 -> k -> 30, one for each seed; the seed is the net's too. The last cases ask where the extra direction
comes from. There the inputs are the code (teachers k -> 30, nothing to encode), signed or non-negative, with and
without biases in the blocks.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import markdown, read_table, write_table
from benchmarks.science.studies import Net, finished, main, teacher_file

TABLE = Path(__file__).with_suffix(".csv")
RELATIVE_GAP = 20.0  # a gap of the weights' spectrum that counts as "these directions, and no more"
# The paper's setting: `mu_io = mu`, full batch; L-BFGS to a critical point.
BASE = {
    "data": {"batch_size": "full"},
    "network": {"width": 64, "depth": 12, "effective_depth": 7},
    "objective": {"ramp": 0.4},
    "optimizer": {"learning_rate": 2e-3},
    "lbfgs": {"criticality": 0.03},
    "log_every": 500,
}
KEYS = ("teacher", "k", "codes", "biases", "mu", "seed")


def cases(seeds: range) -> Iterator[dict]:
    """Every net: the grid of the claim, then the cases that explain its `+ 1`."""
    for mu, seed, k in product((1e-3, 2e-3), seeds, (2, 3, 5, 8)):
        yield case_of("encoder", k, "signed", True, mu, seed)
    for seed, k, codes, biases in product(seeds[:2], (1, 3), ("signed", "non-negative"), (True, False)):
        yield case_of("direct", k, codes, biases, 1e-3, seed)


def case_of(teacher: str, k: int, codes: str, biases: bool, mu: float, seed: int) -> dict:
    """One net; what its teacher is stands in the name of the data's file."""
    dimensions = (30, k, 30) if teacher == "encoder" else (k, 30)
    name = f"{teacher}_k{k}_{codes}_seed{seed}"
    half = 1 if teacher == "encoder" else 2
    return {
        "data.name": teacher_file(name, dimensions, seed=seed, non_negative=codes == "non-negative"),
        "network.use_bias": biases, "objective.weight_decay": mu, "optimizer.steps": 3000 // half,
        "lbfgs.iterations": 2400 // half, "seed": seed,
    }  # fmt: skip


def measure() -> None:
    """Audit every trained net and write the table; the verdict never sees the weights, the table compares it."""
    rows = [row_of(run) for run in finished("bottleneck_rank")]
    write_table(TABLE, rows, KEYS)
    grid = [row for row in rows if row["teacher"] == "encoder"]
    agree, sharp, contain = (sum(r[name] for r in grid) for name in ("agrees", "agrees_with_sharpest", "contains"))
    print(
        f"{len(rows)} nets; of the {len(grid)} of the grid the estimate is that of the narrowest layer in {agree}, of "
        f"the sharpest in {sharp}; the interval contains the sharpest in {contain}"
    )


def row_of(run: Net) -> dict:
    """One row: what the weights have, what the verdict says of the representations and energies."""
    from leaky_zoo.analysis import analyze
    from leaky_zoo.flow import evaluate_network

    net, data = run.load()
    x, y = data.select("train")
    audit = analyze(net, x, y, data={"name": data.identifier, "split": "train"})
    rank = audit.bottleneck_rank
    sharp = [layer for layer in audit.layers if layer.weight_directions and layer.weight_gap >= RELATIVE_GAP]
    sharpest = max(sharp[:-1] or sharp, key=lambda layer: layer.weight_gap, default=None)
    inside = [audit.layers[place - 1] for place in rank.layers]
    energies = [layer.rank_from_hamiltonian for layer in inside]
    teacher, k, codes, _ = Path(run.recipe.data.name).stem.split("_")
    about = (
        teacher,
        int(k[1:]),
        codes,
        run.recipe.network.use_bias,
        run.recipe.objective.weight_decay,
        run.recipe.seed,
    )
    row = dict(zip(KEYS, about, strict=True)) | {
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
    }  # fmt: skip
    test = evaluate_network(net, *data.select("test"))["loss"]
    codes_ = codes_in_the_bottleneck(net, x, sharpest)
    return row | codes_ | {"train_loss": round(audit.loss, 5), "test_loss": round(test, 5)}


def codes_in_the_bottleneck(net, x, layer) -> dict:
    """Of the representation at the sharpest layer: directions when centred, and the part of its energy below zero."""
    if layer is None:
        return {"centred_directions": None, "negative_share": None}
    a = np.asarray(net.representations.predict(x, verbose=0)[layer.layer], dtype=np.float64)
    spectrum = np.linalg.svd(a - a.mean(axis=0), compute_uv=False)
    upper = spectrum[:32]
    return {
        "centred_directions": int(np.argmax(upper[:-1] / upper[1:])) + 1,
        "negative_share": round(float(np.sum(np.minimum(a, 0) ** 2) / np.sum(a**2)), 4),
    }


def table() -> str:
    """The ranks: a line for each teacher, a cell for each mu with its seeds."""
    rows = [row for row in read_table(TABLE) if row["teacher"] == "encoder"]
    mus, lines = sorted({row["mu"] for row in rows}, key=float), []
    for k in sorted({row["k"] for row in rows}, key=int):
        cells = []
        for mu in mus:
            chosen = [row for row in rows if (row["k"], row["mu"]) == (k, mu)]
            right, sharp, inside = (
                sum(row[name] == "True" for row in chosen) for name in ("agrees", "agrees_with_sharpest", "contains")
            )
            found = ", ".join(row["narrowest"] or "-" for row in chosen)
            cells.append(f"{found} ({right}, {sharp}, {inside} of {len(chosen)})" if chosen else "-")
        lines.append((k, *cells))
    return markdown(("k", *(f"mu = {mu}" for mu in mus)), lines)


def codes_table() -> str:
    """Where the `+ 1` comes from: directions by kind of code and biases, over seeds."""
    rows = [row for row in read_table(TABLE) if row["teacher"] == "direct"]
    kinds = [("signed", "True"), ("signed", "False"), ("non-negative", "True"), ("non-negative", "False")]
    names = [f"{codes} codes, biases {'on' if biases == 'True' else 'off'}" for codes, biases in kinds]
    lines = []
    for k in sorted({row["k"] for row in rows}, key=int):
        groups = ([row for row in rows if row["k"] == k and (row["codes"], row["biases"]) == kind] for kind in kinds)
        cells = (", ".join(f"{r['estimate'] or 'not named'} ({r['directions']})" for r in group) for group in groups)
        lines.append((k, *(cell or "-" for cell in cells)))
    return markdown(("k", *names), lines)


if __name__ == "__main__":
    main(__doc__, "bottleneck_rank", BASE, cases, measure, seeds=range(5))
