"""The tables of presets and data sets in docs/, from metadata, audits and the registry."""

from leaky_zoo.data import DATASETS
from leaky_zoo.zoo import Preset, list_presets


def presets_table() -> str:
    """Markdown: a line for each preset, with its test metric and what its audit says of its bottleneck.

    Example:
    >>> presets_table().splitlines()[0][:21]
    '| name | L~ | depth |'
    """
    lines = [
        "| name | L~ | depth | parameters | test | bottleneck rank | between | layers | directions of their weights |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in list_presets():
        preset = Preset.open(entry["name"], ("audit.json",))
        audit, depths = preset.audit, preset.metadata.get("depths") or [entry["depth"]]
        rank, test = audit.bottleneck_rank if audit else None, entry["metrics"].get("test", {})
        shown = f"MSE {test['loss']:.4f}" if "loss" in test else "-"
        shown = f"{100 * test['accuracy']:.2f}%" if "accuracy" in test else shown
        cells = [_refusal(rank.verdict, len(audit.paths)) if audit and rank else "-", "-", "-", "-"]
        if audit and rank and rank.estimate is not None:
            inside = [audit.layers[layer - 1].weight_directions for layer in rank.layers]
            directions = ", ".join(map(str, sorted({found for found in inside if found})))
            cells = [str(rank.estimate), f"{rank.low}-{rank.high}", f"{rank.layers[0]}-{rank.layers[-1]}", directions]
        lines.append(
            f"| `{entry['name']}` | {entry['effective_depth']:g} | {sum(depths)} | {entry['parameters']:,} | "
            f"{shown} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def datasets_table() -> str:
    """Markdown: a line for each data set that has a name of its own.

    Example:
    >>> datasets_table().splitlines()[0]
    '| name | task | what it is | licence |'
    """
    lines = ["| name | task | what it is | licence |", "|---|---|---|---|"]
    for name, record in sorted(DATASETS.items()):
        names = [f"`{name}/{config}`" for config in record.configs] or [f"`{name}`"]
        shown = names if len(names) < 4 else [names[0], "...", names[-1]]
        lines.append(f"| {', '.join(shown)} | {record.task} | {record.about} | {record.licence} |")
    return "\n".join(lines)


def _refusal(verdict: str, paths: int) -> str:
    """Why there is no rank, in the words before the first colon; of a net with several paths that of the last."""
    own = verdict if paths < 2 else verdict.rpartition("_path: ")[2]
    return own.partition(":")[0]
