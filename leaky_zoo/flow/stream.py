"""Batches along a network's path: additive sums of every layer and, when the loss is known, of its momenta."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.head_gradient import head_gradient
from leaky_zoo.flow.sums import LayerAccumulator, LayerSums, Subsample
from leaky_zoo.geometry import MomentumMoments, MomentumSums, euler_adjoint, euler_step, leak, outer_after_step
from leaky_zoo.layers.block import with_ones
from leaky_zoo.networks import LeakyNetwork

# A float32 product gives a row the same digits whatever the other rows are, if there are this many or a multiple.
ROWS = 64


@dataclass(frozen=True)
class PathSums:
    """Sums over samples along a path. They add: over batches, threads, replicas, workers and processes.

    Attributes:
        samples: how many samples `N`.
        layers: sums of `A_0..A_L`; those of `A_0..A_{L-1}` are the inputs of the steps, and only they have `S` and `M`.
        gradients: for `l = 1..L`, `dC/dA_l` (of the loss **summed** over samples) paired with `A_{l-1}`; None without
            targets.
        loss: loss summed over samples; None without targets.
        sample_labels: label, or first target, of each sample of the subsample; zero where there is none or a shard has
            not seen it.
    """

    samples: int
    layers: tuple[LayerSums, ...]
    gradients: tuple[MomentumMoments, ...] | None
    loss: float | None
    sample_labels: np.ndarray

    def momenta(self, weight_decay: float) -> tuple[MomentumMoments, ...]:
        """Moments of `P_l = -(1 / mu) dC/dA_l`, `C` the mean over all samples."""
        if self.gradients is None:
            raise InvalidInputError("These sums were collected without targets: they hold no momenta.")
        return tuple(gradient.scaled(-1 / (weight_decay * self.samples)) for gradient in self.gradients)


class PathStream:
    """Takes batches along a network's path and adds up what they have.

    The path runs in numpy, `A_l = (1 - rho L~) A_{l-1} + rho W s(A_{l-1})` from the stem's output, in the dtype of the
    network's weights; the momenta by the adjoint recursion
    `P_{l-1} = (1 - rho L~) P_l + rho relu'(A_{l-1}) * (W_l^T P_l)`; only stem and head run in Keras. Sums are float64.

    Args:
        network: the network to look at.
        with_momenta: whether to run the backward pass. Default True.
        classes: number of classes, for sums by class; 0 for none. Default 0.
        subsample: samples whose representations are kept. Default None: none.
        products: as `MomentSums`. Default "float64".
    """

    def __init__(
        self,
        network: LeakyNetwork,
        with_momenta: bool = True,
        classes: int = 0,
        subsample: Subsample | None = None,
        products: str = "float64",
    ) -> None:
        path = network.paths[0]
        self._stem = path.entry
        self._gradient = head_gradient(network.head, network.loss_function()) if with_momenta else None
        self._blocks = path.blocks
        self._dtype = np.dtype(network.dtype_policy.variable_dtype)
        self._weights = [block.weight_matrix.astype(self._dtype) for block in self._blocks]
        self._steps = path.step_sizes
        self._leaks = leak(self._steps, path.effective_depth)
        self._width = self._blocks[0].weight_matrix.shape[0]
        self._products, self._classes = products, classes
        self._subsample = subsample or Subsample(np.zeros(0, np.int64))
        kept = len(self._subsample.rows)
        self._samples = [np.zeros((kept, self._width), np.float32) for _ in range(len(self._blocks) + 1)]
        self._sample_labels = np.zeros(kept)

    def path(self, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """`A_0..A_L` as the layers have them and `s(A_0)..s(A_L)` as rows with the ones last, of one batch."""
        representations = [keras.ops.convert_to_numpy(self._stem(x, training=False)).astype(self._dtype)]
        features = []
        for row, block in enumerate(self._blocks):
            activations = block.activations(representations[-1], self._dtype)
            features.append(with_ones(activations, block.use_bias))
            representations.append(self._after(row, representations[-1], activations))
        features.append(self._blocks[-1].features(representations[-1]))
        return representations, features

    def pull_back(
        self,
        row: int,
        gradient: np.ndarray,
        representation: np.ndarray,
        out: np.ndarray | None = None,
        scratch: np.ndarray | None = None,
    ) -> np.ndarray:
        """The adjoint of step `row + 1`: gradients (as columns) with respect to its input, from those of its output."""
        back = self._blocks[row].pull_back(gradient, representation, self._weights[row], out)
        return euler_adjoint(gradient, back, self._steps[row], self._leaks[row], scratch)

    def run(self, batches: Iterable[tuple[int, np.ndarray, np.ndarray | None]]) -> PathSums | None:
        """Sums over batches `(start, x, y)`, `start` the place of their first sample in the data; None without any."""
        state: _State | None = None
        for start, x, y in batches:
            if self._gradient and y is None:
                raise InvalidInputError("Momenta need targets `y`.")
            state = state or _State(self, x)
            self._add(state, start, x, y)
        return state.result() if state else None

    def _add(self, state: "_State", start: int, x: np.ndarray, y: np.ndarray | None) -> None:
        count = len(x)
        padded = _padded(x, ROWS if self._dtype != np.float64 else 1)
        current = np.concatenate(
            [keras.ops.convert_to_numpy(self._stem(part, training=False)) for part in _pieces(padded)]
        ).astype(self._dtype, copy=False)
        positions = current.size // (len(padded) * self._width)
        rows = count * positions  # columns of the paper's A that belong to samples, not to padding
        labels = y if self._classes else None
        places, chosen = self._subsample.within(start, count)
        if y is not None:
            self._sample_labels[places] = y[chosen].reshape(len(chosen), -1)[:, 0] if len(chosen) else 0.0
        representations = [current]
        for row, accumulator in enumerate(state.layers):
            block = self._blocks[min(row, len(self._blocks) - 1)]
            exact = state.exact("columns", block.columns(current, self._dtype)[:rows])
            vectors = exact if positions == 1 else exact.reshape(count, positions, -1).mean(axis=1)
            if row == len(self._blocks):
                accumulator.add(exact, None, vectors, labels, places, chosen)
                break
            activations = self._activations(state, block, current)
            accumulator.add(exact, state.exact("activations", activations[:rows]), vectors, labels, places, chosen)
            current = self._after(row, current, activations, state)
            representations.append(current)
        if not np.isfinite(current).all():
            raise InvalidInputError("The representations hold NaN or infinity: check the inputs and the weights.")
        state.samples += count
        if self._gradient:
            self._add_momenta(state, representations, _padded(y, len(padded)), count, rows)

    def _add_momenta(
        self, state: "_State", representations: list[np.ndarray], y: np.ndarray, count: int, rows: int
    ) -> None:
        assert self._gradient is not None
        pairs = zip(_pieces(representations[-1]), _pieces(y), strict=True)
        losses, slope = map(np.concatenate, zip(*(self._gradient(a, targets) for a, targets in pairs), strict=True))
        slope[count:] = 0.0  # padding
        state.loss += float(losses[:count].sum())
        gradient = self._blocks[-1].columns(slope, self._dtype)
        for row in reversed(range(len(self._blocks))):
            block, before = self._blocks[row], representations[row]
            state.gradients[row].add(
                state.exact("gradient", gradient[:rows]),
                state.exact("columns", block.columns(before, self._dtype)[:rows]),
                state.exact("activations", self._activations(state, block, before)[:rows]),
            )
            back = state.array(f"gradient {row % 2}", gradient.shape, self._dtype)
            gradient = self.pull_back(row, gradient, before, back, state.array("scaled", gradient.shape, self._dtype))

    def _activations(self, state: "_State", block: Any, representation: np.ndarray) -> np.ndarray:
        size = self._weights[0].shape[1] - block.use_bias
        shape = (representation.size // self._width, size)
        return block.activations(representation, self._dtype, state.array("activations", shape, self._dtype))

    def _after(
        self, row: int, representation: np.ndarray, activations: np.ndarray, state: "_State | None" = None
    ) -> np.ndarray:
        block, out, scratch = self._blocks[row], None, None
        columns = block.columns(representation, self._dtype)
        if state is not None:
            out = state.array(f"A_{row + 1}", columns.shape, self._dtype)
            scratch = state.array("scaled", columns.shape, self._dtype)
        moved = euler_step(columns, activations, self._weights[row], self._steps[row], self._leaks[row], out, scratch)
        return block.restore(moved, representation.shape)


class _State:
    """The sums of one thread, and its arrays: new memory for every batch would cost as much as the products."""

    def __init__(self, stream: PathStream, x: np.ndarray) -> None:
        blocks, products = stream._blocks, stream._products
        shapes = [weights.shape[1] - block.use_bias for weights, block in zip(stream._weights, blocks, strict=True)]
        ones = [block.use_bias for block in blocks]
        self.stream = stream
        self.layers = [
            LayerAccumulator(stream._width, size, one, stream._classes, sample, with_outer=row == 0, products=products)
            for row, (size, one, sample) in enumerate(
                zip([*shapes, shapes[-1]], [*ones, ones[-1]], stream._samples, strict=True)
            )
        ]
        momenta = stream._gradient is not None
        self.gradients = [
            MomentumSums(stream._width, size, one, products) for size, one in zip(shapes, ones, strict=True) if momenta
        ]
        self.samples, self.loss = 0, 0.0
        self._dtype = np.dtype(products)
        self._buffers: dict[str, np.ndarray] = {}

    def exact(self, name: str, array: np.ndarray) -> np.ndarray:
        """The array in the dtype of the products, in memory that is used again for the next batch."""
        if array.dtype == self._dtype and array.flags.c_contiguous:
            return array
        target = self.array(f"exact {name}", array.shape, self._dtype)
        np.copyto(target, array)
        return target

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory of this name, of a shape `(rows, columns)`."""
        held = self._buffers.get(name)
        if held is None or held.shape[1] != shape[1] or len(held) < shape[0]:
            held = self._buffers[name] = np.empty(shape, dtype)
        return held[: shape[0]]

    def result(self) -> PathSums:
        stream, layers, moments = self.stream, [], self.layers[0].sums.moments()
        for row, accumulator in enumerate(self.layers):
            if row:
                step = row - 1
                weights = stream._weights[step].astype(np.float64)
                outer = outer_after_step(moments, weights, float(stream._leaks[step]), float(stream._steps[step]))
                moments = accumulator.sums.moments(outer)
            layers.append(LayerSums(moments, accumulator.classes(), accumulator.sample))
        momenta = stream._gradient is not None
        return PathSums(
            self.samples,
            tuple(layers),
            tuple(MomentumMoments(g.features(), g.trace, g.squared) for g in self.gradients) if momenta else None,
            self.loss if momenta else None,
            stream._sample_labels,
        )


def _pieces(array: np.ndarray) -> list[np.ndarray]:
    """The array as it goes through stem and head: whole, or on JAX in parts of one shape.

    XLA compiles a convolution for each shape, and gives a row other digits in a batch of another size.
    """
    if keras.backend.backend() != "jax" or len(array) % ROWS:
        return [array]
    return np.split(array, len(array) // ROWS)


def _padded(array: Any, multiple: int) -> np.ndarray:
    """The array with its last row repeated until its length is a multiple of `multiple`."""
    missing = -len(array) % multiple
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else np.asarray(array)
