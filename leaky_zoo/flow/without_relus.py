"""A network's outputs with some of its ReLUs left out: which of them do anything (this project)."""

from collections.abc import Collection, Iterator

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.steps import PathSteps
from leaky_zoo.networks import LeakyNetwork

BATCH = 256


class WithoutRelus:
    """Runs a network again and again over the same samples, each time without another set of its ReLUs.

    Layer `l` (from 1, through all paths) is the step `A_{l-1} -> A_l`; without its ReLU, `s(A)` is `A` itself, or its
    patches. Steps run in numpy in the dtype of the weights; entries and head run in Keras. Memory: `A_0` of
    all samples.

    Args:
        network: the network, with its weights of this moment.
        x: raw inputs, at least one.
        batch_size: samples at a time. Default 256.

    Attributes:
        depth: number of layers, of all paths together.

    Raises:
        InvalidInputError: no sample.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> runs = WithoutRelus(LeakyMLP((4,), 2, width=8, depth=5), np.ones((3, 4), "float32"))
    >>> runs.depth, runs.outputs({1, 5}).shape
    (5, (3, 2))
    """

    def __init__(self, network: LeakyNetwork, x: np.ndarray, batch_size: int = BATCH) -> None:
        if not len(x):
            raise InvalidInputError("There is no sample to look at. Received: x of length 0")
        dtype = np.dtype(network.dtype_policy.variable_dtype)
        self._paths = [PathSteps(path, dtype) for path in network.paths]
        first, *self._entries = [path.entry for path in network.paths]
        self._head = network.head
        self._firsts = [_run(first, x[start : start + batch_size]) for start in range(0, len(x), batch_size)]
        self.depth = sum(path.depth for path in self._paths)

    def outputs(self, left_out: Collection[int] = ()) -> np.ndarray:
        """The network's outputs for all samples, without the ReLUs of these layers.

        Args:
            left_out: numbers of layers, from 1. Default none: the network as it is.

        Raises:
            InvalidInputError: a layer that is not there.
        """
        if not set(left_out) <= set(range(1, self.depth + 1)):
            raise InvalidInputError(f"Layers are 1..{self.depth}. Received: left_out={sorted(left_out)}")
        return np.concatenate([_run(self._head, last) for last in self._ends(left_out)])

    def _ends(self, left_out: Collection[int]) -> Iterator[np.ndarray]:
        """The last path's `A_L`, batch by batch."""
        for first in self._firsts:
            current, before = first, 0
            for index, path in enumerate(self._paths):
                if index:
                    current = _run(self._entries[index - 1], current)
                for layer in range(path.depth):
                    activations = path.activations(layer, current)
                    if before + layer + 1 in left_out:
                        # s is a ReLU and then linear: what it gives for A and for -A differ by the features of A.
                        activations = activations - path.activations(layer, -current)
                    current = path.after(layer, current, activations)
                before += path.depth
            yield current


def _run(model: keras.Model, rows: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(np.asarray(rows, model.inputs[0].dtype), training=False))
