"""Accuracy against rank on MNIST at L~ = 7: what `mu`, its peak and the step sizes do, and what a cut costs.

    python -m benchmarks.science.mnist_rank train [--seeds 0-2] [--jobs 2]   TFDS_DATA_DIR names the folder of MNIST
    python -m benchmarks.science.mnist_rank measure      writes mnist_rank.csv and mnist_directions.csv
    python -m benchmarks.science.mnist_rank draw         writes docs/images/mnist_rank.png from them

MLPs of width 256, 12 layers, batches of 256, images moved by up to two pixels, 40 epochs, cosine decay, large steps at
both ends; the last recipes change one of these. A layer has two spectra: of its weights W_l, and of what it writes,
W_l s(A) over the training samples: the singular values of W_l E[s s^T]^(1/2). The rank of each is where its singular
values have their largest ratio, the gap, among the first twenty; "from the third layer" takes the largest rank and the
least gap of all layers but two. The cut leaves layers 1 and 2 alone and projects every other W_l on the main directions
of what it writes, to the rank of that, at most 8. No fine-tuning after it.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import markdown, read_table, save, shown, write_table
from benchmarks.science.studies import finished, main
from leaky_zoo.sweeps.spec import cell_name

TABLE = Path(__file__).with_suffix(".csv")
DIRECTIONS = TABLE.with_name("mnist_directions.csv")
ENDS_LARGE = {"name": "irregular", "amplitude": -2.0}
# 8 steps at L~ = 7 are all but equal under the cap: rho L~ from 0.85 in the middle to 0.90 at the ends.
AT_THE_CAP = {"depth": 8, "schedule": {"name": "irregular", "amplitude": -0.15}}
# lambda = mu L~ at the end of training, and what differs from the base.
RECIPES = {
    "constant_3e-3": {"final": 3e-3},
    "constant_1e-2": {"final": 1e-2},
    "peak_1e-2": {"final": 1e-3, "peak": 10.0},
    "peak_2e-2": {"final": 1e-3, "peak": 20.0},
    "peak_2e-2_to_3e-3": {"final": 3e-3, "peak": 20 / 3},
    # A stronger penalty on stem and head as well; and with 8 layers, whose first two steps forget their input.
    "peak_2e-2_io_1e-3": {"final": 1e-3, "peak": 20.0, "io": 1e-3},
    "peak_2e-2_io_1e-3_8_layers": {"final": 1e-3, "peak": 20.0, "io": 1e-3, "network": AT_THE_CAP},
    # One thing at a time, from the first.
    "constant_3e-3_equal_steps": {"final": 3e-3, "network": {"schedule": "equidistant"}},
    "constant_3e-3_l3": {"final": 3e-3, "network": {"effective_depth": 3.0}},
    "constant_3e-3_width_128": {"final": 3e-3, "network": {"width": 128}},
    "constant_3e-3_15_epochs": {"final": 3e-3, "epochs": 15},
}
SHOWN, MOST, FIRST = "peak_2e-2", 8, 3
BASE = {
    "data": {"name": "mnist", "batch_size": 256, "translation": 2},
    "objective": {"release_at": 0.65},
    "optimizer": {"learning_rate": 2e-3},
}
NETWORK = {"width": 256, "depth": 12, "effective_depth": 7.0, "schedule": ENDS_LARGE}


def cases(seeds: range, recipes: tuple[str, ...] = tuple(RECIPES)) -> Iterator[dict]:
    """The base with one recipe's penalty."""
    for seed, name in product(seeds, recipes):
        chosen = RECIPES[name]
        network = NETWORK | chosen.get("network", {})
        yield {f"network.{key}": value for key, value in network.items()} | {
            "objective.weight_decay": float(f"{chosen['final'] / network['effective_depth']:.4g}"),
            "objective.io_weight_decay": chosen.get("io", 3e-4),
            "objective.peak": chosen.get("peak", 1.0),
            "optimizer.epochs": chosen.get("epochs", 40),
            "seed": seed,
        }


def rank_and_gap(spectrum: np.ndarray) -> tuple[int, float]:
    """Where the largest ratio of neighbours among the first twenty singular values is."""
    ratios = spectrum[:20] / spectrum[1:21]
    return int(np.argmax(ratios)) + 1, float(ratios.max())


def written(net, x) -> list:
    """For each layer, left singular vectors and singular values of what it writes, per square root of the samples."""
    import keras

    from leaky_zoo.layers.block import with_ones

    layers = [net.get_layer("stem").output, *(block.output for block in net.blocks[:-1])]
    path = keras.Model(net.input, layers).predict(x, batch_size=1000, verbose=0)
    found = []
    for block, a in zip(net.blocks, path, strict=True):
        features = with_ones(np.maximum(a, 0).astype(np.float64), True)
        values, vectors = np.linalg.eigh(features.T @ features / len(features))
        seen = (block.weight_matrix @ vectors) * np.sqrt(np.maximum(values, 0))
        found.append(np.linalg.svd(seen, full_matrices=False)[:2])
    return found


def cut(net, main_directions: list[np.ndarray], ranks: list[int]) -> int:
    """Project the weights from layer `FIRST` on, in place; how many parameters that saves in factored form."""
    width = net.blocks[0].weight_matrix.shape[0]
    for block, directions, rank in zip(net.blocks[FIRST - 1 :], main_directions, ranks, strict=True):
        kept = directions[:, :rank]
        block.assign_weight_matrix(kept @ (kept.T @ block.weight_matrix))
    return sum(width * (width + 1) - rank * (2 * width + 1) for rank in ranks)


def measure() -> None:
    """Spectra, accuracies and the cut of every net that is there; the directions of one."""
    from leaky_zoo.flow import evaluate_network

    rows, names = [], {}
    for seed, name in product(range(20), RECIPES):
        names[cell_name(next(cases(range(seed, seed + 1), (name,))))] = name
    for run in finished("mnist_rank"):
        name, metrics = names[run.name], run.result["metrics"]
        net, data = run.load()
        test, spectra = data.select("test"), written(net, data.select("train")[0][:20_000])
        found = [rank_and_gap(spectrum) for _, spectrum in spectra]
        weights = [rank_and_gap(np.linalg.svd(block.weight_matrix, compute_uv=False)) for block in net.blocks]
        if (name, run.recipe.seed) == (SHOWN, 0):
            write_directions(net, test)
        later, later_weights, count = found[FIRST - 1 :], weights[FIRST - 1 :], net.count_params()
        saved = cut(net, [left for left, _ in spectra[FIRST - 1 :]], [min(rank, MOST) for rank, _ in later])
        rows.append({
            "recipe": name, "seed": run.recipe.seed, "lambda": RECIPES[name]["final"],
            "peak": RECIPES[name].get("peak", 1.0), "accuracy": 100 * metrics["test"]["accuracy"],
            "train_accuracy": 100 * metrics["train"]["accuracy"],
            "rank_from_third": max(rank for rank, _ in later), "least_gap_from_third": min(gap for _, gap in later),
            "weights_rank_from_third": max(rank for rank, _ in later_weights),
            "weights_least_gap_from_third": min(gap for _, gap in later_weights),
            "ranks": " ".join(str(rank) for rank, _ in found), "gaps": " ".join(f"{gap:.1f}" for _, gap in found),
            "weights_ranks": " ".join(str(rank) for rank, _ in weights),
            "weights_gaps": " ".join(f"{gap:.1f}" for _, gap in weights),
            "cut_accuracy": 100 * evaluate_network(net, *test)["accuracy"], "cut_parameters": count - saved,
            "parameters": count, "seconds": run.result["seconds"],
        })  # fmt: skip
    write_table(TABLE, rows, ("recipe", "seed"), spectra_of_training_samples=20_000)


def write_directions(net, test, layer: int = 8) -> None:
    """Class means of the test samples along the main directions of one layer, and what a probe of them reads."""
    import keras
    from sklearn.linear_model import LogisticRegression

    x, labels = test
    a = keras.Model(net.input, net.blocks[layer - 1].output).predict(x, batch_size=1000, verbose=0).astype(np.float64)
    rank, _ = rank_and_gap(np.linalg.svd(net.blocks[layer].weight_matrix, compute_uv=False))
    centred = a - a.mean(0)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    codes = centred @ axes.T[:, : rank + 4]
    half = len(x) // 2
    rows = []
    for count in range(1, rank + 5):
        coordinate = codes[:, count - 1]
        means = [coordinate[labels == digit].mean() for digit in range(10)]
        within = sum(((coordinate[labels == d] - m) ** 2).sum() for d, m in enumerate(means))
        scaled = codes[:, :count] / scales[:count] * np.sqrt(len(x))
        probe = LogisticRegression(max_iter=2000).fit(scaled[:half], labels[:half])
        rows.append({
            "direction": count, "layer": layer, "share_of_variance": float(scales[count - 1] ** 2 / (scales**2).sum()),
            "between_classes": float(1 - within / (coordinate**2).sum()),
            "probe_accuracy": 100 * float(probe.score(scaled[half:], labels[half:])),
            "class_means": " ".join(f"{mean * np.sqrt(len(x)) / scales[count - 1]:.3f}" for mean in means),
        })  # fmt: skip
    write_table(DIRECTIONS, rows, ("direction",), test_samples=len(x))


def table() -> str:
    """A line for each recipe: mean and interval over seeds, ranks and gaps of each."""
    columns = ("recipe", "seeds", "test accuracy, %", "rank from the third layer", "least gap there",
               "rank and gap of the weights", "after the cut, %", "parameters after it")  # fmt: skip
    lines, rows = [], read_table(TABLE)
    for name in RECIPES:
        nets = [row for row in rows if row["recipe"] == name]
        if nets:
            accuracy, after = (np.array([float(net[k]) for net in nets]) for k in ("accuracy", "cut_accuracy"))
            lines.append((
                name.replace("_", " "), len(nets), shown(accuracy, 2),
                ", ".join(net["rank_from_third"] for net in nets),
                ", ".join(f"{float(net['least_gap_from_third']):.1f}" for net in nets),
                ", ".join(f"{n['weights_rank_from_third']} ({float(n['weights_least_gap_from_third']):.1f})"
                          for n in nets),
                shown(after, 2),
                ", ".join(f"{int(net['cut_parameters']) / int(net['parameters']):.0%}" for net in nets),
            ))  # fmt: skip
    return markdown(columns, lines)


def draw() -> None:
    """Accuracy against the gap, what a cut costs, and the class means along the directions."""
    from matplotlib.figure import Figure

    nets, directions = read_table(TABLE), read_table(DIRECTIONS)
    figure = Figure(figsize=(16, 5.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for place, name in enumerate(RECIPES):
        chosen = [net for net in nets if net["recipe"] == name]
        marker = "os"[place // 10]  # matplotlib has ten colours
        accuracy, gap, after = (
            [float(net[field]) for net in chosen] for field in ("accuracy", "least_gap_from_third", "cut_accuracy")
        )
        words = name.replace("_", " ")
        left.plot(gap, accuracy, marker, alpha=0.8, label=words)
        middle.plot([float(net["rank_from_third"]) for net in chosen], after, marker, alpha=0.8, label=words)
    left.axvline(10, color="0.6", linestyle="--", linewidth=0.8)
    left.axhline(98.6, color="0.6", linestyle="--", linewidth=0.8)
    left.set(
        xscale="log",
        xlabel="least gap of what layers write, from the third on",
        ylabel="test accuracy, %",
        title="before any cut",
    )
    middle.axhline(98.6, color="0.6", linestyle="--", linewidth=0.8)
    middle.set(xticks=range(4, 13), xlabel="largest rank from the third layer on", ylabel="test accuracy, %",
               title=f"cut to its rank from the third layer on, at most {MOST}")  # fmt: skip
    left.set_xticks([2, 3, 5, 10, 20, 40], ["2", "3", "5", "10", "20", "40"])
    left.minorticks_off()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=5, frameon=False, fontsize=8)
    means = np.array([np.array(row["class_means"].split(), float) for row in directions])
    bound = np.abs(means).max()
    image = right.imshow(means, cmap="RdBu_r", vmin=-bound, vmax=bound, aspect="auto")
    names = [f"{row['direction']}: probe {float(row['probe_accuracy']):.1f}%" for row in directions]
    right.set_yticks(range(len(names)), names, fontsize=8)
    right.set_xticks(range(10))
    right.set(xlabel="digit", title=f"class means along the directions after layer {directions[0]['layer']}")
    figure.colorbar(image, ax=right, label="in standard deviations of the direction")
    save(figure, "mnist_rank")


if __name__ == "__main__":
    main(__doc__, "mnist_rank", BASE, cases, measure, draw, seeds=range(3), recipes=tuple(RECIPES))
