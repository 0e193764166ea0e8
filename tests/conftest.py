"""Shared fixtures: which backend runs, where MNIST is, and hypothesis without clocks."""

import os
from pathlib import Path

import keras
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite", deadline=None, derandomize=True, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
ROOT = Path(__file__).parent.parent


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "tensorflow_only: uses tf.data, tf.distribute or the stock converter, or no backend at all"
    )


def pytest_collection_modifyitems(items):
    if keras.backend.backend() != "tensorflow":
        skip = pytest.mark.skip(reason="needs the TensorFlow backend")
        for item in items:
            if item.get_closest_marker("tensorflow_only"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def mnist_dir():
    """A TFDS folder that holds MNIST, without which the test is skipped."""
    for place in (os.environ.get("TFDS_DATA_DIR"), ROOT.parent / "shared" / "data" / "tfds"):
        if place and (Path(place) / "mnist" / "3.0.1").is_dir():
            return str(place)
    pytest.skip("MNIST is not on this machine: TFDS_DATA_DIR names no TFDS folder that has it")
