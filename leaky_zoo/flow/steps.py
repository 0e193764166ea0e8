"""The steps of one path in numpy, and the memory that batches share."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from leaky_zoo.geometry import euler_adjoint, euler_step, leak
from leaky_zoo.layers.block import with_ones
from leaky_zoo.networks import LeakyPath


class Buffers:
    """Arrays by name, used again for the next batch: new memory for every batch would cost as much as the products."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory of this name, of a shape `(rows, columns)`; what was in it is lost."""
        held = self._held.get((name, shape[1]))
        if held is None or len(held) < shape[0]:
            held = self._held[name, shape[1]] = np.empty(shape, dtype)
        return held[: shape[0]]

    def converted(self, name: str, array: np.ndarray, dtype: Any) -> np.ndarray:
        """The array in this dtype, C-contiguous: itself, or a copy in memory of this name."""
        if array.dtype == dtype and array.flags.c_contiguous:
            return array
        target = self.array(f"converted {name}", array.shape, dtype)
        np.copyto(target, array)
        return target


class PathSteps:
    """The Euler steps of a path with its weights of this moment, in one dtype.

    Args:
        path: of a network.
        dtype: of the arithmetic; the network's variable dtype is what its layers use.

    Attributes:
        depth: number of steps `L`.
        width: rows of `A`.
        features: rows of `s(A)` without the row of ones.
        use_bias: whether `s(A)` has that row.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> steps = PathSteps(LeakyMLP((4,), 2, width=8, depth=5).paths[0], "float32")
    >>> [after.shape for _, _, after in steps.walk(np.ones((3, 8)))]
    [(3, 8), (3, 8), (3, 8), (3, 8), (3, 8)]
    """

    def __init__(self, path: LeakyPath, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self.blocks = path.blocks
        self.weights = [block.weight_matrix.astype(self._dtype) for block in self.blocks]
        self.step_sizes = path.step_sizes
        self.leaks = leak(self.step_sizes, path.effective_depth)
        self.depth, self.use_bias = len(self.blocks), self.blocks[0].use_bias
        self.width = self.weights[0].shape[0]
        self.features = self.weights[0].shape[1] - self.use_bias

    def block(self, layer: int) -> Any:
        """The block that starts from `A_layer`; for `A_L` the last one, which has its layout."""
        return self.blocks[min(layer, self.depth - 1)]

    def columns(self, layer: int, representation: np.ndarray) -> np.ndarray:
        """`A_layer` with one row for each column of the paper's."""
        return self.block(layer).columns(representation, self._dtype)

    def activations(self, layer: int, representation: np.ndarray, buffers: Buffers | None = None) -> np.ndarray:
        """`s(A_layer)` without the ones, as rows that align with `columns`."""
        out = None
        if buffers is not None:
            out = buffers.array("activations", (representation.size // self.width, self.features), self._dtype)
        return self.block(layer).activations(representation, self._dtype, out)

    def after(
        self,
        layer: int,
        representation: np.ndarray,
        activations: np.ndarray,
        buffers: Buffers | None = None,
        name: str = "",
    ) -> np.ndarray:
        """`A_{layer + 1}` from `A_layer`, in the layer's layout; in memory of this name, if there are buffers."""
        block, out, scratch = self.blocks[layer], None, None
        columns = block.columns(representation, self._dtype)
        if buffers is not None:
            out = buffers.array(name, columns.shape, self._dtype)
            scratch = buffers.array("scaled", columns.shape, self._dtype)
        step, kept = self.step_sizes[layer], self.leaks[layer]
        moved = euler_step(columns, activations, self.weights[layer], step, kept, out, scratch)
        return block.restore(moved, representation.shape)

    def pull_back(
        self, layer: int, gradient: np.ndarray, representation: np.ndarray, buffers: Buffers | None = None
    ) -> np.ndarray:
        """Gradients (as columns) by `A_layer` from those by `A_{layer + 1}`; `representation` is `A_layer`."""
        out = scratch = None
        if buffers is not None:  # two in turn: the one given may be the other
            out = buffers.array(f"gradient {layer % 2}", gradient.shape, self._dtype)
            scratch = buffers.array("scaled", gradient.shape, self._dtype)
        back = self.blocks[layer].pull_back(gradient, representation, self.weights[layer], out)
        return euler_adjoint(gradient, back, self.step_sizes[layer], self.leaks[layer], scratch)

    def walk(self, first: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """`(A_{l-1}, s(A_{l-1}) with the ones, A_l)` of each step, `A` in the layer's layout, from `A_0`."""
        before = np.asarray(first, self._dtype)
        for layer in range(self.depth):
            activations = self.activations(layer, before)
            after = self.after(layer, before, activations)
            yield before, with_ones(activations, self.use_bias), after
            before = after
