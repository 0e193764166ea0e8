"""Small networks with weights that matter, shared by the tests of this room."""

import keras
import numpy as np
import pytest
from families import EXAMPLES

from leaky_zoo.flow import weights_sha256
from leaky_zoo.networks import LeakyNetwork


def _make_network(
    kind: str = "mlp", task: str = "classification", effective_depth: float = 3.0, **changes
) -> LeakyNetwork:
    """A net with random weights and biases, so that no term of a block vanishes."""
    arguments = {"input_mean": 33.0, "input_variance": 6000.0, **changes}
    network = EXAMPLES[kind].make(task, effective_depth=effective_depth, **arguments)
    rng = np.random.default_rng(2)
    for variable in network.trainable_variables:
        variable.assign(variable.numpy() + 0.2 * rng.normal(size=variable.shape))
    return network


def _raw_inputs(network: keras.Model, rows: int = 7) -> np.ndarray:
    """Samples like pixels: whole numbers up to 255, as uint8."""
    return np.random.default_rng(3).integers(0, 256, (rows, *network.input_shape[1:])).astype(np.uint8)


def _audit_of(network: keras.Model) -> dict:
    """The part of an audit that a file's checks look at."""
    return {"schema_version": "1.0", "model": {"weights_sha256": weights_sha256(network)}, "layers": []}


@pytest.fixture(scope="session")
def make_network():
    return _make_network


@pytest.fixture(scope="session")
def raw_inputs():
    return _raw_inputs


@pytest.fixture(scope="session")
def audit_of():
    return _audit_of
