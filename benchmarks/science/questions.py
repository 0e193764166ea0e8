"""What readers of the paper would ask next: width and depth at fixed L~, noise of minibatches, and mu -> 0.

    python -m benchmarks.science.questions train      30 nets in this process, 10 s to 2 minutes of one core each
    python -m benchmarks.science.questions measure    adds those that are there to questions.csv
    python -m benchmarks.science.questions draw       writes docs/images/questions.png

A ReLU teacher 30 -> 2 -> 20, another one for each seed, 200 samples; L~ = 7, mu = mu_io = 1e-3, width 48 and 12 equal
steps where nothing else is said; Adam, then L-BFGS in float64 to a Clarke residual of 0.08 or for 1,000 iterations.
Width 256 is one net, after 800 steps and at most 300 iterations; `widened` is a base net with zeros added to width
1,024, where training from the start would take an hour of this core. Nets of `batch` have
width 64, 15 layers, no L-BFGS, and the same 2,500 steps of Adam with cosine decay whatever the batch.

Written before the nets were trained:

- width: zeros added to a critical net give a critical net of any larger width with the same energies, so a minimum can
  only fall. Named directions, -2H/L~ and the least cost of identity do not depend on it (within a tenth, from 32 on).
- depth: at L >= 1.7 L~ the verdict does not depend on L; -2H/L~ and the least cost of identity change by under a tenth
  from one L to the next larger one.
- batch: the worst residual rises as the batch shrinks, the directions of the weights stay.
- mu: the data loss falls at least in proportion to mu, the squared norm of the weights levels off, and directions are
  not lost on the way down; whether the gap stays is open.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BUILD, ROOT, markdown, options, read_table, save, write_table
from benchmarks.science import studies
from benchmarks.science.verdict_pool import generators
from leaky_zoo.io.files import replacing

CSV = Path(__file__).with_suffix(".csv")
KEYS = ("question", "value", "seed")
SAMPLES, K, STUDY = 200, 2, "questions"
COI_GAMMA_0 = 1e-3  # of the least cost of identity; energies and verdict have the default
NETWORK = {"network.width": 48, "network.depth": 12, "objective.weight_decay": 1e-3,
           "optimizer.steps": 1200, "optimizer.learning_rate": 4e-3, "lbfgs.iterations": 1000}  # fmt: skip
BASE: dict[str, Any] = {
    "data": {"batch_size": "full"},
    "network": {"effective_depth": 7.0},
    "objective": {"ramp": 0.4},
    "lbfgs": {"history": 20, "round": 200, "criticality": 0.08},
    "converge": True,
    "log_every": 300,
}
NOISY = {key: BASE[key] for key in ("objective", "log_every")} | {
    "network": {"effective_depth": 7.0, "width": 64, "depth": 15},
    "optimizer": {"steps": 2500, "learning_rate": 4e-3},
}
WIDTHS, WIDENED = {32: 2, 128: 2, 256: 1}, 1024  # with how many seeds
DEPTHS = (9, 16, 24)
WEIGHT_DECAYS = (3e-3, 3e-4, 1e-4, 1e-5)
BATCHES = (200, 50, 10)
QUESTIONS = ("batch", "base", "depth", "mu", "width")


def data(seed: int) -> str:
    """Samples as a file, as recipes name it."""
    path = BUILD / "questions_data" / f"relu_k{K}_seed{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([seed, *map(ord, STUDY)])
        x, y = (part.astype(np.float32) for part in generators.relu(random, 2 * SAMPLES, k=K))
        with replacing(path) as aside:
            np.savez_compressed(aside, x=x[:SAMPLES], y=y[:SAMPLES], x_test=x[SAMPLES:], y_test=y[SAMPLES:])
    return path.relative_to(ROOT).as_posix()


def every() -> Iterator[tuple[str, float, int, dict[str, Any]]]:
    """`(question, value, seed, fields)` of each net that is brought to a critical point; `base` belongs to all."""
    for seed in range(2):
        yield "base", 0, seed, {}
        for mu in WEIGHT_DECAYS:
            yield "mu", mu, seed, {"objective.weight_decay": mu}
        for depth in DEPTHS:
            yield "depth", depth, seed, {"network.depth": depth}
    for width, seeds in WIDTHS.items():
        slower = {"network.width": width, "optimizer.learning_rate": round(4e-3 * (48 / width) ** 0.5, 5)}
        fewer = (800, 300) if width > 128 else (1200, 1000)
        for seed in range(seeds):
            yield "width", width, seed, slower | {"optimizer.steps": fewer[0], "lbfgs.iterations": fewer[1]}


def noisy() -> Iterator[tuple[str, float, int, dict[str, Any]]]:
    """The same for the nets of `batch`."""
    for seed in range(3):
        for batch in BATCHES:
            yield "batch", batch, seed, {"data.batch_size": batch}


def case(seed: int, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a recipe of `every`."""
    return {"data.name": data(seed), "seed": seed, **NETWORK, **fields}


def cases(
    questions: tuple[str, ...] = QUESTIONS, seeds: range = range(3)
) -> list[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """`(study, base, cases)` of what the table does not have; narrow nets first."""
    known = {tuple(row[key] for key in KEYS) for row in (read_table(CSV) if CSV.exists() else [])}

    def new(question: str, value: float, seed: int) -> bool:
        asked = question in questions and seed in seeds
        return asked and (question, f"{float(value):.5g}", str(seed)) not in known

    return [
        (STUDY, BASE, [case(seed, fields) for q, v, seed, fields in every() if new(q, v, seed)]),
        (f"{STUDY}_batch", NOISY, [
            {"data.name": data(seed), "seed": seed, **fields} for q, v, seed, fields in noisy() if new(q, v, seed)
        ]),
    ]  # fmt: skip


def train(questions: tuple[str, ...], seeds: range) -> None:
    """One net after the other."""
    for name, base, found in reversed(cases(questions, seeds)):
        if found:
            studies.run_here(studies.sweep_of(name, base, found))


def measure() -> None:
    """A row for each net that is there."""
    from leaky_zoo.sweeps.spec import cell_name

    rows = []
    for name, nets in ((STUDY, every()), (f"{STUDY}_batch", noisy())):
        names = {}
        for question, value, seed, fields in nets:
            own = case(seed, fields) if name == STUDY else {"data.name": data(seed), "seed": seed, **fields}
            names[cell_name(own)] = (question, float(value), seed)
        if (BUILD / name).exists():
            found = [net for net in studies.finished(name) if net.name in names]
            for net in found:
                rows.append(dict(zip(KEYS, names[net.name], strict=True)) | row_of(net, net.load()[0]))
                if names[net.name][0] == "base":
                    wide = widened(net.load()[0], WIDENED)
                    keys = ("widened", float(WIDENED), net.recipe.seed)
                    rows.append(dict(zip(KEYS, keys, strict=True)) | row_of(net, wide))
    write_table(CSV, rows, KEYS, n=SAMPLES, gamma_0=1e-5, gamma_0_of_the_cost_of_identity=COI_GAMMA_0)


def widened(network: Any, width: int) -> Any:
    """The same function and the same penalty with zeros for the weights of more units."""
    wide = type(network).from_config(network.get_config() | {"width": width})
    for old, new in zip(network.weights, wide.weights, strict=True):
        value = np.zeros(new.shape, np.float32)
        value[tuple(slice(0, size) for size in old.shape)] = old.numpy()
        new.assign(value)
    return wide


def row_of(net: studies.Net, network: Any) -> dict[str, Any]:
    """Verdict, energies and norms of one net."""
    from leaky_zoo.analysis import analyze
    from leaky_zoo.data import load_data

    dataset = load_data(net.recipe.data.name)
    x, y = dataset.select("train")
    about = {"name": dataset.identifier, "split": "train"}
    audit = analyze(network, x, y, data=about, subsample=2, clarke=network.config.width <= 256)
    place = int(np.argmin(np.abs(np.log(np.array(audit.gamma_sweep) / COI_GAMMA_0))))
    costs = [layer.cost_of_identity_sweep[place] for layer in audit.layers]
    lowest = int(np.argmin(costs))
    rank, layers = audit.bottleneck_rank, audit.layers
    residuals = [x.clarke_residual if x.clarke_residual is not None else x.criticality_residual for x in layers]
    sharpest = max(layers[:-1], key=lambda layer: layer.weight_gap or 0)
    return {
        "width": network.config.width, "layers": len(layers), "mu": audit.weight_decay,
        "samples_of_a_step": net.recipe.data.batch_size, "verdict": rank.verdict, "estimate": rank.estimate,
        "low": rank.low, "high": rank.high, "weight_directions": sharpest.weight_directions,
        "weight_gap": sharpest.weight_gap, "least_cost_of_identity": costs[lowest], "layer_of_it": lowest + 1,
        "rank_from_hamiltonian": layers[lowest].rank_from_hamiltonian, "negative_share": layers[lowest].negative_share,
        "worst_residual": max(residuals), "least_residual": min(residuals),
        "norm_squared": float(sum(layer.step_size * layer.weight_norm**2 for layer in layers)),
        "objective": audit.loss + float(network.penalty()), "train_loss": audit.loss,
        "test_loss": net.result["metrics"]["test"]["loss"],
        "iterations": (net.result["lbfgs"] or {}).get("iterations", 0), "seconds": net.result["seconds"],
    }  # fmt: skip


def groups(question: str) -> dict[float, list[dict[str, str]]]:
    """The rows of a question by value, with the base's where it belongs."""
    base = {"width": 48.0, "depth": 12.0, "mu": 1e-3}.get(question)
    found: dict[float, list[dict[str, str]]] = {}
    for row in read_table(CSV):
        if row["question"] in (question, {"width": "widened"}.get(question)) or (row["question"] == "base" and base):
            found.setdefault(base if row["question"] == "base" else float(row["value"]), []).append(row)
    return dict(sorted(found.items()))


def table(question: str) -> str:
    """A line for each value, its seeds side by side."""
    lines = []
    for value, rows in groups(question).items():
        named = [row["estimate"] and f"{row['estimate']} ({row['low']}-{row['high']})" for row in rows]
        lines.append((
            f"{value:g}" + (", zeros added" if rows[0]["question"] == "widened" else ""),
            ", ".join(each or "none" for each in named),
            ", ".join(f"{row['weight_directions'] or '-'} ({float(row['weight_gap']):.3g})" for row in rows),
            *(", ".join(format(float(row[key]), ".3g") if row[key] else "-" for row in rows) for key in SHOWN),
        ))  # fmt: skip
    columns = (question, "verdict (interval)", "directions of the weights (gap)", *SHOWN.values())
    return markdown(columns, lines)


SHOWN = {
    "rank_from_hamiltonian": "-2H/L~", "least_cost_of_identity": "least cost of identity", "objective": "objective",
    "norm_squared": "sum of rho times squared weights", "train_loss": "data loss", "test_loss": "test error",
    "worst_residual": "worst residual",
}  # fmt: skip


def draw() -> None:
    """Ranks, gaps and losses against each of the four choices."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    panels = figure.subplots(3, 4)
    for column, (question, label) in zip(
        panels.T,
        (("width", "width"), ("depth", "layers"), ("batch", "samples of a step"), ("mu", "mu")),
        strict=True,
    ):
        found = groups(question)
        lines = (
            (("rank_from_hamiltonian", "-2H/L~"), ("least_cost_of_identity", "least cost of identity"),
             ("weight_directions", "directions of the weights"), ("estimate", "verdict")),
            (("weight_gap", "sharpest gap of the weights"), ("worst_residual", "worst residual")),
            (("train_loss", "data loss"), ("test_loss", "test error"), ("objective", "objective")),
        )  # fmt: skip
        for panel, fields in zip(column, lines, strict=True):
            for place, (field, name) in enumerate(fields):
                points = [(value, float(row[field])) for value, rows in found.items() for row in rows if row[field]]
                shift = 1 + 0.03 * place
                if points:
                    x, y = np.array(points).T
                    panel.plot(x * shift, y, "ov^s"[place], label=name, alpha=0.7, markersize=5)
            panel.set(xscale="log", xlabel=label, xticks=list(found), xticklabels=[f"{value:g}" for value in found])
            panel.minorticks_off()
        column[0].set(ylim=(0, 8))
        column[1].set(yscale="log")
        column[2].set(yscale="log")
    for panel in panels[:, 0]:
        panel.legend(fontsize=8)
    save(figure, "questions")


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", "draw", questions=QUESTIONS, seeds=range(3))
    if chosen.step == "train":
        train(chosen.questions, chosen.seeds)
    else:
        {"measure": measure, "draw": draw}[chosen.step]()
