"""The Clarke residual of a network on data that fit in memory."""

from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.gradients import head_gradient
from leaky_zoo.flow.steps import PathSteps
from leaky_zoo.geometry.kinks import Kinks, clarke_residuals
from leaky_zoo.layers import LeakyDense
from leaky_zoo.networks import LeakyNetwork

LARGEST = 64_000_000  # numbers in `A_0..A_L`: half a gigabyte in float64, and the search holds a few times as much


class KinkFinder:
    """Finds the Clarke residual of a network at its present weights, again and again.

    Args:
        network: one path of dense blocks, `mu > 0`; float64, or what is within `threshold` of a kink is rounding.
        x: raw inputs of the training split.
        y: labels or targets.

    Raises:
        InvalidInputError: what `why_not` says.
    """

    def __init__(self, network: LeakyNetwork, x: np.ndarray, y: np.ndarray) -> None:
        reason = why_not(network, len(x))
        if reason:
            raise InvalidInputError(f"No Clarke residual: {reason}.")
        self._network, self._x, self._y = network, x, y
        self._entry = network.paths[0].entry
        self._slope = head_gradient(network.head, network.loss_function())

    def __call__(self, **settings: Any) -> Kinks:
        """The `Kinks` at the present weights; `settings` as `clarke_residuals` takes them."""
        network, path = self._network, self._network.paths[0]
        first = keras.ops.convert_to_numpy(self._entry(self._x, training=False)).astype(np.float64)
        steps = list(PathSteps(path, np.float64).walk(first))
        slope = self._slope(steps[-1][2], self._y)[1]
        momentum = -slope / (network.config.weight_decay * len(self._x))
        before, weights = [each for each, _, _ in steps], [block.weight_matrix for block in path.blocks]
        return clarke_residuals(before, weights, path.step_sizes, path.effective_depth, momentum, **settings)


def why_not(network: LeakyNetwork, samples: int) -> str | None:
    """Why a network has no Clarke residual on so many samples; None where it has one.

    >>> from leaky_zoo.networks import LeakyMLP
    >>> why_not(LeakyMLP((4,), 2, width=6, depth=5), 100)
    'it needs mu > 0: without weight decay there are no momenta'
    """
    if len(network.paths) > 1:
        return "it is found for nets of one path"
    path = network.paths[0]
    if not isinstance(path.blocks[0], LeakyDense):
        return "it is found for dense blocks, not for convolutions"
    if not network.config.weight_decay > 0:
        return "it needs mu > 0: without weight decay there are no momenta"
    numbers = samples * (path.depth + 1) * path.width
    if numbers > LARGEST:
        return f"it needs all representations in memory, {numbers:,} numbers; {LARGEST:,} at most"
    return None
