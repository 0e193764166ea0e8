"""`leaky-zoo publish`: from a recipe to a preset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, DataDir, err, fail, out, print_json, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.processes.progress import bar, track

if TYPE_CHECKING:
    from leaky_zoo.publishing import Publication, Published


def publish(
    presets: Annotated[
        list[str],
        typer.Argument(help="Folders with a recipe.yaml, names in the folder of presets, or a folder of such folders."),
    ],
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Everything but training: the weights must be there.")
    ] = False,
    card: Annotated[
        bool, typer.Option("--card", help="Only the card again, with the compressed files in the export folder.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(help="Folder of the ONNX files. [default: export/ beside the zoo's folder]")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the training runs; a stopped one goes on.")] = Path(
        "build/publish"
    ),
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train a preset from its recipe where it has no weights, audit and measure it, write its folder and ONNX file.

    A folder is complete or as it was. Stopped while training, the same command goes on from the last checkpoint.

    [dim]Examples:[/]  leaky-zoo publish models/leaky_mlp_teacher_k3_l7_equidistant   |
    leaky-zoo publish ./my_zoo --refresh
    """
    if card and (refresh or data_dir is not None):
        fail("--card measures nothing: leave --refresh and --data-dir out.", 2)
    start_tensorflow()
    from leaky_zoo.publishing import Publication, find_recipes

    folders = [folder for preset in presets for folder in find_recipes(preset)]
    if card:
        return _renew_cards(folders, export, as_json)
    # Everything is read and checked before anything is trained.
    jobs = [Publication(folder, refresh=refresh, export=export, runs=runs, data_dir=data_dir) for folder in folders]
    answers = []
    try:
        for job in jobs:
            done = _run(job, as_json)
            answers.append(_answer(done))
            if not as_json:
                _show(done)
    except KeyboardInterrupt as error:
        fail(f"Interrupted. {error}".strip(), 130)  # here: typer would drop the message
    if as_json:
        print_json(answers)


def _renew_cards(folders: list[Path], export: Path | None, as_json: bool) -> None:
    from leaky_zoo.publishing import renew_card

    answers = []
    for folder in track("writing cards")(folders):
        found = renew_card(folder, export)
        answers.append({"folder": str(folder), "compressed": found})
        if not as_json:
            files = ", ".join(each["file"] for each in found) or "no compressed file"
            err.print(f"written: {folder}/README.md ({files})", soft_wrap=True)
    if as_json:
        print_json(answers)


def _run(job: "Publication", quiet: bool) -> "Published":
    from leaky_zoo.cli.training_bar import TrainingBar

    analyzing = None if quiet else track(f"analyzing {job.recipe.name}")
    with bar() as progress:
        watcher = TrainingBar(progress, job.recipe)
        job.train(callbacks=[watcher], on_lbfgs_iteration=watcher.on_lbfgs_iteration)
    return job.run(track=analyzing)


def _answer(done: "Published") -> dict[str, Any]:
    rank = done.audit.bottleneck_rank
    return {
        "name": done.name,
        "folder": str(done.folder),
        "trained": done.trained,
        "metrics": done.metrics,
        "verdict": rank.verdict if rank else None,
        "onnx": str(done.onnx) if done.onnx else None,
    }


def _show(done: "Published") -> None:
    rows = ((split, f"{values['loss']:.6f}", values.get("accuracy")) for split, values in done.metrics.items())
    out.print(f"[bold]{done.name}[/] {'trained' if done.trained else 'refreshed'}", highlight=False, soft_wrap=True)
    out.print(table("", ("split", "loss", "accuracy"), rows))
    if done.audit.bottleneck_rank:
        out.print(done.audit.bottleneck_rank.verdict, highlight=False, soft_wrap=True)
    for path in filter(None, (done.folder, done.onnx)):
        err.print(f"written: {path}", soft_wrap=True)
