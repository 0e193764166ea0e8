"""What the commands share: where text goes, options that several take, tables."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown_text
from leaky_zoo.processes.progress import err

if TYPE_CHECKING:
    from leaky_zoo.data import Dataset

out = Console()

NUMBER = re.compile(r"^(-|yes|no|(loss )?-?[\d.,]+(e[-+]\d+)?%?)$")


def _writes(*suffixes: str) -> Callable[[typer.CallbackParam, Path | None], Path | None]:
    """Refuse a file of another kind before any work is done."""

    def check(option: typer.CallbackParam, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() not in suffixes:
            words = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
            raise InvalidInputError(f"--{option.name} writes {words}. Received: {value}")
        return value

    return check


Report = Annotated[
    Path | None, typer.Option("--report", help="Write a self-contained page, .html.", callback=_writes(".html", ".htm"))
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", help="Write a figure, PNG, SVG or PDF.", callback=_writes(".png", ".svg", ".pdf")),
]
Model = Annotated[str, typer.Argument(help="A preset's name or alias, the path of a preset folder, or a .keras file.")]
StrategyName = Annotated[
    str | None,
    typer.Option("--strategy", help="auto (every GPU, else the CPU), cpu, mirrored, or multi_worker (by TF_CONFIG)."),
]
Devices = Annotated[int | None, typer.Option("--devices", help="Replicas: GPUs, or logical CPU devices.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="classification or regression, where targets could be labels or numbers. [default: what is evident]",
    ),
]
Stream = Annotated[bool, typer.Option("--stream", help="Keep the inputs on the disk: for data larger than memory.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="TFDS folder to look for data in. [default: TFDS_DATA_DIR]")
]


def print_json(value: Any) -> None:
    """JSON alone on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def fail(message: str, code: int) -> NoReturn:
    """One sentence on stderr, and the exit code."""
    err.print(
        Text.assemble(("leaky-zoo:", "bold red"), " ", shown_text(message, 4000)), highlight=False, soft_wrap=True
    )
    raise SystemExit(code)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A table in plain lines; columns of numbers are aligned on the right."""
    cells = [[cell(value) for value in row] for row in rows]
    result = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        numbers = all(NUMBER.match(row[place]) for row in cells)
        result.add_column(column, justify="right" if numbers and place else "left", overflow="fold")
    for row in cells:
        result.add_row(*(escape(text) for text in row))
    return result


def cell(value: Any) -> str:
    """A value as a table shows it: four digits for floats, a dash for what is undefined."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {cell(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    return str(value)


def say_about(dataset: "Dataset") -> None:
    """How data were read, and what about them may not be meant; on stderr."""
    for note in dataset.notes:
        err.print(f"[dim]{escape(dataset.identifier)}: {escape(note)}[/]", highlight=False, soft_wrap=True)
    for warning in dataset.warnings:
        err.print(
            f"[yellow]warning:[/] {escape(dataset.identifier)}: {escape(warning)}", highlight=False, soft_wrap=True
        )
