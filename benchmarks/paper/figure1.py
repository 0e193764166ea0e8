"""Figure 1 of the paper, with seeds: rank against effective depth, spectra and energies at L~ = 7.

    python benchmarks/paper/figure1.py train [--seeds 0-4] [--effective-depths 1,3,7] [--shard I/N]
    python benchmarks/paper/figure1.py measure      writes figure1.csv and figure1_path.csv
    python benchmarks/paper/figure1.py draw         writes docs/images/figure1.png from them

Teacher 30 -> 3 -> 30, 1000 samples, width 100, 20 equal steps, mu = mu_io = 1e-3: the paper's setting as far as it is
given. Training is resumable; every net goes on by L-BFGS until its criticality residual is at most 0.05 on every layer
or the iterations end.
"""

import argparse
import csv
import os
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from teachers import teacher_file

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parent
RUNS = ROOT.parents[1] / "build" / "figure1"
EFFECTIVE_DEPTHS = (1.0, 2.0, 3.0, 5.0, 7.0, 9.0, 12.0)
SHOWN = 7.0
SUMMARY = ("effective_depth", "seed", "rank_median", "rank_least", "rank_largest", "spread_inside", "least_coi",
           "directions", "estimate", "residual_inside", "residual_elsewhere", "form_difference", "inside", "test_loss",
           "iterations", "seconds")  # fmt: skip
PATH = ("seed", "layer", "position", "kinetic_energy", "potential_energy", "hamiltonian", "criticality_residual",
        "singular_values", "weight_singular_values")  # fmt: skip


def folder_of(effective_depth: float, seed: int) -> Path:
    """Where a run lives."""
    return RUNS / f"l{effective_depth:g}_seed{seed}"


def recipe_of(effective_depth: float, seed: int):
    """The paper's setting."""
    from leaky_zoo.training import Recipe

    data = teacher_file(RUNS / f"teacher_seed{seed}.npz", (30, 3, 30), seed=seed)
    return Recipe.from_dict(
        {
            "name": f"figure1_l{effective_depth:g}_seed{seed}",
            "data": {"name": str(data), "batch_size": "full"},
            "network": {"width": 100, "depth": 20, "effective_depth": effective_depth},
            "objective": {"weight_decay": 1e-3, "ramp": 0.2},
            "optimizer": {"steps": 3000, "learning_rate": 1e-2},
            "lbfgs": {"iterations": 4000},
            "converge": True,
            "log_every": 500,
            "seed": seed,
        }
    )


def train_all(effective_depths: list[float], seeds: range, shard: str) -> None:
    """Train what is missing, one thread, so that two shards fill two cores."""
    import tensorflow as tf

    from leaky_zoo.training import train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    place, count = map(int, shard.split("/"))
    for row, (seed, effective_depth) in enumerate(product(seeds, effective_depths)):
        folder = folder_of(effective_depth, seed)
        if row % count == place - 1 and not (folder / "result.json").exists():
            _, result = train(recipe_of(effective_depth, seed), folder, resume=True)
            worst = max(result.lbfgs["criticality_residuals"])
            print(folder.name, f"{result.seconds:.0f} s, largest residual {worst:.3f}", flush=True)


def measure_all() -> None:
    """Audit every net that is there."""
    from leaky_zoo.cli.console import track

    summaries, paths = [], []
    for effective_depth, seed in track("analyzing")(list(product(EFFECTIVE_DEPTHS, range(100)))):
        if (folder_of(effective_depth, seed) / "result.json").exists():
            summary, path = measure(effective_depth, seed)
            summaries.append(summary)
            paths += path if effective_depth == SHOWN else []
    for name, fields, rows in (("figure1", SUMMARY, summaries), ("figure1_path", PATH, paths)):
        with (ROOT / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(f"{len(summaries)} nets")


def measure(effective_depth: float, seed: int) -> tuple[dict, list[dict]]:
    """The summary of one net, and a row for each of its layers."""
    import numpy as np

    from leaky_zoo.analysis import analyze
    from leaky_zoo.data import load_data
    from leaky_zoo.reading import read_json
    from leaky_zoo.training import evaluate_network
    from leaky_zoo.zoo import load_model

    folder = folder_of(effective_depth, seed)
    net = load_model(folder / "model.keras")
    data = load_data(net.settings["dataset"]["name"])
    audit = analyze(net, *data.select("train"), data=net.settings["dataset"])
    run = read_json(folder / "result.json")
    ranks = np.array([layer.rank_from_hamiltonian for layer in audit.layers])
    # A layer is inside the bottleneck when its COI is on a plateau; a net may have none.
    inside = [layer.plateau is not None for layer in audit.layers]
    residuals = np.array([layer.criticality_residual for layer in audit.layers])
    forms = np.array([abs(layer.hamiltonian - layer.kinetic_plus_potential) for layer in audit.layers])
    sharpest = max(audit.layers, key=lambda layer: layer.weight_gap or 0)
    within = ranks[inside]
    summary = {
        "effective_depth": effective_depth, "seed": seed,
        "rank_median": np.median(ranks), "rank_least": ranks.min(), "rank_largest": ranks.max(),
        "spread_inside": np.std(within) / abs(np.mean(within)) if len(within) else None,
        "least_coi": min(layer.cost_of_identity for layer in audit.layers),
        "directions": sharpest.weight_directions, "estimate": audit.bottleneck_rank.estimate,
        "residual_inside": residuals[inside].max() if any(inside) else None,
        "residual_elsewhere": residuals[~np.array(inside)].max() if not all(inside) else None,
        "form_difference": np.median(forms), "inside": sum(inside),
        "test_loss": evaluate_network(net, *data.select("test"))["loss"],
        "iterations": run["lbfgs"]["iterations"], "seconds": run["seconds"],
    }  # fmt: skip
    rows = [
        {"seed": seed, **{key: getattr(layer, key) for key in PATH[1:-2]},
         **{key: " ".join(f"{value:.4g}" for value in getattr(layer, key)[:12]) for key in PATH[-2:]}}
        for layer in audit.layers
    ]  # fmt: skip
    return {key: _digits(value) for key, value in summary.items()}, [
        {key: _digits(value) for key, value in row.items()} for row in rows
    ]


def _digits(value):
    return f"{value:.5g}" if isinstance(value, float) else value


def draw() -> None:
    """The three panels of the paper's figure, mean and 95% interval over seeds."""
    import numpy as np
    from matplotlib.figure import Figure
    from scipy.stats import t

    from leaky_zoo.files import replacing

    with (ROOT / "figure1.csv").open(newline="", encoding="utf-8") as file:
        nets = list(csv.DictReader(file))
    with (ROOT / "figure1_path.csv").open(newline="", encoding="utf-8") as file:
        layers = list(csv.DictReader(file))

    def band(axis, places, groups, label):
        means = np.array([np.mean(group) for group in groups])
        halves = [
            t.ppf(0.975, len(group) - 1) * np.std(group, ddof=1) / np.sqrt(len(group)) if len(group) > 1 else 0.0
            for group in groups
        ]
        (line,) = axis.plot(places, means, marker=".", label=label)
        axis.fill_between(places, means - halves, means + halves, color=line.get_color(), alpha=0.2)

    figure = Figure(figsize=(15, 4.4), layout="constrained")
    a, b, c = figure.subplots(1, 3)
    depths = sorted({float(net["effective_depth"]) for net in nets})
    for field, label in (("rank_median", "-2H/L~, median over layers"), ("least_coi", "least COI"),
                         ("directions", "directions of the weights")):  # fmt: skip
        found = [
            [float(net[field]) for net in nets if float(net["effective_depth"]) == d and net[field]] for d in depths
        ]
        kept = [row for row, group in enumerate(found) if group]
        band(a, [depths[row] for row in kept], [found[row] for row in kept], label)
    a.axhline(3, color="0.6", linewidth=0.8, linestyle="--")
    a.set(xlabel="effective depth L~", ylabel="rank", title="a  rank against effective depth", yscale="symlog")
    a.legend(frameon=False)
    if not layers:
        raise SystemExit(f"figure1_path.csv has no net at L~ = {SHOWN:g}: train and measure one first.")
    seeds = sorted({row["seed"] for row in layers}, key=int)
    first = [row for row in layers if row["seed"] == seeds[0]]
    for place in range(6):
        spectrum = [float(row["weight_singular_values"].split()[place]) / SHOWN for row in first]
        b.semilogy([float(row["position"]) for row in first], spectrum, marker=".", label=f"{place + 1}")
    b.set(xlabel="p", ylabel="singular values of W_l / L~", title=f"b  spectra at L~ = {SHOWN:g}, seed {seeds[0]}")
    b.legend(frameon=False, ncols=2)
    by_layer = sorted({int(row["layer"]) for row in layers})
    places = [np.mean([float(row["position"]) for row in layers if int(row["layer"]) == place]) for place in by_layer]
    for field, label in (("kinetic_energy", "kinetic"), ("potential_energy", "potential"), ("hamiltonian", "H")):
        groups = [[float(row[field]) for row in layers if int(row["layer"]) == place] for place in by_layer]
        band(c, places, groups, label)
    c.set(xlabel="p", ylabel="energy", title=f"c  energies at L~ = {SHOWN:g}", yscale="symlog")
    c.legend(frameon=False)
    with replacing(ROOT.parents[1] / "docs" / "images" / "figure1.png") as aside:
        figure.savefig(aside, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "measure", "draw"))
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--effective-depths", default=",".join(f"{depth:g}" for depth in EFFECTIVE_DEPTHS))
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th net, from the I-th")
    chosen = parser.parse_args()
    if chosen.step == "train":
        first, _, last = chosen.seeds.partition("-")
        wanted = [float(depth) for depth in chosen.effective_depths.split(",")]
        train_all(wanted, range(int(first), int(last or first) + 1), chosen.shard)
    else:
        {"measure": measure_all, "draw": draw}[chosen.step]()
