"""Coordinates in which the objective is nearly round: the Kronecker-factored curvature of every affine map.

For an affine map with features `s` and output `z`, the Gauss-Newton matrix of its weights is close to
`E[s s^T] (x) E[g g^T]`, `g` the gradient of a loss with targets sampled from the model (K-FAC: Martens & Grosse 2015,
for convolutions Grosse & Martens 2016). With the penalty it is diagonal in the product of the two eigenbases, so a
rotation and a scaling turn it into the identity. The factors are the moments that the analysis collects anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from leaky_zoo.flow.gradients import entry_gradient, head_gradient
from leaky_zoo.flow.steps import PathSteps
from leaky_zoo.layers.block import with_ones
from leaky_zoo.networks import LeakyNetwork

PROBES = 8


@dataclass(frozen=True)
class _Map:
    """One affine map: where its kernel and bias are among the trainable variables, its eigenbases and its scales."""

    kernel: int
    bias: int | None
    inputs: np.ndarray
    outputs: np.ndarray
    scale: np.ndarray


class KroneckerCoordinates:
    """Linear coordinates `u` in which the curvature at the present weights is close to the identity.

    Maps without factors (a convolutional stem or head) keep their own coordinates.

    Args:
        network: float64 network at the present weights.
        x: raw inputs of the full batch.
        seed: of the sampled targets. Default 0.
    """

    def __init__(self, network: LeakyNetwork, x: np.ndarray, seed: int = 0) -> None:
        self._shapes = [tuple(variable.shape) for variable in network.trainable_variables]
        self._index = {id(variable): row for row, variable in enumerate(network.trainable_variables)}
        self._maps = self._factors(network, x, np.random.default_rng(seed))

    def coordinates(self, vector: np.ndarray) -> np.ndarray:
        """`u` of a weight vector."""
        return self._apply(vector, lambda m, matrix: m.scale * (m.inputs.T @ matrix @ m.outputs))

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        """The weight vector at `u`."""
        return self._apply(coordinates, lambda m, matrix: m.inputs @ (matrix / m.scale) @ m.outputs.T)

    def gradient(self, vector: np.ndarray) -> np.ndarray:
        """Gradient with respect to `u` from the one with respect to the weights."""
        return self._apply(vector, lambda m, matrix: (m.inputs.T @ matrix @ m.outputs) / m.scale)

    def _apply(self, vector: np.ndarray, change: Callable[[_Map, np.ndarray], np.ndarray]) -> np.ndarray:
        sizes = [int(np.prod(shape, dtype=int)) for shape in self._shapes]
        parts = [part.copy() for part in np.split(vector, np.cumsum(sizes)[:-1])]
        for each in self._maps:
            columns = self._shapes[each.kernel][-1]
            rows = [parts[each.kernel].reshape(-1, columns)]
            if each.bias is not None:
                rows.append(parts[each.bias][None])
            changed = change(each, np.vstack(rows))
            count = rows[0].shape[0]
            parts[each.kernel] = changed[:count].ravel()
            if each.bias is not None:
                parts[each.bias] = changed[count:].ravel()
        return np.concatenate(parts)

    def _factors(self, network: LeakyNetwork, x: np.ndarray, random: np.random.Generator) -> list[_Map]:
        paths = [PathSteps(path, np.float64) for path in network.paths]
        current, walks = x, []
        for entry, path in zip((path.entry for path in network.paths), paths, strict=True):
            walks.append(list(path.walk(keras.ops.convert_to_numpy(entry(current, training=False)))))
            current = walks[-1][-1][2]
        outputs = keras.ops.convert_to_numpy(network.head(current, training=False))
        spreads = _spreads(network, paths, walks, outputs, random)
        config, samples, maps = network.config, len(x), []
        for path, walk, around in zip(paths, walks, spreads, strict=True):
            for block, rho, (_, features, _), after in zip(path.blocks, path.step_sizes, walk, around[1:], strict=True):
                move, penalty = rho * block.scale, config.weight_decay * rho * block.scale**2
                maps.append(self._map(block, features.T @ features / samples, after, move**2, penalty))
        stem, head = network.get_layer("stem"), network.get_layer("head")
        if isinstance(stem, keras.layers.Dense):
            inputs = keras.Model(network.input, stem.input)(x, training=False)
            rows = with_ones(keras.ops.convert_to_numpy(inputs).astype(np.float64), True)
            maps.append(self._map(stem, rows.T @ rows / samples, spreads[0][0], 1.0, config.io_weight_decay))
            rows = with_ones(paths[-1].columns(paths[-1].depth, current), True)
            spread = np.eye(head.units) * network.task.output_curvature(outputs)
            maps.append(self._map(head, rows.T @ rows / samples, spread, 1.0, config.io_weight_decay))
        return maps

    def _map(
        self, layer: keras.layers.Layer, gram: np.ndarray, spread: np.ndarray, factor: float, penalty: float
    ) -> _Map:
        inner, inputs = np.linalg.eigh(gram)
        outer, outputs = np.linalg.eigh(spread)
        curvature = factor * np.outer(np.maximum(inner, 0), np.maximum(outer, 0))
        # Without a penalty flat directions would get an infinite step: a millionth of the steepest bounds it.
        floor = max(penalty, 1e-6 * curvature.max(), 1e-300)
        bias = None if layer.bias is None else self._index[id(layer.bias)]
        return _Map(self._index[id(layer.kernel)], bias, inputs, outputs, np.sqrt(curvature + floor))


def _spreads(
    network: LeakyNetwork, paths: list[PathSteps], walks: list[list], outputs: np.ndarray, random: np.random.Generator
) -> list[list[np.ndarray]]:
    """For each path, `E[g g^T]` of the gradients by `A_0..A_L`."""
    by_head = head_gradient(network.head, network.loss_function())
    by_entry = [entry_gradient(path.entry) for path in network.paths]
    spreads = [[np.zeros((path.width, path.width)) for _ in range(path.depth + 1)] for path in paths]
    for _ in range(PROBES):
        targets = network.task.sampled_targets(outputs, network.config.output_variance, random)
        slope = by_head(walks[-1][-1][2], targets)[1]
        for index in reversed(range(len(paths))):
            path, walk = paths[index], walks[index]
            gradient = path.columns(path.depth, slope)
            for layer in reversed(range(path.depth + 1)):
                spreads[index][layer] += gradient.T @ gradient / len(gradient) / PROBES
                if layer:
                    gradient = path.pull_back(layer - 1, gradient, walk[layer - 1][0])
            if index:
                slope = by_entry[index](walks[index - 1][-1][2], path.blocks[0].restore(gradient, walk[0][0].shape))
    return spreads
