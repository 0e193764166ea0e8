"""Write `generated.json`, what generated data must be: `python -m leaky_zoo.data.record`.

For a new data set, never to silence a check.
"""

from pathlib import Path
from typing import Any

from leaky_zoo.data.bottleneck_teacher import BottleneckTeacher, teacher_summary_arrays
from leaky_zoo.data.checks import summarize
from leaky_zoo.data.optical_digits import OpticalDigits, fold_rows
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
    return record


if __name__ == "__main__":
    write_json(RECORD, generated_record())
