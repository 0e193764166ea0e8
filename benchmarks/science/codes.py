"""What the code in a bottleneck looks like when one thing at a time changes: its size, biases, width, the task, L~.

    python -m benchmarks.science.codes train --here    92 nets, about 10 s of one core each; none that codes.csv has
    python -m benchmarks.science.codes measure         adds those that are there to codes.csv
    python -m benchmarks.science.codes draw            writes docs/images/codes.png

Written before the nets were trained. Theory (docs/linear_bottleneck.md): a code of k numbers that is nowhere negative
costs k + 1 directions as a cone and k where a bias shifts it, a signed code 4 k. So, at L~ = 7:

- k: no code is signed (a tenth of its squares below zero, as in `slopes`), and the middle layer has k or k + 1
  directions, for k = 1, 2, 3, 4, 6.
- biases: neither is signed without them; there the middle layer has k + 1 directions, and its cost of identity is the
  higher one (pairs of equal teacher, k and seed).
- width: none is signed from 16 to 128, and the directions do not depend on the width.
- task: none is signed behind sines, polynomials and classes of clouds.
- L~: the price is paid along the path, so a short one may be signed: at 1 codes are, from 7 on none is.
- all: where under 1% of the squares of each layer of the middle third is negative, the outputs change by under 5%
  without the ReLUs of all of them.

Nets as `slopes` has them at slope 0: width 48, 12 equal steps, 300 samples, `mu = mu_io` = 1e-3, 2,500 full-batch steps
of Adam, no L-BFGS: `residual`, the least over the layers of the middle third, says how far each is from a critical
point.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, ROOT, interval, markdown, read_table, save, shown, write_table
from benchmarks.science import slopes, studies
from benchmarks.science.slopes import SAMPLES, SIGNED, share_below_zero
from benchmarks.science.verdict_pool import generators
from leaky_zoo.io.files import replacing

CSV = Path(__file__).with_suffix(".csv")
KEYS = ("question", "task", "value", "seed")
GAMMA_0 = 1e-3  # of the cost of identity: the plateaus of such nets are there (docs/analysis.md)
QUIET = 0.01
BASE = slopes.BASE | {"network": {"family": "mlp"}}
NETWORK = {"network.width": 48, "network.depth": 12, "network.effective_depth": 7.0, "network.use_bias": True}
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{name}_k{k}": (name, {"k": k}) for name in ("relu", "tanh") for k in (1, 2, 3, 4, 6)},
    "sine_k2": ("sine", {"k": 2}),
    "polynomial_k2": ("polynomial", {"k": 2}),
    "clouds_3": ("blobs", {"classes": 3, "spread": 0.5}),
    "clouds_5": ("blobs", {"classes": 5, "spread": 0.7}),
}
SIZES = (1, 2, 3, 4, 6)
WIDTHS, EFFECTIVE_DEPTHS = (16, 32, 64, 128), (1.0, 3.0, 5.0, 12.0)


def data(task: str, seed: int) -> str:
    """Samples as a file, as recipes name it: another teacher or another set of clouds for each seed."""
    generator, arguments = TASKS[task]
    path = BUILD / "codes_data" / f"{task}_seed{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([seed, *map(ord, task)])
        x, y = getattr(generators, generator)(random, 2 * SAMPLES, **arguments)
        x, y = x.astype(np.float32), y.astype(np.int64 if y.ndim == 1 else np.float32)
        with replacing(path) as aside:
            np.savez_compressed(aside, x=x[:SAMPLES], y=y[:SAMPLES], x_test=x[SAMPLES:], y_test=y[SAMPLES:])
    return path.relative_to(ROOT).as_posix()


def every(seeds: range) -> Iterator[tuple[str, str, float, int, dict[str, Any]]]:
    """`(question, task, value, seed, fields)` of each net; the nets of `k` are the base of all other questions."""
    both = ("relu", "tanh")
    for seed, name, k in product(seeds, both, SIZES):
        yield "k", f"{name}_k{k}", k, seed, {}
    for seed, name, k in product(seeds, both, SIZES[:3]):
        yield "biases", f"{name}_k{k}", 0, seed, {"network.use_bias": False}
    for seed, name, width in product(seeds[:2], both, WIDTHS):
        yield "width", f"{name}_k2", width, seed, {"network.width": width}
    for seed, name, depth in product(seeds[:2], both, EFFECTIVE_DEPTHS):
        fields = {"network.effective_depth": depth, "network.depth": 20 if depth > 10 else 12}
        yield "effective_depth", f"{name}_k2", depth, seed, fields
    for seed, name in product(seeds, list(TASKS)[-4:]):
        yield "task", name, 0, seed, {}


def case(task: str, seed: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a recipe."""
    return {"data.name": data(task, seed), "seed": seed, **NETWORK, **fields}


def cases(seeds: range) -> Iterator[dict[str, Any]]:
    """Those whose row the table does not have."""
    known = {tuple(row[key] for key in KEYS) for row in (read_table(CSV) if CSV.exists() else [])}
    for question, task, value, seed, fields in every(seeds):
        if (question, task, f"{float(value):.5g}", str(seed)) not in known:
            yield case(task, seed, fields)


def measure() -> None:
    """A row for each net that is there."""
    from leaky_zoo.sweeps.spec import cell_name

    names = {
        cell_name(case(task, seed, fields)): (question, task, float(value), seed)
        for question, task, value, seed, fields in every(range(3))
    }
    rows = [dict(zip(KEYS, names[net.name], strict=True)) | row_of(net) for net in studies.finished("codes")]
    write_table(CSV, rows, KEYS, n=SAMPLES, weight_decay=1e-3, gamma_0=GAMMA_0, signed=SIGNED)


def row_of(net: studies.Net) -> dict[str, Any]:
    """What became of one net's code."""
    import keras

    from leaky_zoo.analysis import analyze
    from leaky_zoo.geometry import cost_of_identity, largest_gap, moments

    network, dataset = net.load()
    x, y = dataset.select("train")
    audit = analyze(network, x, y, data={"name": dataset.identifier, "split": "train"}, subsample=2)
    path = [np.asarray(a, np.float64) for a in keras.Model(network.inputs, network.paths[0].representations)(x)]
    depth = len(path) - 1
    middle, third = path[depth // 2], range(depth // 3, depth - depth // 3)
    ones = np.ones((len(x), 1)) if net.recipe.network.use_bias else np.zeros((len(x), 0))
    features = np.hstack([np.maximum(middle, 0), ones])
    shares = [share_below_zero(layer) for layer in path]
    layers = [audit.layers[place] for place in third]
    centred = np.linalg.svd(middle - middle.mean(0), compute_uv=False)
    sharpest = max(layers, key=lambda layer: layer.weight_gap or 0)
    return {
        "width": net.recipe.network.width, "biases": net.recipe.network.use_bias,
        "effective_depth": net.recipe.network.effective_depth, "layers": depth,
        "negative_share": shares[depth // 2], "largest_share_of_the_third": max(shares[place] for place in third),
        "signed": shares[depth // 2] > SIGNED,
        "directions": largest_gap(np.linalg.svd(middle, compute_uv=False)[:16])[0],
        "centred_directions": largest_gap(centred[:16])[0],
        "cost_of_identity": float(cost_of_identity(moments(middle, features), GAMMA_0).cost),
        "weight_directions": sharpest.weight_directions, "weight_gap": sharpest.weight_gap,
        "change_without_relus": change_without(network, x, third),
        "residual": min(layer.criticality_residual for layer in layers),
        "train_loss": net.result["metrics"]["train"]["loss"], "test_loss": net.result["metrics"]["test"]["loss"],
    }  # fmt: skip


def change_without(network: Any, x: np.ndarray, places: range) -> float:
    """Relative change of the outputs when the ReLUs of the steps after the representations `places` are left out."""
    from leaky_zoo.flow.without_relus import WithoutRelus

    runs = WithoutRelus(network, x)
    full, without = (np.asarray(runs.outputs(layers), np.float64) for layers in (set(), {p + 1 for p in places}))
    return float(np.linalg.norm(without - full) / np.linalg.norm(full))


def is_true(rows: list, test: Any) -> str:
    """Of how many of these rows, or pairs of them, a test is true."""
    return f"{sum(bool(test(row)) for row in rows)} of {len(rows)}"


def one_sided(row: dict[str, str]) -> bool:
    """Whether a net's code is not signed."""
    return row["signed"] == "False"


def predictions() -> str:
    """Each of the predictions above, and in how many nets it came out."""
    rows = read_table(CSV)
    of = {question: [row for row in rows if row["question"] == question] for question in sorted(groups(rows))}
    base = {(row["task"], row["seed"]): row for row in of["k"]}
    pairs = [(row, base[row["task"], row["seed"]]) for row in of["biases"]]
    short, long = ([row for row in of["effective_depth"] if test(float(row["value"]))]
                   for test in (lambda depth: depth <= 1, lambda depth: depth >= 7))  # fmt: skip
    quiet = [row for row in rows if float(row["largest_share_of_the_third"]) < QUIET]
    lines = [
        ("k", "one-sided", is_true(of["k"], one_sided)),
        ("k", "k or k + 1 directions", is_true(of["k"], lambda r: r["directions"] in near(r, 0, 1))),
        ("biases", "one-sided without them", is_true(of["biases"], one_sided)),
        ("biases", "k + 1 directions without them", is_true(of["biases"], lambda r: r["directions"] in near(r, 1))),
        ("biases", "a higher cost of identity", is_true(pairs, lambda pair: cost(pair[0]) > cost(pair[1]))),
        ("width", "one-sided", is_true(of["width"], one_sided)),
        ("width", "the directions of width 48", is_true(
            of["width"], lambda r: r["directions"] == base[r["task"], r["seed"]]["directions"])),
        ("task", "one-sided", is_true(of["task"], one_sided)),
        ("L~ = 1", "signed", is_true(short, lambda r: not one_sided(r))),
        ("L~ = 12", "one-sided", is_true(long, one_sided)),
        ("all under 1% negative", "outputs change by under 5%", is_true(
            quiet, lambda r: float(r["change_without_relus"]) < 0.05)),
    ]  # fmt: skip
    return markdown(("what changes", "prediction", "nets as predicted"), lines)


def near(row: dict[str, str], *more: int) -> set[str]:
    """The size of a net's code, and so many more, as the table writes them."""
    k = int(row["task"].rpartition("_k")[2])
    return {str(k + each) for each in more}


def cost(row: dict[str, str]) -> float:
    """Cost of identity of the middle layer."""
    return float(row["cost_of_identity"])


def groups(rows: list[dict[str, str]]) -> dict[str, dict[tuple[str, float], list[dict[str, str]]]]:
    """The rows of each question, by task without its k and by value."""
    found: dict[str, dict[tuple[str, float], list[dict[str, str]]]] = {}
    for row in rows:
        name = row["task"] if row["question"] == "task" else row["task"].partition("_")[0]
        value = float(row["task"].rpartition("_k")[2]) if row["question"] == "biases" else float(row["value"])
        found.setdefault(row["question"], {}).setdefault((name, value), []).append(row)
    return found


def table() -> str:
    """A line for each group of nets that differ in their seed alone."""
    columns = ("what changes", "task", "value", "signed", "negative share", "directions", "cost of identity",
               "change without the ReLUs of the middle third", "residual")  # fmt: skip
    lines = []
    for question, found in groups(read_table(CSV)).items():
        for (name, value), rows in sorted(found.items()):
            column = {key: np.array([float(row[key]) for row in rows]) for key in
                      ("negative_share", "cost_of_identity", "change_without_relus", "residual")}  # fmt: skip
            lines.append((
                {"biases": "no biases, k", "effective_depth": "L~"}.get(question, question), name,
                "-" if question == "task" else f"{value:g}",
                f"{sum(row['signed'] == 'True' for row in rows)} of {len(rows)}",
                ", ".join(f"{100 * share:.2g}%" for share in column["negative_share"]),
                ", ".join(row["directions"] or "-" for row in rows), shown(column["cost_of_identity"], 2),
                ", ".join(f"{100 * change:.2g}%" for change in column["change_without_relus"]),
                ", ".join(f"{residual:.2f}" for residual in column["residual"]),
            ))  # fmt: skip
    return markdown(columns, lines)


def draw() -> None:
    """Negative share against each choice, cost of identity with and without biases, and what leaving ReLUs out does."""
    from matplotlib.figure import Figure

    rows = read_table(CSV)
    found = groups(rows)
    figure = Figure(figsize=(13, 7.2), layout="constrained")
    panels = figure.subplots(2, 3)
    widths = found["width"] | {(name, 48.0): found["k"][name, 2.0] for name in ("relu", "tanh")}
    depths = found["effective_depth"] | {(name, 7.0): found["k"][name, 2.0] for name in ("relu", "tanh")}
    chosen = (("k, with biases", found["k"]), ("k, without biases", found["biases"]), ("width", widths), ("L~", depths))
    for panel, (label, group) in zip(panels.flat, chosen, strict=False):
        for place, name in enumerate(("relu", "tanh")):
            points = [(value, float(row["negative_share"])) for (task, value), each in group.items() for row in each
                      if task == name]  # fmt: skip
            panel.plot(*np.array(sorted(points)).T, "ov"[place], alpha=0.7, label=f"{name} teacher")
        panel.axhline(SIGNED, color="gray", linewidth=0.8, label="called signed above")
        panel.set(xticks=sorted({value for _, value in group}))
        panel.set(yscale="log", xlabel=label, ylabel="negative share of the middle layer", ylim=(1e-6, 1))
    panels[0, 2].set_xscale("log", base=2)
    panels[0, 0].legend(fontsize=8)
    costs_panel(panels[1, 1], found)
    largest, change = ([float(row[key]) for row in rows] for key in
                       ("largest_share_of_the_third", "change_without_relus"))  # fmt: skip
    panels[1, 2].loglog(np.maximum(largest, 1e-6), np.maximum(change, 1e-5), "o", markersize=3)
    panels[1, 2].axvline(QUIET, color="gray", linewidth=0.8)
    panels[1, 2].axhline(0.05, color="gray", linewidth=0.8)
    panels[1, 2].set(
        xlabel="largest negative share of the middle third", ylabel="change of the outputs without its ReLUs"
    )
    save(figure, "codes")


def costs_panel(panel: Any, found: dict) -> None:
    """Cost of identity against k, with and without biases, and what theory says of both."""
    for label, question, color in (("with biases", "k", "C0"), ("without biases", "biases", "C1")):
        for place, name in enumerate(("relu", "tanh")):
            sizes = [value for task, value in found[question] if task == name and value <= 3]
            means, halves = zip(*(interval(np.array([cost(row) for row in found[question][name, k]])) for k in sizes),
                                strict=True)  # fmt: skip
            panel.errorbar(np.array(sizes) + 0.05 * place, means, [half or 0 for half in halves], fmt="ov"[place],
                           color=color, label=f"{name} teacher, {label}", capsize=3)  # fmt: skip
    sizes = np.array([1, 3])
    panel.plot(sizes, sizes + 1, "k--", label="cone: k + 1")
    panel.plot(sizes, sizes, "k:", label="shifted by the bias: k")
    panel.set(xlabel="k", ylabel=f"cost of identity, middle layer, gamma_0 = {GAMMA_0:g}", xticks=[1, 2, 3])
    panel.legend(fontsize=7)


if __name__ == "__main__":
    studies.main(__doc__, "codes", BASE, cases, measure, draw, seeds=range(3))
