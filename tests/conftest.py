"""Shared fixtures: which backend runs, where MNIST is, data sets read once, and hypothesis without clocks."""

import gc
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
ROOT = Path(__file__).parent.parent
# As `import leaky_zoo` sets it: here, because Keras is imported before it, and our commands must give the same bits.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "tensorflow_only: uses tf.data, tf.distribute or the stock converter, or no backend at all"
    )


def pytest_collection_modifyitems(items):
    import keras  # here: the process that only hands tests to the workers comes without

    if keras.backend.backend() != "tensorflow":
        skip = pytest.mark.skip(reason="needs the TensorFlow backend")
        for item in items:
            if item.get_closest_marker("tensorflow_only"):
                item.add_marker(skip)


def pytest_collection_finish():
    """What was imported is never garbage: looking through all of TensorFlow takes a second each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage():
    """Keras and Python collect garbage again and again: they do not look through what other modules have left."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def mnist_dir():
    """A TFDS folder that holds MNIST, without which the test is skipped."""
    for place in (os.environ.get("TFDS_DATA_DIR"), ROOT.parent / "shared" / "data" / "tfds"):
        if place and (Path(place) / "mnist" / "3.0.1").is_dir():
            return str(place)
    pytest.skip("MNIST is not on this machine: TFDS_DATA_DIR names no TFDS folder that has it")


@pytest.fixture(scope="module")
def data_read_once():
    """For modules that train or measure on the same data sets again and again; none can write into what is shared."""
    from leaky_zoo.data import tfds_sets
    from leaky_zoo.data.cache import cache_dir

    read, known = tfds_sets.read_record, {}

    def remembered(name, config, record, data_dir, stream=False):
        if stream:
            return read(name, config, record, data_dir, stream)
        key = (name, config, data_dir, os.environ.get("TFDS_DATA_DIR"), cache_dir())
        if key not in known:
            known[key] = read(name, config, record, data_dir)
            for array in (array for pair in known[key].splits.values() for array in pair if array is not None):
                array.flags.writeable = False
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds_sets, "read_record", remembered)
        yield


QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
MEASURE = """<script>document.title = [document.documentElement.scrollWidth, innerWidth,
    performance.getEntriesByType("resource").length, document.images.length].join("/")</script></body>"""


@pytest.fixture
def browse(tmp_path):
    """A function that opens a page in headless Chromium at a width; what it shows, fetches and complains about."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is on this machine")

    def open_page(page, width):
        probe = tmp_path / f"probe_{width}.html"
        probe.write_text(page.read_text().replace("</body>", MEASURE))
        done = subprocess.run(
            [browser, *QUIET, f"--user-data-dir={tmp_path / f'profile_{width}'}", "--enable-logging=stderr",
             f"--window-size={width},900", "--dump-dom", probe.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        title = re.search(r"<title>([\d/]+)</title>", done.stdout).group(1)
        names = ("scrolled", "shown", "fetched", "images")
        messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return dict(zip(names, map(int, title.split("/")), strict=True)) | {"messages": messages}

    return open_page
