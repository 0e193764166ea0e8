"""Accuracy against rank on MNIST at L~ = 7: what `mu`, its peak and the step sizes do, and what a cut costs.

    python benchmarks/mnist_rank.py train [--seeds 0-2] [--shard I/N]      TFDS_DATA_DIR names the folder of MNIST
    python benchmarks/mnist_rank.py measure      writes mnist_rank.csv and mnist_directions.csv
    python benchmarks/mnist_rank.py draw         writes docs/images/mnist_rank.png from them

MLPs of width 256, 12 layers, batches of 256, images moved by up to two pixels, 40 epochs, cosine decay. The rank of a
layer is where its weights' singular values have their largest ratio among the first twenty; "from the third layer"
takes the largest rank and the least ratio of layers 3 to 12. The cut leaves layers 1 and 2 alone and projects every
other W_l on its main directions as the training samples see them (the left singular vectors of W_l E[s s^T]^(1/2)),
to its own rank, at most 8. No fine-tuning after it.
"""

from itertools import product
from pathlib import Path

from runs import BUILD, IMAGES, ROOT, parse, read_rows, train_missing, write_rows

RUNS, TABLE = BUILD / "mnist_rank", ROOT / "benchmarks" / "mnist_rank.csv"
DIRECTIONS = ROOT / "benchmarks" / "mnist_directions.csv"
ENDS_LARGE = {"name": "irregular", "amplitude": -2.0}
# lambda = mu L~ at the end of training, and what differs from the base.
RECIPES = {
    "constant_3e-3": {"final": 3e-3},
    "constant_1e-2": {"final": 1e-2},
    "peak_1e-2": {"final": 1e-3, "peak": 10.0},
    "peak_2e-2": {"final": 1e-3, "peak": 20.0},
}
SHOWN, MOST, FIRST = "peak_2e-2", 8, 3
FIELDS = ("recipe", "seed", "lambda", "peak", "accuracy", "train_accuracy", "rank_from_third", "least_gap_from_third",
          "ranks", "gaps", "cut_accuracy", "cut_parameters", "parameters", "seconds")  # fmt: skip


def folder_of(seed: int, name: str) -> Path:
    """Where a run lives."""
    return RUNS / f"{name}_seed{seed}"


def recipe_of(seed: int, name: str):
    """The base with one recipe's penalty."""
    from leaky_zoo.training import Recipe

    chosen = RECIPES[name]
    return Recipe.from_dict({
        "name": f"mnist_rank_{name}_seed{seed}", "seed": seed,
        "data": {"name": "mnist", "batch_size": 256, "translation": 2},
        "network": {"width": 256, "depth": 12, "effective_depth": 7.0, "schedule": ENDS_LARGE},
        "objective": {"weight_decay": float(f"{chosen['final'] / 7:.4g}"), "io_weight_decay": 3e-4,
                      "peak": chosen.get("peak", 1.0), "release_at": 0.65},
        "optimizer": {"epochs": 40, "learning_rate": 2e-3},
    })  # fmt: skip


def rank_and_gap(spectrum) -> tuple[int, float]:
    """Where the largest ratio of neighbours among the first twenty singular values is."""
    import numpy as np

    ratios = spectrum[:20] / spectrum[1:21]
    return int(np.argmax(ratios)) + 1, float(ratios.max())


def cut(net, x, ranks: list[int]) -> None:
    """Project the weights of each layer on so many main directions, as these samples see them."""
    import keras
    import numpy as np

    from leaky_zoo.layers.block import with_ones

    layers = [net.get_layer("stem").output, *(block.output for block in net.blocks[:-1])]
    path = keras.Model(net.input, layers).predict(x, batch_size=1000, verbose=0)
    for block, a, rank in zip(net.blocks, path, ranks, strict=True):
        features = with_ones(np.maximum(a, 0).astype(np.float64), True)
        values, vectors = np.linalg.eigh(features.T @ features / len(features))
        weights = block.weight_matrix
        seen = (weights @ vectors) * np.sqrt(np.maximum(values, 0))
        main = np.linalg.svd(seen, full_matrices=False)[0][:, :rank]
        block.assign_weight_matrix(main @ (main.T @ weights))


def measure_all() -> None:
    """Spectra, accuracies and the cut of every net that is there; the directions of one."""
    import numpy as np

    from leaky_zoo.cli.console import track
    from leaky_zoo.data import load_data
    from leaky_zoo.reading import read_json
    from leaky_zoo.training import evaluate_network
    from leaky_zoo.zoo import load_model

    data = load_data("mnist")
    x, test, rows = data.select("train")[0][:20_000], data.select("test"), []
    for name, seed in track("measuring")(list(product(RECIPES, range(20)))):
        if not (folder_of(seed, name) / "result.json").exists():
            continue
        net, run = load_model(folder_of(seed, name) / "model.keras"), read_json(folder_of(seed, name) / "result.json")
        spectra = [np.linalg.svd(block.weight_matrix, compute_uv=False) for block in net.blocks]
        found = [rank_and_gap(spectrum) for spectrum in spectra]
        if (name, seed) == (SHOWN, 0):
            write_directions(net, test)
        width, count = net.settings["width"], net.count_params()
        cuts = [width] * (FIRST - 1) + [min(rank, MOST) for rank, _ in found[FIRST - 1 :]]
        cut(net, x, cuts)
        saved = sum(width * (width + 1) - rank * (2 * width + 1) for rank in cuts[FIRST - 1 :])
        ours = RECIPES[name]
        rows.append({
            "recipe": name, "seed": seed, "lambda": ours["final"], "peak": ours.get("peak", 1.0),
            "accuracy": 100 * run["metrics"]["test"]["accuracy"],
            "train_accuracy": 100 * run["metrics"]["train"]["accuracy"],
            "rank_from_third": max(rank for rank, _ in found[FIRST - 1 :]),
            "least_gap_from_third": min(gap for _, gap in found[FIRST - 1 :]),
            "ranks": " ".join(str(rank) for rank, _ in found), "gaps": " ".join(f"{gap:.1f}" for _, gap in found),
            "cut_accuracy": 100 * evaluate_network(net, *test)["accuracy"], "cut_parameters": count - saved,
            "parameters": count, "seconds": run["seconds"],
        })  # fmt: skip
        print(rows[-1], flush=True)
    write_rows(TABLE, FIELDS, rows)


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
    write_rows(DIRECTIONS, tuple(rows[0]), rows)


def draw() -> None:
    """Accuracy against the gap, what a cut costs, and the class means along the directions."""
    import numpy as np
    from matplotlib.figure import Figure

    from leaky_zoo.files import replacing

    nets, directions = read_rows(TABLE), read_rows(DIRECTIONS)
    figure = Figure(figsize=(16, 4.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for name in RECIPES:
        chosen = [net for net in nets if net["recipe"] == name]
        accuracy, gap, after = (
            [float(net[field]) for net in chosen] for field in ("accuracy", "least_gap_from_third", "cut_accuracy")
        )
        words = name.replace("_", " ")
        left.plot(gap, accuracy, "o", alpha=0.8, label=words)
        middle.plot([float(net["rank_from_third"]) for net in chosen], after, "o", alpha=0.8, label=words)
    left.axvline(10, color="0.6", linestyle="--", linewidth=0.8)
    left.axhline(98.6, color="0.6", linestyle="--", linewidth=0.8)
    left.set(xscale="log", xlabel="least gap of layers 3 to 12", ylabel="test accuracy, %", title="before any cut")
    middle.axhline(98.6, color="0.6", linestyle="--", linewidth=0.8)
    middle.set(xlabel="largest rank of layers 3 to 12", ylabel="test accuracy, %",
               title=f"layers 3 to 12 cut to their rank, at most {MOST}")  # fmt: skip
    left.legend(frameon=False, fontsize=8, title="lambda")
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
