"""`leaky-zoo suggest`: a starting recipe for a data set."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, DataDir, Task, err, out, print_json, say_about, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError


def suggest_command(
    data: Annotated[str, typer.Option("--data", help="Name, tfds:NAME, .npz, FILE.csv:TARGET, or a folder of images.")],
    recipe: Annotated[
        Path | None, typer.Option("--out", help="Write the recipe here, as YAML; never over a file.")
    ] = None,
    effective_depth: Annotated[float, typer.Option("--effective-depth", help="L~ of the network.")] = 7.0,
    family: Annotated[str, typer.Option(help="mlp, or conv for images.")] = "mlp",
    task: Task = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Suggest a recipe from the data's shape and size, with the reason for each choice.

    [dim]Examples:[/]  leaky-zoo suggest --data my.npz --out recipe.yaml   |   leaky-zoo suggest --data mnist
    --effective-depth 3
    """
    if recipe is not None and recipe.exists():
        raise InvalidInputError(f"{recipe} is there already: choose another name for --out.")
    start_tensorflow()
    from leaky_zoo.data import load_data
    from leaky_zoo.training import suggest

    dataset = load_data(data, data_dir, task=task)
    say_about(dataset)
    found = suggest(dataset, effective_depth, family)
    if recipe is not None:
        found.recipe.write(recipe)
    if as_json:
        reasons = [dict(zip(("field", "value", "reason"), each, strict=True)) for each in found.reasons]
        print_json({"recipe": found.recipe.model_dump(mode="json", exclude_defaults=True), "reasons": reasons})
        return
    out.print(table(found.recipe.name, ("field", "value", "why"), found.reasons))
    if recipe is not None:
        command = shlex.join(["leaky-zoo", "train", str(recipe), "--out", f"runs/{found.recipe.name}"])
        err.print(f"Written to {recipe}: {command}", soft_wrap=True, markup=False)
    else:
        err.print("Somewhere to start from, not an optimum. --out writes it.", soft_wrap=True)
