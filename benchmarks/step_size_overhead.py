"""What updating the step sizes costs: share of training time spent in the update callback, default interval.

    python benchmarks/step_size_overhead.py [--repeats 3] [--schedules adaptive,...]

Writes step_size_overhead.csv. The share is measured inside one run, so a busy machine shifts both parts alike.
"""

import argparse
import csv
import time
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


def share(case: str, schedule: str, seed: int) -> float:
    family, shape, arguments, batch = CASES[case]
    keras.utils.set_random_seed(seed)
    network = family(shape, 10, effective_depth=7.0, schedule=schedule, weight_decay=1e-4, **arguments)
    network.compile(keras.optimizers.Adam(1e-3), network.loss_function(), jit_compile=False)
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(1024, *shape)).astype("float32"), random.integers(0, 10, 1024)
    updates = StepSizeUpdate(x[:512], total_steps=10 * STEPS)
    stream = training_pipeline(x, y, batch, seed)
    network.fit(stream, steps_per_epoch=50, epochs=1, verbose=0, shuffle=False)  # builds the graph
    begin = time.perf_counter()
    network.fit(stream, steps_per_epoch=STEPS, epochs=1, verbose=0, shuffle=False, callbacks=[updates])
    return updates.seconds / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--schedules", default=",".join(SCHEDULES), help="the others' rows stay")
    arguments = parser.parse_args()
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
