"""Chains in fewer bits: what is folded into maps must not be rounded away, and what cannot be stored is seen early."""

import keras
import numpy as np
import pytest

from leaky_zoo.compress import plan as planning
from leaky_zoo.compress.chain import build_model, read_chain
from leaky_zoo.compress.smaller import stored
from leaky_zoo.compress.storage import STORAGES
from leaky_zoo.deploy import zoo_compression
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyConvNet, LeakyMLP

pytestmark = pytest.mark.tensorflow_only


def change(net, storage, x):
    """Largest change of the outputs that a storage makes, over the largest output."""
    wanted = net.predict(x, verbose=0)
    links = stored(read_chain(net), storage)
    found = build_model(links, net.config.input_shape, "small").predict(x, verbose=0)
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("powers", [[0, 0, 0, 0], [-2, 0, 2, 4], [-5, 0, 0, 5], [4, 4, 5, 5]])
def test_features_of_any_unit_are_still_seen(storage, powers):
    keras.utils.set_random_seed(0)
    deviations = np.tile(10.0 ** np.array(powers), 3)
    net = LeakyMLP((12,), 3, width=8, depth=5, effective_depth=1.0, input_variance=(deviations**2).tolist())
    x = np.random.default_rng(0).normal(size=(200, 12)) * deviations
    assert change(net, storage, x.astype("float32")) < {"float32": 1e-5, "float16": 5e-3, "int8": 0.05}[storage]


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("effective_depth", [1.0, 4.0, 7.0])
def test_biases_over_small_leaks_are_kept_where_float16_holds_them(storage, effective_depth):
    keras.utils.set_random_seed(0)
    net = LeakyConvNet((6, 6, 1), 3, width=6, depth=10, effective_depth=effective_depth)
    for block in net.blocks:
        block.bias.assign(np.full(block.bias.shape, 0.8))
    x = np.random.default_rng(0).normal(size=(50, 6, 6, 1)).astype("float32")
    assert change(net, storage, x) < {"float32": 1e-5, "float16": 5e-3, "int8": 0.05}[storage]


def test_weights_that_no_form_can_hold_are_refused():
    net = LeakyMLP((4,), 3, width=6, depth=4, effective_depth=1.0)
    net.blocks[0].kernel.assign(np.full((6, 6), 1e6))
    with pytest.raises(InvalidInputError, match="float16 cannot hold"):
        stored(read_chain(net), "float16")


def test_what_has_no_graph_is_refused_before_anything_is_planned(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_compression, "plan_compression", lambda *_, **__: pytest.fail("planned"))
    net = LeakyConvNet((8, 8, 1), None, task="autoencoding", width=4, depth=4, effective_depth=1.0)
    net.save(tmp_path / "net.keras")
    with pytest.raises(InvalidInputError, match="Conv2DTranspose cannot be written"):
        zoo_compression.compress_model(tmp_path / "net.keras", tmp_path / "small.onnx", max_drop=1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["net.keras"]


def test_no_set_of_layers_is_tried_twice(monkeypatch):
    """Where the layers left out come right before the linear stretch, two steps back give the same set."""

    class Linear:
        left_out, linear_stretch, relu_effects = (1, 3, 4, 5), (4, 5), [0.0] * 6

    net = LeakyMLP((4,), 3, width=6, depth=6, effective_depth=1.0)
    judge = type("Free", (), {"cost": staticmethod(lambda model: (0.0, 0.0))})
    folds = planning._folds(net, read_chain(net), Linear, judge, 1.0, 1.0)
    tried = [layers for layers, _ in folds]
    assert len(tried) == len(set(tried)) and tried[-1] == (1, 2, 3, 4, 5)
