"""`leaky-zoo sweep`: run a grid of recipes, and report on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from leaky_zoo.cli.console import AsJson, DataDir, cell, err, out, print_json, table
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.processes.progress import bar

if TYPE_CHECKING:
    from leaky_zoo.sweeps.run import Outcome, Plan


class RunByDefault(TyperGroup):
    """`sweep FILE` is `sweep run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=RunByDefault, no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def sweep() -> None:
    """Run a grid of recipes (effective depth, schedule, seed, ...), on one machine or many, and report on it.

    [dim]Examples:[/]  leaky-zoo sweep sweep.yaml --out runs/grid --jobs 2   |   leaky-zoo sweep report runs/grid
    """


@app.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="A sweep, YAML: a base recipe and a grid.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the sweep; give the same one to continue it.")],
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time on this machine.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of one run. [default: cores // jobs]")] = None,
    shard: Annotated[str | None, typer.Option(help="Only part I/N of the runs, as 3/8: for SLURM arrays.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, as tcp://host:8786: run on its workers.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Start failed runs again.")] = False,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out runs that cannot be trained, as too small a depth.")
    ] = False,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Check recipes by their fields alone: where the data are elsewhere.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, show what would be run, and stop.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run what is not done yet of a sweep. Stop it any way, and run the same command to go on.

    Every recipe is checked before anything starts. Each run is a `leaky-zoo train --resume` of its own: one that fails
    is reported and stops no other. Exit codes: 0 all done, 1 some failed, 2 wrong input, 130 or 143 stopped.

    [dim]Examples:[/]  leaky-zoo sweep run sweep.yaml --out runs/grid --jobs 2   |
    leaky-zoo sweep run sweep.yaml --out runs/grid --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_MAX   |
    leaky-zoo sweep run sweep.yaml --out runs/grid --scheduler tcp://node1:8786
    """
    from leaky_zoo.cli.sweep_watch import watcher_for
    from leaky_zoo.sweeps.run import make_plan, run_sweep
    from leaky_zoo.sweeps.spec import Sweep

    if scheduler and jobs != 1:
        raise InvalidInputError(f"--jobs is for this machine; the workers of --scheduler set it. Received: {jobs}")
    plan_of = Sweep.read(file)
    with bar() as progress:
        task = progress.add_task("checking recipes", total=None)
        plan = make_plan(
            plan_of,
            folder,
            shard=shard,
            retry_failed=retry_failed,
            skip_invalid=skip_invalid,
            build=not no_build,
            data_dir=data_dir,
            progress=lambda: progress.advance(task),
        )
    for name, problem in plan.skipped.items():
        err.print(f"skipped {name}: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if dry_run:
        _show_plan(plan, as_json)
        return
    with watcher_for(err) as watcher:
        outcome = run_sweep(
            plan_of, plan, watcher, jobs=jobs, threads=threads, scheduler=scheduler, shard=shard, data_dir=data_dir
        )
    _show_outcome(plan, outcome, as_json)
    if outcome.signal is not None:
        raise typer.Exit(128 + outcome.signal)
    if outcome.failed or outcome.open:
        raise typer.Exit(1)


def _show_plan(plan: "Plan", as_json: bool) -> None:
    """What would be run."""
    rows = [(cell.name, plan.states[cell.name].value, cell.name in plan.todo) for cell in plan.cells]
    if as_json:
        print_json([dict(zip(("run", "state", "would_run"), row, strict=True)) for row in rows])
    else:
        out.print(table(f"{len(rows)} runs", ("run", "state", "would run"), rows))


def _show_outcome(plan: "Plan", outcome: "Outcome", as_json: bool) -> None:
    """What has become of the runs, and what to do about those that are not done."""
    from leaky_zoo.sweeps.folder import RunState

    counts = plan.folder.counts(plan.cells)
    if as_json:
        print_json(
            {
                **{state.value: counts[state] for state in RunState},
                "skipped": len(plan.skipped),
                "started_now": len(plan.todo),
                "seconds": round(outcome.seconds, 1),
                "failures": outcome.failed,
            }
        )
    else:
        words = ", ".join(f"{counts[state]} {state.value}" for state in RunState if counts[state])
        out.print(f"{plan.folder.path}: {words or 'no runs'}", highlight=False, soft_wrap=True, markup=False)
    for name, message in outcome.failed.items():
        log = plan.folder.run(name).log
        err.print(f"failed {name}: {message} (log: {log})", style="red", markup=False, highlight=False, soft_wrap=True)
    if outcome.failed:
        err.print("--retry-failed starts failed runs again.", style="dim")
    if outcome.open:
        err.print("The same command goes on with the runs that were stopped.", style="dim")


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for runs.csv, summary.csv and figures. [default: FOLDER/report]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one CSV row for each run, mean and spread over seeds, and figures against each swept field.

    [dim]Example:[/]  leaky-zoo sweep report runs/grid
    """
    from leaky_zoo.io.files import replacing, write_text
    from leaky_zoo.sweeps.folder import RunState, SweepFolder
    from leaky_zoo.sweeps.report import collect_rows, measures, open_sweep, summarize_rows, to_csv

    place = SweepFolder(folder)
    sweep = open_sweep(place)
    rows = collect_rows(place, sweep)
    summary = summarize_rows(rows, sweep)
    to = to or folder / "report"
    written = [to / "runs.csv", to / "summary.csv"]
    write_text(written[0], to_csv(rows))
    write_text(written[1], to_csv(summary))
    if any(row["state"] == RunState.DONE for row in rows):
        from leaky_zoo.sweeps.figures import plot_sweep, plots

        todo = plots(rows, sweep)
        with bar() as progress:
            for name, field, measure in progress.track(todo, description="drawing"):
                written.append(to / f"{name}.png")
                with replacing(written[-1]) as aside:
                    plot_sweep(rows, sweep, field, measure).savefig(aside, dpi=130)
    if as_json:
        print_json({"runs": rows, "summary": summary, "files": [str(path) for path in written]})
        return
    done = sum(row["state"] == RunState.DONE for row in rows)
    fields = [name for name in (summary[0] if summary else {}) if name in sweep.fields]
    shown = [name for name in measures(rows) if not name.startswith("train/")]
    lines = [[*(row[name] for name in fields), row["runs"], *(_spread(row, name) for name in shown)] for row in summary]
    columns = [*(name.rpartition(".")[2] for name in fields), "runs", *shown]
    out.print(table(f"{done} of {len(rows)} runs done; mean and standard deviation over seeds", columns, lines))
    for path in written:
        err.print(f"written: {path}", soft_wrap=True, highlight=False, markup=False)


def _spread(row: dict[str, Any], name: str) -> str:
    mean, deviation = row[f"{name} mean"], row[f"{name} std"]
    return cell(mean) if deviation is None else f"{cell(mean)} +- {deviation:.2g}"
