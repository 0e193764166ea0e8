"""A sweep as it runs: a live table on a terminal, one line for each event in a log."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from leaky_zoo.errors import LeakyZooError
from leaky_zoo.sweeps.folder import Run, RunState
from leaky_zoo.sweeps.run import Plan

STYLES = {"done": "green", "failed": "red", "stopped": "yellow", "running": "cyan"}


class SweepLines:
    """One line for each run that ends.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.count = self.total = 0

    def begin(self, plan: Plan) -> None:
        """Say what there is to do."""
        self.total = len(plan.todo)
        done = sum(state == RunState.DONE for state in plan.states.values())
        self._say(f"{len(plan.cells)} runs: {done} done already, {self.total} to run")

    def ended(self, name: str, status: dict[str, Any]) -> None:
        """Say what became of a run."""
        self.count += 1
        words = f"[{self.count}/{self.total}] {status['state']} {name}"
        if status.get("seconds") is not None:
            words += f", {status['seconds']:.0f} s"
        self._say(words + (f": {status['message']}" if status.get("message") else ""))

    def tick(self) -> None:
        """Nothing to do between events."""

    def _say(self, words: str) -> None:
        self.console.print(words, markup=False, highlight=False, soft_wrap=True)


class SweepTable:
    """A table that follows the runs: those at work first, then the last ones that ended, as many as there is room for.

    Args:
        live: where it is drawn.
    """

    def __init__(self, live: Live) -> None:
        self.live = live
        self.ends: dict[str, dict[str, Any]] = {}

    def begin(self, plan: Plan) -> None:
        """Draw what there is to do."""
        self.plan, self.begun = plan, time.monotonic()
        self.waiting = {name: plan.folder.run(name) for name in plan.todo}
        self.tick()

    def ended(self, name: str, status: dict[str, Any]) -> None:
        """Note what became of a run."""
        self.ends[name] = status
        self.waiting.pop(name, None)

    def tick(self) -> None:
        """Draw again."""
        self.live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        running = [(run, status) for run in self.waiting.values() if (status := _status(run)).get("state") == "running"]
        running = [(run, status) for run, status in running if _is_alive(run, self.begun)]
        counts = Counter(state.value for name, state in self.plan.states.items() if name not in self.plan.todo)
        counts.update(status["state"] for status in self.ends.values())
        words = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
        title = f"{len(self.plan.cells)} runs: {len(running)} running, {len(self.waiting) - len(running)} waiting"
        result = Table(
            title=f"{title}{', ' if words else ''}{words}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
        )
        for column in ("run", "state", "seconds", "step", "loss", ""):
            result.add_column(
                column, justify="right" if column in ("seconds", "step", "loss") else "left", overflow="fold"
            )
        room = max(4, self.live.console.height - 6)
        for run, status in running[:room]:
            step, loss = _progress(run)
            result.add_row(run.name, _state("running"), f"{status.get('seconds', 0):.0f}", step, loss, "")
        for name, status in list(self.ends.items())[::-1][: max(0, room - len(running))]:
            step, loss = _progress(self.plan.folder.run(name))
            seconds = f"{status.get('seconds', 0):.0f}"
            result.add_row(name, _state(status["state"]), seconds, step, loss, Text(str(status.get("message") or "")))
        return result


@contextlib.contextmanager
def watcher_for(console: Console) -> Iterator[SweepLines | SweepTable]:
    """The table on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield SweepLines(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield SweepTable(live)


def _status(run: Run) -> dict[str, Any]:
    try:
        return run.read_status()
    except LeakyZooError:
        return {}


def _is_alive(run: Run, begun: float) -> bool:
    """Whether the status was written in this sweep's time: one that was killed has left "running" behind."""
    try:
        age = time.time() - run.status.stat().st_mtime
    except OSError:
        return False
    return age < time.monotonic() - begun + 1


def _progress(run: Run) -> tuple[str, str]:
    """Step and loss of the last row of the run's log."""
    try:
        with (run.folder / "log.csv").open("rb") as file:
            names = file.readline().decode().strip().split(",")
            file.seek(max(0, file.seek(0, 2) - 2048))
            last = file.read().decode(errors="replace").strip().rsplit("\n", 1)[-1].split(",")
    except OSError:
        return "", ""
    row = dict(zip(names, last, strict=False))
    try:
        return str(int(row["step"])), f"{float(row['loss']):.4g}"
    except (KeyError, ValueError):
        return "", ""


def _state(state: str) -> Text:
    return Text(state, style=STYLES.get(state, ""))
