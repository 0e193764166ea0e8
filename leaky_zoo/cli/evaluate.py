"""`leaky-zoo evaluate`: measure a network on data, or every preset against what it publishes."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaky_zoo.cli.console import AsJson, DataDir, Stream, err, fail, found_model, out, print_json, say_about, table
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import counted
from leaky_zoo.processes.progress import bar

if TYPE_CHECKING:
    from leaky_zoo.publishing.claims import Checked


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A preset's name or alias, the path of its folder or of a run's, or a .keras file.",
            callback=found_model,
        ),
    ] = None,
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
    every: Annotated[
        str | None,
        typer.Option("--only", help="With --all: presets whose names contain this text. [default: all]"),
    ] = None,
    all_presets: Annotated[bool, typer.Option("--all", help="Every preset on its own data.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --all: compare with what the presets publish; exit 1 if one differs.")
    ] = False,
    stream: Stream = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a network: loss without penalty, and accuracy for a classifier.

    With --all, every preset on the split test, validation or train that it publishes. Exit codes: 0 done, 1 with
    --check: a metric is not the published one, 2 wrong usage or input. Presets whose data are not here are listed as
    not checked.

    [dim]Examples:[/]  leaky-zoo evaluate digits   |   leaky-zoo evaluate my.keras --data my.npz   |
    leaky-zoo evaluate --all --check   |   leaky-zoo evaluate --all --check --only mnist1d
    """
    if all_presets:
        if model is not None or data is not None or flips or stream:
            raise InvalidInputError(
                "--all is for every preset on its own data: leave model, --data, --flips and --stream out."
            )
        _evaluate_all(every, split, data_dir, check, as_json)
        return
    if model is None or check or every is not None:
        raise InvalidInputError("Give a model, or --all for every preset; --check and --only go with --all.")
    start_tensorflow()
    from leaky_zoo.flow import evaluate_network
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
    what = f"{counted(len(x), 'sample')}{', flipped too' if flips else ''}"
    out.print(table(f"{network.name} on {name} {split}, {what}", ("metric", "value"), rows))


def _evaluate_all(only: str | None, split: str, data_dir: Path | None, check: bool, as_json: bool) -> None:
    """Every preset, with a bar; the table, and the exit code where one differs."""
    from leaky_zoo.zoo import list_presets

    presets = sorted(list_presets(only), key=lambda preset: (preset["dataset"] or "", preset["name"]))
    if not presets:
        raise InvalidInputError(f"No preset's name contains {only!r}." if only else "There are no presets.")
    begin = time.perf_counter()
    start_tensorflow()
    # It warns of a graph traced anew for each network, which is what many networks are.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from leaky_zoo.publishing import claims

    found = []
    with bar() as progress:
        task = progress.add_task("evaluating", total=len(presets))
        for each in claims.check_presets([preset["name"] for preset in presets], split, data_dir):
            found.append(each)
            progress.advance(task)
    seconds = time.perf_counter() - begin
    counts = {
        status: sum(each.status == status for each in found)
        for status in (claims.EXACT, claims.ROUNDED, claims.DIFFERS, claims.UNCHECKED)
    }
    if as_json:
        print_json({"split": split, "seconds": seconds, "counts": counts, "presets": [_plain(each) for each in found]})
    else:
        rows = [_row(each) for each in found]
        title = f"{counted(len(found), 'preset')}, {split}"
        out.print(table(title, ("preset", "published", "measured", "", "s"), rows))
        for each in found:
            if each.words:
                err.print(f"{each.name}: {each.status}: {each.words}", highlight=False, markup=False, soft_wrap=True)
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        err.print(f"{said}; {seconds:.0f} s", highlight=False, soft_wrap=True)
    if check and counts[claims.DIFFERS]:
        fail(f"{counts[claims.DIFFERS]} of {len(found)} presets do not reach what they publish.", 1)


def _plain(each: "Checked") -> dict[str, Any]:
    return {
        "name": each.name, "status": each.status, "published": each.published, "measured": each.measured,
        "seconds": each.seconds, "words": each.words,
    }  # fmt: skip


def _row(each: "Checked") -> tuple[str, str, str, str, str]:
    return each.name, _metric(each.published), _metric(each.measured), each.status, f"{each.seconds:.1f}"


def _metric(values: dict[str, float]) -> str:
    if "accuracy" in values:
        return f"{100 * values['accuracy']:.2f}%"
    return f"{values['loss']:.6f}" if "loss" in values else "-"
