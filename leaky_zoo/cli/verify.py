"""`leaky-zoo verify`: check an ONNX file again, without TensorFlow."""

from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, out, print_json, table


def verify(file: Annotated[Path, typer.Argument(help="An .onnx file.")], as_json: AsJson = False) -> None:
    """Check that an ONNX file is sound, runs, and still gives the outputs it was exported with.

    [dim]Example:[/]  leaky-zoo verify export/leaky_mlp_optical_digits_l7_equidistant/model.onnx
    """
    from leaky_zoo.runtime.verify import verify_onnx

    report = verify_onnx(file)
    if as_json:
        print_json(report.to_dict())
    else:
        rows = ((check.name, "passed" if check.passed else "FAILED", check.detail) for check in report.checks)
        out.print(table(str(file), ("check", "result", "detail"), rows))
    if not report.passed:
        raise typer.Exit(1)
