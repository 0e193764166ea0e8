"""Write what README.md and docs/ say in numbers: the table of presets, the schedule selection, the picture.

python benchmarks/write_tables.py
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

from leaky_zoo.analysis import Audit, plot_audit
from leaky_zoo.files import replacing, write_text
from leaky_zoo.zoo import list_presets, preset_folder

ROOT = Path(__file__).parent.parent
PICTURE = "leaky_mlp_teacher_k3_l12"


def presets_table() -> str:
    lines = [
        "| name | L~ | depth | parameters | test | bottleneck layers | directions of their weights | gap |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for preset in list_presets():
        audit = Audit.load(preset_folder(preset["name"]) / "audit.json")
        test = preset["metrics"]["test"]
        shown = f"{100 * test['accuracy']:.2f}%" if "accuracy" in test else f"MSE {test['loss']:.4f}"
        summary = audit.summary
        inside = summary["bottleneck_layers"]
        layers = f"{inside[0]}-{inside[-1]}" if len(inside) > 1 else str(inside[0]) if inside else "none"
        directions = ", ".join(map(str, summary["weight_directions"])) if summary["weight_directions"] else "-"
        gap = f"{summary['weight_gap']:.0f} x" if summary["weight_gap"] else "-"
        lines.append(
            f"| `{preset['name']}` | {preset['effective_depth']:g} | {preset['depth']} | {preset['parameters']:,} | "
            f"{shown} | {layers} | {directions} | {gap} |"
        )
    return "\n".join(lines)


def selection_table() -> str:
    losses: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (ROOT / "benchmarks" / "schedule_selection.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            losses[row["task"], int(row["effective_depth"])][row["schedule"]].append(float(row["validation_loss"]))
    names = ["equidistant", "irregular", "adaptive", "learnable", "hamiltonian"]
    lines = ["| task | L~ | " + " | ".join(names) + " | seeds |", "|---" * (len(names) + 3) + "|"]
    for (task, depth), row in sorted(losses.items()):
        means = {name: sum(values) / len(values) for name, values in row.items()}
        cells = [
            f"**{means[n]:.4f}**" if means[n] == min(means.values()) else f"{means[n]:.4f}" for n in names if n in means
        ]
        lines.append(f"| {task} | {depth} | " + " | ".join(cells) + f" | {min(map(len, row.values()))} |")
    return "\n".join(lines)


def csv_table(path: Path) -> str:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def insert(path: Path, marker: str, text: str) -> None:
    """Replace what stands between `<!-- marker: ... -->` and `<!-- end -->`."""
    content = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {marker}:[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(content):
        raise SystemExit(f"{path} has no place marked {marker!r}")
    write_text(path, pattern.sub(lambda match: f"{match[1]}{text}\n{match[2]}", content))


def main() -> None:
    insert(ROOT / "README.md", "presets", presets_table())
    insert(ROOT / "docs" / "presets.md", "selection", selection_table())
    for marker in ("onnx_latency", "step_size_overhead"):
        insert(ROOT / "docs" / "performance.md", marker, csv_table(ROOT / "benchmarks" / f"{marker}.csv"))
    for marker in ("replicas", "soak", "loop_speed"):
        insert(ROOT / "docs" / "training.md", marker, csv_table(ROOT / "benchmarks" / f"{marker}.csv"))
    name = next(preset["name"] for preset in list_presets(PICTURE))
    with replacing(ROOT / "docs" / "images" / "bottleneck.png") as aside:
        plot_audit(Audit.load(preset_folder(name) / "audit.json")).savefig(aside, dpi=110)


if __name__ == "__main__":
    main()
