"""One training on 1, 2 and 4 replicas and on 2 worker processes: loss curve, and how often each sample is seen.

    python -m benchmarks.speed.replicas

Writes replicas.csv: the largest relative difference of the loss from one replica's over 200 steps, in float32; and the
least and the greatest number of times that a sample was seen (its weights summed) in a pass. Batches of 7 of 23 samples
with dropped inputs, clipping and penalty; the counts in two micro-batches, which neither replicas nor batches divide.
"""

import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common import in_a_process, options, write_table
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.data.pipeline import BatchOrder
from leaky_zoo.io.reading import read_json
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.training import make_strategy
from leaky_zoo.training.engine import TrainingGraph
from leaky_zoo.training.evaluation_graph import EvaluationGraph
from leaky_zoo.training.optimizer import ClippedAdam

TABLE = Path(__file__).with_suffix(".csv")
SAMPLES, BATCH, STEPS = 23, 7, 200
PER_PASS = -(-SAMPLES // BATCH)


def measure(strategy_name: str, replicas: int | None) -> tuple[dict, bool]:
    """What one strategy gives, and whether this process is the one to write it."""
    # One strategy in a process: TensorFlow's collectives do not let a second one have other devices.
    strategy = make_strategy(strategy_name, replicas)
    source = np.random.default_rng(0)
    x, ids = source.normal(size=(SAMPLES, 6)).astype("float32"), np.arange(SAMPLES)
    y = np.stack([np.abs(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)

    def graph(targets: np.ndarray, micro_batches: int = 1) -> TrainingGraph:
        keras.utils.set_random_seed(0)
        with strategy.scope():
            network = LeakyMLP(
                (6,), 2, task="regression", width=12, depth=3, effective_depth=2.0, weight_decay=1e-2,
                schedule="learnable",
            )  # fmt: skip
            optimizer = ClippedAdam(5e-3, global_clipnorm=0.5)
            optimizer.build(network.trainable_variables)
            network.compile(optimizer, network.loss_function(), jit_compile=False)
        order = BatchOrder(SAMPLES, BATCH, 1)
        changes = Augmentation(seed=1, input_dropout=0.2)
        return TrainingGraph(network, strategy, x, targets, order, micro_batches=micro_batches, augmentation=changes)

    class Counting:
        """One measure for each sample: the weight with which it was seen."""

        names = tuple(map(str, ids))

        def __call__(self, targets, outputs):
            return [0 * tf.reduce_sum(outputs, -1) + tf.cast(tf.equal(targets, row), tf.float32) for row in ids]

    counting = graph(ids, micro_batches=2)
    counting.measures = Counting()
    seen = np.concatenate([counting.run(step, 2).sums for step in range(0, 2 * PER_PASS, 2)])
    training = graph(y)
    losses = np.concatenate([training.run(step, 20).losses for step in range(0, STEPS, 20)])
    held = EvaluationGraph(training.network, strategy, x, y, batch_size=BATCH)()
    answer = {
        "seen": seen.reshape(2, PER_PASS, SAMPLES).sum(1).tolist(),
        "losses": losses.tolist(),
        "held": held,
        "exact": float(training.network.loss_function()(y, training.network(x))),
    }
    return answer, strategy.is_chief


def run(replicas: int, out: Path) -> dict:
    """`measure` in a process of its own; 0 replicas: in two workers."""
    if replicas:
        in_a_process(__spec__.name, "--out", out, "--devices", replicas)
    else:
        from leaky_zoo.processes.cluster import launch

        command = [sys.executable, "-m", __spec__.name, "--out", str(out)]
        launch(command, 2, restarts=0, out=out, resume=False)
    return read_json(out)


def main() -> None:
    """Measure, and write the table."""
    rows, one = [], None
    with tempfile.TemporaryDirectory() as folder:
        for replicas in (1, 2, 4, 0):
            answer = run(replicas, Path(folder) / f"{replicas}.json")
            losses, seen = np.array(answer["losses"]), np.array(answer["seen"])
            one = losses if one is None else one
            name = f"{replicas} logical CPU devices" if replicas > 1 else "1 CPU" if replicas else "2 worker processes"
            rows.append({
                "replicas": name, "steps": STEPS,
                "largest_relative_difference_of_loss": f"{np.max(np.abs(losses / one - 1)):.1e}",
                "seen_least": int(seen.min()), "seen_most": int(seen.max()),
            })  # fmt: skip
            print(*rows[-1].values(), flush=True)
    write_table(TABLE, rows, samples=SAMPLES, batch_size=BATCH, seeds=[0])


if __name__ == "__main__":
    chosen = options(__doc__, out=Path, strategy="cpu", devices=int)
    if chosen.out:  # one strategy, written there
        answer, writes = measure(chosen.strategy, chosen.devices)
        if writes:
            chosen.out.write_text(json.dumps(answer))
    else:
        main()
