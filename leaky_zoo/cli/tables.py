"""Tables on a terminal and in a pipe: names and numbers never break, and a pipe gets plain text."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from leaky_zoo.processes.progress import Unwrapped

NUMBER = re.compile(r"^(-|yes|no|(loss )?-?[\d.,]+(e[-+]\d+)?%?)$")
GAP = 3  # columns of space between two, in a table with lines
LEAST = 16  # columns that a text needs to be read when it wraps


class Output(Unwrapped):
    """Where results go: lines of a table that is too wide for the terminal are left to it."""

    def print(self, *objects: Any, **arguments: Any) -> None:
        """As rich's, with `soft_wrap` where a width is of no use."""
        if any(isinstance(each, Rows) and not each.fits(self.width) for each in objects):
            arguments["soft_wrap"] = True
        super().print(*objects, **arguments)


class Rows:
    """Rows under a title: a table where the terminal has room for it, else aligned plain text with unbroken lines.

    Args:
        title: above the table; "" is none.
        columns: names of the columns.
        rows: their cells, as text, one for each column.

    Example:
    >>> from rich.console import Console
    >>> Output(file=__import__("sys").stdout).print(Rows("2 nets", ["name", "L~"], [["mlp", "7"], ["conv", "12"]]))
    2 nets
    name  L~
    mlp    7
    conv  12
    """

    def __init__(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.title, self.columns, self.rows = title, list(columns), [list(row) for row in rows]
        places = range(len(self.columns))
        self._numbers = [bool(place) and all(NUMBER.match(row[place]) for row in self.rows) for place in places]
        self._longest = [max(map(len, [self.columns[place], *(row[place] for row in self.rows)])) for place in places]
        # A cell of several words may wrap; a name, a path or a number may not.
        self._words = [any(" " in row[place] for row in self.rows) for place in places]

    def fits(self, width: int) -> bool:
        """Whether a table of it is readable in so many columns."""
        columns = zip(self._longest, self._words, strict=True)
        return sum(GAP + (min(most, LEAST) if words else most) for most, words in columns) <= width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal and self.fits(options.max_width):
            yield self._table()
            return
        for line in self._lines():
            yield Segment(line)
            yield Segment.line()

    def _table(self) -> RenderableType:
        result = Table(
            title=self.title or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
        )
        for place, column in enumerate(self.columns):
            words = self._words[place]
            result.add_column(
                column,
                justify="right" if self._numbers[place] else "left",
                overflow="fold",
                no_wrap=not words,
                min_width=None if words else self._longest[place],
            )
        for row in self.rows:
            result.add_row(*(escape(text) for text in row))
        return result

    def _lines(self) -> Iterable[str]:
        if self.title:
            yield self.title
        for row in [self.columns, *self.rows]:
            cells = zip(row, self._longest, self._numbers, strict=True)
            yield "  ".join(text.rjust(most) if right else text.ljust(most) for text, most, right in cells).rstrip()
        yield ""


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Rows:
    """A table of any values; columns of numbers are aligned on the right."""
    return Rows(title, list(columns), [[cell(value) for value in row] for row in rows])


def cell(value: Any) -> str:
    """A value as a table shows it: four digits for floats, a dash for what is undefined; one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        mark = "; " if any(isinstance(item, dict) for item in value.values()) else ", "
        return mark.join(f"{key}: {cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return " ".join(str(value).split("\n"))
