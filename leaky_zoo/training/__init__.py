"""Recipes, strategies, the training loop with its callbacks and checkpoints, and the L-BFGS phase.

The names below are loaded when first used: a `Recipe` needs neither Keras nor TensorFlow, and sweeps run without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaky_zoo.errors import naming_extras

if TYPE_CHECKING:
    from leaky_zoo.training.building import build
    from leaky_zoo.training.callbacks import EarlyStopping, PenaltyRamp, StepCallback
    from leaky_zoo.training.fit import TrainingResult, train
    from leaky_zoo.training.step_size_update import StepSizeUpdate
    from leaky_zoo.training.strategy import Strategy, make_strategy
    from leaky_zoo.training.suggest import Suggestion, suggest
    from leaky_zoo.zoo.recipe import Recipe

_HOMES = {
    "building": ("build",),
    "callbacks": ("EarlyStopping", "PenaltyRamp", "StepCallback"),
    "fit": ("TrainingResult", "train"),
    "step_size_update": ("StepSizeUpdate",),
    "strategy": ("Strategy", "make_strategy"),
    "suggest": ("Suggestion", "suggest"),
}
_HOME = {name: f"leaky_zoo.training.{module}" for module, names in _HOMES.items() for name in names}
_HOME["Recipe"] = "leaky_zoo.zoo.recipe"

__all__ = [
    "EarlyStopping",
    "PenaltyRamp",
    "Recipe",
    "StepCallback",
    "StepSizeUpdate",
    "Strategy",
    "Suggestion",
    "TrainingResult",
    "build",
    "make_strategy",
    "suggest",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        with naming_extras():
            globals()[name] = getattr(import_module(_HOME[name]), name)
        return globals()[name]
    raise AttributeError(f"module 'leaky_zoo.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
