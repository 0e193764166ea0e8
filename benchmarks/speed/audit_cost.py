"""What an audit costs: time against one forward pass, memory against the number of samples, both against N x N kernels.

    python -m benchmarks.speed.audit_cost [--data-dir DIR] [--repeats 5]    writes audit_cost.csv

An MLP of width 256 with 20 layers, untrained, on the 60,000 MNIST training images, batches of 1024. Every figure is a
ratio of medians within one run, or a peak of a process of its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from benchmarks.common import in_a_process, interleaved, options, write_table
from leaky_zoo.analysis import analyze
from leaky_zoo.data import load_data
from leaky_zoo.flow.gradients import head_gradient
from leaky_zoo.networks import LeakyMLP

TABLE = Path(__file__).with_suffix(".csv")
BATCH, DIRECT, WEIGHT_DECAY = 1024, 4000, 1.4e-4


def network():
    """The net of the claim."""
    keras.utils.set_random_seed(0)
    return LeakyMLP(
        (28, 28, 1), 10, width=256, depth=20, effective_depth=7.0, weight_decay=WEIGHT_DECAY, io_weight_decay=1e-3,
        input_mean=33.3, input_variance=6172.0,
    )  # fmt: skip


def direct_energies(net, x, y) -> list[float]:
    """COI, kinetic and cross term and `H` of every layer with the kernel `K` written out, as the paper has them."""
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
        momentum = -gradient / WEIGHT_DECAY
        pairing = momentum.T @ s
        hamiltonian = float(np.vdot(pairing, pairing)) / (2 * net.effective_depth) - float(np.vdot(momentum, a))
        found.append((cost, float(np.vdot(speed, half)), float(np.vdot(speed, solved[:, :width])), hamiltonian))
        leak = 1 - net.paths[0].step_sizes[row] * net.effective_depth
        gradient = leak * gradient + net.paths[0].step_sizes[row] * block.pull_back(gradient, a)
    return found[::-1]


def ways(net, x, y) -> dict[str, Callable[[], object]]:
    """What is timed."""

    def audit(**settings) -> Callable[[], object]:
        return lambda: analyze(net, x, y, batch_size=BATCH, **settings)

    return {
        "forward": lambda: net.predict(x, batch_size=BATCH, verbose=0),
        "audit": audit(),
        "audit_without_momenta": audit(with_momenta=False),
        "audit_float32_products": audit(products="float32"),
        "audit_float32_products_without_momenta": audit(products="float32", with_momenta=False),
    }


def load(data_dir: str | None, count: int):
    """The first images, as float32."""
    x, y = load_data("mnist", data_dir).select(f"train[:{count}]")
    return np.ascontiguousarray(x), y


def peak(way: str, count: int, data_dir: str | None) -> float:
    """Peak memory of a process that does one thing, its data set aside, in MB."""
    folder = ["--data-dir", data_dir] if data_dir else []
    return float(in_a_process(__spec__.name, "--peak", way, "--samples", count, *folder))


def measure_peak(way: str, count: int, data_dir: str | None) -> None:
    """Print the peak of the resident memory while one thing is done, without the data, in MB."""
    x, y = load(data_dir, count)
    net = network()
    act = (lambda: direct_energies(net, x, y)) if way == "direct" else ways(net, x, y)[way]
    Path("/proc/self/clear_refs").write_text("5")  # loading the data had a peak of its own
    act()
    high = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(high.split()[1]) / 1024 - x.nbytes / 2**20)


def times(net, x, y, repeats: int) -> Iterator[tuple]:
    """Rows of the whole set: time of each way over a forward pass."""
    seconds = interleaved(ways(net, x, y), repeats)
    for name, taken in seconds.items():
        if name != "forward":
            ratios = taken / seconds["forward"]
            ratio = np.median(taken) / np.median(seconds["forward"])
            yield f"{name}, {len(x):,} samples: time / one forward pass", ratio, ratios.min(), ratios.max()


def precision(net, x, y) -> Iterator[tuple]:
    """Rows of what products in float32 change."""
    exact, fast = (analyze(net, x, y, batch_size=BATCH, products=products) for products in ("float64", "float32"))
    for field in ("cost_of_identity", "kinetic_energy", "hamiltonian"):
        pairs = [(getattr(a, field), getattr(b, field)) for a, b in zip(exact.layers, fast.layers, strict=True)]
        worst = max(abs(a - b) / abs(a) for a, b in pairs)
        yield f"float32 products: largest relative error of {field} over layers", worst


def against_kernels(net, x, y, data_dir: str | None) -> Iterator[tuple]:
    """Rows of the kernels written out, on fewer samples."""
    audit = ways(net, x, y)["audit"]
    ours, direct = (np.median(taken) for taken in (
        interleaved({"audit": audit}, 3, 0)["audit"],
        interleaved({"direct": lambda: direct_energies(net, x, y)}, 1, 0)["direct"],
    ))  # fmt: skip
    yield f"N x N kernels, N = {DIRECT}: time / audit", direct / ours
    yield (f"N x N kernels, N = {DIRECT}: peak memory / audit",
           peak("direct", DIRECT, data_dir) / peak("audit", DIRECT, data_dir))  # fmt: skip
    layers = analyze(net, x, y, batch_size=BATCH).layers
    pairs = zip(direct_energies(net, x, y), layers, strict=True)
    errors = [abs(a[0] - b.cost_of_identity) / a[0] for a, b in pairs]
    yield f"N x N kernels, N = {DIRECT}: largest relative difference in COI", max(errors)


def main(data_dir: str | None, repeats: int) -> None:
    """Measure, and write the table."""
    x, y = load(data_dir, 60_000)
    net, few = network(), (x[:DIRECT], y[:DIRECT])
    rows = [*times(net, x, y, repeats), *precision(net, x, y)]
    growth = peak("audit", 60_000, data_dir) / peak("audit", 6_000, data_dir)
    rows.append(("audit: peak memory at N = 60,000 / at N = 6,000, data set aside", growth))
    rows += against_kernels(net, *few, data_dir)
    cells = ((name, *(f"{value:.3g}" for value in values), "", "") for name, *values in rows)
    table = [dict(zip(("figure", "value", "least", "largest"), row[:4], strict=True)) for row in cells]
    write_table(TABLE, table, samples=len(x), gamma_0=1e-5, repeats=repeats, seeds=[0])


if __name__ == "__main__":
    chosen = options(__doc__, data_dir=str, repeats=5, _peak=str, _samples=int)
    if chosen.peak:
        measure_peak(chosen.peak, chosen.samples, chosen.data_dir)
    else:
        main(chosen.data_dir, chosen.repeats)
