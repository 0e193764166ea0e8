"""Figure 2 of the paper, with seeds: test error against the number of layers, spectra and paths with adaptive steps.

    python benchmarks/science/paper/figure2.py train [--seeds 0-9] [--depths 6,10,18] [--shard I/N]
    python benchmarks/science/paper/figure2.py measure      writes figure2.csv and figure2_path.csv
    python benchmarks/science/paper/figure2.py draw         writes docs/images/figure2.png from them

Teacher: three random ResNets 30 -> 6 -> 3 -> 30, 1000 samples; L~ = 3, width 100, mu = mu_io = 1e-3, full batches, 2000
steps of Adam with cosine decay. The three step sizes of the paper.
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from runs import BUILD, IMAGES, draw_band, parse, read_rows, train_missing, write_rows
from teachers import teacher_file

ROOT, RUNS = Path(__file__).parent, BUILD / "figure2"
DEPTHS = (6.0, 10.0, 18.0)
SCHEDULES = {
    "equidistant": "equidistant",
    "irregular": "irregular",
    "adaptive": "adaptive",
}
SHOWN, SHOWN_DEPTH, SHOWN_SEED, SHOWN_SAMPLES = "adaptive", 18, 0, 24
NETS = ("depth", "schedule", "seed", "objective", "train_loss", "test_loss")
PATH = ("layer", "position", "singular_values", "projection")


def folder_of(seed: int, depth: float, schedule: str) -> Path:
    """Where a run lives."""
    return RUNS / f"l{depth:g}_{schedule}_seed{seed}"


def recipe_of(seed: int, depth: float, schedule: str):
    """The paper's setting, as far as it is given."""
    from leaky_zoo.training import Recipe

    data = teacher_file(RUNS / f"teacher_seed{seed}.npz", (30, 6, 3, 30), residual=True, seed=seed)
    return Recipe.from_dict(
        {
            "name": f"figure2_l{depth:g}_{schedule}_seed{seed}",
            "data": {"name": str(data), "batch_size": "full"},
            "network": {"width": 100, "depth": int(depth), "effective_depth": 3.0, "schedule": SCHEDULES[schedule]},
            "objective": {"weight_decay": 1e-3, "ramp": 0.2},
            "optimizer": {"steps": 2000, "learning_rate": 1e-2},
            "log_every": 500,
            "seed": seed,
        }
    )


def measure_all() -> None:
    """The losses of every net that is there, and the path of the one that the paper shows."""
    from leaky_zoo.cli.console import track
    from leaky_zoo.io.reading import read_json

    rows = []
    for depth, schedule, seed in track("reading")(list(product(DEPTHS, SCHEDULES, range(100)))):
        folder = folder_of(seed, depth, schedule)
        if (folder / "result.json").exists():
            metrics = read_json(folder / "result.json")["metrics"]
            last = (folder / "log.csv").read_text(encoding="utf-8").splitlines()
            objective = dict(zip(last[0].split(","), last[-1].split(","), strict=True))["loss"]
            rows.append({"depth": int(depth), "schedule": schedule, "seed": seed, "objective": float(objective),
                         "train_loss": metrics["train"]["loss"], "test_loss": metrics["test"]["loss"]})  # fmt: skip
    write_rows(ROOT / "figure2.csv", NETS, rows, ("depth", "schedule", "seed"))
    shown = folder_of(SHOWN_SEED, SHOWN_DEPTH, SHOWN)
    if (shown / "result.json").exists():
        write_rows(ROOT / "figure2_path.csv", PATH, path_rows(shown), ("layer",))
    print(f"{len(rows)} nets")


def path_rows(folder: Path) -> list[dict]:
    """For each layer its place, the spectrum of its weights, and samples on the two main axes of the whole path."""
    import keras
    import numpy as np

    from leaky_zoo.data import load_data
    from leaky_zoo.zoo import load_model

    net = load_model(folder / "model.keras")
    x, _ = load_data(net.settings["dataset"]["name"]).select("test")
    layers = [net.get_layer("stem").output, *(block.output for block in net.blocks)]
    path = [np.asarray(a, np.float64) for a in keras.Model(net.input, layers).predict(x, verbose=0)]
    centre = np.concatenate(path).mean(0)
    axes = np.linalg.svd(np.concatenate(path) - centre, full_matrices=False)[2][:2]
    positions = np.concatenate([[0.0], np.cumsum(net.paths[0].step_sizes)])
    rows = []
    for layer, a in enumerate(path):
        spectrum = np.linalg.svd(net.blocks[layer - 1].weight_matrix, compute_uv=False)[:12] if layer else []
        projected = (a[:SHOWN_SAMPLES] - centre) @ axes.T
        rows.append({
            "layer": layer, "position": float(positions[layer]),
            "singular_values": " ".join(f"{value:.4g}" for value in spectrum),
            "projection": " ".join(f"{value:.4g}" for value in projected.ravel()),
        })  # fmt: skip
    return rows


def table() -> str:
    """A line for each number of layers and schedule: test error, and its change from equal steps, paired."""
    import numpy as np
    from step_sizes.compare import shown

    rows = read_rows(ROOT / "figure2.csv")
    columns = ("layers", "steps", "seeds", "objective, change", "test error", "change", "lower in")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for depth in sorted({int(row["depth"]) for row in rows}):
        found = {
            (row["schedule"], row["seed"]): (float(row["objective"]), float(row["test_loss"]))
            for row in rows
            if int(row["depth"]) == depth
        }
        for schedule in SCHEDULES:
            seeds = [seed for name, seed in found if name == schedule and ("equidistant", seed) in found]
            if not seeds:
                continue
            new, old = (np.array([found[name, seed] for seed in seeds]) for name in (schedule, "equidistant"))
            change = new[:, 1] - old[:, 1]
            cells = [
                shown(100 * (new[:, 0] / old[:, 0] - 1), 2, "%"), f"{new[:, 1].mean():.4f}", shown(change, 4),
                f"{np.mean(change < 0):.0%}",
            ]  # fmt: skip
            if schedule == "equidistant":
                cells = ["-", cells[1], "-", "-"]
            lines.append(f"| {depth} | {schedule} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw() -> None:
    """The three panels of the paper's figure."""
    import numpy as np
    from matplotlib.figure import Figure

    from leaky_zoo.io.files import replacing

    nets, path = read_rows(ROOT / "figure2.csv"), read_rows(ROOT / "figure2_path.csv")
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    a, b, c = figure.subplots(1, 3)
    depths = sorted({int(net["depth"]) for net in nets})
    for shift, schedule in enumerate(SCHEDULES):
        groups = [
            [float(net["test_loss"]) for net in nets if (int(net["depth"]), net["schedule"]) == (depth, schedule)]
            for depth in depths
        ]
        draw_band(a, np.array(depths) + 0.1 * shift, groups, schedule.replace("_", " "))
    a.set(xlabel="layers L", ylabel="test error (standardised MSE)", title="a  test error, mean and 95% interval")
    a.legend(frameon=False, fontsize=8)
    spectra = np.array([np.array(row["singular_values"].split(), float) for row in path[1:]])
    positions = [float(row["position"]) for row in path[1:]]
    for place in range(min(10, spectra.shape[1])):
        b.semilogy(positions, spectra[:, place] / 3.0, marker=".", label=f"{place + 1}")
    b.set(xlabel="p", ylabel="singular values of W_l / L~", title=f"b  {SHOWN} steps, L = {SHOWN_DEPTH}")
    b.legend(frameon=False, ncols=2, fontsize=8)
    tracks = np.array([np.array(row["projection"].split(), float).reshape(-1, 2) for row in path])
    for sample in range(tracks.shape[1]):
        c.plot(*tracks[:, sample].T, color="0.75", linewidth=0.7, zorder=0)
    colours = [float(row["position"]) for row in path]
    points = c.scatter(*tracks.reshape(-1, 2).T, c=np.repeat(colours, tracks.shape[1]), s=10, cmap="viridis")
    figure.colorbar(points, ax=c, label="p")
    c.set(xlabel="first axis", ylabel="second axis", title=f"c  {tracks.shape[1]} test samples on two main axes")
    with replacing(IMAGES / "figure2.png") as aside:
        figure.savefig(aside, dpi=110)


if __name__ == "__main__":
    chosen = parse(__doc__, "0-9", "depths", DEPTHS)
    if chosen.step == "train":
        train_missing(product(chosen.seeds, chosen.grid, SCHEDULES), folder_of, recipe_of, chosen.shard)
    else:
        {"measure": measure_all, "draw": draw}[chosen.step]()
