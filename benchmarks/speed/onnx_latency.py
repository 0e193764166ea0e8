"""Our graphs against the stock converter's, in ONNX Runtime, one thread: ratio of medians, runs interleaved.

python -m benchmarks.speed.onnx_latency [--runs 200]    writes onnx_latency.csv
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from benchmarks.common import interleaved, options, write_table
from leaky_zoo.deploy import export_onnx
from leaky_zoo.deploy.convert import convert_with_tf2onnx
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.zoo import from_preset, list_presets

TABLE = Path(__file__).with_suffix(".csv")


def call_of(path: Path, x: np.ndarray) -> Callable[[], object]:
    """One prediction, on one thread."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})


def main(runs: int) -> None:
    """Measure every preset at L~ = 7, and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.onnx" for name in ("ours", "stock")}
        for preset in list_presets("_l7_"):
            network = from_preset(preset["name"])
            export_onnx(network, files["ours"])
            onnx.save(convert_with_tf2onnx(Reference(network, network.task.output_name)), files["stock"])
            nodes = {name: len(onnx.load(path).graph.node) for name, path in files.items()}
            for batch in (1, 256):
                x = np.random.default_rng(0).normal(size=(batch, *network.input_shape[1:])).astype(np.float32)
                seconds = interleaved({name: call_of(path, x) for name, path in files.items()}, runs, warm_up=10)
                ratio = np.median(seconds["ours"]) / np.median(seconds["stock"])
                rows.append({
                    "preset": preset["name"], "batch": batch, "ratio_ours_to_stock": f"{ratio:.3f}",
                    "nodes_ours": nodes["ours"], "nodes_stock": nodes["stock"], "onnxruntime": onnxruntime.__version__,
                })  # fmt: skip
                print(*rows[-1].values(), flush=True)
    write_table(TABLE, rows, runs=runs)


if __name__ == "__main__":
    main(options(__doc__, runs=200).runs)
