"""How far the effective depth of a classifier drifts while its logits grow.

    python -m benchmarks.science.logit_drift train      18 nets in this process, about 10 s of one core each
    python -m benchmarks.science.logit_drift measure    writes logit_drift.csv, and logit_drift_presets.csv from audits
    python -m benchmarks.science.logit_drift draw       writes docs/images/logit_drift.png

Without biases a path `A_p` of a net at L~ and the path `exp(-c p) A_p` at L~ + c have the same weights (up to the size
of the steps). So a net whose representations grow by exp(c) from the first to the last is, with the same weights, one
at L~ + c whose representations do not grow: `L~ + log(||A_L|| / ||A_0||)` is its effective depth when the growth is
counted. Cross-entropy wants ever larger logits; they may come from the stem, the path or the head.

Written before the nets were trained: with mu = 0 the growth along the path rises until training ends, and with it the
effective depth; with mu = 1e-3 it levels off; on a regression (targets of fixed size) it levels off with mu = 0 too;
the larger L~, the larger the part of the logits' growth that is in the path.

Five classes of clouds, and the ReLU teacher 30 -> 2 -> 20 as a regression; 300 samples, width 48, 12 equal steps, no
biases on the path, L~ = 1, 3, 7, mu = mu_io = 0 and 1e-3 (regression: 0), two seeds; full batches, 4,000
steps of Adam with cosine decay, no ramp. `presets` measures the same quantity on the presets that are one path.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import BUILD, markdown, options, read_table, save, write_table
from benchmarks.science import codes, studies
from benchmarks.science.linear_bottleneck import audits
from leaky_zoo.io.files import write_json
from leaky_zoo.io.reading import read_json
from leaky_zoo.training import train as train_recipe

CSV = Path(__file__).with_suffix(".csv")
PRESETS = CSV.with_name("logit_drift_presets.csv")
KEYS = ("task", "effective_depth", "mu", "seed", "step")
FOLDER, STEPS, EVERY = BUILD / "logit_drift", 4000, 50
TASKS = {"clouds_5": (0.0, 1e-3), "relu_k2": (0.0,)}
WORDS = {"clouds_5": "five classes", "relu_k2": "regression"}
EFFECTIVE_DEPTHS = (1.0, 3.0, 7.0)
BASE: dict[str, Any] = {
    "name": "logit_drift",
    "data": {"batch_size": "full"},
    "network": {"family": "mlp", "width": 48, "depth": 12, "use_bias": False},
    "objective": {"ramp": 0.0},
    "optimizer": {"steps": STEPS, "learning_rate": 4e-3},
    "log_every": EVERY,
}
# Steps at which a row is written, evenly in their logarithm.
SHOWN = sorted({EVERY * round(2 ** (power / 2)) for power in range(13)} | {STEPS})


class Growth(keras.callbacks.Callback):
    """Norms of `A_0`, `A_L` and the logits on the training samples, at the ends of logged epochs."""

    def __init__(self, x: np.ndarray) -> None:
        super().__init__()
        self.x, self.rows = x, []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        step = (epoch + 1) * EVERY
        if step in SHOWN:
            first, last, outputs = self._ends()
            self.rows.append({"step": step, "first": first, "last": last, "outputs": outputs,
                              "loss": float((logs or {}).get("data_loss", np.nan))})  # fmt: skip

    def get_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"rows": self.rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.rows = state["rows"]

    def _ends(self) -> list[float]:
        path = self.model.paths[0].representations
        found = keras.Model(self.model.inputs, [path[0], path[-1], *self.model.outputs])(self.x)
        size = np.sqrt(len(self.x))
        return [float(np.linalg.norm(np.asarray(each, np.float64)) / size) for each in found]


def every(seeds: range) -> Iterator[tuple[str, float, float, int]]:
    """`(task, L~, mu, seed)` of each net."""
    for seed, (task, decays), depth in product(seeds, TASKS.items(), EFFECTIVE_DEPTHS):
        yield from ((task, depth, mu, seed) for mu in decays)


def train(seeds: range) -> None:
    """What is not there yet, one net after the other."""
    from leaky_zoo.data import load_data

    for task, depth, mu, seed in every(seeds):
        folder = FOLDER / f"{task}_l{depth:g}_mu{mu:g}_seed{seed}"
        if (folder / "growth.json").exists():
            continue
        keras.backend.clear_session()
        case = {"data.name": codes.data(task, seed), "network.effective_depth": depth,
                "objective.weight_decay": mu, "seed": seed}  # fmt: skip
        recipe = studies.recipe_of(BASE, case)
        growth = Growth(load_data(recipe.data.name).select("train")[0])
        train_recipe(recipe, folder / "run", resume=True, callbacks=[growth])
        about = {"task": task, "effective_depth": depth, "mu": mu, "seed": seed}
        write_json(folder / "growth.json", {"rows": [about | row for row in growth.rows]})
        print(folder.name, growth.rows[-1:], flush=True)


def measure() -> None:
    """Gather the rows of the nets, and those of the presets from their audits."""
    found = [read_json(path)["rows"] for path in sorted(FOLDER.glob("*/growth.json"))]
    rows = [row | {"drift": float(np.log(row["last"] / row["first"]))} for rows in found for row in rows]
    if rows:
        write_table(CSV, rows, KEYS, n=codes.SAMPLES)
    write_table(PRESETS, [preset_row(*each) for each in audits()])


def preset_row(name: str, effective_depth: float, audit: Any) -> dict[str, Any]:
    """Growth along the path of one preset, from the spectra of its audit: `||A||^2 / N` is the sum of their squares."""
    first, last = (np.linalg.norm(v) for v in (audit.input["singular_values"], audit.layers[-1].singular_values))
    return {
        "preset": name, "task": audit.model["task"], "effective_depth": effective_depth,
        "mu": audit.weight_decay, "mu_io": audit.io_weight_decay,
        "drift": float(np.log(last / first)),
    }  # fmt: skip


def last_rows() -> list[dict[str, Any]]:
    """Of each net what its last step has, with what the logits gained since step 400 and where."""
    rows = read_table(CSV)
    found = []
    for row in rows:
        if int(row["step"]) == STEPS:
            own = {r["step"]: r for r in rows if all(r[key] == row[key] for key in KEYS[:-1])}
            early = own["400"]
            gain = {key: float(np.log(float(row[key]) / float(early[key]))) for key in ("first", "last", "outputs")}
            found.append(row | {
                "stem": gain["first"], "path": gain["last"] - gain["first"],
                "head": gain["outputs"] - gain["last"], "all": gain["outputs"],
            })  # fmt: skip
    return found


def table() -> str:
    """A line for each task, L~ and mu; its seeds side by side."""
    lines, rows = [], last_rows()
    for task, decays in TASKS.items():
        for depth, mu in product(EFFECTIVE_DEPTHS, decays):
            own = [r for r in rows if (r["task"], float(r["effective_depth"]), float(r["mu"])) == (task, depth, mu)]
            cells = [
                ", ".join(f"{float(row[key]):.2f}" for row in own) for key in ("drift", "all", "stem", "path", "head")
            ]
            lines.append(
                (WORDS[task], f"{depth:g}", f"{mu:g}", ", ".join(f"{float(r['loss']):.2g}" for r in own), *cells)
            )
    columns = ("task", "L~", "mu", "data loss", "log(norm A_L / norm A_0)", "log of the outputs' growth, 400 to 4,000",
               "of it stem", "path", "head")  # fmt: skip
    return markdown(columns, lines)


def presets_table() -> str:
    """Growth along the path in the presets: classifiers and others, by L~."""
    rows, lines = read_table(PRESETS), []
    for depth in sorted({float(row["effective_depth"]) for row in rows}):
        cells = []
        for kind in (True, False):
            chosen = [row for row in rows if float(row["effective_depth"]) == depth]
            own = np.array([float(row["drift"]) for row in chosen if (row["task"] == "classification") is kind])
            cells += [len(own), f"{np.median(own):.2f} ({own.min():.2f} to {own.max():.2f})" if len(own) else "-"]
        lines.append((f"{depth:g}", *cells))
    return markdown(("L~", "classifiers", "log of growth, median (range)", "others", "the same"), lines)


def draw() -> None:
    """Effective depth with the growth counted, against the step."""
    from matplotlib.figure import Figure

    rows = read_table(CSV)
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    panels = figure.subplots(1, 3)
    for panel, depth in zip(panels, EFFECTIVE_DEPTHS, strict=True):
        for place, (task, mu) in enumerate((task, mu) for task, decays in TASKS.items() for mu in decays):
            for seed in sorted({row["seed"] for row in rows}):
                own = [row for row in rows if (row["task"], row["seed"]) == (task, seed)]
                own = [row for row in own if (float(row["effective_depth"]), float(row["mu"])) == (depth, mu)]
                panel.plot([int(row["step"]) for row in own], [depth + float(row["drift"]) for row in own],
                           "-" if task == "clouds_5" else "--", color=f"C{place}",
                           label=f"{WORDS[task]}, mu = {mu:g}" if seed == "0" else None)  # fmt: skip
        panel.axhline(depth, color="gray", linewidth=0.8)
        panel.set(xscale="log", xlabel="step", title=f"L~ = {depth:g}")
    panels[0].set_ylabel("L~ + log(norm of A_L / norm of A_0)")
    panels[2].legend(fontsize=8, loc="center right")
    save(figure, "logit_drift")


if __name__ == "__main__":
    chosen = options(__doc__, "train", "measure", "draw", seeds=range(2))
    if chosen.step == "train":
        train(chosen.seeds)
    else:
        {"measure": measure, "draw": draw}[chosen.step]()
