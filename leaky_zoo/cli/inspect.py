"""`leaky-zoo inspect`: what an ONNX file carries, without TensorFlow."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, out, print_json, table


def inspect(file: Annotated[Path, typer.Argument(help="An .onnx file.")], as_json: AsJson = False) -> None:
    """Print the metadata of an ONNX file: preset, metrics, preprocessing, audit.

    [dim]Examples:[/]  leaky-zoo inspect export/leaky_mlp_optical_digits_l7_equidistant/model.onnx --json
    """
    from leaky_zoo.runtime.inspect import describe_onnx, inspect_onnx

    carried = inspect_onnx(file)
    if as_json:
        print_json(carried)
        return
    graph = describe_onnx(file)
    out.print(table(str(file), ("graph", "value"), ((key, _short(value)) for key, value in graph.items())))
    out.print(table("carries", ("key", "value"), ((key, _short(value)) for key, value in carried.items())))


def _short(value: Any, limit: int = 160) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters; all of it with --json)"
