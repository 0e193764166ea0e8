"""What updating the step sizes costs: share of training time spent in the update callback, and memory.

    python benchmarks/speed/step_size_overhead.py [--repeats 3] [--schedules adaptive,...]
    python benchmarks/speed/step_size_overhead.py --memory

Writes step_size_overhead.csv, at the default interval; the share is measured inside one run, so a busy machine shifts
both parts alike. `--memory` writes step_size_memory.csv: the largest resident size of a process that takes twenty
training steps, a process for each row, with an update after the tenth, against one whose steps stay equal. Beside it
what an update allocates at most in numpy, and one layer's weights.
"""

import argparse
import csv
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import keras
import numpy as np

from leaky_zoo.data.pipeline import training_pipeline
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.training import StepSizeUpdate

RESULTS = Path(__file__).with_suffix(".csv")
CASES = {
    "teacher-sized MLP, width 64, 15 layers, batch 1000": (LeakyMLP, (30,), {"width": 64, "depth": 15}, 1000),
    "MNIST-sized MLP, width 256, 12 layers, batch 256": (LeakyMLP, (28, 28, 1), {"width": 256, "depth": 12}, 256),
    "digits-sized conv, 16 channels, 10 layers, batch 64": (LeakyConvNet, (8, 8, 1), {"width": 16, "depth": 10}, 64),
}
STEPS = 1000
SCHEDULES = ("adaptive", "hamiltonian", "equidistributing", "local_error")
FIELDS = ("case", "schedule", "share_median", "share_min", "share_max", "repeats")
MEMORY = RESULTS.with_name("step_size_memory.csv")
MEMORY_FIELDS = ("case", "schedule", "resident_mb_median", "resident_mb_min", "resident_mb_max", "numpy_peak_mb",
                 "layer_weights_mb", "repeats")  # fmt: skip


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
    network, stream, updates = prepare(case, schedule, seed)
    network.fit(stream, steps_per_epoch=50, epochs=1, verbose=0, shuffle=False)  # builds the graph
    begin = time.perf_counter()
    network.fit(stream, steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False, callbacks=[updates])
    return updates.seconds / (time.perf_counter() - begin)


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
    with MEMORY.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MEMORY_FIELDS)
        for case in CASES:
            for schedule in ("equidistant", *SCHEDULES):
                command = [sys.executable, __file__, "--one", case, schedule]
                outputs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(repeats)]
                values = np.array([output.stdout.split() for output in outputs], float)
                resident, (peak, weights) = values[:, 0], values[0, 1:]
                numbers = (np.median(resident), resident.min(), resident.max(), peak, weights)
                writer.writerow([case, schedule, *(f"{value:.4g}" for value in numbers), repeats])
                print(case, schedule, *numbers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--schedules", default=",".join(SCHEDULES), help="the others' rows stay")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        memory(*arguments.one)
        return
    if arguments.memory:
        measure_memory(arguments.repeats)
        return
    rows = {}
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            rows = {(row["case"], row["schedule"]): row for row in csv.DictReader(file)}
    for case in CASES:
        for schedule in arguments.schedules.split(","):
            shares = [share(case, schedule, seed) for seed in range(arguments.repeats)]
            values = [f"{value:.4f}" for value in (np.median(shares), min(shares), max(shares))]
            rows[case, schedule] = dict(zip(FIELDS, (case, schedule, *values, arguments.repeats), strict=True))
            print(case, schedule, *values, flush=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[case, schedule] for case in CASES for schedule in SCHEDULES if (case, schedule) in rows)


if __name__ == "__main__":
    main()
