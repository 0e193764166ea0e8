"""What watching for drift costs: `DriftMonitor.predict` against `predict` of the same file without its reference.

    python -m benchmarks.speed.monitor_overhead --files A.onnx,B.onnx [--rounds 400]
        writes monitor_overhead.csv; the files watch for drift (`leaky-zoo export --monitor`, `leaky-zoo compress`)

The other file is the same graph without the output `bottleneck` and its nodes. One thread; every round runs both in a
random order. `overhead_percent` is the median over rounds of the ratio of the two, less one: on a machine that does
other work as well, a round slows both. `overhead_quiet_percent` compares their 10th percentiles, the rounds that were
disturbed least. `unasked_percent` (medians) is what the nodes cost who runs the file without a monitor.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx

from benchmarks.common import interleaved, options, write_table
from leaky_zoo.deploy.reference import OUTPUT_NAME
from leaky_zoo.runtime import DriftMonitor, load

TABLE = Path(__file__).with_suffix(".csv")
BATCHES = (1, 16, 64, 256)


def unwatched(path: Path, target: Path) -> Path:
    """The file without its `bottleneck` output, its nodes and what only these read."""
    model = onnx.load(path)
    graph = model.graph
    if OUTPUT_NAME not in [each.name for each in graph.output]:
        raise SystemExit(f"{path} does not watch for drift: export it with --monitor.")
    for parts in (graph.node, graph.output, graph.initializer):
        kept = [each for each in parts if each.name.split("/")[0] != OUTPUT_NAME]
        if len(kept) < len(parts):
            del parts[:]
            parts.extend(kept)
    kept_properties = [each for each in model.metadata_props if each.key != "leaky_zoo.reference"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept_properties)
    onnx.save(model, target)
    return target


def measure(path: Path, rounds: int) -> list[dict[str, object]]:
    """A row for each batch size."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        plain = load(unwatched(path, Path(folder) / "plain.onnx"), threads=1)
        watched = load(path, threads=1)
        monitor = DriftMonitor(watched, batch=100)
        for batch in BATCHES:
            shape = watched.input_description["shape"][1:]
            x = np.random.default_rng(0).uniform(0, 255, (batch, *shape)).astype(np.float32)
            calls = {
                "plain": lambda x=x: plain.predict(x),
                "unasked": lambda x=x: watched.predict(x),
                "watched": lambda x=x: monitor.predict(x),
            }
            seconds = interleaved(calls, rounds, warm_up=20)
            ratio = {name: float(np.median(seconds[name] / seconds["plain"])) - 1 for name in ("unasked", "watched")}
            quiet = np.percentile(seconds["watched"], 10) / np.percentile(seconds["plain"], 10) - 1
            rows.append({
                "file": f"{path.parent.name}/{path.stem}", "batch": batch,
                "directions": watched.metadata["leaky_zoo.reference"]["directions"],
                "plain_us": f"{1e6 * np.median(seconds['plain']):.1f}",
                "overhead_percent": f"{100 * ratio['watched']:.1f}",
                "overhead_quiet_percent": f"{100 * quiet:.1f}",
                "unasked_percent": f"{100 * ratio['unasked']:.1f}",
            })  # fmt: skip
            print(*rows[-1].values(), flush=True)
    return rows


def main(files: tuple[str, ...], rounds: int) -> None:
    """Measure these files, and write the table."""
    if not all(files):
        raise SystemExit("Name the files to measure: --files A.onnx,B.onnx")
    found = [row for path in files for row in measure(Path(path), rounds)]
    write_table(TABLE, found, keys=["file", "batch"], rounds=rounds, threads=1)


if __name__ == "__main__":
    given = options(__doc__, files=("",), rounds=400)
    main(given.files, given.rounds)
