"""Small trained nets with a bottleneck, and their data."""

import keras
import numpy as np
import pytest

from leaky_zoo.compress import CompressionData
from leaky_zoo.networks import LeakyConvNet, LeakyMLP


def samples(shape, count, seed, noise=1.3):
    """Three classes, each of two templates and noise."""
    templates = np.random.default_rng(7).normal(size=(3, 2, *shape))
    random = np.random.default_rng(seed)
    y, which = random.integers(0, 3, count), random.integers(0, 2, count)
    return (templates[y, which] + noise * random.normal(size=(count, *shape))).astype("float32"), y


def trained(net, shape, epochs=12, noise=1.3):
    """The net after a few epochs on such samples."""
    keras.utils.set_random_seed(0)
    net.compile(optimizer=keras.optimizers.Adam(3e-3), loss=net.loss_function(), jit_compile=False)
    net.fit(*samples(shape, 1500, 0, noise), batch_size=64, epochs=epochs, verbose=0)
    return net


def parts(shape, count=1200, noise=1.3):
    """Three parts that share no sample."""
    return CompressionData(*(samples(shape, count, seed, noise) for seed in (1, 2, 3)))


@pytest.fixture(scope="session")
def mlp():
    keras.utils.set_random_seed(0)
    net = LeakyMLP((6, 6, 1), 3, width=24, depth=6, effective_depth=5.0, weight_decay=3e-3, input_mean=0.1,
                   input_variance=2.0)  # fmt: skip
    return trained(net, (6, 6, 1))


@pytest.fixture(scope="session")
def conv():
    keras.utils.set_random_seed(0)
    net = LeakyConvNet((8, 8, 1), 3, width=8, depth=4, effective_depth=3.0, weight_decay=1e-2)
    return trained(net, (8, 8, 1), noise=2.5)


@pytest.fixture(scope="session", params=["mlp", "conv"])
def case(request):
    """A net and its data."""
    net = request.getfixturevalue(request.param)
    return net, parts(net.config.input_shape, 500, noise=1.3 if request.param == "mlp" else 2.5)
