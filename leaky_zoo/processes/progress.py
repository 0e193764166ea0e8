"""Progress on stderr: bars that leave nothing behind on a terminal, one line a minute elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Unwrapped(Console):
    """A terminal's text wraps at its width; text that goes into a file or a pipe does not wrap at all."""

    def print(self, *objects: Any, **arguments: Any) -> None:
        """As rich's, with `soft_wrap` where nobody looks at a width."""
        if not self.is_terminal:
            arguments["soft_wrap"] = True
        super().print(*objects, **arguments)


# Results go to stdout; everything said about them goes here, so that --json leaves JSON alone on stdout.
err = Unwrapped(stderr=True)
A_LINE_EVERY, A_DRAWING_EVERY = 60.0, 0.1  # seconds


@dataclass
class _Task:
    description: str
    total: float | None
    completed: float = 0


class ProgressLines:
    """The part of rich's `Progress` that is used here, as lines in a log: the first after a minute, then one a minute.

    Args:
        write: takes a line. Default: stderr.
        every: seconds between two lines. Default 60.
        clock: gives the time in seconds. Default `time.monotonic`.

    Example:
    >>> now = iter([0.0, 30.0, 61.0, 100.0, 130.0])
    >>> with ProgressLines(print, clock=lambda: next(now)) as progress:
    ...     task = progress.add_task("training", total=40)
    ...     for epoch in (10, 20, 30, 40):
    ...         progress.update(task, completed=epoch, description=f"training: loss {1 / epoch:.2f}")
    training: loss 0.05, 20 of 40, 1 min
    training: loss 0.03, 40 of 40, 2 min
    """

    def __init__(
        self,
        write: Callable[[str], None] | None = None,
        every: float = A_LINE_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._every, self._clock = write or _line, every, clock
        self._tasks: list[_Task] = []
        self._begin = self._last = clock()

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add_task(self, description: str, total: float | None = None) -> TaskID:
        """A task; its number."""
        self._tasks.append(_Task(description, total))
        return TaskID(len(self._tasks) - 1)

    def update(self, task: TaskID, *, completed: float | None = None, description: str | None = None) -> None:
        """Set how far a task has come, and what is said of it."""
        found = self._tasks[task]
        found.completed = found.completed if completed is None else completed
        found.description = found.description if description is None else description
        now = self._clock()
        if now - self._last < self._every:
            return
        self._last = now
        of = f"{found.completed:g}" + ("" if found.total is None else f" of {found.total:g}")
        self._write(f"{found.description}, {of}, {(now - self._begin) / 60:.0f} min")

    def advance(self, task: TaskID, by: float = 1) -> None:
        """One step further."""
        self.update(task, completed=self._tasks[task].completed + by)

    def track(self, items: Iterable[Any], description: str = "working") -> Iterator[Any]:
        """The items, with a task that follows them."""
        items = list(items)
        task = self.add_task(description, total=len(items))
        for item in items:
            yield item
            self.advance(task)


class Bar(Progress):
    """Rich's bars, drawn when they move and not by a thread of their own.

    That thread imports what it draws with, and TFDS replaces `import` for all threads while it starts.
    """

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(*columns, console=err, transient=True, auto_refresh=False)
        self._drawn = 0.0

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As rich's; then draw, at most ten times a second."""
        super().update(task_id, **changes)
        self._draw()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """As rich's; then draw, at most ten times a second."""
        super().advance(task_id, advance)
        self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= A_DRAWING_EVERY:
            self._drawn = now
            self.refresh()


def bar() -> Bar | ProgressLines:
    """A progress bar, to be entered; where stderr is no terminal, lines."""
    return Bar() if err.is_terminal else ProgressLines()


def track(description: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """A function that wraps an iterable with a bar, for `analyze`.

    Example:
    >>> list(track("counting")(range(3)))
    [0, 1, 2]
    """

    def wrap(items: Iterable[Any]) -> Iterable[Any]:
        items = list(items)
        with bar() as progress:
            yield from progress.track(items, description=description)

    return wrap


def _line(text: str) -> None:
    err.print(text, soft_wrap=True, markup=False, highlight=False)
