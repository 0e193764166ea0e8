"""Our training loop against Keras's `fit`: the same network, optimiser, data and batches, on one CPU, in one run.

    python -m benchmarks.speed.loop_speed [--repeats 5]

Writes loop_speed.csv: ratio of the time per step, ours over fit's (below 1: ours is faster), median over interleaved
repeats. A busy machine shifts both alike.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np

from benchmarks.common import interleaved, options, write_table
from leaky_zoo.data.pipeline import BatchOrder, training_pipeline
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyNetwork
from leaky_zoo.networks.evaluation import watched_metrics
from leaky_zoo.processes.signals import StopRequest
from leaky_zoo.training.checkpoint import Checkpoints
from leaky_zoo.training.engine import TrainingGraph
from leaky_zoo.training.loop import TrainingLoop
from leaky_zoo.training.optimizer import ClippedAdam
from leaky_zoo.training.strategy import make_strategy

TABLE = Path(__file__).with_suffix(".csv")
CASES = {
    "teacher-sized MLP, width 64, 12 layers, batch 1000": (LeakyMLP, (30,), {"width": 64, "depth": 12}, 1000, 400),
    "digits-sized MLP, width 128, 10 layers, batch 64": (LeakyMLP, (8, 8, 1), {"width": 128, "depth": 10}, 64, 400),
    "MNIST-sized MLP, width 256, 12 layers, batch 256": (LeakyMLP, (28, 28, 1), {"width": 256, "depth": 12}, 256, 150),
    "digits-sized conv, 16 channels, 10 layers, batch 64": (
        LeakyConvNet, (8, 8, 1), {"width": 16, "depth": 10}, 64, 150,
    ),
}  # fmt: skip


def network_of(case: str) -> LeakyNetwork:
    """The compiled network of a case."""
    family, shape, arguments, _, _ = CASES[case]
    keras.utils.set_random_seed(0)
    network = family(shape, 10, effective_depth=6.0, weight_decay=1e-4, **arguments)
    optimizer = ClippedAdam(1e-3, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)
    network.compile(optimizer, network.loss_function(), metrics=watched_metrics(network), jit_compile=False)
    return network


def ratios(case: str, repeats: int, folder: Path) -> np.ndarray:
    """Time of our loop over that of `fit`, once for each repeat; a warm-up builds the graphs."""
    _, shape, _, batch, steps = CASES[case]
    source = np.random.default_rng(0)
    x, y = source.normal(size=(2000, *shape)).astype("float32"), source.integers(0, 10, 2000)
    theirs, ours = network_of(case), network_of(case)
    stream = training_pipeline(x, y, batch, 0)
    graph = TrainingGraph(ours, make_strategy("cpu"), x, y, BatchOrder(len(x), batch, 0))

    def fit() -> None:
        theirs.fit(stream, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)

    def loop() -> None:
        request = StopRequest()
        TrainingLoop(graph, [], total=steps, per_epoch=steps, request=request, checkpoints=Checkpoints(folder)).run()

    seconds = interleaved({"fit": fit, "loop": loop}, repeats)
    return seconds["loop"] / seconds["fit"]


def main(repeats: int) -> None:
    """Measure, and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            found = ratios(case, repeats, Path(folder))
            values = {"median": np.median(found), "min": found.min(), "max": found.max()}
            rows.append({"case": case, **{f"ratio_{name}": f"{value:.3f}" for name, value in values.items()}})
            print(*rows[-1].values(), flush=True)
    write_table(TABLE, rows, repeats=repeats, seeds=[0])


if __name__ == "__main__":
    main(options(__doc__, repeats=5).repeats)
