"""Training on streamed data: peak memory above that of the built net, and images a second against in memory.

    python -m benchmarks.speed.streaming [--counts 5000,50000] [--steps 200]

Each row is a process of its own on the first so many images of `cifar10_jpeg`, converted into the cache before. Writes
streaming.csv. Images a second depend on what else the machine does; memory does not.
"""

import json
import threading
import time
from pathlib import Path

import psutil

from benchmarks.common import in_a_process, options, write_table

TABLE = Path(__file__).with_suffix(".csv")
BATCH, DATA = 256, "cifar10_jpeg"


class PeakMemory(threading.Thread):
    """The most memory of this process, looked at every few milliseconds, above that at the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_bytes = self.most = self._now()
        self._done = threading.Event()
        self.start()

    def stop(self) -> float:
        """Megabytes."""
        self._done.set()
        self.join()
        return (self.most - self.start_bytes) / 1e6

    def run(self) -> None:
        while not self._done.wait(0.005):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> int:
        return psutil.Process().memory_info().rss


def measure(count: int, stream: bool, steps: int) -> dict[str, float]:
    """Train on so many images in this process; memory above that of a like net without data."""
    from leaky_zoo.data import load_data
    from leaky_zoo.data.pipeline import BatchOrder
    from leaky_zoo.training import Recipe
    from leaky_zoo.training.building import compiled, data_of, training_arrays
    from leaky_zoo.training.engine import TrainingGraph
    from leaky_zoo.training.strategy import make_strategy

    recipe = Recipe.from_dict(
        {
            "name": "streamed",
            "data": {"name": DATA, "stream": stream, "train": f"train[:{count}]", "batch_size": BATCH},
            "network": {"width": 64, "depth": 6, "effective_depth": 3},
            "optimizer": {"steps": steps},
        }
    )
    load_data("optical_digits")  # the libraries are loaded
    strategy = make_strategy("cpu")
    digits = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"name": "optical_digits", "train": "train", "stream": False})}
    )
    compiled(digits, data_of(digits), strategy, 6)  # and a net like it is built
    watch = PeakMemory()
    data = data_of(recipe)
    order = BatchOrder(count, BATCH, 0)
    network = compiled(recipe, data, strategy, order.steps_per_pass)
    watch.most = 0  # the peak of training, not of reading
    graph = TrainingGraph(network, strategy, *training_arrays(recipe, data), order)
    graph.run(0, 4)
    begin, step = time.perf_counter(), 4
    while step < steps:
        step += graph.run(step, min(16, steps - step)).taken
    seconds = time.perf_counter() - begin
    return {"peak_mb": round(watch.stop(), 1), "images_per_second": round((step - 4) * BATCH / seconds)}


def main() -> None:
    """Measure every number of images, streamed and in memory."""
    asked = options(__doc__, counts=(5000, 50_000), steps=200, _count=0, _held=False)
    if asked.count:
        print(json.dumps(measure(asked.count, not asked.held, asked.steps)))
        return
    from leaky_zoo.data import load_data

    load_data(DATA, stream=True)  # the one conversion
    rows = []
    for count in asked.counts:
        for held in (False, True):
            words = ["--count", count, "--steps", asked.steps, *(["--held"] if held else [])]
            found = json.loads(in_a_process("benchmarks.speed.streaming", *words))
            rows.append({"images": count, "data": "in memory" if held else "streamed"} | found)
            print(rows[-1], flush=True)
    write_table(TABLE, rows, batch_size=BATCH, network="LeakyMLP, width 64, 6 layers", machine="busy: speeds are rough")


if __name__ == "__main__":
    main()
