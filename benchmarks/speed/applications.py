"""Models of `keras.applications` and a small vision transformer, random weights: seconds to analyse and to export each.

python -m benchmarks.speed.applications [--images 200] [--models resnet50,...] [--old PATH]    writes applications.csv
Processor seconds (user and system, all threads of the process) and seconds on the clock, which count on a quiet
machine alone. With --old, the analysis of another checkout of this project is timed beside ours, in turn, each in a
process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, options, seconds_of, write_table

TABLE = Path(__file__).with_suffix(".csv")
MODELS = ("mobilenet_v3_small", "efficientnet_b0", "resnet50", "convnext_tiny", "densenet121", "small_vit")
SHAPE, CLASSES = (224, 224, 3), 10


def small_vit() -> Any:
    """Patches of 16 x 16, width 192, 6 blocks of 3 heads; of Keras's layers alone."""
    from keras import Input, Model, layers, ops

    inputs = Input(SHAPE)
    tokens = layers.Reshape((196, 192))(layers.Conv2D(192, 16, strides=16)(inputs))
    tokens = tokens + layers.Embedding(196, 192)(ops.arange(196))
    for _ in range(6):
        normal = layers.LayerNormalization()(tokens)
        tokens = layers.Add()([tokens, layers.MultiHeadAttention(3, 64)(normal, normal)])
        wide = layers.Dense(768, activation="gelu")(layers.LayerNormalization()(tokens))
        tokens = layers.Add()([tokens, layers.Dense(192)(wide)])
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(tokens))
    return Model(inputs, layers.Dense(CLASSES)(pooled), name="small_vit")


def build(name: str) -> Any:
    """A model by name, its weights drawn with seed 0."""
    import keras

    keras.utils.set_random_seed(0)
    made = {
        "mobilenet_v3_small": keras.applications.MobileNetV3Small,
        "efficientnet_b0": keras.applications.EfficientNetB0,
        "resnet50": keras.applications.ResNet50,
        "convnext_tiny": keras.applications.ConvNeXtTiny,
        "densenet121": keras.applications.DenseNet121,
    }
    return small_vit() if name == "small_vit" else made[name](weights=None, input_shape=SHAPE, classes=CLASSES)


def samples(images: int) -> tuple[Any, Any]:
    """Smooth random images: noise of a few pixels' size in three colours, one mean colour for each class."""
    import numpy as np

    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, images)
    coarse = random.uniform(size=(images, 28, 28, 3)) + random.uniform(size=(CLASSES, 1, 1, 3))[labels]
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype("float32"), labels


def timed(what: str, call: Callable[[], object]) -> dict[str, float]:
    """Processor seconds of a call, and seconds on the clock."""
    before = time.process_time()
    clock = seconds_of(call)
    return {what: time.process_time() - before, f"{what}_clock": clock}


def measure(name: str, images: int, export: bool) -> dict[str, Any]:
    """Seconds to analyse and (for the code of this checkout) to export one model, with what came out."""
    from leaky_zoo.analysis import analyze

    model = build(name)
    x, y = samples(images)
    audits: list[Any] = []
    row: dict[str, Any] = timed("analyze", lambda: audits.append(analyze(model, x, y)))
    row |= {"rows": len(audits[0].layers), "measured": sum(layer.reason is None for layer in audits[0].layers)}
    if export:
        from leaky_zoo.deploy import export_onnx
        from leaky_zoo.errors import LeakyZooError
        from leaky_zoo.runtime.verify import verify_onnx

        with tempfile.TemporaryDirectory() as place:
            file, reports = Path(place) / "m.onnx", []
            try:
                row |= timed("export", lambda: reports.append(export_onnx(model, file, check_inputs=x[:8])))
                row["relative_error"] = max(reports[0].relative_errors.values())
                row["verified"] = verify_onnx(file).passed
            except LeakyZooError as error:
                row["refused"] = str(error)[:200]
    return row


def in_checkout(name: str, images: int, checkout: Path) -> dict[str, Any]:
    """`measure` in a process that imports `leaky_zoo` from a checkout."""
    ours = checkout == ROOT
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2]); "
        "from benchmarks.speed import applications as a; "
        "print(json.dumps(a.measure(sys.argv[3], int(sys.argv[4]), sys.argv[5] == 'True')))"
    )
    # The old checkout has a folder `benchmarks` of its own: the package of ours goes first, its `leaky_zoo` does not.
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "benchmarks").symlink_to(ROOT / "benchmarks")
        (Path(place) / "leaky_zoo").symlink_to(checkout / "leaky_zoo")
        command = [sys.executable, "-c", program, place, place, name, str(images), str(ours)]
        environment = {**os.environ, "PYTHONPATH": place}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=place, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(images: int, models: tuple[str, ...], old: Path | None) -> None:
    """Measure and write one row for each model."""
    rows = []
    for name in models:
        new = in_checkout(name, images, ROOT)
        before = in_checkout(name, images, old.resolve()) if old else {}
        row = {"model": name, "images": images, "rows": new["rows"], "measured": new["measured"]}
        row |= {"analyze": new["analyze"], "analyze_clock": new["analyze_clock"]}
        row |= {"analyze_old": before.get("analyze"), "analyze_old_clock": before.get("analyze_clock")}
        row |= {key: new.get(key) for key in ("export", "export_clock", "relative_error", "verified", "refused")}
        rows.append(row)
        print(row, flush=True)
        about = {"samples": images, "times": "processor seconds of a process (user and system); `_clock`: on the clock"}
        write_table(
            TABLE,
            rows,
            keys=("model",),
            **about,
            machine="two cores, shared with other work: compare processor seconds",
        )


if __name__ == "__main__":
    chosen = options(__doc__, images=200, models=MODELS, old=Path)
    main(chosen.images, chosen.models, chosen.old)
