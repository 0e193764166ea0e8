"""Figures and pages: labelled, self-contained, quiet in a real browser."""

import re

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures import COMPARISONS, DARK, PANELS, plot_comparison, plot_panel, write_comparison, write_report
from leaky_zoo.figures.comparison import comparisons_of
from leaky_zoo.figures.plots import panels_of
from leaky_zoo.networks import LeakyMLP

pytestmark = pytest.mark.tensorflow_only  # nothing here depends on the backend: once is enough


@pytest.fixture(scope="module")
def audits():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(80, 4)), random.integers(0, 3, 80)
    found = []
    for depth in (0.0, 2.0, 4.0):
        keras.utils.set_random_seed(0)
        net = LeakyMLP((4,), 3, width=8, depth=6, effective_depth=depth, weight_decay=1e-3, name=f"net_{depth:g}")
        if depth == 2.0:
            seen = ((10, [1 / 6] * 6, None, True), (20, [0.3, 0.2, 0.1, 0.1, 0.1, 0.2], 0.2, False))
            names = ("step", "step_sizes", "output_change", "accepted")
            net.step_size_trace = [dict(zip(names, values, strict=True)) for values in seen]
        found.append(analyze(net, x, y, data={"name": "<b>data</b> & more", "split": "train"}))
    inputs = keras.Input((4,))
    other = keras.Model(inputs, keras.layers.Dense(5, name="<i>")(inputs), name="other")
    return [*found, analyze(other, x.astype("float32"), y)]


def test_every_panel_is_labelled(audits):
    for audit in (audits[0], audits[1], audits[3]):
        for name in panels_of(audit):
            axes = plot_panel(audit, name).axes[0]
            assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title(), name
    assert set(panels_of(audits[1])) == set(PANELS) - {"linearity"}  # asked for by relu_samples
    assert "updates refused: 1" in plot_panel(audits[1], "step_size_trace").axes[0].get_title()
    for wrong in ([{"step": 1, "step_sizes": [1.0], "accepted": True}], [3], {}, [{"step_sizes": [0.1] * 6}]):
        value = audits[1].to_dict()
        value["model"]["step_size_trace"] = wrong
        with pytest.raises(InvalidInputError, match=r"model\.step_size_trace"):
            Audit.from_dict(value)
    with pytest.raises(InvalidInputError, match="'nothing'"):
        plot_panel(audits[0], "nothing")
    with pytest.raises(InvalidInputError, match="energies"):
        plot_panel(audits[3], "energies")


def test_every_comparison_is_labelled(audits):
    assert set(comparisons_of(audits)) == set(COMPARISONS)
    for name in comparisons_of(audits):
        axes = plot_comparison(audits, name, DARK).axes[0]
        assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title()
    assert "rank_against_effective_depth" not in comparisons_of(audits[:2])
    with pytest.raises(InvalidInputError, match="at least two"):
        write_comparison(audits[:1], "never.html")


@pytest.fixture(scope="module")
def pages(audits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for place in (1, 3):
        write_report(audits[place], folder / f"report_{place}.html")
    write_comparison(audits, folder / "compared.html")
    return {page.name: page for page in folder.glob("*.html")}


def test_pages_need_nothing_else_and_escape_what_they_show(pages):
    for page in pages.values():
        text = page.read_text()
        assert page.stat().st_size < 2e6
        assert not re.search(r'(src|href|srcset)="(?!data:)', text) and "@import" not in text and "<script" not in text
        assert "<b>data</b>" not in text and "<i></td>" not in text
        assert "prefers-color-scheme: dark" in text and "@media print" in text and "viewport" in text


def test_the_same_audit_gives_the_same_page(audits, pages, tmp_path):
    write_report(audits[3], tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == pages["report_3.html"].read_bytes()


@pytest.mark.parametrize(("name", "width"), [("compared.html", 1200), ("report_1.html", 800), ("report_1.html", 500)])
def test_a_browser_shows_the_page_without_error_or_request(pages, browse, name, width):
    """Real Chromium, as wide as a phone, a tablet and a screen: no message, nothing fetched, no sideways scrolling."""
    page = browse(pages[name], width)
    assert page["images"] > 5 and page["fetched"] == 0 and not page["messages"]
    assert page["scrolled"] <= page["shown"], "the page scrolls sideways"
