"""Compressed files against the export of the whole net, in ONNX Runtime, one thread: medians, runs interleaved.

    python -m benchmarks.speed.compressed_latency --whole NET --compressed A.onnx,B.onnx [--runs 300]
        writes compressed_latency.csv; NET is a preset or a .keras file, the others are what `leaky-zoo compress` made

Bytes are of whole files, metadata included; the whole net's export carries its full audit. What is timed is a
prediction, the first output alone, as `leaky_zoo.runtime` asks for it; of a file that watches for drift also all
outputs (`watching`). Each round runs all of them in a random order; `times_faster` is a ratio of medians.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.common import interleaved, options, write_table
from leaky_zoo.deploy import export_model
from leaky_zoo.runtime.session import run_options

TABLE = Path(__file__).with_suffix(".csv")
BATCHES = (1, 16, 64, 256)


def calls_of(path: Path, x: np.ndarray) -> dict[str, Callable[[], object]]:
    """One prediction, on one thread; and with the outputs for watching, where there are any."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    source, first, alone = session.get_inputs()[0].name, session.get_outputs()[0].name, run_options()
    calls = {"": lambda: session.run([first], {source: x}, alone)}
    if len(session.get_outputs()) > 1:
        calls[", watching"] = lambda: session.run(None, {source: x})
    return calls


def main(whole: str, compressed: tuple[str, ...], runs: int) -> None:
    """Measure, and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {"whole": Path(folder) / "whole.onnx"}
        export_model(whole, files["whole"])
        files |= {Path(path).stem: Path(path) for path in compressed if path}
        shape = onnxruntime.InferenceSession(files["whole"], providers=["CPUExecutionProvider"]).get_inputs()[0].shape
        for batch in BATCHES:
            x = np.random.default_rng(0).uniform(0, 255, size=(batch, *shape[1:])).astype(np.float32)
            calls = {(name, how): call for name, path in files.items() for how, call in calls_of(path, x).items()}
            seconds = interleaved({"".join(each): call for each, call in calls.items()}, runs, warm_up=20)
            medians = {name: float(np.median(each)) for name, each in seconds.items()}
            for file, how in calls:
                name, path = file + how, files[file]
                rows.append({
                    "net": Path(whole.removesuffix(".keras")).name, "file": name,
                    "bytes": path.stat().st_size, "batch": batch,
                    "median_us": f"{1e6 * medians[name]:.1f}",
                    "times_faster": f"{medians['whole'] / medians[name]:.2f}",
                    "times_smaller": f"{files['whole'].stat().st_size / path.stat().st_size:.1f}",
                })  # fmt: skip
                print(*rows[-1].values(), flush=True)
    write_table(TABLE, rows, keys=["net", "file", "batch"], runs=runs, threads=1,
                onnxruntime=onnxruntime.__version__)  # fmt: skip


if __name__ == "__main__":
    given = options(__doc__, whole="", compressed=("",), runs=300)
    main(given.whole, given.compressed, given.runs)
