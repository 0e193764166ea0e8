"""A ResNet50 of `keras.applications` with random weights: every layer gets a row of the representation-level audit.

python -m benchmarks.speed.resnet50_audit [--images 256] [--report resnet50.html]    writes resnet50_audit.csv
"""

from pathlib import Path

import keras
import numpy as np

from benchmarks.common import options, seconds_of, write_table
from leaky_zoo.analysis import analyze
from leaky_zoo.figures import write_report
from leaky_zoo.processes.progress import track

TABLE = Path(__file__).with_suffix(".csv")
FIELDS = (
    "layer", "name", "kind", "features", "width", "columns", "reason", "cost_of_identity", "stable_rank",
    "nuclear_norm_rank", "participation_ratio", "two_nn_dimension", "mle_dimension", "cka_with_previous",
    "within_class_fraction",
)  # fmt: skip


def main(images: int, report: Path | None) -> None:
    """Analyse, and write one row for each layer."""
    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None, input_shape=(224, 224, 3), classes=10)
    random = np.random.default_rng(0)
    # Smooth random images: noise of a few pixels' size in three colours, one mean colour for each class.
    labels = random.integers(0, 10, images)
    coarse = random.uniform(size=(images, 28, 28, 3)) + random.uniform(size=(10, 1, 1, 3))[labels]
    x = np.kron(coarse, np.ones((1, 8, 8, 1))).astype("float32")
    audit = None

    def run() -> None:
        nonlocal audit
        about = {"name": "smooth random images", "split": None}
        audit = analyze(model, x, labels, batch_size=8, data=about, track=track("analyzing"))

    seconds = seconds_of(run)
    assert audit
    rows = [{name: getattr(layer, name) for name in FIELDS} for layer in audit.layers]
    write_table(TABLE, rows, samples=audit.n, gamma_0=audit.gamma_0, seeds=[0])
    if report:
        write_report(audit, report)
    with_numbers = sum(layer.reason is None for layer in audit.layers)
    inner = len(model.layers) - 1  # the input layer does nothing
    print(f"{len(audit.layers)} rows for {inner} layers, {with_numbers} with numbers, N = {audit.n}, {seconds:.0f} s")


if __name__ == "__main__":
    chosen = options(__doc__, images=256, report=Path)
    main(chosen.images, chosen.report)
