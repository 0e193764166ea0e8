"""Recipes, strategies, the training loop with its callbacks and checkpoints, and the L-BFGS phase."""

from leaky_zoo.training.callbacks import EarlyStopping, PenaltyRamp, StepCallback, StepSizeUpdate
from leaky_zoo.training.evaluation import evaluate_network
from leaky_zoo.training.fit import TrainingResult, build, train
from leaky_zoo.training.recipe import Recipe
from leaky_zoo.training.strategy import make_strategy

__all__ = [
    "EarlyStopping",
    "PenaltyRamp",
    "Recipe",
    "StepCallback",
    "StepSizeUpdate",
    "TrainingResult",
    "build",
    "evaluate_network",
    "make_strategy",
    "train",
]
