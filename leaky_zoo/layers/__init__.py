"""One step of the flow, its step sizes and its initialiser."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.layers import schedules
    from leaky_zoo.layers.block import LeakyBlock
    from leaky_zoo.layers.conv import LeakyConv1D, LeakyConv2D
    from leaky_zoo.layers.dense import LeakyDense
    from leaky_zoo.layers.dropout import HeadDropout
    from leaky_zoo.layers.initializers import LeakyVariance
    from leaky_zoo.layers.schedules import *  # noqa: F403  every schedule is a name of this room too
    from leaky_zoo.layers.step_sizes import StepSizes

__all__ = [
    "HeadDropout",
    "LeakyBlock",
    "LeakyConv1D",
    "LeakyConv2D",
    "LeakyDense",
    "LeakyVariance",
    "StepSizes",
]
__all__ += schedules.__all__
