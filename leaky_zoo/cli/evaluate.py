"""`leaky-zoo evaluate`: measure a network on data."""

from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, DataDir, Model, Stream, out, print_json, say_about, table
from leaky_zoo.cli.startup import start_tensorflow


def evaluate(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="Name, tfds:NAME, .npz, FILE.csv:TARGET, folder. [default: what it was trained on]"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split, as test or train[:90%].")] = "test",
    flips: Annotated[
        bool, typer.Option("--flips", help="Mean of the outputs for an image and its mirror image.")
    ] = False,
    stream: Stream = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a network: loss without penalty, and accuracy for a classifier.

    [dim]Examples:[/]  leaky-zoo evaluate leaky_mlp_optical_digits_l7_equidistant   |
    leaky-zoo evaluate my.keras --data my.npz
    """
    start_tensorflow()
    from leaky_zoo.networks import evaluate_network
    from leaky_zoo.zoo import load_network
    from leaky_zoo.zoo.training_data import training_data

    network = load_network(model)
    samples = training_data(network, data, split, data_dir, stream=stream)
    say_about(samples.dataset)
    x, y = samples.arrays
    metrics = evaluate_network(network, x, y, flips=flips)
    name = samples.dataset.identifier
    if as_json:
        about = {"model": network.name, "data": name, "split": split, "samples": len(x), "flips": flips}
        print_json({**about, "metrics": metrics})
        return
    rows = [(name, f"{value:.6f}") for name, value in metrics.items()]
    what = f"{len(x)} samples{', flipped too' if flips else ''}"
    out.print(table(f"{network.name} on {name} {split}, {what}", ("metric", "value"), rows))
