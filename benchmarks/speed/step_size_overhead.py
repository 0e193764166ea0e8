"""What updating the step sizes costs: share of training time spent in the update callback, and memory.

    python -m benchmarks.speed.step_size_overhead [--repeats 3] [--schedules adaptive,...]
    python -m benchmarks.speed.step_size_overhead --memory

Writes step_size_overhead.csv, at the default interval; the share is measured inside one run, so a busy machine shifts
both parts alike. `--memory` writes step_size_memory.csv: the largest resident size of a process that takes twenty
training steps, a process for each row, with an update after the tenth, against one whose steps stay equal. Beside it
what an update allocates at most in numpy, and one layer's weights.
"""

import resource
import tracemalloc
from pathlib import Path

import keras
import numpy as np

from benchmarks.common import in_a_process, options, seconds_of, write_table
from leaky_zoo.data.pipeline import training_pipeline
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.training import StepSizeUpdate

TABLE = Path(__file__).with_suffix(".csv")
CASES = {
    "teacher-sized MLP, width 64, 15 layers, batch 1000": (LeakyMLP, (30,), {"width": 64, "depth": 15}, 1000),
    "MNIST-sized MLP, width 256, 12 layers, batch 256": (LeakyMLP, (28, 28, 1), {"width": 256, "depth": 12}, 256),
    "digits-sized conv, 16 channels, 10 layers, batch 64": (LeakyConvNet, (8, 8, 1), {"width": 16, "depth": 10}, 64),
}
STEPS = 1000
SCHEDULES = ("adaptive", "hamiltonian", "equidistributing", "local_error")
MEMORY = TABLE.with_name("step_size_memory.csv")


def prepare(case: str, schedule: str, seed: int) -> tuple:
    """A compiled net, its batches and its updates."""
    family, shape, arguments, batch = CASES[case]
    keras.utils.set_random_seed(seed)
    network = family(shape, 10, effective_depth=7.0, schedule=schedule, weight_decay=1e-4, **arguments)
    network.compile(keras.optimizers.Adam(1e-3), network.loss_function(), jit_compile=False)
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(1024, *shape)).astype("float32"), random.integers(0, 10, 1024)
    return network, training_pipeline(x, y, batch, seed), StepSizeUpdate(x[:512], total_steps=10 * STEPS)


def share(case: str, schedule: str, seed: int) -> float:
    """Part of the time of a training that its updates took."""
    network, stream, updates = prepare(case, schedule, seed)

    def fit(steps: int, callbacks: list) -> None:
        network.fit(stream, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)

    fit(50, [])  # builds the graph
    return updates.seconds / seconds_of(lambda: fit(STEPS, [updates]))


def memory(case: str, schedule: str) -> None:
    """In a process of its own: print the largest resident size and an update's numpy peak, in MB."""
    network, stream, updates = prepare(case, schedule, 0)
    network.fit(stream, steps_per_epoch=10, epochs=1, verbose=0, shuffle=False)
    peak = 0
    if schedule != "equidistant":
        updates.set_model(network)
        updates.on_train_begin()
        updates.update()
    network.fit(stream, steps_per_epoch=10, epochs=1, verbose=0, shuffle=False)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if schedule != "equidistant":  # after the size was read: tracing takes memory itself
        tracemalloc.start()
        updates.update()
        peak = tracemalloc.get_traced_memory()[1]
    weights = network.blocks[0].kernel.numpy().nbytes + network.blocks[0].bias.numpy().nbytes
    print(f"{resident:.1f} {peak / 2**20:.2f} {weights / 2**20:.3f}")


def measure_memory(repeats: int) -> None:
    """A process for each repeat of each row."""
    rows = []
    for case in CASES:
        for schedule in ("equidistant", *SCHEDULES):
            one = f"{case}/{schedule}"
            values = np.array([in_a_process(__spec__.name, "--one", one).split() for _ in range(repeats)], float)
            numbers = {
                **summary("resident_mb", values[:, 0], ".4g"), "numpy_peak_mb": f"{values[0, 1]:.4g}",
                "layer_weights_mb": f"{values[0, 2]:.4g}",
            }  # fmt: skip
            rows.append({"case": case, "schedule": schedule, **numbers, "repeats": repeats})
            print(*rows[-1].values(), flush=True)
    write_table(MEMORY, rows, seeds=[0])


def summary(name: str, values: np.ndarray, digits: str) -> dict[str, str]:
    """Median, least and largest."""
    found = {"median": np.median(values), "min": np.min(values), "max": np.max(values)}
    return {f"{name}_{key}": format(value, digits) for key, value in found.items()}


def main(repeats: int, schedules: tuple[str, ...]) -> None:
    """The share of the time; rows of other schedules stay."""
    rows = []
    for case in CASES:
        for schedule in schedules:
            shares = np.array([share(case, schedule, seed) for seed in range(repeats)])
            rows.append({"case": case, "schedule": schedule, **summary("share", shares, ".4f"), "repeats": repeats})
            print(*rows[-1].values(), flush=True)
    write_table(TABLE, rows, ("case", "schedule"), interval="default", seeds=list(range(repeats)))


if __name__ == "__main__":
    chosen = options(__doc__, repeats=3, schedules=SCHEDULES, memory=False, _one=str)
    if chosen.one:
        memory(*chosen.one.rsplit("/", 1))
    elif chosen.memory:
        measure_memory(chosen.repeats)
    else:
        main(chosen.repeats, chosen.schedules)
