"""What the directions of a bottleneck on MNIST are: where ten digits lie in them, and what each is needed for.

    python -m benchmarks.science.mnist_classes measure    TFDS_DATA_DIR names the folder of MNIST; writes the tables
    python -m benchmarks.science.mnist_classes draw       writes docs/images/mnist_classes.png from them

The presets on MNIST at L~ of 6.8 and more, as they are shipped: nothing is trained. The layer is the one before the
step whose output `W s(A)` has the sharpest gap, the last step aside; 10,000 test images. Directions are those of the
centred representation before its largest gap. Written to three tables:

- mnist_classes.csv: a row for each preset. A probe is a logistic regression on the directions, fitted on the first half
  of the images and scored on the second. Cosines are those between centred class means: at least -1/9 in the largest
  one (a simplex, which takes nine dimensions), at least 0 in fewer dimensions than nine (Rankin 1955), reached by up to
  2 r points in r dimensions.
- mnist_classes_directions.csv: a row for each direction. It is set to its mean, the net runs on, and each digit loses
  accuracy.
- mnist_classes_pairs.csv: rank correlation of the 45 distances between class means, between two presets, and between a
  preset and pixels; p from 10,000 permutations of the digits of one (Mantel 1967), Holm's correction over all.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import markdown, options, read_table, save, write_table
from leaky_zoo.analysis import Audit
from leaky_zoo.zoo import list_presets, preset_folder

TABLE = Path(__file__).with_suffix(".csv")
DIRECTIONS, PAIRS = (TABLE.with_name(f"{TABLE.stem}_{name}.csv") for name in ("directions", "pairs"))
DEEP, PERMUTATIONS = 6.8, 10_000


def places() -> dict[str, int]:
    """For each preset the layer that is looked at."""
    found = {}
    for metadata in list_presets("leaky_mlp_mnist_"):
        if float(metadata["effective_depth"]) >= DEEP and metadata["task"] == "classification":
            layers = Audit.load(preset_folder(metadata["name"]) / "audit.json").layers[1:-1]
            found[metadata["name"]] = max(layers, key=lambda layer: layer.written_gap or 0).layer - 1
    return found


class Cut:
    """A preset cut in two at a layer: representations there, and classes from them."""

    def __init__(self, name: str, layer: int, x: np.ndarray) -> None:
        from leaky_zoo import from_preset
        from leaky_zoo.flow.steps import PathSteps

        network = from_preset(name)
        (path,) = network.paths
        self._steps, self._head, self._layer = PathSteps(path, "float32"), network.head, layer
        current = np.concatenate([np.asarray(path.entry(part)) for part in np.array_split(x, 20)])
        self.representation = self._run(current, range(layer)).astype(np.float64)

    def classes(self, representation: np.ndarray) -> np.ndarray:
        """What the net says of these representations."""
        last = self._run(representation.astype(np.float32), range(self._layer, self._steps.depth))
        return np.asarray(self._head(last)).argmax(-1)

    def _run(self, current: np.ndarray, layers: range) -> np.ndarray:
        for layer in layers:
            current = self._steps.after(layer, current, self._steps.activations(layer, current))
        return current


def class_means(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Means of the ten digits, centred at their own mean."""
    means = np.array([values[labels == digit].mean(0) for digit in range(10)])
    return means - means.mean(0)


def accuracies(found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each digit, in percent."""
    return np.array([100 * np.mean(found[labels == digit] == digit) for digit in range(10)])


def look(name: str, layer: int, x: np.ndarray, labels: np.ndarray) -> tuple[dict, list[dict], np.ndarray]:
    """One preset: its row, the rows of its directions, and its class means."""
    from leaky_zoo.geometry import largest_gap

    cut = Cut(name, layer, x)
    a = cut.representation
    centred = a - a.mean(0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    count, gap = largest_gap(values[:32])
    codes, means = centred @ axes[:count].T, class_means(a @ axes[:count].T, labels)
    within = sum(((codes[labels == digit] - codes[labels == digit].mean(0)) ** 2).sum(0) for digit in range(10))
    before, rows = accuracies(cut.classes(a), labels), []
    for place in range(count):
        lost = before - accuracies(cut.classes(a - np.outer(codes[:, place], axes[place])), labels)
        scaled = means[:, place] / codes[:, place].std()
        rows.append({
            "preset": name, "direction": place + 1, "share_of_variance": float(values[place] ** 2 / (values**2).sum()),
            "between_classes": float(1 - within[place] / (codes[:, place] ** 2).sum()),
            "digits_that_lose_10_points": int((lost > 10).sum()), "accuracy_lost": float(lost.mean()),
            "class_means": " ".join(f"{value:.3f}" for value in scaled),
            "lost": " ".join(f"{value:.1f}" for value in lost),
        })  # fmt: skip
    lengths = np.linalg.norm(means, axis=1)
    cosines = (means @ means.T / np.outer(lengths, lengths))[np.triu_indices(10, 1)]
    row = {
        "preset": name, "layer": layer, "directions": count, "gap": gap,
        "share_of_variance": float((values[:count] ** 2).sum() / (values**2).sum()),
        "between_classes": float(1 - within.sum() / (codes**2).sum()), "net_accuracy": float(before.mean()),
        **probes(codes, labels), "largest_cosine": cosines.max(), "least_cosine": cosines.min(),
        "mean_cosine": cosines.mean(), "shortest_over_longest_mean": lengths.min() / lengths.max(),
        "nearest_digits": "{}{}".format(*list(combinations(range(10), 2))[int(np.argmax(cosines))]),
    }  # fmt: skip
    return row, rows, means


def probes(codes: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Accuracy of a linear probe on all directions, and on the best of them alone."""
    from sklearn.linear_model import LogisticRegression

    half, scaled = len(codes) // 2, codes / codes.std(0)

    def score(chosen: np.ndarray) -> float:
        probe = LogisticRegression(max_iter=1000).fit(chosen[:half], labels[:half])
        return 100 * float(probe.score(chosen[half:], labels[half:]))

    alone = [score(scaled[:, [place]]) for place in range(scaled.shape[1])]
    return {"probe_accuracy": score(scaled), "best_direction_alone": max(alone)}


def distances(means: np.ndarray) -> np.ndarray:
    """Between the ten means, shape `(10, 10)`."""
    return np.linalg.norm(means[:, None] - means[None], axis=-1)


def mantel(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Rank correlation of two matrices of distances, and the share of permutations with one as large."""
    from scipy.stats import rankdata

    upper = np.triu_indices(len(first), 1)

    def ranked(matrix: np.ndarray) -> np.ndarray:
        ranks = np.zeros_like(matrix)
        ranks[upper] = rankdata(matrix[upper])
        return ranks + ranks.T

    one, other, random = ranked(first)[upper], ranked(second), np.random.default_rng(0)
    orders = np.array([np.arange(len(first)), *(random.permutation(len(first)) for _ in range(PERMUTATIONS))])
    rows = np.array([other[np.ix_(order, order)][upper] for order in orders])
    found = (rows - rows.mean(1, keepdims=True)) @ (one - one.mean()) / (len(one) * one.std() * rows[0].std())
    return float(found[0]), float(np.mean(found >= found[0] - 1e-12))


def measure() -> None:
    """All tables."""
    from leaky_zoo.data import load_data

    x, labels = load_data("mnist").select("test")
    rows, directions = [], []
    arrangements = {"pixels": distances(class_means(x.reshape(len(x), -1).astype(np.float64), labels))}
    for name, layer in places().items():
        row, own, means = look(name, layer, x, labels)
        rows, directions = [*rows, row], [*directions, *own]
        arrangements[name] = distances(means)
    pairs = [dict(zip(("first", "second"), names, strict=True)) for names in combinations(arrangements, 2)]
    for pair in pairs:
        pair["spearman"], pair["p"] = mantel(arrangements[pair["first"]], arrangements[pair["second"]])
    worst = 0.0
    for place, pair in enumerate(sorted(pairs, key=lambda pair: pair["p"])):
        worst = pair["p_holm"] = min(1.0, max(worst, pair["p"] * (len(pairs) - place)))
    for path, found in ((TABLE, rows), (DIRECTIONS, directions), (PAIRS, pairs)):
        write_table(path, found, test_samples=len(x))


def short(name: str) -> str:
    """A preset's name without what all of these have in common."""
    return name.removeprefix("leaky_mlp_mnist_")


def table() -> str:
    """A line for each preset."""
    lines = []
    directions, pairs = read_table(DIRECTIONS), read_table(PAIRS)
    for row in read_table(TABLE):
        own = [each for each in directions if each["preset"] == row["preset"]]
        pixels = next(pair for pair in pairs if {pair["first"], pair["second"]} == {"pixels", row["preset"]})
        lines.append((
            short(row["preset"]), row["layer"], row["directions"], f"{100 * float(row['share_of_variance']):.1f}%",
            f"{100 * float(row['between_classes']):.0f}%", f"{float(row['probe_accuracy']):.1f}",
            f"{float(row['net_accuracy']):.1f}", f"{float(row['best_direction_alone']):.0f}",
            ", ".join(each["digits_that_lose_10_points"] for each in own),
            f"{float(row['least_cosine']):.2f} to {float(row['largest_cosine']):.2f}", row["nearest_digits"],
            f"{float(pixels['spearman']):.2f}",
        ))  # fmt: skip
    columns = ("preset", "layer", "directions", "of the variance", "of theirs between digits", "probe of them, %",
               "the net, %", "best one alone, %", "digits that lose 10 points without one", "cosines of class means",
               "nearest pair", "rank correlation with pixels")  # fmt: skip
    return markdown(columns, lines)


def draw() -> None:
    """Class means along the directions of each preset, and what each digit loses without each."""
    from matplotlib.figure import Figure

    names, directions = [row["preset"] for row in read_table(TABLE)], read_table(DIRECTIONS)
    figure = Figure(figsize=(3.1 * len(names), 6), layout="constrained")
    panels = figure.subplots(2, len(names), squeeze=False)
    for (above, below), name in zip(panels.T, names, strict=True):
        own = [row for row in directions if row["preset"] == name]
        means, lost = (np.array([row[key].split() for row in own], float) for key in ("class_means", "lost"))
        colours = above.imshow(means, cmap="RdBu_r", vmin=-2.2, vmax=2.2, aspect="auto")
        losses = below.imshow(lost, cmap="Greys", vmin=0, vmax=100, aspect="auto")
        above.set_title(short(name), fontsize=9)
        for panel in (above, below):
            panel.set_xticks(range(10))
            panel.set_yticks(range(len(own)), [row["direction"] for row in own])
        below.set_xlabel("digit")
    panels[0, 0].set_ylabel("direction")
    panels[1, 0].set_ylabel("direction set to its mean")
    figure.colorbar(colours, ax=panels[0].tolist(), label="class mean, standard deviations")
    figure.colorbar(losses, ax=panels[1].tolist(), label="accuracy lost, points")
    save(figure, "mnist_classes")


if __name__ == "__main__":
    {"measure": measure, "draw": draw}[options(__doc__, "measure", "draw").step]()
