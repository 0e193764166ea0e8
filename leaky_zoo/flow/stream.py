"""Batches along a network's paths: additive sums of every layer and, when the loss is known, of its momenta."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.gradients import entry_gradient, head_gradient
from leaky_zoo.flow.precision import in_float64
from leaky_zoo.flow.steps import Buffers, PathSteps
from leaky_zoo.flow.sums import LayerAccumulator, LayerSums, Subsample
from leaky_zoo.geometry import MomentumMoments, MomentumSums, outer_after_step
from leaky_zoo.networks import LeakyNetwork

# A float32 product gives a row the same digits whatever the other rows are, if there are this many or a multiple.
ROWS = 64


@dataclass(frozen=True)
class PathSums:
    """Sums over samples along one path.

    Attributes:
        layers: sums of `A_0..A_L`; those of `A_0..A_{L-1}` are the inputs of the steps, and only they have `S` and `M`.
        gradients: for `l = 1..L`, `dC/dA_l` (of the loss **summed** over samples) paired with `A_{l-1}`; None without
            targets.
    """

    layers: tuple[LayerSums, ...]
    gradients: tuple[MomentumMoments, ...] | None


@dataclass(frozen=True)
class NetworkSums:
    """Sums over samples along all paths. They add: over batches, threads, replicas, workers and processes.

    Attributes:
        samples: how many samples `N`.
        paths: one entry for each path, first to last.
        loss: loss summed over samples; None without targets.
        sample_labels: label, or first target, of each sample of the subsample; zero where there is none or a shard has
            not seen it.
    """

    samples: int
    paths: tuple[PathSums, ...]
    loss: float | None
    sample_labels: np.ndarray

    def momenta(self, weight_decay: float) -> list[tuple[MomentumMoments, ...]]:
        """For each path, moments of `P_l = -(1 / mu) dC/dA_l`, `C` the mean over all samples.

        Raises:
            InvalidInputError: the sums were collected without targets.
        """
        factor, found = -1 / (weight_decay * self.samples), []
        for path in self.paths:
            if path.gradients is None:
                raise InvalidInputError("These sums were collected without targets: they hold no momenta.")
            found.append(tuple(gradient.scaled(factor) for gradient in path.gradients))
        return found


class NetworkStream:
    """Takes batches along a network's paths and adds up what they have.

    Each path runs in numpy in float64, step by step from its entry's output, and its momenta by the adjoint of the
    steps (`geometry.euler`); only the entries and the head run in Keras, as `in_float64` says. Sums are float64.

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
        self.with_momenta, self.classes, self.products = with_momenta, classes, products
        network = in_float64(network)
        self._exact_entries = network.dtype_policy.variable_dtype == "float64"
        self.paths = [PathSteps(path, np.float64) for path in network.paths]
        self._entries = [path.entry for path in network.paths]
        if with_momenta:
            self._head_gradient = head_gradient(network.head, network.loss_function())
            self._entry_gradients = [entry_gradient(entry) for entry in self._entries]
        self._subsample = subsample or Subsample(np.zeros(0, np.int64))
        kept = len(self._subsample.indices)
        self.samples = [
            [np.zeros((kept, path.width), np.float32) for _ in range(path.depth + 1)] for path in self.paths
        ]
        self.sample_labels = np.zeros(kept)

    def run(self, batches: Iterable[tuple[int, np.ndarray, np.ndarray | None]]) -> NetworkSums | None:
        """Sums over batches `(start, x, y)`, `start` the place of their first sample in the data; None without any."""
        totals: _Totals | None = None
        for start, x, y in batches:
            if self.with_momenta and y is None:
                raise InvalidInputError("Momenta need targets `y`.")
            totals = totals or _Totals(self)
            self._add(totals, start, x, y)
        return totals.result() if totals else None

    def _add(self, totals: "_Totals", start: int, x: np.ndarray, y: np.ndarray | None) -> None:
        count, kept = len(x), self._subsample.within(start, len(x))
        if y is not None:
            places, chosen = kept
            self.sample_labels[places] = y[chosen].reshape(len(chosen), -1)[:, 0] if len(chosen) else 0.0
        labels = y if self.classes else None
        representations: list[list[np.ndarray]] = []
        current = _padded(x, 1 if self._exact_entries else ROWS)
        padded = len(current)
        for index, entry in enumerate(self._entries):
            first = [keras.ops.convert_to_numpy(entry(piece, training=False)) for piece in _pieces(current)]
            representations.append(self._along(totals, index, np.concatenate(first), count, labels, kept))
            current = representations[-1][-1]
        if not np.isfinite(current).all():
            raise InvalidInputError("The representations hold NaN or infinity: check the inputs and the weights.")
        totals.samples += count
        if self.with_momenta:
            self._add_momenta(totals, representations, _padded(y, padded), count)

    def _along(
        self,
        totals: "_Totals",
        index: int,
        first: np.ndarray,
        count: int,
        labels: np.ndarray | None,
        kept: tuple[slice, np.ndarray],
    ) -> list[np.ndarray]:
        """`A_0..A_L` of a path, as its layers have them; adds the first `count` samples, the others are padding."""
        path, buffers, dtype = self.paths[index], totals.buffers, np.dtype(self.products)
        representations = [first.astype(np.float64, copy=False)]
        positions = first.size // (len(first) * path.width)
        columns = count * positions  # of the paper's A, without padding
        for layer, accumulator in enumerate(totals.layers[index]):
            current, activations, features = representations[-1], None, None
            exact = buffers.converted("columns", path.columns(layer, current)[:columns], dtype)
            vectors = exact if positions == 1 else exact.reshape(count, positions, -1).mean(axis=1)
            if layer < path.depth:
                activations = path.activations(layer, current, buffers)
                features = buffers.converted("activations", activations[:columns], dtype)
            accumulator.add(exact, features, vectors, labels, *kept)
            if activations is not None:
                representations.append(path.after(layer, current, activations, buffers, f"A {index} {layer + 1}"))
        return representations

    def _add_momenta(
        self, totals: "_Totals", representations: list[list[np.ndarray]], y: np.ndarray, count: int
    ) -> None:
        pairs = zip(_pieces(representations[-1][-1]), _pieces(y), strict=True)
        found = [self._head_gradient(a, targets) for a, targets in pairs]
        losses, slope = map(np.concatenate, zip(*found, strict=True))
        slope[count:] = 0.0  # padding
        totals.loss += float(losses[:count].sum())
        for index in reversed(range(len(self.paths))):
            gradient = self._back_along(totals, index, representations[index], slope, count)
            if index:
                by_first = self.paths[index].blocks[0].restore(gradient, representations[index][0].shape)
                pairs = zip(_pieces(representations[index - 1][-1]), _pieces(by_first), strict=True)
                slope = np.concatenate([self._entry_gradients[index](a, g) for a, g in pairs])

    def _back_along(
        self, totals: "_Totals", index: int, representations: list[np.ndarray], slope: np.ndarray, count: int
    ) -> np.ndarray:
        """Adds the momenta of a path, from the gradient by its `A_L`; gives the gradient by its `A_0`, as columns."""
        path, buffers, dtype = self.paths[index], totals.buffers, np.dtype(self.products)
        gradient = path.columns(path.depth, slope)
        columns = count * (len(gradient) // len(slope))
        for layer in reversed(range(path.depth)):
            before = representations[layer]
            totals.gradients[index][layer].add(
                buffers.converted("gradient", gradient[:columns], dtype),
                buffers.converted("columns", path.columns(layer, before)[:columns], dtype),
                buffers.converted("activations", path.activations(layer, before, buffers)[:columns], dtype),
            )
            if index or layer:  # nothing comes before the first path
                gradient = path.pull_back(layer, gradient, before, buffers)
        return gradient


class _Totals:
    """The sums of one thread, and its memory."""

    def __init__(self, stream: NetworkStream) -> None:
        self.stream, self.buffers = stream, Buffers()
        self.samples, self.loss = 0, 0.0
        self.layers = [
            [
                LayerAccumulator(
                    path.width,
                    path.features,
                    path.use_bias,
                    stream.classes,
                    sample,
                    with_outer=layer == 0,
                    products=stream.products,
                )
                for layer, sample in enumerate(samples)
            ]
            for path, samples in zip(stream.paths, stream.samples, strict=True)
        ]
        self.gradients = [
            [MomentumSums(path.width, path.features, path.use_bias, stream.products) for _ in range(path.depth)]
            for path in stream.paths
            if stream.with_momenta
        ]

    def result(self) -> NetworkSums:
        momenta, paths = self.stream.with_momenta, []
        for index, path in enumerate(self.stream.paths):
            gradients = None
            if momenta:
                gradients = tuple(MomentumMoments(g.features(), g.trace, g.squared) for g in self.gradients[index])
            paths.append(PathSums(self._layer_sums(path, self.layers[index]), gradients))
        return NetworkSums(self.samples, tuple(paths), self.loss if momenta else None, self.stream.sample_labels)

    @staticmethod
    def _layer_sums(path: PathSteps, accumulators: list[LayerAccumulator]) -> tuple[LayerSums, ...]:
        layers = [accumulators[0].result()]
        for layer, accumulator in enumerate(accumulators[1:]):
            weights = path.weights[layer].astype(np.float64)
            leak, step = float(path.leaks[layer]), float(path.step_sizes[layer])
            layers.append(accumulator.result(outer_after_step(layers[-1].moments, weights, leak, step)))
        return tuple(layers)


def _pieces(array: np.ndarray) -> list[np.ndarray]:
    """The array as it goes through Keras: whole, or on JAX in parts of one shape.

    XLA compiles a convolution for each shape, and gives a row other digits in a batch of another size.
    """
    if keras.backend.backend() != "jax" or len(array) % ROWS:
        return [array]
    return np.split(array, len(array) // ROWS)


def _padded(array: Any, multiple: int) -> np.ndarray:
    """The array with its last row repeated until its length is a multiple of `multiple`."""
    missing = -len(array) % multiple
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else np.asarray(array)
