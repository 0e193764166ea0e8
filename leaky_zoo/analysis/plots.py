"""Figures of an audit. Each function returns a matplotlib figure and touches no global state."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaky_zoo.analysis.audit import Audit

INK, LIGHT = "#1f3a5f", "#d9e2ec"
WARM, COOL, GREEN = "#c8553d", "#2a7f9e", "#5b8c5a"


def plot_audit(audit: Audit) -> Figure:
    """The bottleneck at a glance: dimension, weights, energies and step sizes along the path.

    Args:
        audit: what `analyze` returned.

    Returns:
        A figure of four panels over `p` in [0, 1]: cost of identity (log) with the layers on a plateau shaded and
        `-2H/Lt`; singular values of `W_l` (log); energies; step sizes.
    """
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    panels = figure.subplots(2, 2)
    draw_dimension(panels[0, 0], audit)
    draw_weight_spectra(panels[0, 1], audit)
    draw_energies(panels[1, 0], audit)
    draw_step_sizes(panels[1, 1], audit)
    depth = audit.model["effective_depth"]
    momenta = "no momenta" if audit.weight_decay is None else f"mu = {audit.weight_decay:.3g}"
    figure.suptitle(
        f"{audit.model['name']}: effective depth {depth:g}, {audit.model['depth']} steps\n"
        f"{audit.data['name']} {audit.data['split']}, N = {audit.n}, gamma_0 = {audit.gamma_0:g}, {momenta}",
        fontsize=11,
    )
    return figure


def draw_dimension(axes: Axes, audit: Audit) -> None:
    """Cost of identity at each step's input, against `-2H/Lt`; shaded where it is a dimension."""
    starts = _starts(audit)
    axes.step(starts, [layer.cost_of_identity for layer in audit.layers], where="mid", color=INK, lw=1)
    axes.plot(
        starts, [layer.cost_of_identity for layer in audit.layers], "o", color=INK, ms=4, label="cost of identity"
    )
    ranks = [(p, layer.rank_from_hamiltonian) for p, layer in zip(starts, audit.layers, strict=True)]
    positive = [(p, rank) for p, rank in ranks if rank is not None and rank > 0]
    if positive:
        axes.plot(*zip(*positive, strict=True), "v", color=WARM, ms=5, label="-2H/L~ (momentum form)")
    _shade_plateau(axes, audit)
    axes.set_yscale("log")
    axes.set(xlabel="p, position along the path", ylabel="dimensions", title="Dimension of the representation")
    axes.legend(fontsize=8)


def draw_weight_spectra(axes: Axes, audit: Audit) -> None:
    """Leading singular values of each step's weights."""
    starts = _starts(audit)
    shown = min(16, min(len(layer.weight_singular_values) for layer in audit.layers))
    scale = max(audit.model["effective_depth"], 1.0)
    for place in range(shown):
        values = [max(layer.weight_singular_values[place] / scale, 1e-12) for layer in audit.layers]
        axes.plot(starts, values, "-", marker=".", lw=0.8, color=INK, alpha=1 - 0.75 * place / shown)
    top = max(layer.weight_singular_values[0] for layer in audit.layers) / scale
    low = min(layer.weight_singular_values[shown - 1] for layer in audit.layers) / scale
    axes.set_yscale("log")
    if top > 0:
        axes.set_ylim(max(top * 1e-5, low / 2), top * 2)
    _shade_plateau(axes, audit)
    axes.set(
        xlabel="p, position along the path",
        ylabel="singular value / max(L~, 1)",
        title=f"Weights: the {shown} largest singular values",
    )


def draw_energies(axes: Axes, audit: Audit) -> None:
    """Kinetic and potential energy and the Hamiltonian along the path."""
    starts = _starts(audit)
    series: list[tuple[str, list[float | None], str, str]] = [
        ("kinetic", [layer.kinetic_energy for layer in audit.layers], WARM, "-"),
        ("potential", [layer.potential_energy for layer in audit.layers], COOL, "-"),
        ("Hamiltonian (momentum form)", [layer.hamiltonian for layer in audit.layers], INK, "-"),
        ("kinetic + potential", [layer.kinetic_plus_potential for layer in audit.layers], INK, ":"),
    ]
    for label, values, colour, style in series:
        if all(value is not None for value in values):
            axes.plot(starts, np.array(values, dtype=float), style, color=colour, marker=".", label=label)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set(xlabel="p, position along the path", ylabel="energy (symmetric log)", title="Energies")
    axes.legend(fontsize=8)


def draw_step_sizes(axes: Axes, audit: Audit) -> None:
    """Step sizes, with the equal step as a line."""
    widths = [layer.step_size for layer in audit.layers]
    axes.bar(_starts(audit), widths, widths, align="edge", color=LIGHT, edgecolor=INK)
    axes.axhline(1 / len(widths), color=WARM, lw=1, ls="--", label="1 / L")
    axes.set(
        xlabel="p, position along the path",
        ylabel="step size rho",
        title=f"Step sizes ({audit.model['schedule']})",
        xlim=(0, 1),
    )
    axes.legend(fontsize=8)


def _starts(audit: Audit) -> list[float]:
    """Where each step begins: energies are measured there."""
    return [layer.position - layer.step_size for layer in audit.layers]


def _shade_plateau(axes: Axes, audit: Audit) -> None:
    label = "on a plateau of gamma_0"
    for layer, start in zip(audit.layers, _starts(audit), strict=True):
        if layer.on_plateau:
            half = layer.step_size / 2
            axes.axvspan(start - half, start + half, color=GREEN, alpha=0.15, lw=0, label=label)
            label = "_shown already"
