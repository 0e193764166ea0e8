"""Recipes, strategies, the training loop with its callbacks and checkpoints, and the L-BFGS phase.

The names below are loaded when first used: a `Recipe` needs neither Keras nor TensorFlow, and sweeps run without them.
"""

from typing import TYPE_CHECKING

from leaky_zoo.lazy import lazy_names

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
    ".zoo.recipe": ("Recipe",),
}

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

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
