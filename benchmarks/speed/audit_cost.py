"""What an audit costs: time against one forward pass, memory against the number of samples, both against N x N kernels.

    python benchmarks/speed/audit_cost.py [--data-dir DIR] [--repeats 5]    writes audit_cost.csv

An MLP of width 256 with 20 layers, untrained, on the 60,000 MNIST training images, batches of 1024. Every figure is a
ratio of medians within one run, or a peak of a process of its own.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).parent
TABLE = ROOT / "audit_cost.csv"
BATCH = 1024
DIRECT = 4000


def network():
    """The net of the claim."""
    import keras

    from leaky_zoo.networks import LeakyMLP

    keras.utils.set_random_seed(0)
    return LeakyMLP(
        (28, 28, 1), 10, width=256, depth=20, effective_depth=7.0, weight_decay=1.4e-4, io_weight_decay=1e-3,
        input_mean=33.3, input_variance=6172.0,
    )  # fmt: skip


def direct_energies(net, x, y) -> list[float]:
    """COI, kinetic and cross term and `H` of every layer with the kernel `K` written out, as the paper has them."""
    import numpy as np

    from leaky_zoo.flow.head_gradient import head_gradient

    path = [np.asarray(a, dtype=np.float64) for a in net.representations.predict(x, batch_size=BATCH, verbose=0)]
    _, slope = head_gradient(net.head, net.loss_function())(path[-1].astype("float32"), y)
    gradient, found = slope / len(x), []
    for row in reversed(range(len(net.blocks))):
        block, a = net.blocks[row], path[row]
        s = block.features(a)
        kernel = s @ s.T
        gamma = 1e-5 * float(np.linalg.eigvalsh(s.T @ s)[-1])
        solved = np.linalg.solve(kernel + gamma * np.eye(len(x)), np.hstack([a, s @ block.weight_matrix.T]))
        width = a.shape[1]
        speed = s @ block.weight_matrix.T - net.effective_depth * a
        cost = float(np.vdot(a, solved[:, :width]))
        half = solved[:, width:] - net.effective_depth * solved[:, :width]
        momentum = -gradient / net.settings["weight_decay"]
        pairing = momentum.T @ s
        hamiltonian = float(np.vdot(pairing, pairing)) / (2 * net.effective_depth) - float(np.vdot(momentum, a))
        found.append((cost, float(np.vdot(speed, half)), float(np.vdot(speed, solved[:, :width])), hamiltonian))
        leak = 1 - net.paths[0].step_sizes[row] * net.effective_depth
        gradient = leak * gradient + net.paths[0].step_sizes[row] * block.pull_back(gradient, a)
    return found[::-1]


def ways(net, x, y) -> dict[str, Callable]:
    """What is timed."""
    from leaky_zoo.analysis import analyze

    return {
        "forward": lambda: net.predict(x, batch_size=BATCH, verbose=0),
        "audit": lambda: analyze(net, x, y, batch_size=BATCH),
        "audit_without_momenta": lambda: analyze(net, x, y, batch_size=BATCH, with_momenta=False),
        "audit_float32_products": lambda: analyze(net, x, y, batch_size=BATCH, products="float32"),
        "audit_float32_products_without_momenta": lambda: analyze(
            net, x, y, batch_size=BATCH, products="float32", with_momenta=False
        ),
    }


def load(data_dir: str | None, count: int):
    """The first images, as float32."""
    import numpy as np

    from leaky_zoo.data import load_data

    x, y = load_data("mnist", data_dir).select(f"train[:{count}]")
    return np.ascontiguousarray(x), y


def timed(call: Callable) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def peak(way: str, count: int, data_dir: str | None) -> float:
    """Peak memory of a process that does one thing, its data set aside, in MB."""
    command = [sys.executable, __file__, "--peak", way, "--samples", str(count)]
    command += ["--data-dir", data_dir] if data_dir else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def measure_peak(way: str, count: int, data_dir: str | None) -> None:
    """Print the peak of the resident memory while one thing is done, without the data, in MB."""
    x, y = load(data_dir, count)
    net = network()
    act = (lambda: direct_energies(net, x, y)) if way == "direct" else ways(net, x, y)[way]
    Path("/proc/self/clear_refs").write_text("5")  # loading the data had a peak of its own
    act()
    high = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(high.split()[1]) / 1024 - x.nbytes / 2**20)


def main(arguments: argparse.Namespace) -> None:
    """Measure, and write the table."""
    import numpy as np

    from leaky_zoo.analysis import analyze

    x, y = load(arguments.data_dir, 60_000)
    net = network()
    seconds: dict[str, list[float]] = {}
    for repeat in range(arguments.repeats + 1):
        for name, call in ways(net, x, y).items():
            taken = timed(call)
            if repeat:  # the first round warms up
                seconds.setdefault(name, []).append(taken)
            print(repeat, name, f"{taken:.2f} s", flush=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    rows = [
        (f"{name}, 60,000 samples: time / one forward pass", median[name] / median["forward"],
         min(a / b for a, b in zip(seconds[name], seconds["forward"], strict=True)),
         max(a / b for a, b in zip(seconds[name], seconds["forward"], strict=True)))
        for name in median if name != "forward"
    ]  # fmt: skip
    exact, fast = (analyze(net, x, y, batch_size=BATCH, products=products) for products in ("float64", "float32"))
    for field in ("cost_of_identity", "kinetic_energy", "hamiltonian"):
        pairs = [(getattr(a, field), getattr(b, field)) for a, b in zip(exact.layers, fast.layers, strict=True)]
        worst = max(abs(a - b) / abs(a) for a, b in pairs)
        rows.append((f"float32 products: largest relative error of {field} over layers", worst, "", ""))
    large, small = peak("audit", 60_000, arguments.data_dir), peak("audit", 6_000, arguments.data_dir)
    rows.append(("audit: peak memory at N = 60,000 / at N = 6,000, data set aside", large / small, "", ""))
    few, labels = x[:DIRECT], y[:DIRECT]
    ours = statistics.median(timed(lambda: analyze(net, few, labels, batch_size=BATCH)) for _ in range(3))
    direct = timed(lambda: direct_energies(net, few, labels))
    rows.append((f"N x N kernels, N = {DIRECT}: time / audit", direct / ours, "", ""))
    memory = peak("direct", DIRECT, arguments.data_dir), peak("audit", DIRECT, arguments.data_dir)
    rows.append((f"N x N kernels, N = {DIRECT}: peak memory / audit", memory[0] / memory[1], "", ""))
    check = analyze(net, few, labels, batch_size=BATCH)
    both = zip(direct_energies(net, few, labels), check.layers, strict=True)
    errors = [abs(a[0] - b.cost_of_identity) / a[0] for a, b in both]
    rows.append((f"N x N kernels, N = {DIRECT}: largest relative difference in COI", max(errors), "", ""))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["figure", "value", "least", "largest"])
        for name, *values in rows:
            writer.writerow([name, *(f"{value:.3g}" if value != "" else "" for value in values)])
    about = {"repeats": arguments.repeats, "seconds": {name: round(value, 2) for name, value in median.items()},
             "numpy": np.__version__, "cores": os.cpu_count(), "peak_MB": [round(large), round(small)]}  # fmt: skip
    print(json.dumps(about))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--samples", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    measure_peak(chosen.peak, chosen.samples, chosen.data_dir) if chosen.peak else main(chosen)
