"""A path of a network: its blocks, the layer that owns its step sizes, and what leads into it."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np

from leaky_zoo.layers import LeakyBlock, StepSizes


class LeakyPath:
    """One leaky path of a network; `network.paths` lists them, first to last. A view: it shares the network's layers.

    Args:
        name: of the path, unique in its network.
        before: the symbolic tensor that comes before the path: the network's inputs for the first path, `A_L` of the
            path before it for a later one.
        representations: symbolic `A_0..A_L`.
        blocks: see the attribute.
        step_size_layer: see the attribute.

    Attributes:
        name: of the path.
        blocks: its `L` blocks, in order.
        step_size_layer: the `StepSizes` that owns its `rho`.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> (path,) = LeakyMLP((4,), 2, width=8, depth=5).paths
    >>> path.name, path.depth, path.width, path.effective_depth, path.entry.output_shape
    ('path', 5, 8, 3.0, (None, 8))
    """

    def __init__(
        self,
        name: str,
        before: keras.KerasTensor,
        representations: Sequence[keras.KerasTensor],
        blocks: Sequence[LeakyBlock],
        step_size_layer: StepSizes,
    ) -> None:
        self.name = name
        self.blocks = list(blocks)
        self.step_size_layer = step_size_layer
        self._before, self._representations = before, list(representations)

    @property
    def step_sizes(self) -> np.ndarray:
        """Current `rho`, float64, shape `(depth,)`."""
        return self.step_size_layer.rho

    @property
    def steps(self) -> Iterator[tuple[LeakyBlock, float]]:
        """Each block with its current step size, in order."""
        return zip(self.blocks, self.step_sizes, strict=True)

    @property
    def depth(self) -> int:
        """Number of steps `L`."""
        return len(self.blocks)

    @property
    def width(self) -> int:
        """Rows of `W`: units, or channels of a convolution."""
        return self.blocks[0].kernel.shape[-1]

    @property
    def effective_depth(self) -> float:
        """`L~` of the path."""
        return self.step_size_layer.effective_depth

    @property
    def entry(self) -> keras.Model:
        """A Keras model from what comes before the path (raw inputs, or the `A_L` before it) to its `A_0`."""
        return keras.Model(self._before, self._representations[0], name=f"{self.name}_entry")
