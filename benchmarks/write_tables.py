"""Write what README.md and docs/ say in numbers: the table of presets, the schedule selection, the picture.

python benchmarks/write_tables.py
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

import convergence_time
import mnist_rank
from paper import figure1, figure2
from step_sizes import ablations
from step_sizes.compare import comparison, depth_table, draw, errors_table, parts_table

from leaky_zoo.analysis import Audit
from leaky_zoo.figures import plot_audit
from leaky_zoo.io.files import replacing, write_text
from leaky_zoo.publishing.tables import presets_table
from leaky_zoo.zoo import list_presets, preset_folder

ROOT = Path(__file__).parent.parent
PICTURE = "leaky_mlp_teacher_k3_l12"


def rank_table() -> str:
    """The bottleneck ranks of `bottleneck_rank.csv`: a line for each teacher, a cell for each mu with its seeds."""
    with (ROOT / "benchmarks" / "bottleneck_rank.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["teacher"] == "encoder"]
    mus = sorted({row["mu"] for row in rows}, key=float)
    lines = ["| k | " + " | ".join(f"mu = {mu}" for mu in mus) + " |", "|---" * (len(mus) + 1) + "|"]
    for k in sorted({row["k"] for row in rows}, key=int):
        cells = []
        for mu in mus:
            chosen = [row for row in rows if (row["k"], row["mu"]) == (k, mu)]
            right, sharp, inside = (
                sum(row[name] == "True" for row in chosen) for name in ("agrees", "agrees_with_sharpest", "contains")
            )
            found = ", ".join(row["narrowest"] or "-" for row in chosen)
            cells.append(f"{found} ({right}, {sharp}, {inside} of {len(chosen)})" if chosen else "-")
        lines.append(f"| {k} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def codes_table() -> str:
    """Where the `+ 1` comes from: directions by kind of code and biases, over seeds."""
    with (ROOT / "benchmarks" / "bottleneck_rank.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["teacher"] == "direct"]
    kinds = [("signed", "True"), ("signed", "False"), ("non-negative", "True"), ("non-negative", "False")]
    names = [f"{codes} codes, biases {'on' if biases == 'True' else 'off'}" for codes, biases in kinds]
    lines = ["| k | " + " | ".join(names) + " |", "|---" * 5 + "|"]
    for k in sorted({row["k"] for row in rows}, key=int):
        cells = []
        for kind in kinds:
            chosen = [row for row in rows if row["k"] == k and (row["codes"], row["biases"]) == kind]
            cells.append(", ".join(f"{row['estimate'] or 'not named'} ({row['directions']})" for row in chosen) or "-")
        lines.append(f"| {k} | " + " | ".join(cells) + " |")
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
    for marker in ("onnx_latency", "step_size_overhead", "step_size_memory"):
        insert(ROOT / "docs" / "performance.md", marker, csv_table(ROOT / "benchmarks" / f"{marker}.csv"))
    insert(ROOT / "docs" / "training.md", "convergence_time", convergence_time.table())
    for marker in ("replicas", "soak", "loop_speed"):
        insert(ROOT / "docs" / "training.md", marker, csv_table(ROOT / "benchmarks" / f"{marker}.csv"))
    analysis = ROOT / "docs" / "analysis.md"
    insert(analysis, "bottleneck_rank", rank_table())
    insert(analysis, "bottleneck_codes", codes_table())
    insert(analysis, "audit_cost", csv_table(ROOT / "benchmarks" / "audit_cost.csv"))
    steps = ROOT / "docs" / "step_sizes.md"
    for schedule in ("irregular_reversed", "ends_at_cap", "learnable", "adaptive"):
        insert(steps, schedule, comparison(schedule))
    insert(steps, "against_adaptive", comparison("ends_at_cap", "adaptive", ("teacher_resnet",)))
    insert(steps, "errors", errors_table("ends_at_cap"))
    insert(steps, "parts", parts_table("ends_at_cap"))
    insert(steps, "ablations", ablations.table())
    insert(steps, "limit", comparison("irregular_reversed_l40", "equidistant_l40", ("teacher_k3",)))
    insert(steps, "depths", depth_table("teacher_k3", 12))
    insert(steps, "depths_resnet", depth_table("teacher_resnet", 8))
    insert(steps, "resampling", csv_table(ROOT / "benchmarks" / "resampling.csv"))
    draw(ROOT / "docs" / "images" / "step_sizes.png")
    insert(ROOT / "docs" / "choosing.md", "mnist_rank", mnist_rank.table())
    paper = ROOT / "docs" / "reproduction.md"
    insert(paper, "figure1", figure1.table())
    insert(paper, "figure2", figure2.table())
    name = next(preset["name"] for preset in list_presets(PICTURE))
    with replacing(ROOT / "docs" / "images" / "bottleneck.png") as aside:
        plot_audit(Audit.load(preset_folder(name) / "audit.json")).savefig(aside, dpi=110)


if __name__ == "__main__":
    main()
