"""Leaky nets beside the nets one would choose instead, trained by the same recipe and budget.

    python -m benchmarks.science.zoo.baselines [--seeds 0-2] [--data mnist1d,optical_digits]     writes baselines.csv

For each data set the recipe of a preset at L~ = 3: its width, depth, optimiser, batches and epochs. The others have the
same stem, the same number of blocks of the same width and the same head:

    plain           A <- W relu(A), no shortcut
    residual        A <- A + W relu(A) / sqrt(L): what L~ = 0 is with equal steps, started by He et al. (2015)
    residual, norm  A <- A + W relu(norm(A)), batch normalisation before each ReLU, as ordinary ResNets have it

Their penalty is the same number on the squares of all kernels. All of them go through this module's one loop: Adam, the
recipe's rate, cosine or one cycle, mean of the weights where the recipe has one; no augmentation but the recipe's noise
and dropout of inputs. The leaky net is trained in the same loop, so that nothing else differs.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import markdown, options, read_table, shown, write_table
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import models_dir

TABLE = Path(__file__).with_suffix(".csv")
PRESETS = {
    "mnist1d (conv)": "leaky_conv_mnist1d_l3_equidistant",
    "mnist1d (dense)": "leaky_mlp_mnist1d_l3_irregular",
    "optical_digits (conv)": "leaky_conv_optical_digits_l3_equidistant",
}
KINDS = ("leaky", "plain", "residual", "residual, norm")


def layer_of(recipe: Recipe, rank: int, name: str) -> Any:
    """One linear map of a block, as the recipe's family has it."""
    width = recipe.network.width
    decay = keras.regularizers.L2(recipe.objective.weight_decay / 2)
    if recipe.network.family == "mlp":
        return keras.layers.Dense(width, kernel_initializer="he_normal", kernel_regularizer=decay, name=name)
    size = recipe.network.family_fields.get("kernel_size", 3)
    return getattr(keras.layers, f"Conv{rank}D")(
        width, size, padding="same", kernel_initializer="he_normal", kernel_regularizer=decay, name=name
    )


def model_of(kind: str, recipe: Recipe, data: Any) -> keras.Model:
    """A net of this kind with the stem and head of the recipe's leaky net."""
    from leaky_zoo.training.building import build

    leaky = build(recipe, data)
    if kind == "leaky":
        return leaky
    rank = len(data.input_shape) - 1
    first = leaky.paths[0].representations[0]
    current = first
    for block in range(leaky.paths[0].depth):
        inner = keras.layers.BatchNormalization(name=f"norm_{block}")(current) if "norm" in kind else current
        inner = layer_of(recipe, rank, f"map_{block}")(keras.layers.ReLU(name=f"relu_{block}")(inner))
        if kind == "residual":
            inner = keras.layers.Rescaling(leaky.paths[0].depth ** -0.5, name=f"scale_{block}")(inner)
        current = inner if kind == "plain" else keras.layers.Add(name=f"add_{block}")([current, inner])
    return keras.Model(leaky.input, leaky.head(current), name=kind.replace(", ", "_"))


def trained(kind: str, recipe: Recipe, data: Any) -> tuple[float, int]:
    """Test accuracy after training, and the number of trainable weights."""
    from leaky_zoo.training.building import batch_size
    from leaky_zoo.training.optimizer import make_optimizer

    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    model = model_of(kind, recipe, data)
    x, y = data.select(recipe.data.train)
    batch, random = batch_size(recipe, len(x)), np.random.default_rng(recipe.seed)
    steps = -(-len(x) // batch)
    optimizer = make_optimizer(recipe.optimizer, recipe.optimizer.total_steps(steps))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    weights, means, done = model.trainable_weights, None, 0
    for _ in range(recipe.optimizer.epochs or 0):
        for rows in np.array_split(random.permutation(len(x)), steps):
            inputs = x[rows].astype(np.float32)
            if recipe.data.noise:
                inputs = inputs + random.normal(0, recipe.data.noise, inputs.shape).astype(np.float32)
            if recipe.data.input_dropout:
                inputs = inputs * (random.random(inputs.shape) >= recipe.data.input_dropout)
            model.train_on_batch(inputs, y[rows])
            done += 1
            if recipe.optimizer.average:
                share = min(recipe.optimizer.average, (1 + done) / (10 + done))
                now = [weight.numpy() for weight in weights]
                means = now if means is None else [share * a + (1 - share) * b for a, b in zip(means, now, strict=True)]
    for weight, mean in zip(weights, means or [], strict=bool(means)):
        weight.assign(mean)
    if means and "norm" in kind:
        _settle(model, x, batch)
    x_test, y_test = data.select(recipe.data.test)
    outputs = model.predict(x_test.astype(np.float32), batch_size=1000, verbose=0)
    return float(np.mean(outputs.argmax(-1) == y_test)), sum(int(np.prod(weight.shape)) for weight in weights)


def _settle(model: keras.Model, x: np.ndarray, batch: int) -> None:
    """The normalisations' running moments of the mean weights, which no step has seen: ten passes, nothing trained."""
    for _ in range(10):
        for start in range(0, len(x), batch):
            model(x[start : start + batch].astype(np.float32), training=True)


def measure(seeds: range, names: tuple[str, ...]) -> None:
    """One row for each net."""
    from leaky_zoo.data import load_data

    for name in names:
        recipe = Recipe.read(models_dir() / PRESETS[name] / "recipe.yaml")
        data = load_data(recipe.data.name)
        for seed in seeds:
            rows = []
            for kind in KINDS:
                accuracy, numbers = trained(kind, recipe.model_copy(update={"seed": seed}), data)
                rows.append({"data": name, "net": kind, "seed": seed, "accuracy": accuracy, "parameters": numbers})
                print(rows[-1], flush=True)
            write_table(TABLE, rows, ("data", "net", "seed"))


def table() -> str:
    """Mean and interval over seeds."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in read_table(TABLE):
        found.setdefault((row["data"], row["net"]), []).append(row)
    lines = []
    for (data, net), rows in found.items():
        values = np.array([100 * float(row["accuracy"]) for row in rows])
        lines.append((data, net, f"{int(rows[0]['parameters']):,}", len(rows), shown(values, 2, "%")))
    return markdown(("data", "net", "parameters", "seeds", "test accuracy"), lines)


if __name__ == "__main__":
    chosen = options(__doc__, seeds=range(3), data=tuple(PRESETS))
    measure(chosen.seeds, chosen.data)
