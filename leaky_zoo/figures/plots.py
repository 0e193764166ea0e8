"""Figures of an audit. Each function returns a matplotlib figure and touches no global state."""

import io
import os
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures.panels import (
    draw_criticality,
    draw_dimension,
    draw_energies,
    draw_gamma_sweep,
    draw_intrinsic_dimensions,
    draw_linearity,
    draw_projection,
    draw_similarity,
    draw_spectra,
    draw_step_size_trace,
    draw_step_sizes,
    draw_weight_directions,
    measured_layers,
)
from leaky_zoo.figures.theme import LIGHT, Theme
from leaky_zoo.io.files import replacing


@naming_the_nearest
def plot_audit(audit: Audit, theme: Theme = LIGHT) -> Figure:
    """The bottleneck at a glance.

    Args:
        audit: what `analyze` returned.
        theme: colours. Default `LIGHT`.

    Returns:
        A figure of four panels over `p` in [0, 1]: dimension (log), singular values of `W_l` (log), energies, step
        sizes; for a model that is not ours dimensions and spectra by layer; the reasons where no layer has numbers.

    Raises:
        InvalidInputError: `theme` is not a `Theme`.
    """
    if not isinstance(theme, Theme):
        raise InvalidInputError(f"`theme` must be a Theme; save_plot writes a file. Received: theme={theme!r}")
    figure = theme.figure(11, 7.5)
    if not measured_layers(audit):
        reasons = dict.fromkeys(f"{layer.name}: {layer.reason}" for layer in audit.layers)
        words = "\n".join(["No layer has numbers.", "", *list(reasons)[:20]])
        figure.text(0.5, 0.5, words, ha="center", va="center", color=theme.text, wrap=True)
    elif audit.kind != "path":
        panels = figure.subplots(1, 2)
        draw_intrinsic_dimensions(panels[0], audit, theme)
        draw_spectra(panels[1], audit, "representations", theme)
    else:
        panels = figure.subplots(2, 2)
        draw_dimension(panels[0, 0], audit, theme)
        draw_weight_directions(panels[0, 1], audit, theme)
        draw_energies(panels[1, 0], audit, theme)
        draw_step_sizes(panels[1, 1], audit, theme)
    theme.title(figure, f"{audit.model['name']}: {_about(audit)}")
    return figure


def save_plot(audit: Audit, path: str | os.PathLike[str]) -> None:
    """`plot_audit` as a PNG of 880 x 600 pixels and 64 colours, some 30 kB: the picture on a preset's card.

    The same audit gives the same bytes with the same matplotlib and Pillow.

    Args:
        audit: what `analyze` returned.
        path: of the PNG.

    Raises:
        OSError: the file cannot be written.

    Example:
    >>> import tempfile
    >>> import numpy as np
    >>> from leaky_zoo.analysis import analyze
    >>> from leaky_zoo.networks import LeakyMLP
    >>> x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save_plot(analyze(LeakyMLP((3,), 2, width=8, depth=4), x), f"{place}/audit.png")
    ...     with Image.open(f"{place}/audit.png") as picture:
    ...         print(picture.size)
    (880, 600)
    """
    buffer = io.BytesIO()
    plot_audit(audit).savefig(buffer, format="png", dpi=80)
    with Image.open(buffer) as picture:
        small = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        with replacing(path) as aside:
            small.save(aside, format="png", optimize=True)


def plot_panel(audit: Audit, panel: str, theme: Theme = LIGHT, size: tuple[float, float] = (6.4, 4.2)) -> Figure:
    """One panel as a figure of its own.

    Args:
        audit: what `analyze` returned.
        panel: one of `PANELS`: "dimension", "energies", "gamma_sweep", "representation_spectra", "weight_spectra",
            "weight_directions", "projection", "step_sizes", "step_size_trace", "criticality", "intrinsic_dimensions",
            "similarity", "linearity".
        theme: colours. Default `LIGHT`.
        size: of the figure, in inches. Default (6.4, 4.2).

    Raises:
        InvalidInputError: no such panel, or one that needs what the audit does not have.
    """
    if panel not in PANELS:
        raise InvalidInputError(f"`panel` must be one of {', '.join(PANELS)}. Received: panel={panel!r}")
    if panel not in panels_of(audit):
        raise InvalidInputError(f"The audit of {audit.model['name']} has nothing to draw for {panel!r}.")
    figure = theme.figure(*size)
    PANELS[panel](figure.subplots(), audit, theme)
    return figure


def panels_of(audit: Audit) -> list[str]:
    """The panels for which an audit has numbers."""
    measured = measured_layers(audit)
    if audit.kind != "path":
        return ["intrinsic_dimensions", "representation_spectra", "similarity"] if measured else []
    found = ["dimension", "energies", "gamma_sweep", "weight_directions", "representation_spectra", "weight_spectra"]
    if audit.per_path()[-1].projection:
        found.append("projection")
    found.append("step_sizes")
    if audit.model.get("step_size_trace"):
        found.append("step_size_trace")
    if any(layer.criticality_residual is not None for layer in measured):
        found.append("criticality")
    if any(layer.cka_with_previous is not None for layer in measured):
        found += ["intrinsic_dimensions", "similarity"]
    if audit.summary.get("effective_nonlinear_depth"):
        found.append("linearity")
    return found


PANELS: dict[str, Any] = {
    "dimension": draw_dimension,
    "energies": draw_energies,
    "gamma_sweep": draw_gamma_sweep,
    "weight_directions": draw_weight_directions,
    "representation_spectra": lambda axes, audit, theme: draw_spectra(axes, audit, "representations", theme),
    "weight_spectra": lambda axes, audit, theme: draw_spectra(axes, audit, "weights", theme),
    "projection": draw_projection,
    "step_sizes": draw_step_sizes,
    "step_size_trace": draw_step_size_trace,
    "criticality": draw_criticality,
    "intrinsic_dimensions": draw_intrinsic_dimensions,
    "similarity": draw_similarity,
    "linearity": draw_linearity,
}


def _about(audit: Audit) -> str:
    momenta = "no momenta" if audit.weight_decay is None else f"mu = {audit.weight_decay:.3g}"
    depth = audit.model["effective_depth"]
    shape = f"effective depth {depth:g}, {len(audit.layers)} steps" if depth is not None else audit.model["class"]
    return f"{shape}\n{audit.data['name']} {audit.data['split']}, N = {audit.n}, gamma_0 = {audit.gamma_0:g}, {momenta}"
