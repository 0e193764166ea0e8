"""Figures and pages: labelled, self-contained, quiet in a real browser."""

import base64
import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from chromium import Chromium

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.analysis.records import BottleneckRank
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures import COMPARISONS, DARK, PANELS, plot_comparison, plot_panel, write_comparison, write_report
from leaky_zoo.figures.comparison import comparisons_of
from leaky_zoo.figures.plots import panels_of
from leaky_zoo.figures.words import alternative, caption, glossary_of, interval_words
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


def test_a_comparison_says_of_each_audit_what_it_was_measured_with_whatever_comes_first(audits, tmp_path):
    write_comparison([audits[3], audits[1]], tmp_path / "mixed.html")
    text = (tmp_path / "mixed.html").read_text()
    assert "effective depth, layers, schedule" in text and "2, 6, equidistant" in text


def test_the_same_audit_gives_the_same_page(audits, pages, tmp_path):
    write_report(audits[3], tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == pages["report_3.html"].read_bytes()


def test_dark_pictures_are_the_light_ones_in_other_colours(pages):
    """Laid out once: everything stands where it does in the light one, which was laid out for what it shows."""
    for page in pages.values():
        found = [base64.b64decode(each).decode() for each in re.findall(r'svg\+xml;base64,([^"\s]+)', page.read_text())]
        assert len(found) >= 6 and len(found) % 2 == 0
        for one, other in zip(found[::2], found[1::2], strict=True):
            assert one != other
            places = [re.findall(r'<text [^>]*?(?:transform|x)="[^"]*"|<rect [^>]*>', each) for each in (one, other)]
            colourless = [[re.sub(r"#[0-9a-f]{6}", "", place) for place in each] for each in places]
            assert colourless[0] == colourless[1] and colourless[0]


@pytest.mark.parametrize(("name", "width"), [("compared.html", 1200), ("report_1.html", 800), ("report_1.html", 500)])
def test_a_browser_shows_the_page_without_error_or_request(pages, browse, name, width):
    """Real Chromium, as wide as a phone, a tablet and a screen: no message, nothing fetched, no sideways scrolling."""
    page = browse(pages[name], width)
    assert page["images"] > 5 and page["fetched"] == 0 and not page["messages"]
    assert page["scrolled"] <= page["shown"], "the page scrolls sideways"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is on this machine")
    found = Chromium(program, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.mark.parametrize("name", ["report_1.html", "report_3.html", "compared.html"])
def test_a_phone_shows_words_of_a_readable_size(pages, chromium, name):
    """390 pixels wide, light and dark: nothing sticks out, and most words of a picture have eight pixels."""
    for dark in (False, True):
        chromium.size(390, 844, dark=dark, touch=True)
        chromium.open(pages[name].as_uri())
        assert chromium.run("document.documentElement.scrollWidth") <= 390
        widths = chromium.run("[...document.images].map(image => image.clientWidth)")
        shown = chromium.run("[...document.images].map(image => atob(image.currentSrc.split(',')[1]))")
        for width, svg in zip(widths, shown, strict=True):
            points = float(re.search(r'viewBox="0 0 ([\d.]+)', svg).group(1))
            sizes = sorted(float(size) * width / points for size in re.findall(r"font(?:-size)?: ([\d.]+)px", svg))
            assert sizes[len(sizes) // 2] >= 8 and sizes[-1] >= 10  # exponents are smaller
    assert not chromium.messages


def test_pictures_are_said_in_words(audits, pages):
    """Each has an alternative of its own with numbers of the audit."""
    for place, name in ((1, "report_1.html"), (3, "report_3.html")):
        said = re.findall(r'<img [^>]*alt="([^"]*)"', pages[name].read_text())
        assert len(set(said)) == len(said) == len(panels_of(audits[place]))
        assert all(re.search(r"\d", words) and len(words) > 40 for words in said)
    least = min(layer.cost_of_identity for layer in audits[1].layers)
    assert f"least {least:.3g} in layer" in alternative(audits[1], "dimension")


def test_captions_speak_of_what_is_drawn_alone(audits):
    for audit in audits:
        for panel in panels_of(audit):
            axes = plot_panel(audit, panel).axes[0]
            legend = axes.get_legend()
            drawn = " ".join(text.get_text() for text in legend.get_texts()) if legend else ""
            words = caption(audit, panel)
            if panel in ("dimension", "gamma_sweep"):
                assert ("(squares)" in words) == any(line.get_marker() == "s" for line in axes.lines)
            assert ("(triangles)" in words) == ("-2H/L~" in drawn)
            if panel in ("similarity", "energies"):
                assert ("within classes" in words.lower()) == ("within classes" in drawn)
                assert ("momentum form" in words) == ("momentum form" in drawn)


def test_the_glossary_has_the_columns_of_the_page(audits, pages):
    for place, name in ((1, "report_1.html"), (3, "report_3.html")):
        known = " ".join(word for word, _ in glossary_of(audits[place]))
        titles = re.findall(r"<th[^>]*>([^<]+)</th>", pages[name].read_text())
        assert len(titles) > 5
        for title in set(titles) - {"layer", "name", "features"}:
            assert title in known, title
        assert "Glossary" in pages[name].read_text()
    assert "Hamiltonian" not in " ".join(meaning for _, meaning in glossary_of(audits[3]))


@pytest.mark.parametrize(("low", "high"), [(4, 4), (4, 5), (2, 4)])
def test_an_interval_is_explained(low, high):
    words = interval_words(BottleneckRank(low, high, 4, "", [3]))
    assert ("Both bounds say 4" in words) == (low == high)
    assert ("Between" in words) == (low != high) and "stay fixed" in words and "write" in words


def test_a_bottleneck_is_shaded_once_for_each_run_of_layers(audits):
    """Spans of single layers overlap where steps differ, and what overlaps is darker."""
    rank = BottleneckRank(2, 2, 2, "bottleneck", [1, 2, 4])
    axes = plot_panel(replace(audits[1], bottleneck_rank=rank), "dimension").axes[0]
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches)
    steps = [layer.step_size for layer in audits[1].layers]
    starts = np.cumsum([0.0, *steps])
    wanted = [
        (starts[0] - steps[0] / 2, starts[1] + steps[1] / 2),
        (starts[3] - steps[3] / 2, starts[3] + steps[3] / 2),
    ]
    np.testing.assert_allclose(spans, wanted, atol=1e-6)


def test_layers_are_whole_numbers_and_titles_name_what_is_drawn(audits):
    without = [replace(layer, within_class_fraction=None) for layer in audits[1].layers]
    axes = plot_panel(replace(audits[1], layers=without), "similarity").axes[0]
    assert axes.get_title() == "Similarity"
    assert plot_panel(audits[1], "similarity").axes[0].get_title() == "Similarity and class variance"
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
