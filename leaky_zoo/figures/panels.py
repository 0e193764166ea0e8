"""The panels of an audit: each draws one of its tables into given axes."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.bottleneck import CRITICAL
from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.figures.theme import Theme

PATH_AXIS = "p, position along the path"


def draw_dimension(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Cost of identity at each step's input against `-2H/L~`, and its plateaus in `gamma_0`."""
    starts, layers = starts_of(audit), audit.layers
    axes.plot(starts, _numbers(layers, "cost_of_identity"), "-", color=theme.ink, lw=1, marker="o", ms=3,
              label=f"cost of identity, gamma_0 = {audit.gamma_0:g}")  # fmt: skip
    flat = [(p, layer.plateau["cost_of_identity"]) for p, layer in zip(starts, layers, strict=True) if layer.plateau]
    if flat:
        axes.plot(*zip(*flat, strict=True), "s", color=theme.green, ms=6, label="at its plateau in gamma_0")
    ranks = [(p, layer.rank_from_hamiltonian) for p, layer in zip(starts, layers, strict=True)]
    positive = [(p, rank) for p, rank in ranks if rank is not None and rank > 0]
    if positive:
        axes.plot(*zip(*positive, strict=True), "v", color=theme.warm, ms=5, label="-2H/L~ (momentum form)")
    rank = audit.bottleneck_rank
    if rank and rank.estimate:
        axes.axhline(rank.estimate, color=theme.green, lw=1, ls="--", label=f"bottleneck rank {rank.estimate}")
        _shade(axes, audit, rank.layers, theme)
    axes.set_yscale("log")
    _along_the_path(axes, audit, theme, ylabel="dimensions", title="Dimension of the representation")


def draw_energies(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Kinetic and potential energy and the Hamiltonian in both forms; ticks at the steps."""
    starts = starts_of(audit)
    energies = {
        "kinetic": ("kinetic_energy", theme.warm, "-"),
        "potential": ("potential_energy", theme.cool, "-"),
        "Hamiltonian (momentum form)": ("hamiltonian", theme.ink, "-"),
        "kinetic + potential": ("kinetic_plus_potential", theme.ink, ":"),
    }
    _curves(axes, starts, audit.layers, energies)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.plot(starts, np.zeros(len(starts)), "|", color=theme.muted, ms=9, transform=axes.get_xaxis_transform(),
              clip_on=False)  # fmt: skip
    _along_the_path(axes, audit, theme, ylabel="energy (symmetric log)", title="Energies (ticks: steps)")


def draw_gamma_sweep(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Cost of identity against `gamma_0`, a line for each layer, its flattest point marked where it is flat."""
    colours = theme.sequence(len(audit.layers))
    flat = [layer for layer in audit.layers if layer.plateau]
    for layer, colour in zip(audit.layers, colours, strict=True):
        if layer.cost_of_identity_sweep:
            axes.plot(audit.gamma_sweep, layer.cost_of_identity_sweep, "-", color=colour, lw=1)
        if layer.plateau:
            axes.plot(layer.plateau["gamma_0"], layer.plateau["cost_of_identity"], "s", color=theme.green, ms=5)
            if layer in (flat[0], flat[-1]):  # those between lie where they lie, mostly on each other
                axes.annotate(str(layer.layer), (layer.plateau["gamma_0"], layer.plateau["cost_of_identity"]),
                              textcoords="offset points", xytext=(3, 4), fontsize=7, color=theme.text)  # fmt: skip
    axes.axvline(audit.gamma_0, color=theme.muted, lw=1, ls=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    theme.label(axes, xlabel="gamma_0 (dotted: this audit's)", ylabel="cost of identity",
             title="Sweep of gamma_0 (dark: first layers)")  # fmt: skip


def draw_weight_directions(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Leading singular values of each step's weights."""
    starts, spectra = starts_of(audit), [layer.weight_singular_values or [] for layer in audit.layers]
    shown = min(16, min(map(len, spectra)))
    scale = max(audit.model["effective_depth"], 1.0)
    for index in range(shown):
        values = [max(spectrum[index] / scale, 1e-12) for spectrum in spectra]
        axes.plot(starts, values, "-", marker=".", lw=0.8, color=theme.ink, alpha=1 - 0.75 * index / shown)
    top, low = (max(s[0] for s in spectra) / scale, min(s[shown - 1] for s in spectra) / scale)
    axes.set_yscale("log")
    if top > 0:
        axes.set_ylim(max(top * 1e-5, low / 2), top * 2)
    if audit.bottleneck_rank:
        _shade(axes, audit, audit.bottleneck_rank.layers, theme)
    title = f"Weights: the {shown} largest singular values"
    _along_the_path(axes, audit, theme, ylabel="singular value / max(L~, 1)", title=title)


def draw_spectra(axes: Axes, audit: Audit, of: str, theme: Theme) -> None:
    """A heat map: layers across, singular values down, each layer relative to its largest."""
    layers = measured_layers(audit)
    field = "singular_values" if of == "representations" else "weight_singular_values"
    spectra = [getattr(layer, field) or [0.0] for layer in layers]
    height = min(64, max(map(len, spectra)))
    image = np.full((height, len(spectra)), np.nan)
    for column, spectrum in enumerate(spectra):
        values = np.asarray(spectrum[:height]) / (spectrum[0] or 1.0)
        image[: len(values), column] = np.log10(np.maximum(values, 1e-8))
    mesh = axes.pcolormesh(
        np.arange(len(spectra) + 1) + 0.5, np.arange(height + 1) + 0.5, image, cmap=theme.map, vmin=-6, vmax=0,
        rasterized=True,
    )  # fmt: skip
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    name = "A_l" if of == "representations" else "W_l"
    theme.label(
        axes,
        xlabel="layer l",
        ylabel="index of the singular value",
        title=f"Spectra of {name}, relative to the largest",
    )
    bar = axes.figure.colorbar(mesh, ax=axes)
    bar.set_label("log10", color=theme.text)
    bar.ax.tick_params(colors=theme.text)


def draw_projection(axes: Axes, audit: Audit, theme: Theme) -> None:
    """The path (the last of several) of each sample in its first two principal components, by label or target."""
    last = audit.per_path()[-1]
    path = last.projection
    assert path is not None
    points = np.asarray(path["coordinates"])
    labels = np.asarray(path["labels"] if path["labels"] is not None else np.zeros(points.shape[1]))
    span = float(np.ptp(labels)) or 1.0
    colours = theme.labels((labels - labels.min()) / span)
    for sample in range(points.shape[1]):
        axes.plot(*points[:, sample].T, "-", color=colours[sample], lw=0.5, alpha=0.5)
    (end_x, end_y), (start_x, start_y) = points[-1].T, points[0].T
    axes.scatter(end_x, end_y, c=colours, s=14, edgecolors=theme.ink, linewidths=0.3, zorder=3, label="end, A_L")
    axes.scatter(start_x, start_y, c=colours, s=8, marker="x", linewidths=0.6, zorder=2, label="start, A_0")
    shares = [f"{100 * share:.0f}%" for share in path["explained"]]
    theme.label(axes, xlabel=f"first component ({shares[0]})", ylabel=f"second component ({shares[1]})",
             title=f"The path{f' {last.name}' if audit.paths else ''} of {points.shape[1]} samples")  # fmt: skip
    theme.legend(axes)


def draw_step_sizes(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Step sizes, with the equal step as a line."""
    widths = _numbers(audit.layers, "step_size")
    axes.bar(starts_of(audit), widths, widths, align="edge", color=theme.fill, edgecolor=theme.ink)
    for index, path in enumerate(audit.per_path()):
        depth = path.last_layer - path.first_layer + 1
        axes.hlines(1 / depth, index, index + 1, color=theme.warm, lw=1, ls="--", label="_more" if index else "1 / L")
    _along_the_path(axes, audit, theme, ylabel="step size rho", title=f"Step sizes ({audit.model['schedule']})")


def draw_step_size_trace(axes: Axes, audit: Audit, theme: Theme) -> None:
    """How training moved the step sizes, a line for each layer; crosses where an update was refused."""
    trace = audit.model["step_size_trace"]
    steps, sizes = [entry["step"] for entry in trace], np.array([entry["step_sizes"] for entry in trace])
    for index, colour in enumerate(theme.sequence(sizes.shape[1])):
        axes.plot(steps, sizes[:, index], "-", color=colour, lw=1)
    refused = [update for update, entry in enumerate(trace) if not entry["accepted"]]
    for update in refused:
        axes.plot([steps[update]] * sizes.shape[1], sizes[update], "x", color=theme.warm, ms=4)
    title = "Step sizes in training (dark: first layers)" + (f", updates refused: {len(refused)}" if refused else "")
    theme.label(axes, xlabel="training step", ylabel="step size rho", title=title)


def draw_criticality(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Criticality residual of each step, and what the verdict asks for."""
    axes.plot(starts_of(audit), _numbers(audit.layers, "criticality_residual"), "o-", color=theme.ink, ms=4)
    axes.axhline(CRITICAL, color=theme.warm, lw=1, ls="--", label=f"critical below {CRITICAL:g}")
    axes.set_yscale("log")
    _along_the_path(axes, audit, theme, ylabel="||W - P s^T|| / ||W||", title="Criticality residual")


def draw_intrinsic_dimensions(axes: Axes, audit: Audit, theme: Theme) -> None:
    """Soft ranks and intrinsic dimensions of each layer's output."""
    dimensions = {
        "stable rank": ("stable_rank", theme.ink, "-"),
        "participation ratio": ("participation_ratio", theme.cool, "-"),
        "nuclear-norm rank": ("nuclear_norm_rank", theme.green, "-"),
        "TwoNN": ("two_nn_dimension", theme.warm, "-"),
        "maximum likelihood": ("mle_dimension", theme.warm, ":"),
    }
    _curves(axes, [layer.layer for layer in audit.layers], audit.layers, dimensions)
    axes.set_yscale("log")
    theme.label(axes, xlabel="layer l", ylabel="dimensions", title="Soft ranks and intrinsic dimensions of A_l")
    theme.legend(axes)


def draw_similarity(axes: Axes, audit: Audit, theme: Theme) -> None:
    """CKA with the layer before, and how much variance is within the classes."""
    fractions = {
        "CKA with the layer before": ("cka_with_previous", theme.ink, "-"),
        "variance within classes": ("within_class_fraction", theme.warm, "-"),
    }
    _curves(axes, [layer.layer for layer in audit.layers], audit.layers, fractions)
    classes = any(layer.within_class_fraction is not None for layer in audit.layers)
    title = "Similarity and class variance" if classes else "Similarity"
    theme.label(axes, xlabel="layer l", ylabel="fraction", title=title, ylim=(-0.02, 1.05))
    theme.legend(axes)


def draw_linearity(axes: Axes, audit: Audit, theme: Theme) -> None:
    """How much of each representation is negative, and what leaving its ReLU out does to the outputs."""
    numbers = [layer.layer for layer in audit.layers]
    shares = {
        "negative share of A_l": ("negative_share", theme.cool, "-"),
        "change of outputs without the ReLU of l": ("relu_effect", theme.warm, "-"),
    }
    _curves(axes, numbers, audit.layers, shares)
    stretch = audit.summary.get("linear_stretch")
    if stretch:
        axes.axvspan(stretch[0] - 0.5, stretch[1] + 0.5, color=theme.green, alpha=0.15, lw=0, label="linear stretch")
    axes.set_yscale("symlog", linthresh=1e-3)
    theme.label(axes, xlabel="layer l", ylabel="share (symmetric log)", title="What the ReLUs do")
    theme.legend(axes)


def measured_layers(audit: Audit) -> list[LayerAudit]:
    """The layers that have numbers."""
    return [layer for layer in audit.layers if layer.reason is None]


def _curves(
    axes: Axes, at: Sequence[float] | np.ndarray, layers: Sequence[LayerAudit], curves: dict[str, tuple[str, str, str]]
) -> None:
    """A line for each label, of `(field, colour, style)`, where the layers have numbers."""
    for label, (name, colour, style) in curves.items():
        points = [
            (x, value) for x, layer in zip(at, layers, strict=True) if (value := getattr(layer, name)) is not None
        ]
        if points:
            axes.plot(*zip(*points, strict=True), style, color=colour, marker=".", label=label)


def _numbers(layers: Sequence[LayerAudit], name: str) -> np.ndarray:
    return np.array([getattr(layer, name) for layer in layers], dtype=np.float64)


def starts_of(audit: Audit) -> np.ndarray:
    """Where each step begins, paths one after another: energies are measured there. Other models: layers, evenly."""
    if audit.kind != "path":
        return np.arange(1, len(audit.layers) + 1) / len(audit.layers)
    paths = audit.per_path()
    before = np.repeat(np.arange(len(paths)), [path.last_layer - path.first_layer + 1 for path in paths])
    return before + _numbers(audit.layers, "position") - _numbers(audit.layers, "step_size")


def _along_the_path(axes: Axes, audit: Audit, theme: Theme, ylabel: str, title: str) -> None:
    """Labels and legend of a panel over `p`, with a line where a path ends and the next begins."""
    count = len(audit.per_path())
    for end in range(1, count):
        axes.axvline(end, color=theme.muted, lw=1)
    xlabel = PATH_AXIS if count == 1 else f"p, position along the {count} paths, one after the other"
    theme.label(axes, xlabel=xlabel, ylabel=ylabel, title=title, xlim=(-0.02, count + 0.02))
    if axes.get_legend_handles_labels()[0]:
        theme.legend(axes)


def _shade(axes: Axes, audit: Audit, numbers: Sequence[int], theme: Theme) -> None:
    label, places = "bottleneck", list(zip(audit.layers, starts_of(audit), strict=True))
    inside = [layer.layer in numbers for layer in audit.layers]
    for within, run in groupby(zip(inside, places, strict=True), key=lambda each: each[0]):
        if within:  # one span for each run: spans of single layers would overlap or leave gaps where steps differ
            layers, starts = zip(*(place for _, place in run), strict=True)
            ends = starts[0] - (layers[0].step_size or 0.0) / 2, starts[-1] + (layers[-1].step_size or 0.0) / 2
            axes.axvspan(*ends, color=theme.green, alpha=0.15, lw=0, label=label)
            label = "_shown already"
