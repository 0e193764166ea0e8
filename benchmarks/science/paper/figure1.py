"""Figure 1 of the paper, with seeds: rank against effective depth, spectra and energies at L~ = 7.

    python -m benchmarks.science.paper.figure1 train [--seeds 0-4] [--effective-depths 1,3,7] [--jobs 2]
    python -m benchmarks.science.paper.figure1 measure      writes figure1.csv and figure1_path.csv
    python -m benchmarks.science.paper.figure1 draw         writes docs/images/figure1.png from them

Teacher 30 -> 3 -> 30, 1000 samples, width 100, 20 equal steps, mu = mu_io = 1e-3: the paper's setting as far as it is
given. Training is resumable; 2000 steps of Adam, then L-BFGS until the criticality residual is at most 0.05 on every
layer, or 800 iterations (1600 from L~ = 7 on, 3200 at 12).
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import draw_band, markdown, read_table, save, shown, write_table
from benchmarks.science.studies import Net, finished, main, teacher_file

TABLE = Path(__file__).with_suffix(".csv")
PATHS = TABLE.with_name("figure1_path.csv")
EFFECTIVE_DEPTHS = (1.0, 3.0, 5.0, 7.0, 9.0, 12.0)
SHOWN = 7.0
# The longer the path, the longer all its layers take to settle together. At 12 a short ramp of mu sends one seed of
# five to a constant function before it has learnt: mu L~ is twelve times mu.
ITERATIONS = {7.0: 1600, 9.0: 1600, 12.0: 3200}
RAMPS = {12.0: 0.6}
# These nets are from before L-BFGS looked at means of iterates: where there is a bottleneck they are critical without.
AVERAGES = {7.0: 1, 9.0: 1, 12.0: 1}
FIELDS = ("layer", "position", "kinetic_energy", "potential_energy", "hamiltonian", "criticality_residual")
SPECTRA = ("singular_values", "weight_singular_values")
BASE = {
    "data": {"batch_size": "full"},
    "network": {"width": 100, "depth": 20},
    "objective": {"weight_decay": 1e-3},
    "optimizer": {"steps": 2000, "learning_rate": 1e-2},
    "converge": True,
    "log_every": 500,
}


def cases(seeds: range, effective_depths: tuple[float, ...]) -> Iterator[dict]:
    """The paper's setting."""
    for seed, depth in product(seeds, effective_depths):
        yield {
            "data.name": teacher_file(f"k3_seed{seed}", (30, 3, 30), seed=seed),
            "network.effective_depth": depth,
            "objective.ramp": RAMPS.get(depth, 0.2),
            "lbfgs.iterations": ITERATIONS.get(depth, 800),
            "lbfgs.average": AVERAGES.get(depth, 10),
            "seed": seed,
        }


def measure() -> None:
    """Audit every net that is there."""
    from leaky_zoo.analysis import analyze

    summaries, paths, about = [], [], {}
    for run in finished("figure1"):
        net, data = run.load()
        audit = analyze(net, *data.select("train"), data={"name": data.identifier, "split": "train"})
        about = {"samples": audit.n, "gamma_0": audit.gamma_0}
        summaries.append(summary_of(run, net, data, audit))
        if run.recipe.network.effective_depth == SHOWN:
            paths += [
                {"seed": run.recipe.seed, **{key: getattr(layer, key) for key in FIELDS},
                 **{key: " ".join(f"{value:.4g}" for value in getattr(layer, key)[:12]) for key in SPECTRA}}
                for layer in audit.layers
            ]  # fmt: skip
    write_table(TABLE, summaries, ("effective_depth", "seed"), **about)
    write_table(PATHS, paths, ("seed", "layer"), **about)


def summary_of(run: Net, net, data, audit) -> dict:
    """The row of one net."""
    from leaky_zoo.flow import evaluate_network

    ranks = np.array([layer.rank_from_hamiltonian for layer in audit.layers])
    # A layer is inside the bottleneck when its COI is on a plateau; a net may have none.
    inside = np.array([layer.plateau is not None for layer in audit.layers])
    residuals = np.array([layer.criticality_residual for layer in audit.layers])
    forms = np.array([abs(layer.hamiltonian - layer.kinetic_plus_potential) for layer in audit.layers])
    sharpest = max(audit.layers, key=lambda layer: layer.weight_gap or 0)
    within = ranks[inside]
    return {
        "effective_depth": run.recipe.network.effective_depth, "seed": run.recipe.seed,
        "rank_median": np.median(ranks), "rank_least": ranks.min(), "rank_largest": ranks.max(),
        "spread_inside": np.std(within) / abs(np.mean(within)) if len(within) else None,
        "least_coi": min(layer.cost_of_identity for layer in audit.layers),
        "directions": sharpest.weight_directions, "estimate": audit.bottleneck_rank.estimate,
        "residual_inside": residuals[inside].max() if any(inside) else None,
        "residual_elsewhere": residuals[~inside].max() if not all(inside) else None,
        "form_difference": np.median(forms), "inside": sum(inside),
        "test_loss": evaluate_network(net, *data.select("test"))["loss"],
        "iterations": run.result["lbfgs"]["iterations"], "seconds": run.result["seconds"],
    }  # fmt: skip


def table() -> str:
    """A line for each effective depth, means over seeds; residuals and spread are the worst of them."""
    columns = ("L~", "nets", "-2H/L~, median over layers", "least COI", "directions", "nets with a plateau",
               "worst residual there", "worst elsewhere", "largest deviation of -2H/L~ there, of its mean",
               "median difference of the forms of H", "test error")  # fmt: skip
    rows, lines = read_table(TABLE), []
    for depth in sorted({float(row["effective_depth"]) for row in rows}):
        nets = [row for row in rows if float(row["effective_depth"]) == depth]
        found = {field: np.array([float(net[field]) for net in nets if net[field]]) for field in nets[0]}
        inside, spread = found["residual_inside"], found["spread_inside"]
        lines.append((
            f"{depth:g}", len(nets), shown(found["rank_median"], 2), shown(found["least_coi"], 1),
            ", ".join(net["directions"] for net in nets), len(inside),
            f"{inside.max():.3f}" if len(inside) else "-", f"{found['residual_elsewhere'].max():.3f}",
            f"{spread.max():.1%}" if len(spread) else "-", f"{found['form_difference'].mean():.2f}",
            shown(found["test_loss"], 4),
        ))  # fmt: skip
    return markdown(columns, lines)


def draw() -> None:
    """The panels of the paper's figure, mean and 95% interval over seeds; spectra of one."""
    from matplotlib.figure import Figure

    nets, layers = read_table(TABLE), read_table(PATHS)
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
    save(figure, "figure1")


if __name__ == "__main__":
    main(__doc__, "figure1", BASE, cases, measure, draw, seeds=range(5), effective_depths=EFFECTIVE_DEPTHS)
