"""What the drift monitor of an exported file finds and what it cries wolf at, on MNIST.

    python -m benchmarks.science.drift_monitor train      one net without the nines; TFDS_DATA_DIR names MNIST's folder
    python -m benchmarks.science.drift_monitor measure    writes drift_monitor.csv
    python -m benchmarks.science.drift_monitor compressed     compresses the net, writes drift_monitor_compressed.csv

The net (MLP of width 256, 12 layers, L~ = 7, 15 epochs) is trained on the first 40,000 images of the training split
without their nines. Of the last 20,000, without theirs, a random half makes the monitor's reference, and the other half
is clean data that the reference has not seen.

False alarms: 2,000 batches of 100 resampled from that half, at a nominal 5%, for ten draws of the halves; and the same
from the test split without nines, whose writers are others. Detection: area under the ROC curve of the p-value, 1,000
clean batches of 32 against 1,000 drifted ones, all from the test split: nines alone, Gaussian noise of standard
deviation 0.3 of the pixels' range, a rotation by 45 degrees; the same with a quarter and an eighth of drifted images.
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto
from scipy.ndimage import rotate
from sklearn.metrics import roc_auc_score

from benchmarks.common import BUILD, options, write_table
from leaky_zoo.compress import compress, plan_compression, split_for
from leaky_zoo.data import load_data
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.deploy import build_onnx
from leaky_zoo.deploy.compressed import to_watch
from leaky_zoo.deploy.compressed_graph import build_compressed
from leaky_zoo.deploy.reference import add_reference
from leaky_zoo.runtime.drift import BatchMoments, Reference
from leaky_zoo.runtime.session import open_session
from leaky_zoo.training import Recipe, train
from leaky_zoo.zoo import load_model

PLACE = BUILD / "drift_monitor"
TABLE = Path(__file__).with_suffix(".csv")
COMPRESSED = TABLE.with_name("drift_monitor_compressed.csv")
LEFT_OUT, HELD_OUT, DRAWS, FALSE_ALARM_BATCHES, BATCHES = 9, 40_000, 10, 2000, 1000
LAYERS = (2, 4, 8, 11)  # measured beside the chosen one
KEYS = ("measured", "drift", "share", "layer", "draw", "chosen")


def images() -> dict[str, Any]:
    """MNIST: training images for the net, held-out ones for the reference, test images, the last without nines."""
    data = load_data("mnist")
    (x, y), (x_test, y_test) = data.select("train"), data.select("test")
    known = y != LEFT_OUT
    first = np.arange(len(x)) < HELD_OUT
    return {
        "train": (x[first & known], y[first & known]),
        "held_out": x[~first & known],
        "test": (x_test[y_test != LEFT_OUT], y_test[y_test != LEFT_OUT]),
        "left_out": x_test[y_test == LEFT_OUT],
    }


def train_net() -> None:
    """Train the net that never saw a nine."""
    found = images()
    PLACE.mkdir(parents=True, exist_ok=True)
    np.savez(PLACE / "data.npz", x=found["train"][0], y=found["train"][1], x_test=found["test"][0],
             y_test=found["test"][1])  # fmt: skip
    recipe = Recipe.from_dict({
        "name": "mnist_without_nine", "seed": 0,
        "data": {"name": str(PLACE / "data.npz"), "batch_size": 256, "translation": 2},
        "network": {"width": 256, "depth": 12, "effective_depth": 7.0,
                    "schedule": {"name": "irregular", "amplitude": -2.0}},
        "objective": {"weight_decay": 1.429e-4, "io_weight_decay": 3e-4, "peak": 20.0, "release_at": 0.65},
        "optimizer": {"epochs": 15, "learning_rate": 2e-3},
    })  # fmt: skip
    _, result = train(recipe, PLACE / "run", resume=True)
    print(f"test accuracy {result.metrics['test']['accuracy']:.4f} in {result.seconds:.0f} s")


def drifted(found: dict[str, Any]) -> dict[str, np.ndarray]:
    """Test images that are not what the reference knows."""
    clean = found["test"][0].astype(np.float32)
    noise = 0.3 * 255 * np.random.default_rng(0).standard_normal(clean.shape)
    return {
        "class left out": found["left_out"].astype(np.float32),
        "noise 0.3": np.clip(clean + noise, 0, 255).astype(np.float32),
        "rotation 45": rotate(clean, 45, axes=(1, 2), reshape=False, order=1),
    }


class Watched:
    """A graph with a reference; p-values of batches drawn from a pool of images."""

    def __init__(self, graph, held_out, seed: int, tensors, directions: int | None) -> None:
        self.value = add_reference(graph, held_out, seed=seed, tensors=tensors, directions=directions)
        self.reference = Reference.from_dict(self.value)
        self.session = open_session(graph.SerializeToString())

    def rows(self, x):
        """Coordinates and energy of images."""
        parts = [self.session.run(["bottleneck"], {"inputs": x[at : at + 256]})[0] for at in range(0, len(x), 256)]
        return np.concatenate(parts)

    def p_values(self, clean, batch: int, count: int, random, strange=None, share: float = 0.0):
        """`p_value` of so many batches, a share of each from the strange pool."""
        found, calibration = [], self.reference.at(batch)
        for _ in range(count):
            odd = round(share * batch)
            rows = clean[random.integers(0, len(clean), batch - odd)]
            if odd:
                rows = np.concatenate([rows, strange[random.integers(0, len(strange), odd)]])
            moments = BatchMoments.of(rows, self.reference.scale.floor)
            found.append(calibration.p_values(self.reference.statistics(moments))["p_value"])
        return np.array(found)


def rows_of(graph, tensors, draws: int, found, *, directions: int | None = None, **about) -> list[dict[str, Any]]:
    """False alarms over draws of the reference, detection with the first."""
    held_out, test, strange = found["held_out"].astype(np.float32), found["test"][0].astype(np.float32), drifted(found)
    rows = []
    for draw in range(draws):
        random = np.random.default_rng(draw)
        order = random.permutation(len(held_out))
        seen, unseen = held_out[order[: len(order) // 2]], held_out[order[len(order) // 2 :]]
        watched = Watched(ModelProto.FromString(graph.SerializeToString()), seen, draw, tensors, directions)
        about |= {"layer": watched.value["layer"], "directions": watched.value["directions"], "draw": draw}
        for name, pool in (("none: held-out", unseen), ("none: test split", test)):
            found_p = watched.p_values(watched.rows(pool), 100, FALSE_ALARM_BATCHES, random)
            rows.append({**about, "measured": "false alarms at 5%", "drift": name, "share": 0.0, "batch": 100,
                         "batches": FALSE_ALARM_BATCHES, "value": float((found_p < 0.05).mean())})  # fmt: skip
        if draw:
            continue
        clean = watched.rows(test)
        usual = watched.p_values(clean, 32, BATCHES, random)
        for name, pool in strange.items():
            odd = watched.rows(pool)
            for share in (1.0, 0.25, 0.125):
                found_p = watched.p_values(clean, 32, BATCHES, random, odd, share)
                scores = -np.log(np.concatenate([usual, found_p]))
                area = roc_auc_score(np.repeat([0, 1], BATCHES), scores)
                rows.append({**about, "measured": "AUROC", "drift": name, "share": share, "batch": 32,
                             "batches": BATCHES, "value": float(area)})  # fmt: skip
    return rows


def measure() -> None:
    """Of the whole net's file, at the chosen layer and at others."""
    graph, found, rows = build_onnx(load_model(PLACE / "run" / "model.keras")), images(), []
    for tensors in (None, *([f"block_{layer}/step"] for layer in LAYERS)):
        chosen = tensors is None
        rows += rows_of(graph, tensors, DRAWS if chosen else 1, found, chosen="yes" if chosen else "no")
    write_table(TABLE, rows, KEYS, clean_batches=FALSE_ALARM_BATCHES, level=0.05)


def measure_compressed() -> None:
    """Of the net compressed to the smallest choice of a budget of 0.1 points, ten epochs of distillation, int8."""
    net, data, moved = (
        load_model(PLACE / "run" / "model.keras"),
        load_data(str(PLACE / "data.npz")),
        Augmentation(0, translation=2),
    )
    parts = split_for(net, data)
    plan = plan_compression(net, parts, max_drop=0.1, augmentation=moved)
    how = {"epochs": 10, "storage": "int8", "augmentation": moved, "folder": PLACE / "compressed"}
    small = compress(net, plan, parts, choice=0, **how)
    graph = build_compressed(small, "logits")
    tensors, count = to_watch(small, graph)
    about = {"numbers": small.record["parameters"], "tensor": ", ".join(tensors)}
    rows = rows_of(graph, tensors, DRAWS, images(), directions=count, **about)
    drops = {split: cost["drop"] for split, cost in small.record["cost"].items()}
    write_table(COMPRESSED, rows, KEYS[:-1], clean_batches=FALSE_ALARM_BATCHES,
                level=0.05, drops=drops)  # fmt: skip


if __name__ == "__main__":
    steps = {"train": train_net, "measure": measure, "compressed": measure_compressed}
    steps[options(__doc__, *steps).step]()
