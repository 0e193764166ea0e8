"""`leaky-zoo inspect`: what an ONNX file carries, without TensorFlow."""

from pathlib import Path
from typing import Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, cell, out, print_json, table
from leaky_zoo.runtime.metadata import PREFIX

LONGEST = 160
# What is said in a row of its own, or is bytes or long lists that only `--json` shows whole.
_SAID = (
    "audit", "audit_summary", "class_names", "compression", "golden", "input", "inputs", "output", "outputs", "preset",
    "reference", "step_sizes", "task", "metrics", "effective_depth", "dataset", "preprocessing",
)  # fmt: skip


def inspect(file: Annotated[Path, typer.Argument(help="An .onnx file.")], as_json: AsJson = False) -> None:
    """Print what an ONNX file says of itself: what goes in and comes out, metrics, verdict; all of it with --json.

    [dim]Examples:[/]  leaky-zoo inspect export/leaky_mlp_optical_digits_l7_equidistant/model.onnx --json
    """
    from leaky_zoo.runtime.inspect import describe_onnx, inspect_onnx

    carried = inspect_onnx(file)
    if as_json:
        print_json(carried)
        return
    graph = describe_onnx(file)
    ours = {key.removeprefix(PREFIX): value for key, value in carried.items() if key.startswith(PREFIX)}
    rows = [(key, cell(value)) for key, value in _first(ours).items() if value not in (None, "")]
    rows += [(key, _short(value)) for key, value in ours.items() if key not in _SAID]
    rows += [(key, _short(value)) for key, value in carried.items() if not key.startswith(PREFIX)]
    if rows:
        out.print(table(str(file), ("carries", "value"), rows))
    out.print(table("" if rows else str(file), ("graph", "value"), ((key, _short(v)) for key, v in graph.items())))


def _first(carried: dict[str, Any]) -> dict[str, Any]:
    """What somebody who is given the file wants to know, by the words of a row."""
    preset, audit = _dict(carried, "preset"), _dict(carried, "audit") or _dict(carried, "audit_summary")
    compression, golden = _dict(carried, "compression"), _dict(carried, "golden")
    depth = carried.get("effective_depth")
    return {
        "network": " ".join(str(preset[key]) for key in ("class", "name") if key in preset),
        "task": carried.get("task"),
        "goes in": _end(_dict(carried, "input"), _dict(preset, "input")),
        "comes out": _end(_dict(carried, "output"), {}),
        "classes": _short(carried["class_names"]) if "class_names" in carried else None,
        "metrics": carried.get("metrics"),
        "verdict": _dict(audit, "bottleneck_rank").get("verdict"),
        "effective depth": f"{depth:g}" if isinstance(depth, int | float) else None,
        "trained on": " ".join(str(_dict(carried, "dataset").get(key, "")) for key in ("name", "split")).strip(),
        "preprocessing": _dict(carried, "preprocessing").get("words"),
        "compressed from": _dict(compression, "source").get("name"),
        "watches for drift": "yes" if carried.get("reference") else None,
        "audit": f"of {len(audit['layers'])} layers" if isinstance(audit.get("layers"), list) else None,
        "golden pairs": _count(golden),
    }


def _dict(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _end(end: dict[str, Any], stated: dict[str, Any]) -> str:
    """An input or output in a line: name, shape, words, range."""
    if not end:
        return ""
    span, names = end.get("range", stated.get("range")), end.get("feature_names", stated.get("feature_names"))
    words = f"{end.get('name')} ({', '.join(map(str, end.get('shape', [])))}): {end.get('words', '')}"
    if isinstance(span, list) and len(span) == 2:
        each = isinstance(span[0], list)
        words += ", each feature in a range of its own" if each else f", from {cell(span[0])} to {cell(span[1])}"
    return words + (f"; features {_short(names)}" if names else "")


def _count(golden: dict[str, Any]) -> str | None:
    shape = _dict(golden, "inputs").get("shape")
    return f"{shape[0]} inputs with their outputs" if isinstance(shape, list) and shape else "yes" if golden else None


def _short(value: Any, limit: int = LONGEST) -> str:
    text = cell(value)
    return text if len(text) <= limit else f"{text[:limit]}... (all of it with --json)"
