"""Sweeps: a grid of recipes, each a real training process, run by Dask on one machine or many, and their report.

Nothing here imports Keras or TensorFlow; Dask is imported when something is to be run.
"""

from leaky_zoo.sweeps.folder import Run, RunState, SweepFolder
from leaky_zoo.sweeps.report import collect_rows, summarize_rows
from leaky_zoo.sweeps.spec import Cell, Sweep

__all__ = ["Cell", "Run", "RunState", "Sweep", "SweepFolder", "collect_rows", "summarize_rows"]
