"""The audit as a page: self-contained HTML, light and dark, for a screen, a phone and paper."""

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import jinja2
import matplotlib
from matplotlib.figure import Figure

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.linearity import linearity_sentence
from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures.comparison import COMPARISONS, comparisons_of, plot_comparison
from leaky_zoo.figures.plots import panels_of, plot_panel
from leaky_zoo.figures.theme import DARK, LIGHT
from leaky_zoo.figures.words import alternative, caption, compared, glossary_of, interval_words
from leaky_zoo.io.files import write_text

# What a reader looks at first; everything else is in the JSON.
COLUMNS = {
    "layer": "layer",
    "name": "name",
    "features": "features",
    "step_size": "rho",
    "cost_of_identity": "COI",
    "plateau": "plateau",
    "rank_from_hamiltonian": "-2H/L~",
    "criticality_residual": "residual",
    "clarke_residual": "Clarke residual",
    "kinetic_energy": "kinetic",
    "potential_energy": "potential",
    "hamiltonian": "H",
    "out_of_image_fraction": "out of image",
    "weight_norm": "‖W‖",
    "written_directions": "directions",
    "written_gap": "gap",
    "weight_directions": "directions of W",
    "weight_gap": "gap of W",
    "negative_share": "negative",
    "relu_effect": "ReLU effect",
    "stable_rank": "stable rank",
    "participation_ratio": "part. ratio",
    "nuclear_norm_rank": "nuclear rank",
    "two_nn_dimension": "TwoNN",
    "mle_dimension": "MLE",
    "distance": "distance",
    "turning_angle": "turn °",
    "cka_with_previous": "CKA",
    "within_class_fraction": "within class",
}
PICTURE = (4.4, 3.3)  # inches: small, so that its words stay readable on a phone


@naming_the_nearest
def write_report(audit: Audit, path: str | os.PathLike[str]) -> None:
    """Write one audit as a page that needs nothing else.

    Args:
        audit: what `analyze` returned.
        path: the `.html` file.

    Example:
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from leaky_zoo.analysis import analyze
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3, name="small")
    >>> page = pathlib.Path(tempfile.mkdtemp()) / "small.html"
    >>> write_report(analyze(net, np.random.default_rng(0).normal(size=(50, 4)), np.zeros(50, int)), page)
    >>> page.read_text().startswith("<!doctype html>")
    True
    """
    panels = [
        (
            alternative(audit, name),
            caption(audit, name),
            _pictures(lambda theme, n=name: plot_panel(audit, n, theme, PICTURE)),
        )
        for name in panels_of(audit)
    ]
    page = _template("report.html.j2").render(
        audit=audit,
        verdict=_verdict(audit),
        facts=_facts(audit),
        panels=panels,
        header=_header(audit),
        rows=[_cells(layer, _header(audit)) for layer in audit.layers],
        glossary=glossary_of(audit),
        made_with=_made_with(audit),
    )
    write_text(path, page)


def write_comparison(audits: Sequence[Audit], path: str | os.PathLike[str]) -> None:
    """Write several audits side by side, as one task across effective depths.

    Args:
        audits: at least two.
        path: the `.html` file.

    Raises:
        InvalidInputError: fewer than two audits.
    """
    if len(audits) < 2:
        raise InvalidInputError(f"A comparison needs at least two audits. Received: {len(audits)}")
    panels = [
        (
            compared(audits, name, COMPARISONS[name][2], name.replace("_", " ").capitalize()),
            COMPARISONS[name][1],
            _pictures(lambda theme, n=name: plot_comparison(audits, n, theme, PICTURE)),
        )
        for name in comparisons_of(audits)
    ]
    facts, made_with = [_facts(audit) for audit in audits], [_made_with(audit) for audit in audits]
    names, settings = (list(dict.fromkeys(name for each in found for name in each)) for found in (facts, made_with))
    page = _template("compare.html.j2").render(
        audits=audits,
        verdicts=[_verdict(audit) for audit in audits],
        names=names,
        facts=facts,
        panels=panels,
        glossary=list(dict.fromkeys(entry for audit in audits for entry in glossary_of(audit))),
        made_with=made_with,
        settings=settings,
    )
    write_text(path, page)


def _verdict(audit: Audit) -> dict[str, Any]:
    rank = audit.bottleneck_rank
    if rank is None:
        return {"text": "Audit of an older schema: no verdict was recorded. Analyse again.", "known": False}
    # The verdict of several paths begins with the name of one.
    text = (rank.verdict if audit.paths else rank.verdict[:1].upper() + rank.verdict[1:]) + "."
    if rank.estimate is None:
        return {"text": text, "known": False}
    return {"text": text, "known": True, "interval": interval_words(rank)}


def _facts(audit: Audit) -> dict[str, str]:
    """The numbers at the head of the page."""
    summary, found = audit.summary, {}
    if audit.loss is not None:
        found["loss (data term)"] = _number(audit.loss)
    if audit.kind == "path":
        found["least cost of identity"] = (
            f"{_number(summary['min_cost_of_identity'])} in layer {summary['layer_of_min_cost_of_identity']}"
        )
        residuals = [layer.criticality_residual for layer in audit.layers if layer.criticality_residual is not None]
        if residuals:
            found["criticality residual"] = f"{_number(min(residuals))} to {_number(max(residuals))}"
        clarke = [layer.clarke_residual for layer in audit.layers if layer.clarke_residual is not None]
        if clarke:
            found["Clarke residual, which decides"] = f"{_number(min(clarke))} to {_number(max(clarke))}"
        if summary.get("weight_norm_balance") is not None:
            found["balance of ‖W‖ (least / largest)"] = _number(summary["weight_norm_balance"])
        if summary.get("path_length") is not None:
            found["path length (K norm)"] = _number(summary["path_length"])
        if summary.get("effective_nonlinear_depth"):
            found["linear stretch"] = linearity_sentence(audit)
    else:
        found["layers measured"] = f"{summary['measured_layers']} of {len(audit.layers)}"
    if audit.bounds:
        bounds = {name: _number(value) for name, value in audit.bounds.items()}
        held = min(audit.bounds["upper_margin"], audit.bounds["lower_margin"]) >= 0
        found["paper's bounds on H"] = (
            f"{'hold' if held else 'violated'}: {bounds['lower']} ≤ {bounds['lower_value']}, "
            f"{bounds['upper_value']} ≤ {bounds['upper']}"
        )
    return found


def _made_with(audit: Audit) -> dict[str, str]:
    """What every number of the page was measured with."""
    about = {
        "model": f"{audit.model['name']} ({audit.model['class']})",
        "weights": f"sha256 {audit.model['weights_sha256'][:16]}…, {audit.dtype}",
        "data": f"{audit.data['name'] or 'not named'}, split {audit.data['split'] or 'not named'}",
        "N": f"{audit.n:,} samples, {audit.columns:,} columns",
        "gamma_0": f"{audit.gamma_0:g}",
        "mu, mu_io": "no momenta"
        if audit.weight_decay is None
        else f"{audit.weight_decay:g}, {_number(audit.io_weight_decay)}",
        "sums": f"products in {audit.products}, sums in float64",
    }
    if audit.model["effective_depth"] is not None:
        about["effective depth, layers, schedule"] = (
            f"{audit.model['effective_depth']:g}, {len(audit.layers)}, {audit.model['schedule']}"
        )
    if audit.subsample:
        about["subsample"] = f"{audit.subsample['samples']} samples, {audit.subsample['rule']}"
    about["versions"] = ", ".join(f"{name} {number}" for name, number in audit.versions.items())
    return about


def _header(audit: Audit) -> dict[str, str]:
    """The columns for which some layer has a number."""
    known = {part.name for part in fields(LayerAudit)}
    return {
        name: title
        for name, title in COLUMNS.items()
        if name in known and any(getattr(layer, name) is not None for layer in audit.layers)
    }


def _cells(layer: LayerAudit, header: dict[str, str]) -> dict[str, Any]:
    inside = layer.plateau is not None
    plateau = f"{layer.plateau['cost_of_identity']:.3f} at {layer.plateau['gamma_0']:.0e}" if layer.plateau else "-"
    cells = [plateau if name == "plateau" else _number(getattr(layer, name)) for name in header]
    return {"cells": cells, "reason": layer.reason, "inside": inside, "layer": layer.layer, "name": layer.name}


def _number(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.2e}"
    return str(value)


def _pictures(draw: Any) -> dict[str, str]:
    """A figure in both themes; the dark one takes its layout from the light one, which has the same words."""
    light, dark = draw(LIGHT), draw(DARK)
    pages = {"light": _svg(light)}
    dark.set_layout_engine(None)
    for ours, theirs in zip(dark.axes, light.axes, strict=True):
        ours.set_position(theirs.get_position())
    return pages | {"dark": _svg(dark)}


def _svg(figure: Figure) -> str:
    """A figure as a data URI; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "leaky-zoo", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True, dpi=110)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("leaky_zoo.figures", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)
