"""Write `leaky_zoo/data/generated.json`, what generated data must be. Run once for a new data set, never to silence a check.

    python benchmarks/record_generated_data.py
"""

import json
from pathlib import Path

import numpy as np

import leaky_zoo.data.checks as checks
from leaky_zoo.data.bottleneck_teacher import BottleneckTeacher, teacher_arrays
from leaky_zoo.data.optical_digits import fold_arrays
from leaky_zoo.files import write_json


def main() -> None:
    record: dict[str, dict] = {}

    def keep(identifier: str, integers: dict | None = None, floats: dict | None = None) -> None:
        record[identifier] = checks.summarize(integers, floats)

    original, checks._record = checks._record, lambda: {}
    import leaky_zoo.data.optical_digits as digits

    digits.check_generated = keep
    for fold in range(5):
        fold_arrays(fold)
    for config in BottleneckTeacher.BUILDER_CONFIGS:
        splits = teacher_arrays(config.dimensions, config.residual, config.seed)
        floats: dict[str, np.ndarray] = {}
        for split, (x, y) in splits.items():
            floats |= {f"{split}_x": x, f"{split}_y": y}
        keep(f"bottleneck_teacher/{config.name}", floats=floats)
    checks._record = original
    write_json(Path(checks.__file__).with_name("generated.json"), record)
    print(json.dumps(sorted(record), indent=1))


if __name__ == "__main__":
    main()
