"""`leaky-zoo train`: run a recipe."""

from pathlib import Path
from typing import Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, DataDir, bar, err, out, print_json, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError


def train_command(
    recipe: Annotated[Path, typer.Argument(help="A recipe, YAML; every preset has its own.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    data_dir: DataDir = None,
    strategy: Annotated[
        str | None, typer.Option(help="auto (every GPU, else the CPU), cpu, or mirrored. [default: the recipe's]")
    ] = None,
    devices: Annotated[int | None, typer.Option(help="Replicas: GPUs, or logical CPU devices.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, in place of the recipe's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network from its recipe.

    [dim]Examples:[/]  leaky-zoo train models/leaky_mlp_teacher_k3_l7_equidistant/recipe.yaml --out runs/teacher   |
    leaky-zoo train recipe.yaml --out runs/mine --devices 2   |   leaky-zoo train recipe.yaml --out runs/mine --resume
    """
    start_tensorflow()
    from leaky_zoo.cli.training_bar import TrainingBar
    from leaky_zoo.training import Recipe, train

    plan = Recipe.read(recipe)
    changes = {
        key: value for key, value in (("strategy", strategy), ("devices", devices), ("seed", seed)) if value is not None
    }
    plan = Recipe.from_dict({**plan.model_dump(), **changes}, source="the command line")
    if folder.is_file():
        raise InvalidInputError(f"--out must be a folder. Received: {folder}")

    with bar() as progress:
        watcher = TrainingBar(progress, plan)
        _, result = train(
            plan,
            folder,
            data_dir=data_dir,
            resume=resume,
            callbacks=[watcher],
            on_lbfgs_iteration=watcher.on_lbfgs_iteration,
        )
    if as_json:
        print_json({"metrics": result.metrics, "device": result.device, "seconds": result.seconds})
        return
    out.print(table(plan.name, ("split", "loss", "accuracy"), _rows(result.metrics)))
    err.print(f"{result.seconds:.0f} s on {result.device}; model and logs are in {folder}", soft_wrap=True)


def _rows(metrics: dict[str, dict[str, float]]) -> list[tuple[Any, ...]]:
    return [(split, f"{values['loss']:.6f}", values.get("accuracy")) for split, values in metrics.items()]
