"""What the commands share: where text goes, options that several take, tables."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.markup import escape
from rich.text import Text

from leaky_zoo.cli.tables import Output, cell, table
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown_text
from leaky_zoo.processes.progress import err

if TYPE_CHECKING:
    from leaky_zoo.data import Dataset

out = Output()


def _writes(*suffixes: str) -> Callable[[typer.CallbackParam, Path | None], Path | None]:
    """Refuse a file of another kind before any work is done."""

    def check(option: typer.CallbackParam, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() not in suffixes:
            words = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
            raise InvalidInputError(f"--{option.name} writes {words}. Received: {value}")
        return value

    return check


def found_model(value: str | None) -> str | None:
    """Refuse a name that stands for no model before TensorFlow starts, which takes seconds."""
    if value is not None:
        from leaky_zoo.zoo.loading import require_model

        require_model(value)
    return value


def found_model_or_onnx(value: str) -> str:
    """As `found_model`, for commands that read ONNX files too."""
    return value if value.lower().endswith(".onnx") else str(found_model(value))


__all__ = [
    "AsJson", "DataDir", "Devices", "Model", "Plot", "Report", "StrategyName", "Stream", "Task", "cell", "command",
    "err", "fail", "found_model", "found_model_or_onnx", "out", "print_json", "say_about", "table",
]  # fmt: skip

Report = Annotated[
    Path | None, typer.Option("--report", help="Write a self-contained page, .html.", callback=_writes(".html", ".htm"))
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", help="Write a figure, PNG, SVG or PDF.", callback=_writes(".png", ".svg", ".pdf")),
]
Model = Annotated[
    str,
    typer.Argument(
        help="A preset's name or alias, the path of its folder, its address (hf://USER/NAME[@REVISION], INDEX#NAME), "
        "the folder of a run, or a .keras file.",
        callback=found_model,
    ),
]
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


def command(*words: Any) -> str:
    """A command that can be pasted: words are quoted where they need it.

    >>> command("leaky-zoo", "analyze", "runs/my net")
    "leaky-zoo analyze 'runs/my net'"
    """
    return shlex.join(map(str, words))


def print_json(value: Any) -> None:
    """JSON alone on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def fail(message: str, code: int) -> NoReturn:
    """One sentence on stderr, and the exit code."""
    err.print(
        Text.assemble(("leaky-zoo:", "bold red"), " ", shown_text(message, 4000)), highlight=False, soft_wrap=True
    )
    raise SystemExit(code)


def say_about(dataset: "Dataset") -> None:
    """How data were read, and what about them may not be meant; on stderr."""
    for note in dataset.notes:
        err.print(f"[dim]{escape(dataset.identifier)}: {escape(note)}[/]", highlight=False, soft_wrap=True)
    for warning in dataset.warnings:
        err.print(
            f"[yellow]warning:[/] {escape(dataset.identifier)}: {escape(warning)}", highlight=False, soft_wrap=True
        )
