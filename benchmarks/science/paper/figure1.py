"""Figure 1 of the paper, with seeds: rank against effective depth, spectra and energies at L~ = 7.

    python benchmarks/science/paper/figure1.py train [--seeds 0-4] [--effective-depths 1,3,7] [--shard I/N]
    python benchmarks/science/paper/figure1.py measure      writes figure1.csv and figure1_path.csv
    python benchmarks/science/paper/figure1.py draw         writes docs/images/figure1.png from them

Teacher 30 -> 3 -> 30, 1000 samples, width 100, 20 equal steps, mu = mu_io = 1e-3: the paper's setting as far as it is
given. Training is resumable; 2000 steps of Adam, then L-BFGS until the criticality residual is at most 0.05 on every
layer, or 800 iterations (1600 from L~ = 7 on, 3200 at 12).
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from runs import BUILD, IMAGES, draw_band, parse, read_rows, train_missing, write_rows
from teachers import teacher_file

ROOT, RUNS = Path(__file__).parent, BUILD / "figure1"
EFFECTIVE_DEPTHS = (1.0, 3.0, 5.0, 7.0, 9.0, 12.0)
SHOWN = 7.0
# The longer the path, the longer all its layers take to settle together. At 12 a short ramp of mu sends one seed of
# five to a constant function before it has learnt: mu L~ is twelve times mu.
ITERATIONS = {7.0: 1600, 9.0: 1600, 12.0: 3200}
RAMPS = {12.0: 0.6}
# These nets are from before L-BFGS looked at means of iterates: where there is a bottleneck they are critical without.
AVERAGES = {7.0: 1, 9.0: 1, 12.0: 1}
SUMMARY = ("effective_depth", "seed", "rank_median", "rank_least", "rank_largest", "spread_inside", "least_coi",
           "directions", "estimate", "residual_inside", "residual_elsewhere", "form_difference", "inside", "test_loss",
           "iterations", "seconds")  # fmt: skip
PATH = ("seed", "layer", "position", "kinetic_energy", "potential_energy", "hamiltonian", "criticality_residual",
        "singular_values", "weight_singular_values")  # fmt: skip


def folder_of(seed: int, effective_depth: float) -> Path:
    """Where a run lives."""
    return RUNS / f"l{effective_depth:g}_seed{seed}"


def recipe_of(seed: int, effective_depth: float):
    """The paper's setting."""
    from leaky_zoo.training import Recipe

    data = teacher_file(RUNS / f"teacher_seed{seed}.npz", (30, 3, 30), seed=seed)
    return Recipe.from_dict(
        {
            "name": f"figure1_l{effective_depth:g}_seed{seed}",
            "data": {"name": str(data), "batch_size": "full"},
            "network": {"width": 100, "depth": 20, "effective_depth": effective_depth},
            "objective": {"weight_decay": 1e-3, "ramp": RAMPS.get(effective_depth, 0.2)},
            "optimizer": {"steps": 2000, "learning_rate": 1e-2},
            "lbfgs": {"iterations": ITERATIONS.get(effective_depth, 800), "average": AVERAGES.get(effective_depth, 10)},
            "converge": True,
            "log_every": 500,
            "seed": seed,
        }
    )


def measure_all() -> None:
    """Audit every net that is there."""
    from leaky_zoo.cli.console import track

    summaries, paths = [], []
    for effective_depth, seed in track("analyzing")(list(product(EFFECTIVE_DEPTHS, range(100)))):
        if (folder_of(seed, effective_depth) / "result.json").exists():
            summary, path = measure(seed, effective_depth)
            summaries.append(summary)
            paths += path if effective_depth == SHOWN else []
    write_rows(ROOT / "figure1.csv", SUMMARY, summaries, ("effective_depth", "seed"))
    write_rows(ROOT / "figure1_path.csv", PATH, paths, ("seed", "layer"))
    print(f"{len(summaries)} nets")


def measure(seed: int, effective_depth: float) -> tuple[dict, list[dict]]:
    """The summary of one net, and a row for each of its layers."""
    import numpy as np

    from leaky_zoo.analysis import analyze
    from leaky_zoo.data import load_data
    from leaky_zoo.io.reading import read_json
    from leaky_zoo.networks import evaluate_network
    from leaky_zoo.zoo import load_model

    folder = folder_of(seed, effective_depth)
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
    return summary, rows


def table() -> str:
    """A line for each effective depth, means over seeds; residuals and spread are the worst of them."""
    import numpy as np
    from step_sizes.compare import shown

    columns = ("L~", "nets", "-2H/L~, median over layers", "least COI", "directions", "nets with a plateau",
               "worst residual there", "worst elsewhere", "worst spread of -2H/L~ there",
               "median difference of the forms of H", "test error")  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    rows = read_rows(ROOT / "figure1.csv")
    for depth in sorted({float(row["effective_depth"]) for row in rows}):
        nets = [row for row in rows if float(row["effective_depth"]) == depth]

        def values(field, nets=nets):
            return np.array([float(net[field]) for net in nets if net[field]])

        inside, spread = values("residual_inside"), values("spread_inside")
        cells = [
            f"{depth:g}", str(len(nets)), shown(values("rank_median"), 2, sign="-"),
            shown(values("least_coi"), 1, sign="-"), ", ".join(net["directions"] for net in nets), str(len(inside)),
            f"{inside.max():.3f}" if len(inside) else "-", f"{values('residual_elsewhere').max():.3f}",
            f"{spread.max():.1%}" if len(spread) else "-", f"{values('form_difference').mean():.2f}",
            shown(values("test_loss"), 4, sign="-"),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw() -> None:
    """The panels of the paper's figure, mean and 95% interval over seeds; spectra of one."""
    import numpy as np
    from matplotlib.figure import Figure

    from leaky_zoo.io.files import replacing

    nets, layers = read_rows(ROOT / "figure1.csv"), read_rows(ROOT / "figure1_path.csv")
    if not layers:
        raise SystemExit(f"figure1_path.csv has no net at L~ = {SHOWN:g}: train and measure one first.")
    figure = Figure(figsize=(13, 9), layout="constrained")
    (a, c), (b, d) = figure.subplots(2, 2)
    depths = sorted({float(net["effective_depth"]) for net in nets})
    for field, label in (("rank_median", "-2H/L~, median over layers"), ("least_coi", "least COI"),
                         ("directions", "directions of the weights")):  # fmt: skip
        found = [
            [float(net[field]) for net in nets if float(net["effective_depth"]) == d and net[field]] for d in depths
        ]
        draw_band(a, depths, found, label)
    by_depth = [[net for net in nets if float(net["effective_depth"]) == depth] for depth in depths]
    extremes = [[np.mean([float(net[field]) for net in group]) for group in by_depth]
                for field in ("rank_least", "rank_largest")]  # fmt: skip
    a.vlines(depths, *extremes, color="C0", alpha=0.35, linewidth=4, label="-2H/L~, least to largest of the layers")
    a.axhline(3, color="0.6", linewidth=0.8, linestyle="--")
    a.set(xlabel="effective depth L~", ylabel="rank", title="a  rank against effective depth", yscale="symlog")
    a.legend(frameon=False)
    seeds = sorted({row["seed"] for row in layers}, key=int)
    first = [row for row in layers if row["seed"] == seeds[0]]
    positions = [float(row["position"]) for row in first]
    spectra = (
        (b, "weight_singular_values", SHOWN, "singular values of W_l / L~"),
        (d, "singular_values", 1.0, "singular values of A_l / sqrt(N)"),
    )
    for axes, field, scale, label in spectra:
        for place in range(8):
            spectrum = [float(row[field].split()[place]) / scale for row in first]
            axes.semilogy(positions, spectrum, marker=".", label=f"{place + 1}")
        axes.set(xlabel="p", ylabel=label, title=f"b  spectra at L~ = {SHOWN:g}, seed {seeds[0]}")
        axes.legend(frameon=False, ncols=2, fontsize=8)
    by_layer = sorted({int(row["layer"]) for row in layers})
    places = [np.mean([float(row["position"]) for row in layers if int(row["layer"]) == place]) for place in by_layer]
    for field, label in (("kinetic_energy", "kinetic"), ("potential_energy", "potential"), ("hamiltonian", "H")):
        groups = [[float(row[field]) for row in layers if int(row["layer"]) == place] for place in by_layer]
        draw_band(c, places, groups, label)
    c.set(xlabel="p", ylabel="energy", title=f"c  energies at L~ = {SHOWN:g}", yscale="symlog")
    c.legend(frameon=False)
    with replacing(IMAGES / "figure1.png") as aside:
        figure.savefig(aside, dpi=110)


if __name__ == "__main__":
    chosen = parse(__doc__, "0-4", "effective-depths", EFFECTIVE_DEPTHS)
    if chosen.step == "train":
        train_missing(product(chosen.seeds, chosen.grid), folder_of, recipe_of, chosen.shard)
    else:
        {"measure": measure_all, "draw": draw}[chosen.step]()
