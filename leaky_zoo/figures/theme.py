"""Colours of figures, light and dark, and their labels of powers of ten."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class PowerFormatter(LogFormatterSciNotation):
    """Labels of logarithmic axes as matplotlib has them, in plain characters: its formulas are slow to parse.

    >>> [PowerFormatter()(value) for value in (0.001, 100, -10, 0, 0.002)]
    ['10⁻³', '10²', '−10¹', '0', '2×10⁻³']
    """

    def __call__(self, x: float, pos: int | None = None) -> str:
        plain = super().__call__(x, pos).removeprefix(r"$\mathdefault{").removesuffix("}$").replace(r"\times", TIMES)
        return re.sub(r"\^\{(.*?)\}", lambda power: power[1].translate(SUPERSCRIPTS), plain).replace("-", MINUS)


@dataclass(frozen=True)
class Theme:
    """Colours of a figure.

    Attributes:
        text: labels and ticks.
        ink: the main line.
        muted: grid and side lines.
        warm: second line.
        cool: third line.
        green: what belongs to the bottleneck.
        fill: bars.
        paper: the background; pages leave it out and show through.
        map: colour map of heat maps and of samples without classes.
    """

    text: str
    ink: str
    muted: str
    warm: str
    cool: str
    green: str
    fill: str
    paper: str
    map: str = "viridis"

    def figure(self, width: float, height: float) -> Figure:
        """An empty figure, in inches."""
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_facecolor(self.paper)
        return figure

    def label(self, axes: Axes, **settings: Any) -> None:
        """`axes.set(**settings)`, then this theme's colours on everything that the axes have."""
        axes.set(**settings)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() in ("log", "symlog"):
                axis.set_major_formatter(PowerFormatter())
            if axis.get_scale() == "log":
                axis.set_minor_formatter(PowerFormatter())
        if settings.get("xlabel") == "layer l":
            axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.patch.set_alpha(0.0)
        axes.grid(True, which="major", color=self.muted, lw=0.4, alpha=0.35)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", colors=self.text, labelsize=8)
        axes.title.set(color=self.text, fontsize=10, wrap=True)
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set(color=self.text, fontsize=9)
        for spine in axes.spines.values():
            spine.set(color=self.muted, linewidth=0.6)

    def legend(self, axes: Axes) -> None:
        """A small legend, where there is something to explain."""
        if axes.get_legend_handles_labels()[0]:
            legend = axes.legend(fontsize=7.5, labelcolor=self.text, facecolor=self.paper, framealpha=0.7)
            legend.get_frame().set_linewidth(0)

    def title(self, figure: Figure, text: str) -> None:
        """A title over the whole figure."""
        figure.suptitle(text, fontsize=11, color=self.text)

    def sequence(self, count: int) -> list[Any]:
        """Colours from the first to the last of `count` ordered things."""
        low, high = (0.0, 0.85) if self is not DARK else (0.25, 1.0)
        return list(colormaps[self.map](np.linspace(low, high, max(count, 1))))

    def labels(self, values: np.ndarray) -> np.ndarray:
        """Colours of labels or targets scaled to [0, 1], shape `(n, 4)`."""
        return colormaps["turbo"](0.05 + 0.9 * np.asarray(values, dtype=np.float64))


LIGHT = Theme("#1d2733", "#1f3a5f", "#8896a5", "#c8553d", "#2a7f9e", "#3f7d3e", "#d9e2ec", "#ffffff")
DARK = Theme("#dbe4ee", "#9cc4f2", "#6d7f92", "#f0896f", "#6cc5e3", "#8fd18c", "#2b3b4d", "#12181f")
