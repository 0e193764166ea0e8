"""Accuracy against rank on MNIST at L~ = 7: what `mu`, its peak and the step sizes do, and what a cut costs.

    python benchmarks/science/mnist_rank.py train [--seeds 0-2] [--shard I/N]   TFDS_DATA_DIR names the folder of MNIST
    python benchmarks/science/mnist_rank.py measure      writes mnist_rank.csv and mnist_directions.csv
    python benchmarks/science/mnist_rank.py draw         writes docs/images/mnist_rank.png from them

MLPs of width 256, 12 layers, batches of 256, images moved by up to two pixels, 40 epochs, cosine decay, large steps at
both ends; the last recipes change one of these. A layer has two spectra: of its weights W_l, and of what it writes,
W_l s(A) over the training samples: the singular values of W_l E[s s^T]^(1/2). The rank of each is where its singular
values have their largest ratio, the gap, among the first twenty; "from the third layer" takes the largest rank and the
least gap of all layers but two. The cut leaves layers 1 and 2 alone and projects every other W_l on the main directions
of what it writes, to the rank of that, at most 8. No fine-tuning after it.
"""

from itertools import product
from pathlib import Path

from runs import BUILD, IMAGES, ROOT, parse, read_rows, train_missing, write_rows

RUNS, TABLE = BUILD / "mnist_rank", ROOT / "benchmarks" / "mnist_rank.csv"
DIRECTIONS = ROOT / "benchmarks" / "mnist_directions.csv"
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
FIELDS = ("recipe", "seed", "lambda", "peak", "accuracy", "train_accuracy", "rank_from_third", "least_gap_from_third",
          "weights_rank_from_third", "weights_least_gap_from_third", "ranks", "gaps", "weights_ranks", "weights_gaps",
          "cut_accuracy", "cut_parameters", "parameters", "seconds")  # fmt: skip


def folder_of(seed: int, name: str) -> Path:
    """Where a run lives."""
    return RUNS / f"{name}_seed{seed}"


def recipe_of(seed: int, name: str):
    """The base with one recipe's penalty."""
    from leaky_zoo.training import Recipe

    chosen = RECIPES[name]
    network = {"width": 256, "depth": 12, "effective_depth": 7.0, "schedule": ENDS_LARGE} | chosen.get("network", {})
    mu = float(f"{chosen['final'] / network['effective_depth']:.4g}")
    return Recipe.from_dict({
        "name": f"mnist_rank_{name}_seed{seed}", "seed": seed,
        "data": {"name": "mnist", "batch_size": 256, "translation": 2},
        "network": network,
        "objective": {"weight_decay": mu, "io_weight_decay": chosen.get("io", 3e-4),
                      "peak": chosen.get("peak", 1.0), "release_at": 0.65},
        "optimizer": {"epochs": chosen.get("epochs", 40), "learning_rate": 2e-3},
    })  # fmt: skip


def rank_and_gap(spectrum) -> tuple[int, float]:
    """Where the largest ratio of neighbours among the first twenty singular values is."""
    import numpy as np

    ratios = spectrum[:20] / spectrum[1:21]
    return int(np.argmax(ratios)) + 1, float(ratios.max())


def written(net, x) -> list:
    """For each layer, left singular vectors and singular values of what it writes, per square root of the samples."""
    import keras
    import numpy as np

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


def measure_all() -> None:
    """Spectra, accuracies and the cut of every net that is there; the directions of one."""
    import numpy as np

    from leaky_zoo.cli.console import track
    from leaky_zoo.data import load_data
    from leaky_zoo.io.reading import read_json
    from leaky_zoo.networks import evaluate_network
    from leaky_zoo.zoo import load_model

    data = load_data("mnist")
    x, test, rows = data.select("train")[0][:20_000], data.select("test"), []
    for name, seed in track("measuring")(list(product(RECIPES, range(20)))):
        if not (folder_of(seed, name) / "result.json").exists():
            continue
        net, run = load_model(folder_of(seed, name) / "model.keras"), read_json(folder_of(seed, name) / "result.json")
        main = written(net, x)
        found = [rank_and_gap(spectrum) for _, spectrum in main]
        weights = [rank_and_gap(np.linalg.svd(block.weight_matrix, compute_uv=False)) for block in net.blocks]
        if (name, seed) == (SHOWN, 0):
            write_directions(net, test)
        width, count = net.settings["width"], net.count_params()
        cuts = [width] * (FIRST - 1) + [min(rank, MOST) for rank, _ in found[FIRST - 1 :]]
        for block, (directions, _), rank in zip(
            net.blocks[FIRST - 1 :], main[FIRST - 1 :], cuts[FIRST - 1 :], strict=True
        ):
            kept = directions[:, :rank]
            block.assign_weight_matrix(kept @ (kept.T @ block.weight_matrix))
        saved = sum(width * (width + 1) - rank * (2 * width + 1) for rank in cuts[FIRST - 1 :])
        ours = RECIPES[name]
        rows.append({
            "recipe": name, "seed": seed, "lambda": ours["final"], "peak": ours.get("peak", 1.0),
            "accuracy": 100 * run["metrics"]["test"]["accuracy"],
            "train_accuracy": 100 * run["metrics"]["train"]["accuracy"],
            "rank_from_third": max(rank for rank, _ in found[FIRST - 1 :]),
            "least_gap_from_third": min(gap for _, gap in found[FIRST - 1 :]),
            "weights_rank_from_third": max(rank for rank, _ in weights[FIRST - 1 :]),
            "weights_least_gap_from_third": min(gap for _, gap in weights[FIRST - 1 :]),
            "ranks": " ".join(str(rank) for rank, _ in found), "gaps": " ".join(f"{gap:.1f}" for _, gap in found),
            "weights_ranks": " ".join(str(rank) for rank, _ in weights),
            "weights_gaps": " ".join(f"{gap:.1f}" for _, gap in weights),
            "cut_accuracy": 100 * evaluate_network(net, *test)["accuracy"], "cut_parameters": count - saved,
            "parameters": count, "seconds": run["seconds"],
        })  # fmt: skip
        print(rows[-1], flush=True)
    write_rows(TABLE, FIELDS, rows, ("recipe", "seed"))


def write_directions(net, test, layer: int = 8) -> None:
    """Class means of the test samples along the main directions of one layer, and what a probe of them reads."""
    import keras
    import numpy as np
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
    write_rows(DIRECTIONS, tuple(rows[0]), rows, ("direction",))


def table() -> str:
    """A line for each recipe: mean and interval over seeds, ranks and gaps of each."""
    import numpy as np
    from step_sizes.compare import shown

    columns = ("recipe", "seeds", "test accuracy, %", "rank from the third layer", "least gap there",
               "rank and gap of the weights", "after the cut, %", "parameters after it")  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    rows = read_rows(TABLE)
    for name in RECIPES:
        nets = [row for row in rows if row["recipe"] == name]
        if nets:
            accuracy, after = (np.array([float(net[k]) for net in nets]) for k in ("accuracy", "cut_accuracy"))
            cells = [
                name.replace("_", " "), str(len(nets)), shown(accuracy, 2, sign="-"),
                ", ".join(net["rank_from_third"] for net in nets),
                ", ".join(f"{float(net['least_gap_from_third']):.1f}" for net in nets),
                ", ".join(
                    f"{net['weights_rank_from_third']} ({float(net['weights_least_gap_from_third']):.1f})"
                    for net in nets
                ),
                shown(after, 2, sign="-"),
                ", ".join(f"{int(net['cut_parameters']) / int(net['parameters']):.0%}" for net in nets),
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw() -> None:
    """Accuracy against the gap, what a cut costs, and the class means along the directions."""
    import numpy as np
    from matplotlib.figure import Figure

    from leaky_zoo.io.files import replacing

    nets, directions = read_rows(TABLE), read_rows(DIRECTIONS)
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
    with replacing(IMAGES / "mnist_rank.png") as aside:
        figure.savefig(aside, dpi=110)


if __name__ == "__main__":
    chosen = parse(__doc__, "0-2")
    if chosen.step == "train":
        train_missing(product(chosen.seeds, RECIPES), folder_of, recipe_of, chosen.shard)
    else:
        {"measure": measure_all, "draw": draw}[chosen.step]()
