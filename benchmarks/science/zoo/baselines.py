"""Leaky nets beside the nets one would choose instead, trained by the same recipe and budget.

    python -m benchmarks.science.zoo.baselines [--seeds 0-2] [--data mnist1d,optical_digits]     writes baselines.csv

For each data set the recipe of a preset at L~ = 3: its width, depth, optimiser, batches and epochs. The others have the
same stem, the same number of blocks of the same width and the same head:

    plain           A <- W relu(A), no shortcut
    residual        A <- A + W relu(A) / sqrt(L): what L~ = 0 is with equal steps, started by He et al. (2015)
    residual, norm  A <- A + W relu(norm(A)), batch normalisation before each ReLU, as ordinary ResNets have it

Their penalty is the same number on the squares of all kernels. All of them go through this module's one loop: the
recipe's optimiser, rate, batches, changes of the inputs and mean of the weights; no ramp of the penalty. The leaky net
is trained in the same loop, so that nothing else differs.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import markdown, options, read_table, shown, write_table
from benchmarks.science.zoo.progress import Progress
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


def trained(
    model_of: Callable[[], keras.Model], recipe: Recipe, data: Any, progress: Progress | None = None
) -> tuple[float, int]:
    """Test accuracy after training the model that is made, and the number of its trainable weights.

    With `progress` the training is kept there after every pass over the data, and goes on from there.
    """
    from leaky_zoo.data.pipeline import BatchOrder
    from leaky_zoo.training.building import batch_size
    from leaky_zoo.training.optimizer import make_optimizer

    keras.backend.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    model = model_of()
    x, y = data.select(recipe.data.train)
    order = BatchOrder(len(x), batch_size(recipe, len(x)), recipe.seed)
    total = recipe.optimizer.total_steps(order.steps_per_pass)
    optimizer = make_optimizer(recipe.optimizer, total)
    optimizer.build(model.trainable_variables)
    take, means = stepper(model, optimizer, recipe, data, x, y)
    state = [variable.value for variable in model.variables + optimizer.variables] + means
    for number in range(progress.restore(state) if progress else 0, total):
        take(number, order.rows(number))
        if progress and (number + 1) % order.steps_per_pass == 0:
            progress.keep(state, number + 1)
    weights = model.trainable_variables
    for weight, mean in zip(weights, means, strict=True):
        weight.assign(mean)
    momenta = [layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if momenta:
        _settle(model, x, order.batch_size, momenta[0])
    x_test, y_test = data.select(recipe.data.test)
    outputs = model.predict(x_test.astype(np.float32), batch_size=1000, verbose=0)
    return float(np.mean(outputs.argmax(-1) == y_test)), sum(int(np.prod(weight.shape)) for weight in weights)


def stepper(
    model: keras.Model, optimizer: Any, recipe: Recipe, data: Any, x: np.ndarray, y: np.ndarray
) -> tuple[Any, list[Any]]:
    """A function that takes a step on the rows it is given, and the running means of the weights that it moves."""
    import tensorflow as tf

    from leaky_zoo.data.augmentation import mix
    from leaky_zoo.training.building import augmentation

    changes, average = augmentation(recipe, data), recipe.optimizer.average or 0.0
    inputs_all, labels_all = tf.constant(x.astype(np.float32)), tf.constant(y)
    weights = model.trainable_variables
    means = [tf.Variable(weight.value) for weight in weights]
    smoothing, classes = recipe.objective.label_smoothing, data.output_size
    crossentropy = keras.losses.CategoricalCrossentropy(True, smoothing, reduction="none")

    @tf.function(reduce_retracing=True)
    def step(number: Any, rows: Any) -> None:
        count = tf.shape(rows)[0]
        draws = changes.draw(number, recipe.data.batch_size, x.shape[1:])
        draws = {name: values[:count] for name, values in draws.items()}
        inputs, labels = changes.apply(tf.gather(inputs_all, rows), draws), tf.gather(labels_all, rows)
        others = labels
        if changes.mixup:
            partners = changes.partners(tf.range(count), count, draws)
            others = tf.gather(labels, partners)
            inputs = mix(inputs, tf.gather(inputs, partners), draws["share"])
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            values = crossentropy(tf.one_hot(labels, classes), outputs)
            if changes.mixup:
                values = mix(values, crossentropy(tf.one_hot(others, classes), outputs), draws["share"])
            objective = tf.reduce_mean(values) + tf.add_n(model.losses)
        optimizer.apply(tape.gradient(objective, [weight.value for weight in weights]), weights)
        done = tf.cast(number, tf.float32)
        share = tf.minimum(average, (1 + done) / (10 + done)) if average else 0.0
        for mean, weight in zip(means, weights, strict=True):
            mean.assign(share * mean + (1 - share) * weight.value)

    return lambda number, rows: step(tf.constant(number, tf.int64), tf.constant(rows)), means


def _settle(model: keras.Model, x: np.ndarray, batch: int, momentum: float) -> None:
    """The normalisations' running moments of the mean weights, which no step has seen; nothing is trained.

    After `10 / (1 - momentum)` batches less than e^-10 of the moments is left from before.
    """
    starts = range(0, len(x) - batch + 1, batch)
    for number in range(round(10 / (1 - momentum))):
        start = starts[number % len(starts)]
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
                seeded = recipe.model_copy(update={"seed": seed})
                accuracy, numbers = trained(partial(model_of, kind, seeded, data), seeded, data)
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
