"""Network families: functional Keras models from raw inputs to raw outputs; their tasks; resampling.

The names below are loaded when first used: recipes know families and tasks without Keras.
"""

import contextlib
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from leaky_zoo.errors import MissingExtraError
from leaky_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from leaky_zoo.networks.config import NetworkConfig
    from leaky_zoo.networks.families.conv import LeakyConvNet
    from leaky_zoo.networks.families.mlp import LeakyMLP
    from leaky_zoo.networks.families.resnet import LeakyResNet
    from leaky_zoo.networks.losses import StandardizedMeanSquaredError
    from leaky_zoo.networks.network import LayerArguments, LeakyNetwork
    from leaky_zoo.networks.paths import LeakyPath, PathPlan
    from leaky_zoo.networks.resampling import overlaps, resample
    from leaky_zoo.networks.tasks import TASKS, Task

_HOMES = {
    "config": ("NetworkConfig",),
    "families.conv": ("LeakyConvNet",),
    "families.mlp": ("LeakyMLP",),
    "families.resnet": ("LeakyResNet",),
    "losses": ("StandardizedMeanSquaredError",),
    "network": ("LayerArguments", "LeakyNetwork"),
    "paths": ("LeakyPath", "PathPlan"),
    "resampling": ("overlaps", "resample"),
    "tasks": ("TASKS", "Task"),
}

__all__ = [
    "TASKS",
    "LayerArguments",
    "LeakyConvNet",
    "LeakyMLP",
    "LeakyNetwork",
    "LeakyPath",
    "LeakyResNet",
    "NetworkConfig",
    "PathPlan",
    "StandardizedMeanSquaredError",
    "Task",
    "overlaps",
    "resample",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

if "keras" in sys.modules:  # Keras is there already: let it know our classes
    with contextlib.suppress(MissingExtraError):  # Keras alone is enough for none of them
        import_module("leaky_zoo.networks.families").all_families()
