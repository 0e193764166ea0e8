"""An audit, or several, as matplotlib figures and HTML pages."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.figures.comparison import COMPARISONS, plot_comparison
    from leaky_zoo.figures.plots import PANELS, plot_audit, plot_panel, save_plot
    from leaky_zoo.figures.report import write_comparison, write_report
    from leaky_zoo.figures.theme import DARK, LIGHT, Theme

__all__ = [
    "COMPARISONS",
    "DARK",
    "LIGHT",
    "PANELS",
    "Theme",
    "plot_audit",
    "plot_comparison",
    "plot_panel",
    "save_plot",
    "write_comparison",
    "write_report",
]
