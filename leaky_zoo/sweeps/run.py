"""Run a sweep: check everything, then let Dask do what is not done yet, and say what became of each run."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.processes.shards import parse_shard, shard_of
from leaky_zoo.processes.signals import NotedSignal
from leaky_zoo.sweeps.check import find_problems
from leaky_zoo.sweeps.engine import Engine
from leaky_zoo.sweeps.folder import RunState, SweepFolder
from leaky_zoo.sweeps.spec import Cell, Sweep
from leaky_zoo.sweeps.supervise import GRACE_SECONDS


class Watcher(Protocol):
    """Who is told what happens: a live table, lines in a log, or nobody."""

    def begin(self, plan: "Plan") -> None:
        """Everything is checked; runs are about to start."""

    def ended(self, name: str, status: dict[str, Any]) -> None:
        """A run has ended."""

    def tick(self) -> None:
        """Twice a second."""


@dataclass(frozen=True)
class Plan:
    """What a sweep is about to do.

    Attributes:
        folder: where.
        cells: the valid ones of this shard.
        states: of each, by name, before anything starts.
        todo: names of the runs to start or to go on with.
        skipped: why cells were left out, by name.
    """

    folder: SweepFolder
    cells: list[Cell]
    states: dict[str, RunState]
    todo: list[str]
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        failed: messages of failed runs, by name, those of earlier times included.
        open: runs that are neither done nor failed: stopped, and to be gone on with.
        signal: the signal that stopped the sweep; None if it came to its end.
        seconds: wall time.
    """

    failed: dict[str, str]
    open: list[str]
    signal: int | None
    seconds: float


def make_plan(
    sweep: Sweep,
    out: Path,
    *,
    shard: str | None = None,
    retry_failed: bool = False,
    skip_invalid: bool = False,
    build: bool = True,
    data_dir: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Plan:
    """Validate every recipe of the grid and look at what is done; writes nothing.

    Args:
        sweep: the sweep, read.
        out: its folder.
        shard: `"I/N"`: only every N-th run. Default None: all.
        retry_failed: whether failed runs are started again. Default False.
        skip_invalid: leave out cells that cannot be trained, whatever the file says. Default False.
        build: whether each network is also built on its data, in a process of its own. Default True.
        data_dir: TFDS folder. Default None.
        progress: called for each recipe that was built. Default: nothing.

    Raises:
        InvalidInputError: cells that cannot be trained, or a folder that holds other recipes.
    """
    everything = sweep.cells()
    problems = {cell.name: str(cell.problem) for cell in everything if cell.problem}
    folder = SweepFolder(out)
    folder.check(everything)
    mine = shard_of(everything, shard)
    states = {cell.name: folder.run(cell.name).state() for cell in mine}
    if build:
        fresh = [cell for cell in mine if cell.recipe and states[cell.name] != RunState.DONE]
        problems |= find_problems(fresh, data_dir, progress) if fresh else {}
    if problems and not (skip_invalid or sweep.invalid == "skip"):
        named = "; ".join(f"{name}: {problem}" for name, problem in list(problems.items())[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InvalidInputError(
            f"{len(problems)} of the sweep's {len(everything)} runs cannot be trained (--skip-invalid, or `invalid: "
            f"skip` in the file, leaves them out): {named}{more}"
        )
    cells = [cell for cell in mine if cell.name not in problems]
    wanted = {RunState.WAITING, RunState.STARTED, *([RunState.FAILED] if retry_failed else [])}
    todo = [cell.name for cell in cells if states[cell.name] in wanted]
    return Plan(folder, cells, {cell.name: states[cell.name] for cell in cells}, todo, problems)


def run_sweep(
    sweep: Sweep,
    plan: Plan,
    watcher: Watcher,
    *,
    jobs: int = 1,
    threads: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    data_dir: Path | None = None,
) -> Outcome:
    """Do what a plan says is to be done.

    Args:
        sweep: the sweep.
        plan: from `make_plan`.
        watcher: told what happens.
        jobs: runs at the same time on this machine, at least 1. Default 1.
        threads: threads of one run, at least 1. Default None: cores // jobs.
        scheduler: address of a Dask scheduler. Default None: this machine alone.
        shard: as `make_plan`; two sweeps on one shard of a folder are refused.
        data_dir: TFDS folder. Default None.

    Returns:
        The `Outcome`. SIGTERM and SIGINT stop the trainers, which write checkpoints, and are told in it.

    Raises:
        InvalidInputError: another sweep works on this shard, a number is out of its range, or no scheduler answers.
    """
    if jobs < 1 or (threads is not None and threads < 1):
        raise InvalidInputError(f"--jobs and --threads must be at least 1. Received: {jobs}, {threads}")
    begin = time.perf_counter()
    with _locked(plan.folder, shard):
        plan.folder.prepare(sweep, plan.cells)
        watcher.begin(plan)
        caught = None
        if plan.todo:
            cells = [cell for cell in plan.cells if cell.name in set(plan.todo)]
            with NotedSignal() as noted, Engine(plan.folder.path, jobs, threads, scheduler, data_dir) as engine:
                engine.submit(cells)
                _follow(engine, watcher, noted)
                caught = noted.signal
    failed, unfinished = {}, []
    for cell in plan.cells:
        run = plan.folder.run(cell.name)
        state = run.state()
        if state == RunState.FAILED:
            failed[cell.name] = str(run.read_status().get("message", ""))
        elif state != RunState.DONE:
            unfinished.append(cell.name)
    return Outcome(failed, unfinished, caught, time.perf_counter() - begin)


def _follow(engine: Engine, watcher: Watcher, noted: NotedSignal) -> None:
    """Tell the watcher until all runs have ended; on a signal, stop them and wait for their checkpoints."""
    deadline = None
    while engine.open and (deadline is None or time.monotonic() < deadline):
        for name, status in engine.ended(timeout=0.5):
            watcher.ended(name, status)
        watcher.tick()
        if noted.requested and deadline is None:
            engine.stop()
            deadline = time.monotonic() + GRACE_SECONDS + 5


@contextlib.contextmanager
def _locked(folder: SweepFolder, shard: str | None) -> Iterator[None]:
    """One sweep for each shard of a folder; the lock dies with its process."""
    index, count = parse_shard(shard) if shard else (1, 1)
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.path / f".lock-{index}-of-{count}")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InvalidInputError(
            f"Another sweep is at work in {folder.path} on shard {index}/{count}: wait for it, or stop it."
        ) from error
    try:
        yield
    finally:
        lock.release()
