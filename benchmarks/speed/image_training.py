"""Training of images at CIFAR's size: ours against the same net in PyTorch and in plain Keras, on one CPU, in one run.

    python -m benchmarks.speed.image_training --torch PATH/TO/python [--repeats 5] [--steps 40] [--cases resnet]
                                              [--sixteen-bits]

All take batches of 128 of the same random images, cropped with padding, flipped and cut out, and steps of Adam with
clipping of the global norm, on the same stem, blocks, transitions and head with the same penalty. Plain Keras is
layers of its own under `fit`, fed with batches that tf.data augments: it may have up to four of them ready when its
turn begins, so turns should be long. PyTorch (a Python that has it, named by `--torch`; left out without) keeps its
tensors channels last. "Ours, no oneDNN" is with TF_ENABLE_ONEDNN_OPTS=0, as TensorFlow computes by itself on processors
without AVX-512. All are in float32; `--sixteen-bits` adds "ours, mixed_bfloat16", which takes longer where the
processor has no such units. Each runs in a process of its own that waits while the others work, in turns: a busy
machine shifts all alike.

Writes image_training.csv: milliseconds for each image, and the time of each over ours (above 1: ours is faster); rows
of other processors stay.
"""

import contextlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, interleaved, options, processor, write_table

TABLE = Path(__file__).with_suffix(".csv")
BATCH, IMAGES = 128, 2048
CHANGES = {"crop_padding": 4, "flip": 0.5, "cutout": 8}
DECAY, RATE = 1e-4, 1e-3
# Widths and depths of the stages, side and stride of the stem.
CASES: dict[str, dict[str, Any]] = {
    "conv": {"widths": [32], "depths": [8], "stem_size": 5, "stem_stride": 2},
    "conv_64": {"widths": [64], "depths": [8], "stem_size": 5, "stem_stride": 2},
    "resnet": {"widths": [32, 64, 128], "depths": [4, 5, 4], "stem_size": 3, "stem_stride": 1},
}
EFFECTIVE_DEPTH = 3.0


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Random images as uint8, and labels."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (IMAGES, 32, 32, 3)).astype(np.uint8), random.integers(0, 10, IMAGES)


def leaky_network(case: str, dtype: str) -> Any:
    """Our network of a case; a stage alone is a `LeakyConvNet` with its own head."""
    from leaky_zoo.networks import LeakyConvNet, LeakyResNet

    fields = dict(CASES[case])
    common = {"effective_depth": EFFECTIVE_DEPTH, "weight_decay": DECAY, "dtype": dtype}
    common |= {"input_mean": 127.5, "input_variance": 5461.0}
    if len(fields["widths"]) > 1:
        return LeakyResNet((32, 32, 3), 10, **common, **fields)
    (width,), (depth,) = fields.pop("widths"), fields.pop("depths")
    return LeakyConvNet((32, 32, 3), 10, width=width, depth=depth, **common, **fields)


def ours(case: str, dtype: str = "float32") -> Any:
    """A function that takes so many of our training steps."""
    from leaky_zoo.data.augmentation import Augmentation
    from leaky_zoo.data.pipeline import BatchOrder
    from leaky_zoo.training.engine import TrainingGraph
    from leaky_zoo.training.optimizer import ClippedAdam
    from leaky_zoo.training.strategy import make_strategy

    network, (x, y) = leaky_network(case, dtype), samples()
    optimizer = ClippedAdam(RATE, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)
    network.compile(optimizer, network.loss_function(), jit_compile=False)
    changes = Augmentation(0, mean=127.5, **CHANGES)
    graph = TrainingGraph(network, make_strategy("cpu"), x, y, BatchOrder(IMAGES, BATCH, 0), augmentation=changes)
    return lambda steps: graph.run(0, steps)


def plain_keras(case: str) -> Any:
    """A function that takes so many steps of Keras's own layers under `fit`."""
    import keras

    from leaky_zoo.data.pipeline import training_pipeline

    layers, fields, (x, y) = keras.layers, CASES[case], samples()
    penalty = {"kernel_regularizer": keras.regularizers.L2(DECAY / 2)}
    inputs = keras.Input((32, 32, 3))
    current = layers.Rescaling(1 / 73.9, -127.5 / 73.9)(inputs)
    for stage, (width, depth) in enumerate(zip(fields["widths"], fields["depths"], strict=True)):
        size, stride = (3, 2) if stage else (fields["stem_size"], fields["stem_stride"])
        current = layers.ReLU()(current) if stage else current
        current = layers.Conv2D(width, size, stride, "same", **penalty)(current)
        for _ in range(depth):
            moved = layers.Conv2D(width, 3, padding="same", **penalty)(layers.ReLU()(current))
            current = layers.Rescaling(1 - EFFECTIVE_DEPTH / depth)(current) + layers.Rescaling(1 / depth)(moved)
    current = layers.ReLU()(current)
    if len(fields["widths"]) == 1:
        current = layers.AveragePooling2D(2)(current)
        current = layers.Conv2D(2 * fields["widths"][0], 3, padding="same", activation="relu", **penalty)(current)
    outputs = layers.Dense(10, **penalty)(layers.GlobalAveragePooling2D()(current))
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(RATE, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    stream = iter(training_pipeline(x, y, BATCH, 0, mean=127.5, **CHANGES))
    return lambda steps: [model.train_on_batch(*next(stream)) for _ in range(steps)]


SIXTEEN_BITS, NO_ONEDNN = "ours, mixed_bfloat16", "ours, no oneDNN"
WORKERS = {
    "ours": ours,
    SIXTEEN_BITS: partial(ours, dtype="mixed_bfloat16"),
    NO_ONEDNN: ours,
    "plain Keras": plain_keras,
}


def work(name: str, case: str) -> None:
    """Answer each line, a number of steps, once they are taken."""
    step = WORKERS[name](case)
    for line in sys.stdin:
        step(int(line))
        print("done", flush=True)


class Worker:
    """A process that takes steps when it is asked.

    Args:
        command: that starts it; it answers each line of a number of steps with a line.
        environment: what is set for it beside this process's environment.
    """

    def __init__(self, *command: str, **environment: str) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": os.environ | environment}
        self.process = subprocess.Popen(command, text=True, cwd=ROOT, **pipes)  # type: ignore[call-overload]

    def take(self, steps: int) -> None:
        """Take so many steps, and wait for them."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise SystemExit(f"{' '.join(self.process.args)} ended with {self.process.wait()}.")

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and said why
            self.process.stdin.close()
        self.process.wait()


def workers(case: str, torch: str, threads: int, sixteen_bits: bool) -> dict[str, Worker]:
    """A waiting process for each framework."""
    own = (sys.executable, "-m", "benchmarks.speed.image_training", "--case", case, "--worker")
    found = {
        name: Worker(*own, name, TF_ENABLE_ONEDNN_OPTS="0" if name == NO_ONEDNN else "1")
        for name in WORKERS
        if sixteen_bits or name != SIXTEEN_BITS
    }
    if torch:
        script = str(Path(__file__).with_name("image_training_torch.py"))
        words = json.dumps({**CASES[case], **CHANGES, "batch": BATCH, "images": IMAGES, "decay": DECAY, "rate": RATE,
                            "effective_depth": EFFECTIVE_DEPTH, "threads": threads})  # fmt: skip
        for name, flag in (("PyTorch eager", "eager"), ("torch.compile", "compile")):
            found[name] = Worker(torch, script, flag, words)
    return found


def main(torch: str, repeats: int, steps: int, cases: tuple[str, ...], sixteen_bits: bool) -> None:
    """Measure, and write the table."""
    rows, threads = [], len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for case in [case for case in cases if case] or CASES:
        processes = workers(case, torch, threads, sixteen_bits)
        try:
            calls = {name: lambda each=each: each.take(steps) for name, each in processes.items()}
            seconds = interleaved(calls, repeats, warm_up=2)
        finally:
            for each in processes.values():
                each.close()
        for name, taken in seconds.items():
            ratio = np.median(taken / seconds["ours"])
            per_image = 1e3 * np.median(taken) / steps / BATCH
            rows.append({
                "processor": processor(), "case": case, "framework": name, "ms_per_image": f"{per_image:.3f}",
                "ratio": f"{ratio:.3f}",
            })  # fmt: skip
            print(*rows[-1].values(), flush=True)
    write_table(
        TABLE, rows, ("processor", "case", "framework"), repeats=repeats, steps=steps, batch=BATCH, threads=threads
    )


if __name__ == "__main__":
    given = options(__doc__, torch="", repeats=5, steps=40, cases=("",), sixteen_bits=False, _worker="", _case="")
    if given.worker:
        work(given.worker, given.case)
    else:
        main(given.torch, given.repeats, given.steps, given.cases, given.sixteen_bits)
