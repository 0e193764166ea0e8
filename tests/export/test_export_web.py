"""The page of `export/web/` in headless Chromium, against Python's outputs."""

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from leaky_zoo.runtime import inspect_onnx, load

sys.path.insert(0, str(Path(__file__).parents[1]))
from chromium import Chromium

ROOT = Path(__file__).parents[2]
WEB = ROOT / "export" / "web"
READY = "/first time/.test(document.getElementById('status').textContent)"
SHIPPED = sorted((ROOT / "export").glob("*/*.onnx"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory, digits_file):
    """The page as `make web` serves it, with the shipped files and one small net in two forms."""
    npm = shutil.which("npm")
    if not (WEB / "node_modules" / "onnxruntime-web").is_dir():
        if npm is None:
            pytest.skip("no npm is on this machine, so no onnxruntime-web")
        done = subprocess.run([npm, "ci"], cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"onnxruntime-web cannot be installed: {(done.stderr.strip() or 'npm ci failed')[-200:]}")
    folder = tmp_path_factory.mktemp("export")
    (folder / "web").mkdir()
    for path in WEB.iterdir():
        if path.name != "models.json":
            (folder / "web" / path.name).symlink_to(path)
    for path in SHIPPED:
        (folder / path.parent.name).mkdir(exist_ok=True)
        (folder / path.parent.name / path.name).symlink_to(path)
    (folder / "small").mkdir()
    shutil.copy(digits_file, folder / "small" / "model.onnx")
    shutil.copy(digits_file, folder / "small" / "twin.onnx")
    subprocess.run([sys.executable, WEB / "manifest.py", folder], check=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/web/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is on this machine")
    found = Chromium(program, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture
def page(browser, site):
    """The page on the small net, wide and light."""
    browser.messages.clear()
    browser.requests.clear()
    browser.size(1280, 900)
    browser.open("about:blank")
    browser.open(f"{site}#small/model.onnx")
    browser.wait(READY)
    yield browser
    assert not browser.messages
    assert {address.split("/")[2] for address in browser.requests if address.startswith("http")} == {site.split("/")[2]}


OUTPUTS = """(async () => {
  const { openNetwork } = await import(%s);
  const network = await openNetwork(%s);
  const data = %s;
  const found = await network.predict(data ? Float32Array.from(data) : network.golden.inputs.data, %d);
  await network.release();
  return Array.from(found);
})()"""


def outputs(page, site, address, count, data=None):
    words = (json.dumps(f"{site}network.mjs"), json.dumps(address), json.dumps(data), count)
    return np.array(page.run(OUTPUTS % words)).reshape(count, -1)


def test_golden_inputs_give_what_python_gives(page, site, expected, relative_difference):
    found = outputs(page, site, "../small/model.onnx", len(expected[1]))
    assert relative_difference(found, expected[1]) <= 1e-5
    np.testing.assert_array_equal(found.argmax(-1), expected[1].argmax(-1))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shipped_files_give_what_python_gives(page, site, path, relative_difference):
    from leaky_zoo.runtime.metadata import unpack_golden

    inputs, _ = unpack_golden(inspect_onnx(path)["leaky_zoo.golden"])
    wanted = load(path, threads=1).predict(inputs).reshape(len(inputs), -1)
    found = outputs(page, site, f"../{path.parent.name}/{path.name}", len(inputs))
    assert relative_difference(found, wanted) <= 1e-5
    np.testing.assert_array_equal(found.argmax(-1), wanted.argmax(-1))


def test_the_path_is_the_one_that_python_walks(page, site, digits_file, digits):
    x = digits[1][0][:1].astype(np.float32)
    answer = page.run(
        f"(async () => {{ const {{ openNetwork, walk }} = await import({json.dumps(site + 'network.mjs')});"
        f"const network = await openNetwork('../small/model.onnx');"
        f"const path = await network.path(Float32Array.from({json.dumps(x.ravel().tolist())}));"
        f"return [path.layers.map((layer) => Array.from(layer)), path.bottleneck,"
        f"walk(path.layers, network.metadata['leaky_zoo.step_sizes'])]; }})()"
    )
    import onnx
    import onnxruntime

    model = onnx.load(digits_file)
    names = ["stem", *(f"block_{layer}/step" for layer in range(1, 7))]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(names, {"inputs": x})
    for found, a in zip(answer[0], wanted, strict=True):
        np.testing.assert_allclose(found, a[0], rtol=1e-4, atol=1e-5 * np.abs(a).max())
    rho = inspect_onnx(digits_file)["leaky_zoo.step_sizes"]
    for row, step in enumerate(answer[2]):
        before, after = wanted[row][0], wanted[row + 1][0]
        share = (np.minimum(before, 0) ** 2).sum() / (before**2).sum()
        assert step["negative"] == pytest.approx(share, rel=1e-3, abs=1e-6)
        speed = np.linalg.norm(after - before) / np.linalg.norm(before) / rho[row]
        assert step["speed"] == pytest.approx(speed, rel=1e-3)
    reference = inspect_onnx(digits_file)["leaky_zoo.reference"]
    _, rows = load(digits_file).predict_with_bottleneck(x)
    z = (rows[0, :-1] - reference["mean"]) / np.sqrt(np.diag(reference["covariance"]))
    np.testing.assert_allclose(answer[1]["coordinates"], z, rtol=1e-3, atol=1e-4)


def test_what_the_page_shows(page, digits_file):
    model = load(digits_file)
    from leaky_zoo.runtime.metadata import unpack_golden

    inputs, _ = unpack_golden(model.metadata["leaky_zoo.golden"])
    labels, chances = model.predict_labels(inputs), model.predict_probabilities(inputs)
    for row in range(len(inputs)):
        page.run(f"document.querySelectorAll('#samples button')[{row}].click()")
        wanted = f"{labels[row]}{100 * chances[row].max():.1f}%"
        page.wait(f"document.getElementById('answer').textContent === {json.dumps(wanted)}")
    assert page.run("document.querySelectorAll('#negative rect').length") == 6
    assert page.run("document.querySelectorAll('#energies circle').length") == 18
    directions = model.metadata["leaky_zoo.reference"]["directions"]
    assert page.run("document.querySelectorAll('#coordinates rect').length") == directions
    names = page.run("[...document.querySelectorAll('#files td:first-child')].map((cell) => cell.textContent)")
    assert names == ["full", "twin"]
    page.run("document.getElementById('measure').click()")
    page.wait("document.getElementById('status').textContent === 'Measured.'")
    cells = page.run("[...document.querySelectorAll('#files tr:first-child td')].map((cell) => cell.textContent)")
    assert float(cells[3]) > 0 and float(cells[4]) > 0 and cells[5].startswith("within ")


WATCHING = ("leaky_mlp_mnist_l6.8_equidistant",)  # of the compressed files, those that watch for drift
COMPRESSED = [path for path in SHIPPED if path.stem.startswith("compressed")]


@pytest.mark.parametrize("path", COMPRESSED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_compressed_file_is_measured_and_has_no_path_to_follow(page, path):
    page.run(f"location.hash = {json.dumps(f'{path.parent.name}/{path.name}')}; location.reload()")
    page.wait(f"{READY} && document.getElementById('file').value.endsWith({json.dumps(path.name)})")
    assert "folded already" in page.run("document.getElementById('folds').textContent")
    assert page.run("document.querySelectorAll('#negative rect').length") == 0
    reference = inspect_onnx(path).get("leaky_zoo.reference")
    assert (reference is not None) == (path.parent.name in WATCHING)
    directions = reference["directions"] if reference else 0
    assert page.run("document.querySelectorAll('#coordinates rect').length") == directions
    page.run("document.getElementById('measure').click()")
    page.wait("document.getElementById('status').textContent === 'Measured.'")
    cells = page.run("[...document.querySelectorAll('#files td')].map((cell) => cell.textContent)")
    rows = {cells[at]: cells[at : at + 6] for at in range(0, len(cells), 6)}
    small = rows[path.stem]
    assert float(small[1].replace(",", "")) < float(rows["full"][1].replace(",", "")) / 10
    assert float(small[3]) > 0 and small[2].endswith("%") and small[5].startswith("within ")


def test_networks_are_chosen_by_depth_and_schedule(page):
    change = "{{ const s = document.getElementById('{}'); s.value = '{}'; s.dispatchEvent(new Event('change')); }}"
    page.run(change.format("dataset", "mnist"))
    page.wait(f"{READY} && document.getElementById('status').textContent.includes('mnist')")
    assert page.run("document.getElementById('depth').value") == "3"  # the least that MNIST's files have
    page.run(change.format("dataset", "optical_digits"))
    page.wait(f"{READY} && document.getElementById('status').textContent.includes('digits')")
    page.run(change.format("depth", 12))
    page.wait(f"{READY} && document.getElementById('status').textContent.includes('l12')")
    assert page.run("document.querySelectorAll('#negative rect').length") == 21


def test_every_network_is_opened_by_its_address_and_by_its_choices(page, site):
    """Two networks may share data, depth and schedule: a denoiser and a classifier of the same digits do."""
    presets = page.run("fetch('models.json').then((answer) => answer.json())")["presets"]
    assert sorted(file["path"] for preset in presets for file in preset["files"] if preset["name"] != "small") == [
        f"{path.parent.name}/{path.name}" for path in SHIPPED
    ]
    change = "{{ const s = document.getElementById('{}'); s.value = {}; s.dispatchEvent(new Event('change')); }}"
    for preset in presets:
        choices = {
            "dataset": preset["dataset"], "depth": str(preset["effective_depth"]), "schedule": preset["schedule"],
            "name": preset["name"],
        }  # fmt: skip
        loaded = f"document.getElementById('status').textContent.startsWith({json.dumps(preset['name'] + ':')})"
        for id, value in choices.items():
            page.run(change.format(id, json.dumps(value)))
        page.wait(f"{READY} && ({loaded} || {json.dumps(preset['name'] == 'small')})")
        assert {id: page.run(f"document.getElementById('{id}').value") for id in choices} == choices
    shared = [preset for preset in presets if preset["dataset"] == "mnist" and preset["effective_depth"] == 3]
    assert len(shared) > 1
    for preset in shared:
        page.open("about:blank")
        page.open(f"{site}#{preset['files'][-1]['path']}")
        page.wait(READY)
        assert page.run("document.getElementById('name').value") == preset["name"]
        assert page.run("document.getElementById('file').value") == preset["files"][-1]["path"]


def board(page):
    page.run("document.getElementById('canvas').scrollIntoView({ block: 'center' })")
    found = page.run("(() => { const b = document.getElementById('canvas').getBoundingClientRect(); "
                     "return [b.left, b.top, b.width, b.height]; })()")  # fmt: skip
    return lambda x, y: (found[0] + x * found[2], found[1] + y * found[3])


ONE = [(0.5, 0.15 + 0.07 * step) for step in range(11)]


def test_it_begins_with_what_can_be_drawn_and_shows_signals_and_colour_images(page, site):
    page.open("about:blank")
    page.open(site)
    page.wait(READY)
    assert page.run("document.getElementById('dataset').value") == "mnist"
    assert page.run("document.getElementById('values').hidden && !document.getElementById('board').hidden")
    signals = next(path for path in SHIPPED if "mnist1d" in path.parent.name)
    page.open("about:blank")
    page.open(f"{site}#{signals.parent.name}/{signals.name}")
    page.wait(READY)
    assert page.run("document.getElementById('board').hidden && !document.getElementById('values').hidden")
    titles = page.run("[...document.querySelectorAll('#values title')].map((title) => title.textContent)")
    assert len(titles) == 40 and titles[0].startswith("value 1: input ")
    bottom = page.run("document.querySelector('#values svg').height.baseVal.value")
    heights = page.run("[...document.querySelectorAll('#values circle')].map((dot) => dot.cy.baseVal.value)")
    assert all(0 < height < bottom for height in heights)
    colours = next(path for path in SHIPPED if "cifar10" in path.parent.name)
    page.open("about:blank")
    page.open(f"{site}#{colours.parent.name}/{colours.name}")
    page.wait(READY)
    assert page.run("document.querySelector('#values .picture').width") == 32
    assert (
        page.run("Math.min(...[...document.querySelectorAll('#outputs .name')].map((name) => name.getBBox().x))") >= 0
    )


def test_a_denoised_digit_is_shown_as_an_image(page, site):
    path = next(path for path in SHIPPED if "mnist_denoiser" in path.parent.name)
    page.open("about:blank")
    page.open(f"{site}#{path.parent.name}/{path.name}")
    page.wait(READY)
    from leaky_zoo.runtime.metadata import unpack_golden

    x = unpack_golden(inspect_onnx(path)["leaky_zoo.golden"])[0][:1]
    pixels = page.run(
        "(() => { const c = document.querySelector('#outputs .picture');"
        "return Array.from(c.getContext('2d').getImageData(0, 0, 28, 28).data).filter((_, at) => at % 4 === 0); })()"
    )
    np.testing.assert_allclose(pixels, load(path).predict(x).ravel().clip(0, 255), atol=1)
    assert page.run("document.getElementById('class-title').textContent") == "Output"
    assert page.run("document.querySelectorAll('#outputs .bar, #outputs rect').length") == 0


@pytest.mark.parametrize("touch", [False, True])
def test_a_drawn_one_is_a_one(browser, site, touch):
    browser.messages.clear()
    browser.size(390, 844, touch=touch)
    browser.open("about:blank")
    browser.open(f"{site}#leaky_mlp_mnist_l7_irregular/model.onnx")
    browser.wait(READY)
    place = board(browser)
    browser.drag([place(*point) for point in ONE], touch=touch)
    browser.wait("document.getElementById('answer').textContent.startsWith('1')")
    assert browser.run("document.querySelectorAll('#samples [aria-pressed=true]').length") == 0
    browser.run("document.getElementById('clear').click()")
    assert browser.run("document.getElementById('answer').textContent") == ""
    assert not browser.messages


def test_drawing_by_keyboard(browser, site):
    browser.messages.clear()
    browser.size(1280, 900)
    browser.open("about:blank")
    browser.open(f"{site}#leaky_mlp_mnist_l7_irregular/model.onnx")
    browser.wait(READY)
    browser.run("document.getElementById('canvas').focus()")
    browser.press("Delete")
    browser.press("ArrowUp", 4)
    browser.press(" ")
    browser.press("ArrowDown", 18)
    browser.wait("document.getElementById('answer').textContent.startsWith('1')")
    browser.press("Tab")
    assert browser.run("document.activeElement.id") == "clear"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 820, 1280])
def test_it_fits_narrow_and_wide_light_and_dark(page, width, dark):
    page.size(width, 900, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    paper, text = page.run(
        "(() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; })()"
    )
    assert (sum(map(int, paper[4:-1].split(","))) < 200) == dark
    assert (sum(map(int, text[4:-1].split(","))) > 400) == dark


def test_a_file_that_is_none_gets_a_sentence(page, site):
    for address, words in (("../none.onnx", "404"), ("style.css", "not an ONNX model")):
        script = (
            f"import({json.dumps(site + 'network.mjs')}).then(({{ openNetwork }}) => "
            f"openNetwork({json.dumps(address)})).then(() => '', (error) => error.message)"
        )
        assert words in page.run(script)
    page.messages.clear()  # the browser notes the 404 itself
