"""A progress bar that follows training and the L-BFGS phase."""

from typing import Any

import keras

from leaky_zoo.processes.progress import Bar, ProgressLines
from leaky_zoo.training import Recipe


class TrainingBar(keras.callbacks.Callback):
    """One bar for each phase of a recipe.

    Args:
        progress: where to draw.
        recipe: what runs.
    """

    def __init__(self, progress: Bar | ProgressLines, recipe: Recipe) -> None:
        super().__init__()
        self.progress, self.recipe = progress, recipe
        self._task: Any = None
        self._lbfgs: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._task = self.progress.add_task("training", total=self.params["epochs"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        shown = ", ".join(
            f"{name} {value:.4g}" for name, value in (logs or {}).items() if "data_loss" in name or "acc" in name
        )
        self.progress.update(self._task, completed=epoch + 1, description=f"training: {shown}")

    def on_lbfgs_iteration(self, iteration: int, objective: float, residual: float | None = None) -> None:
        """Move the bar of the L-BFGS phase; it shows the residual that decides, beside the one that is asked for."""
        phase = self.recipe.lbfgs_phase
        if self._lbfgs is None:
            total = phase.iterations if phase else None
            self._lbfgs = self.progress.add_task("L-BFGS", total=total)
        words = f"L-BFGS: objective {objective:.6g}"
        if residual is not None and phase is not None and phase.criticality is not None:
            words += f", residual {residual:.2g} of {phase.criticality:g}"
        self.progress.update(self._lbfgs, completed=iteration, description=words)
