"""Network families: functional Keras models from raw inputs to raw outputs; their tasks; resampling.

The names below are loaded when first used: recipes know families and tasks without Keras.
"""

import contextlib
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaky_zoo.errors import MissingExtraError, naming_extras

if TYPE_CHECKING:
    from leaky_zoo.networks.config import NetworkConfig
    from leaky_zoo.networks.evaluation import evaluate_network
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
    "evaluation": ("evaluate_network",),
    "families.conv": ("LeakyConvNet",),
    "families.mlp": ("LeakyMLP",),
    "families.resnet": ("LeakyResNet",),
    "losses": ("StandardizedMeanSquaredError",),
    "network": ("LayerArguments", "LeakyNetwork"),
    "paths": ("LeakyPath", "PathPlan"),
    "resampling": ("overlaps", "resample"),
    "tasks": ("TASKS", "Task"),
}
_HOME = {name: f"leaky_zoo.networks.{module}" for module, names in _HOMES.items() for name in names}

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
    "evaluate_network",
    "overlaps",
    "resample",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        with naming_extras():
            globals()[name] = getattr(import_module(_HOME[name]), name)
        return globals()[name]
    raise AttributeError(f"module 'leaky_zoo.networks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


if "keras" in sys.modules:  # Keras is there already: let it know our classes
    with contextlib.suppress(MissingExtraError):  # Keras alone is enough for none of them
        import_module("leaky_zoo.networks.families").all_families()
