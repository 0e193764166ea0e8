"""Figure 2 of the paper, with seeds: test error against the number of layers, spectra and paths with adaptive steps.

    python -m benchmarks.science.paper.figure2 train [--seeds 0-9] [--depths 6,10,18] [--jobs 2]
    python -m benchmarks.science.paper.figure2 measure      writes figure2.csv and figure2_path.csv
    python -m benchmarks.science.paper.figure2 draw         writes docs/images/figure2.png from them

Teacher: three random ResNets 30 -> 6 -> 3 -> 30, 1000 samples; L~ = 3, width 100, mu = mu_io = 1e-3, full batches, 2000
steps of Adam with cosine decay. The three step sizes of the paper.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import BUILD, draw_band, markdown, read_table, save, shown, write_table
from benchmarks.science.studies import Net, finished, main, teacher_file

TABLE = Path(__file__).with_suffix(".csv")
PATHS = TABLE.with_name("figure2_path.csv")
DEPTHS = (6, 10, 18)
SCHEDULES = ("equidistant", "irregular", "adaptive")
SHOWN, SHOWN_SAMPLES = ("adaptive", 18, 0), 24
BASE = {
    "data": {"batch_size": "full"},
    "network": {"width": 100, "effective_depth": 3.0},
    "objective": {"weight_decay": 1e-3, "ramp": 0.2},
    "optimizer": {"steps": 2000, "learning_rate": 1e-2},
    "log_every": 500,
}


def cases(seeds: range, depths: tuple[int, ...]) -> Iterator[dict]:
    """The paper's setting, as far as it is given."""
    for seed, depth, schedule in product(seeds, depths, SCHEDULES):
        data = teacher_file(f"resnet_seed{seed}", (30, 6, 3, 30), residual=True, seed=seed)
        yield {"data.name": data, "network.depth": depth, "network.schedule": schedule, "seed": seed}


def measure() -> None:
    """The losses of every net that is there, and the path of the one that the paper shows."""
    from leaky_zoo.sweeps import Sweep, SweepFolder, collect_rows

    folder = SweepFolder(BUILD / "figure2")
    rows = [
        {"depth": row["network.depth"], "schedule": row["network.schedule"], "seed": row["seed"],
         "objective": row["objective"], "train_loss": row["train/loss"], "test_loss": row["test/loss"]}
        for row in collect_rows(folder, Sweep.read(folder.sweep)) if row["state"] == "done"
    ]  # fmt: skip
    write_table(TABLE, rows, ("depth", "schedule", "seed"))
    for run in finished("figure2"):
        if (run.recipe.network.schedule, run.recipe.network.depth, run.recipe.seed) == SHOWN:
            write_table(PATHS, path_rows(run), ("layer",), test_samples_drawn=SHOWN_SAMPLES)


def path_rows(run: Net) -> list[dict]:
    """For each layer its place, the spectrum of its weights, and samples on the two main axes of the whole path."""
    import keras

    net, data = run.load()
    x, _ = data.select("test")
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
    columns = ("layers", "steps", "seeds", "objective, change", "test error", "change", "lower in")
    rows, lines = read_table(TABLE), []
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
                shown(100 * (new[:, 0] / old[:, 0] - 1), 2, "%", "+"), f"{new[:, 1].mean():.4f}",
                shown(change, 4, "", "+"), f"{np.mean(change < 0):.0%}",
            ]  # fmt: skip
            if schedule == "equidistant":
                cells = ["-", cells[1], "-", "-"]
            lines.append((depth, schedule, len(seeds), *cells))
    return markdown(columns, lines)


def draw() -> None:
    """The three panels of the paper's figure."""
    from matplotlib.figure import Figure

    nets, path = read_table(TABLE), read_table(PATHS)
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
    b.set(xlabel="p", ylabel="singular values of W_l / L~", title=f"b  {SHOWN[0]} steps, L = {SHOWN[1]}")
    b.legend(frameon=False, ncols=2, fontsize=8)
    tracks = np.array([np.array(row["projection"].split(), float).reshape(-1, 2) for row in path])
    for sample in range(tracks.shape[1]):
        c.plot(*tracks[:, sample].T, color="0.75", linewidth=0.7, zorder=0)
    colours = [float(row["position"]) for row in path]
    points = c.scatter(*tracks.reshape(-1, 2).T, c=np.repeat(colours, tracks.shape[1]), s=10, cmap="viridis")
    figure.colorbar(points, ax=c, label="p")
    c.set(xlabel="first axis", ylabel="second axis", title=f"c  {tracks.shape[1]} test samples on two main axes")
    save(figure, "figure2")


if __name__ == "__main__":
    main(__doc__, "figure2", BASE, cases, measure, draw, seeds=range(10), depths=DEPTHS)
