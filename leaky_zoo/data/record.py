"""Write `generated.json`, what generated data must be: `python -m leaky_zoo.data.record`.

For a new data set, never to silence a check.
"""

from pathlib import Path
from typing import Any

from leaky_zoo.data.bottleneck_teacher import BottleneckTeacher, teacher_summary_arrays
from leaky_zoo.data.checks import summarize
from leaky_zoo.data.load import load_data
from leaky_zoo.data.mnist1d import signal_arrays, summary_arrays
from leaky_zoo.data.optical_digits import OpticalDigits, fold_rows
from leaky_zoo.data.registry import DATASETS
from leaky_zoo.data.sklearn_tables import FOLDS, TABLES, table_fold
from leaky_zoo.data.sprites import Sprites, sprite_arrays, sprite_summary_arrays
from leaky_zoo.io.files import write_json

RECORD = Path(__file__).with_name("generated.json")


def generated_record() -> dict[str, dict[str, Any]]:
    """`{identifier: summaries}` of every data set that the zoo generates, as `check_generated` compares them."""
    record = {}
    for config in OpticalDigits.BUILDER_CONFIGS:
        images, labels, _, test = fold_rows(config.fold)
        integers = {"images": images, "labels": labels, "test_rows": test}
        record[f"optical_digits/{config.name}"] = summarize(integers=integers)
    for config in BottleneckTeacher.BUILDER_CONFIGS:
        record[f"bottleneck_teacher/{config.name}"] = summarize(floats=teacher_summary_arrays(config))
    for sprites in Sprites.BUILDER_CONFIGS:
        splits = sprite_arrays(len(sprites.factors), sprites.seed)
        record[f"sprites/{sprites.name}"] = summarize(floats=sprite_summary_arrays(splits))
    record["mnist1d"] = summarize(**summary_arrays(signal_arrays()))
    for name in TABLES:
        for fold in range(FOLDS):
            x, y, _, test = table_fold(name, fold)
            record[f"{name}/fold_{fold}"] = summarize({"test_rows": test}, {"x": x, "y": y})
    return record


def pinned_record() -> dict[str, dict[str, Any]]:
    """`{identifier: summaries}` of the pixels of every data set whose decoding is pinned, read from TFDS's folder."""
    names = [name for name, record in DATASETS.items() if record.pinned]
    return {name: summarize({split: x for split, (x, _) in load_data(name).splits.items()}) for name in names}


if __name__ == "__main__":
    write_json(RECORD, generated_record() | pinned_record())
