"""What benchmarks share: command lines, tables and where they were measured, timing, intervals over seeds."""

import argparse
import csv
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.io.files import replacing, write_json
from leaky_zoo.sweeps.supervise import installed_versions

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parents[1]
BUILD, IMAGES = ROOT / "build", ROOT / "docs" / "images"


def options(document: str | None, *steps: str, **defaults: Any) -> argparse.Namespace:
    """The command line of a benchmark.

    Args:
        document: the module's docstring.
        steps: what it can do; one of them is chosen, as `step`. None: it does one thing.
        defaults: an option for each, of its default's type: a range is written 0-2, a tuple with commas, False is a
            flag; a type in the place of a default is an option that is None unless given. Names that begin with `_`
            are for the benchmark's own processes and not shown in the help.
    """
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    if steps:
        parser.add_argument("step", choices=steps)
    for name, default in defaults.items():
        words = argparse.SUPPRESS if name.startswith("_") else None
        flag = f"--{name.strip('_').replace('_', '-')}"
        if default is False:
            parser.add_argument(flag, action="store_true", help=words)
        elif isinstance(default, type):
            parser.add_argument(flag, type=default, help=words)
        else:
            read = {range: _range, tuple: lambda text, kind=default: _values(text, kind)}.get(type(default))
            shown_ = f"{default[0]}-{default[-1]}" if isinstance(default, range) else default
            shown_ = ",".join(map(str, default)) if isinstance(default, tuple) else shown_
            words = words or f"default {shown_ if shown_ != '' else 'all'}"
            parser.add_argument(flag, type=read or type(default), default=default, help=words)
    return parser.parse_args()


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _values(text: str, default: tuple) -> tuple:
    return tuple(type(default[0])(part) for part in text.split(","))


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table that a benchmark wrote."""
    if not path.exists():
        raise SystemExit(f"There is no {path.name} yet: measure first.")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path: Path, rows: Iterable[dict[str, Any]], keys: Sequence[str] = (), **about: Any) -> None:
    """Write a table, and beside it as JSON with what it was measured.

    Args:
        path: the CSV. Floats get five digits, None an empty cell.
        rows: all with the same columns.
        keys: columns that tell rows apart: rows of the file that are not among the new ones stay. Default: none stay.
        about: of these rows: samples, `gamma_0`, repeats.
    """
    known = {tuple(row[key] for key in keys): row for row in (read_table(path) if keys and path.exists() else [])}
    for place, row in enumerate(rows):
        cells = {name: f"{v:.5g}" if isinstance(v, float) else "" if v is None else str(v) for name, v in row.items()}
        known[tuple(cells[key] for key in keys) if keys else (place,)] = cells
    if not known:
        raise SystemExit(f"No rows for {path.name}: there is nothing to measure yet.")
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(next(iter(known.values()))), lineterminator="\n")
        writer.writeheader()
        writer.writerows(known.values())
    write_json(path.with_suffix(".json"), provenance() | about)


def provenance() -> dict[str, Any]:
    """Versions and device of what is measured here and now."""
    tf = sys.modules.get("tensorflow")  # what did not need it ran on the CPU
    gpus = tf.config.list_physical_devices("GPU") if tf else []
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    device = ", ".join(names) or f"CPU, {processor()}, {os.cpu_count()} cores"
    return {"versions": installed_versions(), "device": device}


def processor() -> str:
    """Kind and, where Linux tells it, model of this machine's processor."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()} ({model})" if model else platform.machine()


def save(figure: Any, name: str, dpi: int = 110) -> None:
    """Write a figure to `docs/images/<name>.png`."""
    with replacing(IMAGES / f"{name}.png") as aside:
        figure.savefig(aside, dpi=dpi)


def in_a_process(module: str, *words: object) -> str:
    """What `python -m module words` prints, last line: for what needs a process of its own."""
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return (done.stdout.strip().splitlines() or [""])[-1]


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def interleaved(calls: dict[str, Callable[[], object]], repeats: int, warm_up: int = 1) -> dict[str, np.ndarray]:
    """Seconds of each call, in turns, each round in another order: a busy machine shifts all alike.

    The first rounds do not count.
    """
    random, names = np.random.default_rng(0), list(calls)
    taken = np.zeros((warm_up + repeats, len(names)))
    for row in taken:
        for place in random.permutation(len(names)):
            row[place] = seconds_of(calls[names[place]])
    return dict(zip(names, taken[warm_up:].T, strict=True))


def interval(values: np.ndarray) -> tuple[float, float | None]:
    """Mean and half width of its 95% interval (Student's t); None for one value."""
    from scipy.stats import t

    if len(values) < 2:
        return float(np.mean(values)), None
    return float(np.mean(values)), float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def shown(values: np.ndarray, digits: int, unit: str = "", sign: str = "-") -> str:
    """Mean ± half width in words; `sign` "+" writes the plus."""
    mean, half = interval(values)
    return f"{mean:{sign}.{digits}f}{unit}" + ("" if half is None else f" ± {half:.{digits}f}")


def draw_band(axes: Any, places: Iterable[float], groups: Iterable[Sequence[float]], label: str) -> None:
    """Means over seeds with their interval; groups without a value are left out."""
    kept = [(place, *interval(np.array(group))) for place, group in zip(places, groups, strict=True) if len(group)]
    if kept:
        positions, means, halves = (np.array([value or 0.0 for value in column]) for column in zip(*kept, strict=True))
        (line,) = axes.plot(positions, means, marker=".", label=label)
        axes.fill_between(positions, means - halves, means + halves, color=line.get_color(), alpha=0.2, linewidth=0)


def markdown(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as the pages of docs/ have it."""
    columns = list(columns)
    header, *lines = ("|" + "".join(f" {cell} |" if cell != "" else " |" for cell in row) for row in (columns, *rows))
    return "\n".join([header, "|---" * len(columns) + "|", *lines])
