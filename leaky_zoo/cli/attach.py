"""`leaky-zoo attach`: put the metadata back into a file that a tool has stripped of it."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, found_model_or_onnx, out, print_json, table


def attach(
    file: Annotated[Path, typer.Argument(help="An .onnx file without our metadata.")],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="The .onnx file it was made from, or a preset's name (needs TensorFlow).",
            callback=found_model_or_onnx,
        ),
    ],
    target: Annotated[Path | None, typer.Option("--out", help="Where to write. [default: in place]")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", help="Largest relative error allowed. [default: the source's own, mostly 1e-5]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy metadata and audit into a file that gives the same outputs on the golden pairs.

    [dim]Examples:[/]  leaky-zoo attach slim.onnx --from digits.onnx    leaky-zoo attach int8.onnx --from digits.onnx
    --tolerance 0.05
    """
    from leaky_zoo.runtime import attach_metadata

    if source.endswith(".onnx"):
        report = attach_metadata(file, source, out=target, tolerance=tolerance)
    else:
        from leaky_zoo.cli.startup import start_tensorflow

        start_tensorflow()
        from leaky_zoo.deploy import export_model

        with tempfile.TemporaryDirectory() as folder:
            export_model(source, Path(folder) / "model.onnx", monitor=False)
            report = attach_metadata(file, Path(folder) / "model.onnx", out=target, tolerance=tolerance)
    if as_json:
        print_json(report)
        return
    out.print(table(report.pop("path"), ("attached", "value"), report.items()))
