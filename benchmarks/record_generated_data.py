"""Write `leaky_zoo/data/generated.json`: what generated data must be. For a new data set, never to silence a check.

python benchmarks/record_generated_data.py
"""

from pathlib import Path

from leaky_zoo.data import checks
from leaky_zoo.data.bottleneck_teacher import BottleneckTeacher, teacher_summary_arrays
from leaky_zoo.data.optical_digits import OpticalDigits, fold_rows
from leaky_zoo.io.files import write_json


def main() -> None:
    record = {}
    for config in OpticalDigits.BUILDER_CONFIGS:
        images, labels, _, test = fold_rows(config.fold)
        integers = {"images": images, "labels": labels, "test_rows": test}
        record[f"optical_digits/{config.name}"] = checks.summarize(integers=integers)
    for config in BottleneckTeacher.BUILDER_CONFIGS:
        record[f"bottleneck_teacher/{config.name}"] = checks.summarize(floats=teacher_summary_arrays(config))
    write_json(Path(checks.__file__).with_name("generated.json"), record)
    print("\n".join(record))


if __name__ == "__main__":
    main()
