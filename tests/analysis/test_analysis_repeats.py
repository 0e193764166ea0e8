"""Layers whose outputs repeat those of the layer before, or are their ReLU: the numbers of sums of their own."""

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import analyze
from leaky_zoo.analysis.recorder import Recorder

layers = keras.layers


@pytest.fixture
def decompositions(monkeypatch):
    """How many eigendecompositions with vectors are made."""
    made, whole = [], np.linalg.eigh

    def counted(matrix):
        made.append(matrix.shape)
        return whole(matrix)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    return made


@pytest.fixture
def alone(monkeypatch):
    """Analyse with the sums of every layer made by itself."""

    def analysed(*args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr("leaky_zoo.analysis.recorder.NEIGHBOURS", 0)
            return analyze(*args, **kwargs)

    return analysed


def assert_same_numbers(audit, other):
    for one, two in zip(audit.layers, other.layers, strict=True):
        assert (one.name, one.kind, one.features, one.width, one.columns, one.reason) == (
            two.name, two.kind, two.features, two.width, two.columns, two.reason
        )  # fmt: skip
        for name in (
            "cost_of_identity", "out_of_image_fraction", "stable_rank", "nuclear_norm_rank", "participation_ratio",
            "negative_share", "two_nn_dimension", "mle_dimension", "cka_with_previous", "within_class_fraction",
            "cost_of_identity_sweep",
        ):  # fmt: skip
            first, second = getattr(one, name), getattr(two, name)
            assert (first is None) == (second is None), (one.name, name)
            if first is not None:
                np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-10, err_msg=f"{one.name}: {name}")


def residual_net():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same")(inputs)
    x = layers.BatchNormalization(name="normal")(x)
    x = layers.ReLU(name="rectified")(x)
    x = layers.Dropout(0.5, name="dropped")(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(6, 1)(x)])
    x = layers.Activation("relu", name="again")(x)
    x = keras.Sequential([keras.Input((8, 8, 6)), layers.Conv2D(4, 3)], name="inner")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.ReLU(name="last")(layers.Dense(4)(layers.ReLU(name="third")(x))))


def test_a_relu_and_what_changes_nothing_take_the_sums_of_the_layer_before(decompositions, alone):
    net, random = residual_net(), np.random.default_rng(2)
    net.set_weights([random.uniform(0.1, 1, w.shape) * random.choice([-1, 1], w.shape[-1]) for w in net.get_weights()])
    net.get_layer("normal").moving_variance.assign(np.ones(6))
    x, y = np.random.default_rng(0).normal(size=(70, 8, 8, 3)).astype("float32"), np.arange(70) % 3
    audit = analyze(net, x, y, batch_size=32)
    # Of 13 rows the four ReLUs, the dropout and the nested model (which gives what its layer does) need none.
    assert len(audit.layers) == 13 and len(decompositions) == 7
    assert_same_numbers(audit, alone(net, x, y, batch_size=32))
    assert len(decompositions) == 7 + 13


class Changing(keras.layers.Layer):
    """A ReLU of batches of small numbers, something else of others."""

    def __init__(self, otherwise):
        super().__init__()
        self.otherwise = otherwise

    def call(self, x):
        return keras.ops.where(keras.ops.max(x) > 50, self.otherwise(x), keras.ops.relu(x))


@pytest.mark.parametrize("otherwise", [lambda x: 2 * x, lambda x: x, lambda x: keras.ops.sqrt(x)])
def test_what_repeats_the_layer_before_in_some_batches_alone(otherwise, alone):
    x = np.random.default_rng(1).normal(size=(96, 5)).astype("float32")
    x[64:] *= 100
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), layers.Dense(6), Changing(otherwise), layers.Dropout(0.1)])
    audit = analyze(net, x, batch_size=32)
    assert_same_numbers(audit, alone(net, x, batch_size=32))
    assert (audit.layers[1].reason is None) == (audit.layers[1].columns == 96)


def test_sums_are_made_again_where_a_layer_stops_repeating():
    """The recorder alone: a second batch in which the ReLU is none."""
    from leaky_zoo.flow.sums import Subsample

    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 40, 5))
    for outputs, ended in (((first, np.maximum(second, 0)), False), ((first, second), True)):
        recorder = Recorder(["a", "b"], 0, Subsample.of(80), "float64")
        for place, batch in enumerate((first, second)):
            recorder.begin(40 * place, 40, None)
            recorder.add("a", batch)
            recorder.add("b", np.maximum(first, 0) if place == 0 else outputs[1])
        recorder.close()
        assert recorder.layers["b"].leader is recorder.layers["a"] and recorder.layers["b"].rectified
        assert recorder.repeats_ended is ended
