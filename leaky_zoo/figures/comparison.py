"""Several audits in one figure."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.bottleneck import CRITICAL
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures.panels import starts_of
from leaky_zoo.figures.theme import LIGHT, Theme


def plot_comparison(
    audits: Sequence[Audit], panel: str, theme: Theme = LIGHT, size: tuple[float, float] = (6.4, 4.2)
) -> Figure:
    """One panel with a line for each audit.

    Args:
        audits: what to compare.
        panel: one of `COMPARISONS`.
        theme: colours. Default `LIGHT`.
        size: of the figure, in inches. Default (6.4, 4.2).

    Raises:
        InvalidInputError: no such panel, or nothing to draw in it.
    """
    if panel not in COMPARISONS:
        raise InvalidInputError(f"`panel` must be one of {', '.join(COMPARISONS)}. Received: panel={panel!r}")
    if panel not in comparisons_of(audits):
        raise InvalidInputError(f"These audits have nothing to draw for {panel!r}.")
    figure = theme.figure(*size)
    COMPARISONS[panel][0](figure.subplots(), audits, theme)
    return figure


def comparisons_of(audits: Sequence[Audit]) -> list[str]:
    """The panels for which these audits have numbers."""
    found = [name for name, (_, _, field) in COMPARISONS.items() if any(_has(audit, field) for audit in audits)]
    depths = {audit.model["effective_depth"] for audit in audits if audit.model["effective_depth"]}
    return found if len(depths) > 1 else [name for name in found if name != "rank_against_effective_depth"]


def _has(audit: Audit, field: str) -> bool:
    return any(getattr(layer, field) is not None for layer in audit.layers)


def _lines(field: str, label: str, title: str, scale: str) -> Callable[[Axes, Sequence[Audit], Theme], None]:
    def draw(axes: Axes, audits: Sequence[Audit], theme: Theme) -> None:
        for audit, colour in zip(audits, theme.sequence(len(audits)), strict=True):
            starts = starts_of(audit) / max(len(audit.per_path()), 1)
            known = [(start, getattr(layer, field)) for start, layer in zip(starts, audit.layers, strict=True)]
            known = [(start, value) for start, value in known if value is not None]
            if known:
                axes.plot(*zip(*known, strict=True), ".-", color=colour, label=audit.model["name"])
        axes.set_yscale(scale, **({"linthresh": 1.0} if scale == "symlog" else {}))
        theme.label(axes, xlabel="position along the path", ylabel=label, title=title)
        theme.legend(axes)

    return draw


def _rank_against_depth(axes: Axes, audits: Sequence[Audit], theme: Theme) -> None:
    """Figure 1a of the paper: median, least and largest `-2H/L~` over layers, and the least COI, against `L~`."""
    chosen = sorted((a for a in audits if a.model["effective_depth"]), key=lambda a: a.model["effective_depth"])
    depths = [audit.model["effective_depth"] for audit in chosen]
    costs = [min(layer.cost_of_identity or np.inf for layer in audit.layers) for audit in chosen]
    axes.plot(depths, costs, "o-", color=theme.cool, label="least cost of identity")
    for depth, audit in zip(depths, chosen, strict=True):
        ranks = [layer.rank_from_hamiltonian for layer in audit.layers if layer.rank_from_hamiltonian is not None]
        if ranks:
            axes.vlines(depth, min(ranks), max(ranks), color=theme.warm, lw=1)
            axes.plot(depth, np.median(ranks), "v", color=theme.warm, label="-2H/L~: median, range over layers")
        rank = audit.bottleneck_rank
        if rank and rank.estimate:
            axes.plot(depth, rank.estimate, "s", color=theme.green, ms=9, mfc="none", label="bottleneck rank")
    axes.set_yscale("symlog", linthresh=10.0)
    theme.label(axes, xlabel="effective depth L~", ylabel="dimensions", title="Rank against effective depth")
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=7.5, labelcolor=theme.text, frameon=False)


# Each: its name, the field it needs, axis, title, scale, caption.
LINES = (
    ("cost_of_identity", "cost_of_identity", "cost of identity", "Cost of identity", "log",
     "At each audit's own gamma_0: compare only where they agree."),
    ("rank_from_hamiltonian", "rank_from_hamiltonian", "-2H/L~", "-2H/L~, momentum form", "symlog",
     "Flat where the net is at a critical point."),
    ("criticality_residual", "criticality_residual", "||W - P s^T|| / ||W||", "Criticality residual", "log",
     f"Above {CRITICAL:g} the energies of a layer are not conserved."),
    ("participation_ratio", "participation_ratio", "participation ratio", "Participation ratio of A_l", "log",
     "A soft rank that every kind of model has."),
    ("within_class_fraction", "within_class_fraction", "fraction", "Variance within classes", "linear",
     "Near 0: neural collapse."),
    ("step_sizes", "step_size", "step size rho", "Step sizes", "linear", "How far each step goes along the path."),
)  # fmt: skip

# Each: how it is drawn, its caption, the field it needs.
COMPARISONS: dict[str, tuple[Any, str, str]] = {
    "rank_against_effective_depth": (
        _rank_against_depth,
        "The cost of identity comes down to the rank from above, -2H/L~ up to it from below (paper, figure 1a).",
        "rank_from_hamiltonian",
    ),
    **{
        name: (_lines(field, label, title, scale), caption, field)
        for name, field, label, title, scale, caption in LINES
    },
}
