"""Exported files that the tests of this room read: one plain, one that watches for drift."""

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import analyze
from leaky_zoo.deploy import export_onnx
from leaky_zoo.networks import LeakyMLP

CLASSES = ["ant", "bee", "cat"]


def _samples(count: int, seed: int = 0, moved: float = 0.0) -> np.ndarray:
    """Samples near a plane of a space of twelve dimensions, as whole numbers up to 255."""
    random = np.random.default_rng(seed)
    plane = np.random.default_rng(7).normal(size=(2, 12))
    x = random.normal(size=(count, 2)) @ plane + 0.05 * random.normal(size=(count, 12)) + moved
    return np.clip(np.rint(128 + 30 * x), 0, 255).reshape(count, 4, 3).astype(np.uint8)


@pytest.fixture(scope="session")
def network():
    keras.utils.set_random_seed(3)
    return LeakyMLP(
        (4, 3), 3, width=16, depth=6, effective_depth=3.0, input_mean=128.0, input_variance=3000.0, class_names=CLASSES
    )


@pytest.fixture(scope="session")
def samples():
    return _samples


@pytest.fixture(scope="session")
def audit(network):
    x = _samples(200)
    return analyze(network, x.astype("float32"), np.arange(200) % 3).to_dict()


@pytest.fixture(scope="session")
def plain_file(tmp_path_factory, network, audit):
    path = tmp_path_factory.mktemp("plain") / "net.onnx"
    export_onnx(network, path, audit=audit, check_inputs=_samples(9))
    return path


@pytest.fixture(scope="session")
def watching_file(tmp_path_factory, network, audit):
    path = tmp_path_factory.mktemp("watching") / "net.onnx"
    metadata = {"temperature": 2.0}
    export_onnx(
        network, path, audit=audit, metadata=metadata, check_inputs=_samples(9), monitor_data=_samples(3000, seed=5)
    )
    return path
