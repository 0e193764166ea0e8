"""Presets with other numbers of layers: test metrics from averaged weights, fitted ones, and after a short fine-tune.

    python -m benchmarks.science.resampling [--data-dir DIR]    writes resampling.csv

The fit sees at most 20,000 samples of the training split; the fine-tune is two epochs of Adam at 5e-5 on all of it,
without the dropout of inputs that the MNIST recipes have. One net each, one seed.
"""

import math
from pathlib import Path

import keras

import leaky_zoo
from benchmarks.common import options, write_table
from leaky_zoo.data import load_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.networks import resample

TABLE = Path(__file__).with_suffix(".csv")
PRESETS = {
    "leaky_mlp_mnist_l7_equidistant": "mnist",
    "leaky_mlp_optical_digits_l7_equidistant": "optical_digits/fold_0",
    "leaky_mlp_teacher_k3_l7_equidistant": "bottleneck_teacher/k3",
    "leaky_mlp_mnist_l3_learnable": "mnist",
}
EPOCHS, FITTED_ON = 2, 20_000


def depths_of(depth: int, effective_depth: float) -> list[int]:
    """The least that the cap allows, two thirds, five sixths, half as many again."""
    least = math.ceil(effective_depth / 0.9)
    return sorted({max(math.ceil(depth * share), least) for share in (0, 2 / 3, 5 / 6, 3 / 2)})


def measure(net, test) -> float:
    """Test accuracy in %, or the standardised mean squared error."""
    found = evaluate_network(net, *test)
    return 100 * found["accuracy"] if "accuracy" in found else found["loss"]


def fine_tune(net, x, y) -> None:
    """A short training at a small rate."""
    keras.utils.set_random_seed(0)
    net.compile(keras.optimizers.Adam(5e-5), loss=net.loss_function(), jit_compile=False)
    net.fit(x, y, batch_size=min(256, max(len(x) // 20, 1)), epochs=EPOCHS, verbose=0)


def main(data_dir: str | None) -> None:
    """Measure, and write the table."""
    rows = []
    for preset, name in PRESETS.items():
        net, data = leaky_zoo.from_preset(preset), load_data(name, data_dir)
        (x, y), test = data.select("train"), data.select("test")
        given = measure(net, test)
        control = net.astype("float32")
        fine_tune(control, x, y)
        control = measure(control, test)
        own = net.paths[0].step_size_layer.schedule.name
        for depth in depths_of(len(net.blocks), net.effective_depth):
            for schedule in (None, "irregular" if own == "equidistant" else "equidistant"):
                try:
                    averaged = resample(net, depth, schedule)
                except InvalidInputError:
                    if schedule is None:
                        raise
                    continue  # the other schedule breaks its cap at this depth
                fitted = resample(net, depth, schedule, x=x[:FITTED_ON])
                values = {"given": given, "given_fine_tuned": control, "averaged": measure(averaged, test),
                          "fitted": measure(fitted, test)}  # fmt: skip
                fine_tune(fitted, x, y)
                values["fine_tuned"] = measure(fitted, test)
                rows.append({
                    "preset": preset, "layers": len(net.blocks), "schedule": schedule or f"own ({own})",
                    "new_layers": depth, "metric": "accuracy %" if net.task.labels else "test loss",
                } | {name: f"{value:.4g}" for name, value in values.items()})  # fmt: skip
                print(*rows[-1].values(), flush=True)
    write_table(TABLE, rows, fitted_on_at_most=FITTED_ON, seeds=[0])


if __name__ == "__main__":
    main(options(__doc__, data_dir=str).data_dir)
