"""A small classifier of digits that watches for drift, and the tools of the folder `export/`."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import analyze
from leaky_zoo.deploy import export_onnx
from leaky_zoo.networks import LeakyMLP

EXPORT = Path(__file__).parents[2] / "export"


@pytest.fixture(scope="session")
def digits():
    """1,797 images of 8 x 8, from scikit-learn's wheel."""
    from leaky_zoo.data import load_data

    data = load_data("optical_digits")
    return data.select("train"), data.select("test")


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory, digits):
    (x, y), (held_out, _) = digits
    keras.utils.set_random_seed(1)
    network = LeakyMLP(
        (8, 8, 1), 10, width=24, depth=6, effective_depth=3.0, input_mean=float(x.mean()),
        input_variance=float(x.var()), class_names=[str(digit) for digit in range(10)],
    )  # fmt: skip
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(x.astype("float32"), y, epochs=3, verbose=0)
    path = tmp_path_factory.mktemp("digits") / "model.onnx"
    audit = analyze(network, x.astype("float32"), y)
    export_onnx(network, path, audit=audit, check_inputs=held_out, monitor_data=held_out)
    return path


@pytest.fixture
def expected(digits_file):
    """Golden inputs, and what Python's runtime gives for them."""
    from leaky_zoo.runtime import load
    from leaky_zoo.runtime.metadata import unpack_golden

    model = load(digits_file, threads=1)
    inputs, _ = unpack_golden(model.metadata["leaky_zoo.golden"])
    return inputs, model.predict(inputs)


@pytest.fixture(scope="session")
def export_folder():
    return EXPORT


@pytest.fixture
def serving_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(EXPORT / "serving"))
    yield
    sys.modules.pop("repository", None)


def relative(found, wanted):
    return float(np.max(np.abs(np.asarray(found) - wanted)) / np.max(np.abs(wanted)))


@pytest.fixture(scope="session")
def relative_difference():
    return relative
