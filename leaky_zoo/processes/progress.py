"""Progress bars on stderr, which leave nothing behind."""

from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Results go to stdout; everything said about them goes here, so that --json leaves JSON alone on stdout.
err = Console(stderr=True)


def bar() -> Progress:
    """A progress bar, to be entered."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )


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
