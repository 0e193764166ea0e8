"""A path of a network: what it is made with, its blocks, the layer of its step sizes, what leads into it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.layers import LeakyBlock, Schedule, StepSizes


@dataclass(frozen=True)
class PathPlan:
    """What the blocks and the step sizes of one path are made with.

    Attributes:
        depth: `L`, at least 1.
        effective_depth: `L~ >= 0`.
        schedule: of the path's step sizes.
        prefix: of its layers' names, as `"stage_2_"`; empty where there is one path.
    """

    depth: int
    effective_depth: float
    schedule: Schedule
    prefix: str = ""


class LeakyPath:
    """One leaky path of a network; `network.paths` lists them, first to last. A view: it shares the network's layers.

    Args:
        name: of the path, unique in its network.
        before: the symbolic tensor that comes before the path: the network's inputs for the first path, `A_L` of the
            path before it for a later one.
        representations: see the attribute.
        blocks: see the attribute.
        step_size_layer: see the attribute.

    Attributes:
        name: of the path.
        representations: symbolic `A_0..A_L`.
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
        self.representations = list(representations)
        self._before = before

    @property
    def step_sizes(self) -> np.ndarray:
        """Current `rho`, float64, shape `(depth,)`."""
        return self.step_size_layer.rho

    @property
    def steps(self) -> Iterator[tuple[LeakyBlock, float]]:
        """Each block with its current step size, in order."""
        return zip(self.blocks, self.step_sizes, strict=True)

    def penalty(self, weight_decay: float) -> Any:
        """`(mu / 2) sum_l rho_l ||W_l||^2` at full `mu`, with the schedule's own penalty, if it has one; a tensor."""
        layer = self.step_size_layer
        rho = layer.schedule.step_sizes(ops.convert_to_tensor(layer.values), self.effective_depth)
        total: Any = layer.schedule.penalty(rho)
        total = 0.0 if total is None else total
        for row, block in enumerate(self.blocks):
            total = total + 0.5 * weight_decay * rho[row] * block.squared_norm()
        return total

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
        return keras.Model(self._before, self.representations[0], name=f"{self.name}_entry")


def make_path(
    plan: PathPlan,
    before: keras.KerasTensor,
    first: keras.KerasTensor,
    inputs: keras.KerasTensor,
    block: Callable[..., LeakyBlock],
    common: Mapping[str, Any],
) -> LeakyPath:
    """Make the layers of a path and call them.

    Args:
        plan: how many, how strongly they leak, and their step sizes.
        before: what comes before the path.
        first: its `A_0`.
        inputs: the network's inputs, which the layer of the step sizes hangs on.
        block: makes one block from its arguments.
        common: arguments of every block: `weight_decay`, `use_bias`, `dtype`.

    Returns:
        The path.

    Raises:
        InvalidInputError: the schedule cannot satisfy its cap at this depth.
    """
    starts = plan.schedule.start(plan.depth, plan.effective_depth)
    name = f"{plan.prefix}step_sizes"
    layer = StepSizes(plan.depth, plan.effective_depth, plan.schedule, dtype=common["dtype"], name=name)
    representations, blocks = [first], []
    for row, (start, step) in enumerate(zip(starts, layer(inputs), strict=True)):
        own = {"effective_depth": plan.effective_depth, "step_size": float(start)}
        blocks.append(block(**own, **common, name=f"{plan.prefix}block_{row + 1}"))
        representations.append(blocks[-1](representations[-1], step_size=step))
    return LeakyPath(f"{plan.prefix}path", before, representations, blocks, layer)
