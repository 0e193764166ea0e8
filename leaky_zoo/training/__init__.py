"""Recipes, strategies, `fit` with its callbacks, and the L-BFGS phase."""

from leaky_zoo.training.callbacks import PenaltyRamp, StepSizeUpdate, StopOnNonFinite
from leaky_zoo.training.evaluation import evaluate_network
from leaky_zoo.training.fit import TrainingResult, build, train
from leaky_zoo.training.recipe import Recipe
from leaky_zoo.training.strategy import make_strategy

__all__ = [
    "PenaltyRamp",
    "Recipe",
    "StepSizeUpdate",
    "StopOnNonFinite",
    "TrainingResult",
    "build",
    "evaluate_network",
    "make_strategy",
    "train",
]
