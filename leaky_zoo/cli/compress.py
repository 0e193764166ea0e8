"""`leaky-zoo compress`: a smaller ONNX file along a network's bottleneck."""

from pathlib import Path
from typing import Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, DataDir, Model, err, out, print_json, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError


def compress(
    model: Model,
    file: Annotated[Path, typer.Option("--out", help="The .onnx file to write.")],
    max_drop: Annotated[
        float, typer.Option(help="Budget: percentage points of accuracy, or percent of the loss of a regression.")
    ],
    data: Annotated[
        str | None, typer.Option("--data", help="Data with a training split. [default: what the net was trained on]")
    ] = None,
    distill: Annotated[int, typer.Option(help="Epochs against the whole net's outputs; 0: none.")] = 10,
    int8: Annotated[bool, typer.Option("--int8", help="Keep kernels in 8 bits, a scale for each column.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Keep kernels in 16 bits.")] = False,
    metric: Annotated[
        str | None, typer.Option(help="accuracy or loss. [default: accuracy of a classifier, else loss]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="First discretise each path anew with this many steps. [default: its own]")
    ] = None,
    reach: Annotated[
        float, typer.Option(help="What the smallest net may cost before distillation, in budgets, at least 1.")
    ] = 10.0,
    monitor: Annotated[
        bool, typer.Option("--monitor/--no-monitor", help="Whether the file watches for drift: about 10 kB of it.")
    ] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fold what is linear, keep the directions that count, distil, and write the file only if it is within the budget.

    The budget is measured on a part of the training split that nothing is chosen on; the test split is looked at once.
    Exit code 1 where the budget cannot be met or the net has no bottleneck: nothing is written then. Stopped, the same
    command goes on from the last epoch of distillation.

    [dim]Examples:[/]  leaky-zoo compress leaky_mlp_mnist_l7_irregular --max-drop 0.1 --int8 --out small.onnx
    """
    if file.suffix != ".onnx":
        raise InvalidInputError(f"--out must end in .onnx. Received: {file}")
    if int8 and float16:
        raise InvalidInputError("--int8 or --float16: one of them. Received: both")
    if distill < 0:
        raise InvalidInputError(f"--distill must be at least 0. Received: {distill}")
    start_tensorflow()
    from leaky_zoo.deploy.zoo_compression import compress_model

    report = compress_model(
        model,
        file,
        max_drop=max_drop,
        metric=metric,
        data=data,
        data_dir=data_dir,
        epochs=distill,
        monitor=monitor,
        steps=steps,
        reach=reach,
        storage="int8" if int8 else "float16" if float16 else "float32",
        words=None if as_json else lambda text: err.print(text, style="dim", highlight=False),
    )
    if as_json:
        print_json(report)
        return
    show(report)


def show(report: dict[str, Any]) -> None:
    """What became of each layer, and what it cost."""
    record = report["record"]
    columns = ("layer", "became", "rank", "bytes")
    keys = ("name", "became", "rank", "bytes")
    out.print(table(report["path"], columns, ([layer[key] for key in keys] for layer in record["layers"])))
    rows = [
        (split, cost["samples"], cost["before"], cost["after"], cost["drop"]) for split, cost in record["cost"].items()
    ]
    metric = record["settings"]["metric"]
    out.print(table(f"what it cost ({metric})", ("split", "samples", "before", "after", "drop"), rows))
    source = record["source"]["parameters"]
    out.print(
        f"{record['parameters']:,} of {source:,} numbers, {report['bytes']:,} bytes with all its metadata",
        highlight=False,
    )
