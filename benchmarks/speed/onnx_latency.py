"""Our graphs against the stock converter's, in ONNX Runtime, one thread: ratio of medians, runs interleaved.

    python benchmarks/speed/onnx_latency.py [--runs 200]

Writes onnx_latency.csv.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from leaky_zoo.deploy import export_onnx
from leaky_zoo.deploy.convert import convert_with_tf2onnx
from leaky_zoo.deploy.describe import output_name_of
from leaky_zoo.io.files import replacing
from leaky_zoo.zoo import from_preset, list_presets

RESULTS = Path(__file__).with_suffix(".csv")


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def seconds(run: onnxruntime.InferenceSession, x: np.ndarray) -> float:
    name = run.get_inputs()[0].name
    begin = time.perf_counter()
    run.run(None, {name: x})
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    arguments = parser.parse_args()
    names = [preset["name"] for preset in list_presets("_l7_")]
    with tempfile.TemporaryDirectory() as folder, replacing(RESULTS) as aside, aside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["preset", "batch", "ratio_ours_to_stock", "nodes_ours", "nodes_stock", "onnxruntime"])
        for name in names:
            network = from_preset(name)
            ours, stock = Path(folder) / "ours.onnx", Path(folder) / "stock.onnx"
            export_onnx(network, ours)
            onnx.save(convert_with_tf2onnx(network, output_name_of(network.task)), stock)
            nodes = [len(onnx.load(path).graph.node) for path in (ours, stock)]
            runs = [session(ours), session(stock)]
            for batch in (1, 256):
                x = np.random.default_rng(0).normal(size=(batch, *network.settings["input_shape"])).astype(np.float32)
                times = np.array([[seconds(run, x) for run in runs] for _ in range(arguments.runs)])
                ratio = np.divide(*np.median(times[10:], axis=0))
                writer.writerow([name, batch, f"{ratio:.3f}", *nodes, onnxruntime.__version__])
                print(name, batch, f"{ratio:.3f}", *nodes, flush=True)


if __name__ == "__main__":
    main()
