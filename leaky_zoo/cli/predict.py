"""`leaky-zoo predict`: outputs of an exported file, without TensorFlow."""

from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, out, print_json, table


def predict(
    file: Annotated[Path, typer.Argument(help="An .onnx file.")],
    data: Annotated[Path, typer.Option("--data", help="An .npz file: raw samples as the array `inputs` or `x`.")],
    first: Annotated[int, typer.Option("--first", min=1, help="Samples to predict.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Predict samples: labels and their probabilities for a classifier, outputs otherwise.

    [dim]Example:[/]  leaky-zoo predict digits.onnx --data today.npz --first 3
    """
    from leaky_zoo.runtime import load, softmax
    from leaky_zoo.runtime.samples import read_samples

    model = load(file)
    outputs = model.predict(read_samples(data)[:first])
    rows = [{"sample": row, "outputs": values.tolist()} for row, values in enumerate(outputs)]
    if model.task == "classification":
        chances = softmax(outputs, model.temperature)
        labels = model.labels_of(outputs)
        for row, label, chance in zip(rows, labels, chances, strict=True):
            row |= {"label": label, "probability": float(chance.max())}
    if as_json:
        print_json(rows)
        return
    columns = ("sample", "label", "probability") if model.task == "classification" else ("sample", "outputs")
    out.print(table(str(file), columns, ([row[column] for column in columns] for row in rows)))
