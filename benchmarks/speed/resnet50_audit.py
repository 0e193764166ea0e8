"""A ResNet50 of `keras.applications` with random weights: every layer gets a row of the representation-level audit.

python benchmarks/speed/resnet50_audit.py [--images 256] [--report resnet50.html]    writes resnet50_audit.csv
"""

import argparse
import csv
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
TABLE = Path(__file__).with_suffix(".csv")
FIELDS = (
    "layer", "name", "kind", "features", "width", "columns", "reason", "cost_of_identity", "stable_rank",
    "nuclear_norm_rank", "participation_ratio", "two_nn_dimension", "mle_dimension", "cka_with_previous",
    "within_class_fraction",
)  # fmt: skip


def main(arguments: argparse.Namespace) -> None:
    """Analyse, and write one row for each layer."""
    import keras
    import numpy as np

    from leaky_zoo.analysis import analyze
    from leaky_zoo.cli.console import track
    from leaky_zoo.figures import write_report

    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None, input_shape=(224, 224, 3), classes=10)
    random = np.random.default_rng(0)
    # Smooth random images: noise of a few pixels' size in three colours, one mean colour for each class.
    labels = random.integers(0, 10, arguments.images)
    coarse = random.uniform(size=(arguments.images, 28, 28, 3)) + random.uniform(size=(10, 1, 1, 3))[labels]
    x = np.kron(coarse, np.ones((1, 8, 8, 1))).astype("float32")
    begin = time.perf_counter()
    audit = analyze(model, x, labels, batch_size=8, data={"name": "smooth random images", "split": None},
                    track=track("analyzing"))  # fmt: skip
    seconds = time.perf_counter() - begin
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for layer in audit.layers:
            values = (getattr(layer, name) for name in FIELDS)
            writer.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in values])
    if arguments.report:
        write_report(audit, arguments.report)
    with_numbers = sum(layer.reason is None for layer in audit.layers)
    inner = len(model.layers) - 1  # the input layer does nothing
    print(f"{len(audit.layers)} rows for {inner} layers, {with_numbers} with numbers, N = {audit.n}, {seconds:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--report", type=Path)
    main(parser.parse_args())
