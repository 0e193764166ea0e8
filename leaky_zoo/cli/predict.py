"""`leaky-zoo predict`: labels and outputs for new samples; of an `.onnx` file without TensorFlow."""

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from leaky_zoo.cli.console import AsJson, err, found_model_or_onnx, out, print_json, table
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.reading import counted
from leaky_zoo.runtime.probabilities import softmax

SHOWN = 20  # rows of the table on a terminal


def predict_command(
    model: Annotated[
        str,
        typer.Argument(
            help="A preset's name or folder, the folder of a run, a .keras or an .onnx file.",
            callback=found_model_or_onnx,
        ),
    ],
    data: Annotated[
        str,
        typer.Option("--data", help="An .npz, FILE.csv or FILE.csv:TARGET, Parquet, an image, or a folder of them."),
    ],
    path: Annotated[Path | None, typer.Option("--out", help="Write all rows here, .csv or .json.")] = None,
    first: Annotated[
        int | None, typer.Option("--first", min=1, help="Only this many samples, from the first on.")
    ] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Bring images of another size to the network's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict new samples: labels and probabilities of a classifier, outputs of any other network.

    [dim]Examples:[/]  leaky-zoo predict digits.onnx --data photos/ --out labels.csv   |
    leaky-zoo predict my.keras --data new.csv --json
    """
    from leaky_zoo.data.prediction_inputs import read_inputs

    if path is not None and path.suffix.lower() not in (".csv", ".json"):
        raise InvalidInputError(f"--out writes .csv or .json. Received: {path}")
    shape, task, classes, temperature, compute = _opened(model)
    names, x = read_inputs(data, shape, resize)
    names, x = names[:first], x[:first]
    outputs = compute(x)
    if not isinstance(outputs, np.ndarray) or len(outputs) != len(names):
        raise InvalidInputError(f"A model of one output is needed here. Received: {model} with several")
    bad = ~np.isfinite(outputs.reshape(len(outputs), -1)).all(1)
    if bad.any() and (as_json or (path is not None and path.suffix.lower() == ".json")):
        row = names[int(np.argmax(bad))]
        raise CheckFailedError(f"{model} gives NaN or infinity, first for sample {row}, which JSON cannot hold.")
    rows = rows_of(names, outputs, task, classes, temperature)
    if path is not None:
        from leaky_zoo.io.files import write_json, write_text

        if path.suffix.lower() == ".json":
            write_json(path, rows)
        else:
            write_text(path, as_csv(rows))
    if as_json:
        print_json(rows)
        return
    columns = [key for key in ("sample", "label", "probability", "outputs") if key in rows[0]]
    columns = columns[:3] if task == "classification" else columns
    cells = ([_shown(row[column]) for column in columns] for row in rows[:SHOWN])
    out.print(table(f"{model}: {counted(len(rows), 'sample')}", columns, cells))
    if len(rows) > SHOWN:
        err.print(f"{len(rows) - SHOWN} more: --out FILE.csv or --json has all.")
    if path is not None:
        err.print(f"written: {path}", soft_wrap=True)


def rows_of(
    names: list[str], outputs: np.ndarray, task: str | None, classes: list[str] | None, temperature: float = 1.0
) -> list[dict[str, Any]]:
    """One row for each sample: `sample`, `outputs`, and of a classifier `label`, `probability`, `probabilities`.

    Example:
    >>> rows_of(["a.png"], np.array([[0.0, 0.0]]), "classification", ["cat", "dog"])[0]["probabilities"]
    {'cat': 0.5, 'dog': 0.5}
    """
    flat = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    rows: list[dict[str, Any]] = [
        {"sample": name, "outputs": values.tolist()} for name, values in zip(names, flat, strict=True)
    ]
    if task != "classification":
        return rows
    labels = classes or [str(label) for label in range(flat.shape[1])]
    if len(labels) != flat.shape[1]:
        raise InvalidInputError(f"The model names {len(labels)} classes and has {flat.shape[1]} outputs.")
    for row, chance in zip(rows, softmax(flat, temperature), strict=True):
        best = int(chance.argmax())
        row |= {"label": labels[best], "probability": float(chance[best])}
        row["probabilities"] = dict(zip(labels, chance.tolist(), strict=True))
    return rows


def as_csv(rows: list[dict[str, Any]]) -> str:
    """The rows as CSV: a classifier's probabilities, else the outputs, in a column each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classifies = "label" in rows[0]
    values = [f"p_{name}" for name in rows[0]["probabilities"]] if classifies else [
        f"output_{place}" for place in range(len(rows[0]["outputs"]))
    ]  # fmt: skip
    writer.writerow(["sample", *(["label", "probability"] if classifies else []), *values])
    for row in rows:
        own = [row["label"], row["probability"], *row["probabilities"].values()] if classifies else row["outputs"]
        writer.writerow([row["sample"], *own])
    return text.getvalue()


def _opened(model: str) -> tuple[Any, str | None, list[str] | None, float, Any]:
    """Shape of a sample, task, names of the classes, temperature, and a function from samples to outputs."""
    if model.lower().endswith(".onnx"):
        from leaky_zoo.runtime.model import OnnxModel

        exported = OnnxModel(model)
        return exported.input_shape, exported.task, exported.class_names, exported.temperature, exported.predict
    from leaky_zoo.cli.startup import start_tensorflow

    start_tensorflow()
    from leaky_zoo.networks import LeakyNetwork
    from leaky_zoo.zoo import load_model

    network = load_model(model)
    if not isinstance(network, LeakyNetwork):
        inputs = getattr(network, "inputs", None) or []
        if len(inputs) != 1:
            what = f"takes {len(inputs)}" if inputs else "does not say what it takes"
            raise InvalidInputError(f"A model of one input is needed here. Received: {model}, which {what}")
        return tuple(inputs[0].shape[1:]), None, None, 1.0, lambda x: network.predict(x, verbose=0)

    def compute(x: np.ndarray) -> np.ndarray:
        return network.predict(x.astype(network.inputs[0].dtype), verbose=0)

    return network.config.input_shape, network.task.name, network.config.class_names, 1.0, compute


def _shown(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return ", ".join(f"{each:.4g}" for each in value[:6]) + (", ..." if len(value) > 6 else "")
