"""`leaky-zoo monitor`: watch data for drift with nothing but an exported file."""

from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, print_json
from leaky_zoo.errors import InvalidInputError


def monitor(
    file: Annotated[Path, typer.Argument(help="An .onnx file that was exported with --monitor-data.")],
    data: Annotated[Path, typer.Option("--data", help="An .npz file: raw samples as the array `inputs` or `x`.")],
    batch: Annotated[int, typer.Option("--batch", min=1, max=1_000_000, help="Samples of a batch.")] = 100,
    level: Annotated[float, typer.Option("--level", help="A batch with a p-value below it counts as drift.")] = 0.05,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print the final state in Prometheus's text format instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare batches of data with the reference that a file carries: a line for each, then a summary.

    Exits with 1 if there are more drifting batches than chance allows at that level.

    [dim]Example:[/]  leaky-zoo monitor digits.onnx --data today.npz --batch 100
    """
    from leaky_zoo.runtime import DriftMonitor, load
    from leaky_zoo.runtime.samples import read_samples

    if prometheus and as_json:
        raise InvalidInputError("--prometheus and --json exclude each other. Received: both")
    model = load(file)
    watch = DriftMonitor(model, batch=batch, level=level)
    samples = read_samples(data)
    verdicts = watch.watch(model.predict_with_bottleneck(samples)[1])
    if not verdicts:
        raise InvalidInputError(f"{data} must fill a batch of {batch}. Received: {len(samples)} samples")
    summary = watch.summary()
    if as_json:
        from dataclasses import asdict

        print_json({"summary": summary, "batches": [asdict(verdict) for verdict in verdicts]})
    elif prometheus:
        print(watch.prometheus_text(), end="")
    else:
        for verdict in verdicts:
            print(verdict.line())
        words = "DRIFT" if summary["drift"] else "no drift"
        print(
            f"{words}: {summary['alarms']} of {summary['batches']} batches below {level:g}; by chance alone so many or "
            f"more with probability {summary['p_value']:.3g}"
        )
    if summary["drift"]:
        raise typer.Exit(1)
