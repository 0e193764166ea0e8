"""`leaky-zoo export`: an ONNX file that carries its own analysis, or a SavedModel or LiteRT file with it beside."""

from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, DataDir, Model, err, out, print_json, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError


def export(
    model: Model,
    file: Annotated[
        Path,
        typer.Option("--out", help="What to write: a .onnx file; a folder (saved_model); a .tflite file (litert)."),
    ],
    format: Annotated[
        str,
        typer.Option(help="onnx, saved_model or litert; the latter two through Keras's exporters, the audit beside."),
    ] = "onnx",
    representations: Annotated[
        bool, typer.Option("--representations", help="Also output A_0..A_L: a larger, slower file, for analysis.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Data to analyse and compare on. [default: a preset's audit and golden inputs]"),
    ] = None,
    monitor_data: Annotated[
        Path | None,
        typer.Option(
            "--monitor-data",
            help="An .npz file: raw samples as `inputs` or `x` that the network was not trained on. The file can then "
            "watch for drift (leaky-zoo monitor).",
        ),
    ] = None,
    monitor: Annotated[
        bool | None,
        typer.Option(
            "--monitor/--no-monitor",
            help="Watch for drift with samples of its own data set that were held out. [default: where --data is given "
            "or a .keras file is analysed]",
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(help="Of ONNX: 17 to 21 for our networks, 17 or 18 for other models. [default: 17]"),
    ] = None,
    samples: Annotated[
        bool,
        typer.Option(
            "--samples/--no-samples", help="Keep up to four of the samples in the file, so that it can check itself."
        ),
    ] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Export a network to ONNX (or another format), compare it with Keras, and write the file only if they agree.

    [dim]Examples:[/]  leaky-zoo export leaky_mlp_optical_digits_l7_equidistant --out digits.onnx
    """
    suffix = {"onnx": ".onnx", "litert": ".tflite"}.get(format)
    if suffix and file.suffix != suffix:
        other = "; .tflite is written by --format litert" if file.suffix == ".tflite" else ""
        raise InvalidInputError(f"--out must end in {suffix}{other}. Received: {file}")
    start_tensorflow()
    from leaky_zoo.deploy import export_model

    report = export_model(
        model,
        file,
        format=format,
        data=data,
        data_dir=data_dir,
        representations=representations,
        monitor=monitor,
        monitor_data=monitor_data,
        opset=opset,
        keep_samples=samples,
    )
    if as_json:
        print_json(report)
        return
    kept, source = report["checks"]["samples_kept"], report["checks"]["inputs_from"]
    if kept and not source.startswith("random"):
        words = f"{kept} of the {source} are kept in the file, with their outputs; --no-samples leaves them out."
        err.print(words, highlight=False, soft_wrap=True)
    if report["monitor"]:
        err.print(f"The file watches for drift: its reference is {report['monitor']}.", highlight=False, soft_wrap=True)
    out.print(table(f"{report['path']}: {report['bytes']:,} bytes", ("check", "result"), report["checks"].items()))
