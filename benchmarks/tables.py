"""Write what README.md and docs/ say in numbers: tables and pictures from the committed CSVs and presets.

python -m benchmarks.tables            writes them
python -m benchmarks.tables --check    names the tables that are not up to date, and ends with 1 if there are any
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import ROOT, options, save
from benchmarks.science import (
    bottleneck_rank,
    codes,
    convergence_time,
    effective_depth,
    effective_depth_compression,
    linear_bottleneck,
    logit_drift,
    mnist_classes,
    mnist_rank,
    questions,
    schedule_selection,
    slopes,
)
from benchmarks.science.paper import figure1, figure2, figure2_critical
from benchmarks.science.step_sizes import ablations, compare, inference
from benchmarks.science.verdict_pool import evaluate
from benchmarks.science.zoo import fine_tuning, fine_tuning_images
from leaky_zoo.analysis import Audit
from leaky_zoo.io.files import write_text
from leaky_zoo.publishing.tables import datasets_table, presets_table
from leaky_zoo.zoo import list_presets, preset_folder

HERE, PICTURE = Path(__file__).parent, "leaky_mlp_teacher_k3_l12"
# Tables that are a CSV as it stands, by their page: the marker is the file's name.
COPIED = {
    "performance": ("speed/onnx_latency", "speed/step_size_overhead", "speed/step_size_memory", "speed/image_training"),
    "training": ("speed/replicas", "robustness/soak", "speed/loop_speed", "speed/suggested_recipe"),
    "analysis": ("speed/audit_cost", "science/verdict_pool/kinks", "science/verdict_pool/stopping"),
    "data": ("speed/streaming",),
    "monitoring": ("speed/monitor_overhead",),
    "keras_models": ("speed/applications",),
    "compression": ("science/folding", "science/compression_baselines", "speed/compressed_latency"),
    "step_sizes": ("science/resampling",),
}


def tables() -> Iterator[tuple[str, str, str]]:
    """`(page, marker, table)` of every table."""
    yield "docs/presets.md", "presets", presets_table()
    yield "docs/data.md", "datasets", datasets_table()
    yield "docs/presets.md", "selection", schedule_selection.table()
    yield "docs/training.md", "convergence_time", convergence_time.table()
    yield "docs/analysis.md", "bottleneck_rank", bottleneck_rank.table()
    yield "docs/analysis.md", "bottleneck_codes", bottleneck_rank.codes_table()
    yield "docs/analysis.md", "verdict", evaluate.table()
    yield "docs/linear_bottleneck.md", "linear_bottleneck", linear_bottleneck.table()
    yield "docs/linear_bottleneck.md", "slopes", slopes.table()
    yield "docs/linear_bottleneck.md", "codes_predictions", codes.predictions()
    yield "docs/linear_bottleneck.md", "codes", codes.table()
    yield "docs/linear_bottleneck.md", "critical", linear_bottleneck.critical_table()
    for question in ("width", "depth", "batch", "mu"):
        yield "docs/questions.md", f"questions_{question}", questions.table(question)
    yield "docs/questions.md", "logit_drift", logit_drift.table()
    yield "docs/questions.md", "logit_drift_presets", logit_drift.presets_table()
    yield "docs/questions.md", "mnist_classes", mnist_classes.table()
    yield "docs/finetune.md", "fine_tuning", fine_tuning.table()
    yield "docs/finetune.md", "fine_tuning_images", fine_tuning_images.table()
    yield "docs/choosing.md", "mnist_rank", mnist_rank.table()
    yield "docs/effective_depth.md", "effective_depth", effective_depth.table()
    yield "docs/effective_depth.md", "corruptions", effective_depth.corruptions_table()
    yield "docs/effective_depth.md", "effective_depth_compression", effective_depth_compression.table()
    yield "docs/reproduction.md", "figure1", figure1.table()
    yield "docs/reproduction.md", "figure2", figure2.table()
    yield "docs/reproduction.md", "figure2_critical", figure2_critical.table()
    for page, names in COPIED.items():
        for name in names:
            yield f"docs/{page}.md", Path(name).name, csv_table(HERE / f"{name}.csv")
    steps = "docs/step_sizes.md"
    for schedule in ("irregular_reversed", "ends_at_cap", "learnable", "adaptive"):
        yield steps, schedule, compare.comparison(schedule)
    yield steps, "against_adaptive", compare.comparison("ends_at_cap", "adaptive", ("teacher_resnet",))
    yield steps, "limit", compare.comparison("irregular_reversed_l40", "equidistant_l40", ("teacher_k3",))
    yield steps, "errors", compare.errors_table("ends_at_cap")
    yield steps, "parts", compare.parts_table("ends_at_cap")
    yield steps, "depths", compare.depth_table("teacher_k3", 12)
    yield steps, "depths_resnet", compare.depth_table("teacher_resnet", 8)
    yield steps, "ablations", ablations.table()
    for origin in ("planned", "found"):
        yield steps, origin, inference.table(origin)


def csv_table(path: Path) -> str:
    """A CSV as it stands."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def stale(write: bool = False) -> list[str]:
    """`page: marker` of every table that is not what stands between `<!-- marker: ... -->` and `<!-- end -->`.

    Args:
        write: whether to write it there. Default False.
    """
    found = []
    for page, marker, text in tables():
        content = (ROOT / page).read_text(encoding="utf-8")
        pattern = re.compile(rf"(<!-- {marker}:[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(content):
            raise SystemExit(f"{page} has no place marked {marker!r}")
        new = pattern.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", content)
        if new != content:
            found.append(f"{page}: {marker}")
            if write:
                write_text(ROOT / page, new)
    return found


def pictures() -> None:
    """Those that are drawn with the tables."""
    from leaky_zoo.figures import plot_audit

    compare.draw()
    name = next(preset["name"] for preset in list_presets(PICTURE))
    save(plot_audit(Audit.load(preset_folder(name) / "audit.json")), "bottleneck")


if __name__ == "__main__":
    check = options(__doc__, check=False).check
    names = stale(write=not check)
    print("\n".join(names) or "All tables are up to date.")
    if not check:
        pictures()
    elif names:
        raise SystemExit(1)
