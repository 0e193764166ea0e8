"""One pass over data: additive moments of every layer and, when the loss is known, of its momenta."""

from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np

from leaky_zoo.analysis.gradients import head_gradient
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import Moments, MomentumMoments, moments
from leaky_zoo.networks import LeakyNetwork


@dataclass(frozen=True)
class PathMoments:
    """Sums over samples along a path.

    Attributes:
        samples: how many samples `N`.
        layers: moments of `A_0..A_L`; those of `A_0..A_{L-1}` are the inputs of the steps.
        gradients: for `l = 1..L`, `dC/dA_l` (of the loss **summed** over samples) paired with `A_{l-1}`; None without
            targets.
        loss: loss summed over samples; None without targets.
    """

    samples: int
    layers: tuple[Moments, ...]
    gradients: tuple[MomentumMoments, ...] | None
    loss: float | None

    def __add__(self, other: "PathMoments") -> "PathMoments":
        """Sums over both sets of samples."""
        if (self.gradients is None) != (other.gradients is None):
            raise InvalidInputError("Moments with momenta cannot be added to moments without.")
        gradients = None
        if self.gradients is not None and other.gradients is not None:
            gradients = tuple(a + b for a, b in zip(self.gradients, other.gradients, strict=True))
        return PathMoments(
            self.samples + other.samples,
            tuple(a + b for a, b in zip(self.layers, other.layers, strict=True)),
            gradients,
            None if self.loss is None or other.loss is None else self.loss + other.loss,
        )

    def momenta(self, weight_decay: float) -> tuple[MomentumMoments, ...]:
        """Moments of `P_l = -(1 / mu) dC/dA_l`, `C` the mean over all samples."""
        if self.gradients is None:
            raise InvalidInputError("These moments were collected without targets: they hold no momenta.")
        return tuple(gradient.scaled(-1 / (weight_decay * self.samples)) for gradient in self.gradients)


class PathStream:
    """Feeds batches through a network and returns their moments, in float64.

    The path runs in numpy, `A_l = (1 - rho Lt) A_{l-1} + rho W s(A_{l-1})` from the stem's output, the momenta by the
    adjoint recursion `P_{l-1} = (1 - rho Lt) P_l + rho relu'(A_{l-1}) * (W_l^T P_l)`; only stem and head run in Keras.

    Args:
        network: the network to look at.
        with_momenta: whether to run the backward pass. Default True.
    """

    def __init__(self, network: LeakyNetwork, with_momenta: bool = True) -> None:
        self._stem = keras.Model(network.input, network.representations.outputs[0])
        self._gradient = head_gradient(network.head, network.loss_function()) if with_momenta else None
        self._blocks = network.blocks
        self._weights = [block.weight_matrix for block in self._blocks]
        self._steps = network.step_sizes
        self._leaks = 1 - self._steps * network.effective_depth

    def path(self, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """`A_0..A_L` as the layers have them and `s(A_0)..s(A_L)` as rows, float64."""
        first = keras.ops.convert_to_numpy(self._stem(x, training=False)).astype(np.float64)
        representations, features = [first], []
        for block, weights, step, leak in zip(self._blocks, self._weights, self._steps, self._leaks, strict=True):
            current = representations[-1]
            features.append(block.features(current))
            after = leak * block.columns(current) + step * (features[-1] @ weights.T)
            representations.append(block.restore(after, current.shape))
        features.append(self._blocks[-1].features(representations[-1]))
        return representations, features

    def pull_back(self, row: int, gradient: np.ndarray, representation: np.ndarray) -> np.ndarray:
        """The adjoint of step `row + 1`: gradients (as columns) with respect to its input, from those of its output."""
        back = self._blocks[row].pull_back(gradient, representation)
        return self._leaks[row] * gradient + self._steps[row] * back

    def batch(self, x: np.ndarray, y: np.ndarray | None = None) -> PathMoments:
        """Moments of one batch.

        Args:
            x: raw inputs, one sample per row.
            y: labels or targets; needed for momenta.

        Raises:
            InvalidInputError: momenta were asked for and there are no targets, or a representation is not finite.
        """
        if self._gradient and y is None:
            raise InvalidInputError("Momenta need targets `y`.")
        representations, features = self.path(x)
        if not np.isfinite(representations[-1]).all():
            raise InvalidInputError("The representations hold NaN or infinity: check the inputs and the weights.")
        columns = [self._blocks[0].columns(a) for a in representations]
        layers = tuple(moments(a, s) for a, s in zip(columns, features, strict=True))
        if not self._gradient:
            return PathMoments(len(x), layers, None, None)
        loss, gradient = self._gradient(representations[-1], y)
        gradient = self._blocks[-1].columns(gradient)
        pairs: list[MomentumMoments] = []
        for row in reversed(range(len(self._blocks))):
            pairs.append(
                MomentumMoments(
                    gradient.T @ features[row],
                    float(np.vdot(gradient, columns[row])),
                    float(np.vdot(gradient, gradient)),
                )
            )
            gradient = self.pull_back(row, gradient, representations[row])
        return PathMoments(len(x), layers, tuple(reversed(pairs)), loss)


def collect(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None = None,
    batch_size: int = 1024,
    progress: Iterable[int] | None = None,
) -> PathMoments:
    """Stream arrays through a network and sum the moments; memory does not grow with the samples.

    Args:
        network: the network to look at.
        x: raw inputs.
        y: labels or targets; None leaves the momenta out. Default None.
        batch_size: samples at a time. Default 1024.
        progress: an iterable over the batches' starts, to draw a bar with. Default None.

    Returns:
        The `PathMoments`.
    """
    stream = PathStream(network, with_momenta=y is not None)
    total: PathMoments | None = None
    for start in progress if progress is not None else range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        batch = stream.batch(x[part], None if y is None else y[part])
        total = batch if total is None else total + batch
    if total is None:
        raise InvalidInputError("There is no sample to analyse. Received: x of length 0")
    return total
