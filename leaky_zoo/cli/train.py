"""`leaky-zoo train`: run a recipe."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaky_zoo.cli.console import (
    AsJson,
    DataDir,
    Devices,
    StrategyName,
    command,
    err,
    fail,
    out,
    print_json,
    say_about,
    table,
)
from leaky_zoo.cli.startup import start_tensorflow
from leaky_zoo.errors import InvalidInputError, Terminated
from leaky_zoo.processes.progress import bar

if TYPE_CHECKING:
    from leaky_zoo.training import Recipe, TrainingResult


def _found_recipe(value: str) -> str:
    """Refuse a recipe that is not there before TensorFlow starts, which takes seconds."""
    from leaky_zoo.zoo.recipe_source import require_recipe

    require_recipe(value)
    return value


def train_command(
    recipe: Annotated[
        str,
        typer.Argument(help="A recipe (YAML), or a preset's name: its own recipe is used.", callback=_found_recipe),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    data_dir: DataDir = None,
    strategy: StrategyName = None,
    devices: Devices = None,
    workers: Annotated[
        int | None, typer.Option(help="Start a cluster of this many processes on this machine and train in it.")
    ] = None,
    restarts: Annotated[
        int, typer.Option(help="With --workers: how often all go on from the last checkpoint when one dies.")
    ] = 3,
    seed: Annotated[int | None, typer.Option(help="Seed, in place of the recipe's.")] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Optimiser steps between checkpoints. Default: the recipe's, or 30 seconds.")
    ] = None,
    keep_checkpoints: Annotated[int | None, typer.Option(help="Checkpoints kept. Default: the recipe's, or 2.")] = None,
    audit_every: Annotated[
        int | None, typer.Option(help="Epochs between audits of a held-out sample; rows go to energies.csv.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="With --audit-every: show the energies while training.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder; start if there is none.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network from its recipe.

    Exit codes: 0 done, 1 a check failed (a loss that is NaN, a full disk), 2 wrong usage or input,
    75 another worker has gone (try again with --resume), 130 and 143 stopped by Ctrl-C or SIGTERM after a checkpoint.

    [dim]Examples:[/]  leaky-zoo train leaky_mlp_teacher_k3_l7_equidistant --out runs/teacher   |
    leaky-zoo train recipe.yaml --out runs/mine --devices 2   |   leaky-zoo train recipe.yaml --out runs/m --workers 2
    |   leaky-zoo train recipe.yaml --out runs/mine --resume
    """
    if folder.is_file():
        raise InvalidInputError(f"--out must be a folder. Received: {folder}")
    if live and audit_every is None:
        raise InvalidInputError("--live shows the audits of --audit-every N: give both.")
    try:
        if workers is not None:
            _launch(workers, restarts, folder, resume, strategy, devices)
            return
        start_tensorflow()
        given = {
            "strategy": strategy, "devices": devices, "seed": seed, "checkpoint_every": checkpoint_every,
            "keep_checkpoints": keep_checkpoints,
        }  # fmt: skip
        plan = _changed(recipe, {key: value for key, value in given.items() if value is not None})
        result = _train(plan, folder, data_dir, resume, audit_every, live)
    except KeyboardInterrupt as error:
        fail(f"Interrupted. {error} {_go_on()}".strip(), 130)  # here: typer would drop the message
    except Terminated as error:
        error.message = f"{error.message} {_go_on()}".strip()
        raise
    _show(plan, folder, result, as_json, data_dir)


def _go_on() -> str:
    """How to go on after a checkpoint: the command as it was given."""
    again = [*sys.argv[1:], *([] if "--resume" in sys.argv else ["--resume"])]
    return f"Go on: {command('leaky-zoo', *again)}"


def _launch(workers: int, restarts: int, folder: Path, resume: bool, strategy: str | None, devices: int | None) -> None:
    """Run the same command in a cluster of processes on this machine."""
    from leaky_zoo.processes.cluster import launch

    if strategy not in (None, "multi_worker") or devices is not None:
        raise InvalidInputError(
            f"--workers sets up the strategy multi_worker: leave --strategy and --devices out. "
            f"Received: strategy={strategy!r}, devices={devices}"
        )
    again = [sys.executable, "-m", "leaky_zoo", *_of_a_worker(sys.argv[1:])]
    launch(again, workers, restarts=restarts, out=folder, resume=resume)


def _of_a_worker(arguments: list[str]) -> list[str]:
    """The command line without what the launcher sets itself."""
    options = ("--workers", "--restarts", "--strategy")
    kept, skip = [], False
    for argument in arguments:
        if not (skip or argument in (*options, "--resume") or argument.startswith(tuple(f"{o}=" for o in options))):
            kept.append(argument)
        skip = argument in options
    return kept


def _changed(recipe: str, given: dict[str, Any]) -> "Recipe":
    """The recipe of a file or a preset with what the command line says instead."""
    from leaky_zoo.zoo import Recipe, recipe_of

    found = recipe_of(recipe)
    # A field that was not given must stay so: what is then chosen depends on the data and the family.
    fields = found.model_dump(exclude_unset=True)
    return Recipe.from_dict(fields | given, source="the command line") if given else found


def _train(
    plan: "Recipe", folder: Path, data_dir: Path | None, resume: bool, audit_every: int | None, live: bool
) -> "TrainingResult":
    """Train with a bar, or with the table of energies."""
    from leaky_zoo.cli.training_bar import TrainingBar
    from leaky_zoo.processes.cluster import is_quiet_worker
    from leaky_zoo.training import train
    from leaky_zoo.training.held_out_audits import HeldOutAudits

    with bar() as progress:
        watcher = TrainingBar(progress, plan)
        callbacks: list[Any] = [] if is_quiet_worker() or live else [watcher]
        if audit_every is not None and not is_quiet_worker():
            callbacks.append(HeldOutAudits(plan, audit_every, folder, data_dir, live=live))
        return train(
            plan, folder, data_dir=data_dir, resume=resume, callbacks=callbacks,
            on_lbfgs_iteration=watcher.on_lbfgs_iteration,
            on_data=None if is_quiet_worker() else say_about,
        )[1]  # fmt: skip


def _show(plan: "Recipe", folder: Path, result: "TrainingResult", as_json: bool, data_dir: Path | None) -> None:
    """What came out, whether a critical point was reached where one was asked for, and what to do next."""
    converged = (result.lbfgs or {}).get("converged")
    if as_json:
        answer = {"metrics": result.metrics, "device": result.device, "seconds": result.seconds}
        print_json(answer if converged is None else answer | {"converged": converged})
    else:
        rows = [(split, f"{values['loss']:.6f}", values.get("accuracy")) for split, values in result.metrics.items()]
        out.print(table(plan.name, ("split", "loss", "accuracy"), rows))
        err.print(f"{result.seconds:.0f} s on {result.device}; model and logs are in {folder}", soft_wrap=True)
    reached = _reached(plan, result)
    if reached:
        err.print(reached, soft_wrap=True, markup=False, highlight=False)
    if not as_json:
        place = ("--data-dir", data_dir) if data_dir else ()
        following = command("leaky-zoo", "analyze", _as_path(folder), "--report", folder / "audit.html", *place)
        err.print(f"next: {following}", soft_wrap=True, markup=False, highlight=False)


def _reached(plan: "Recipe", result: "TrainingResult") -> str | None:
    """How near the L-BFGS phase came to what was asked of it; None where nothing was."""
    phase, found = plan.lbfgs_phase, result.lbfgs
    if phase is None or phase.criticality is None or not found:
        return None
    worst, done = max(found.get("clarke_residuals") or found["criticality_residuals"]), found["iterations"]
    words = f"residual {worst:.2g} of {phase.criticality:g} after {done} iterations of L-BFGS"
    if found["converged"]:
        return f"converged: {words}"
    stalled = done < phase.iterations
    advice = "it found no lower objective" if stalled else "more of them, or a larger mu, bring it down"
    return f"not converged: {words}; {advice}."


def _as_path(folder: Path) -> str:
    """A folder that no command takes for a name."""
    text = str(folder)
    return text if os.sep in text else os.path.join(".", text)  # noqa: PTH118 - a Path drops the dot
