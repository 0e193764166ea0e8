"""What goes in and what comes out; Keras's own calls with the net's own loss, and what they warn of."""

import warnings

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import analyze
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.runtime.input_range import InputRangeWarning, RangeWatch, far_from
from leaky_zoo.training import StepSizeUpdate

pytestmark = pytest.mark.tensorflow_only  # JAX warns of labels of 64 bits, as in the other tests of evaluation
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0, 16, (12, 4)).astype("float32")
LABELS = np.arange(12) % 3


def small(**fields):
    return LeakyMLP((4,), 3, **{"width": 6, "depth": 5, "input_mean": 8.0, "input_variance": 20.0, **fields})


def said_by(call):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    return [each for each in said if each.category is not DeprecationWarning]


def test_descriptions_say_shape_range_and_meaning():
    net = small(input_range=[0, 16], feature_names=list("abcd"), class_names=["x", "y", "z"])
    given, made = net.input_description, net.output_description
    assert given["shape"] == ["batch", 4] and given["range"] == [0.0, 16.0] and given["feature_names"] == list("abcd")
    assert "0 to 16" in given["words"] and "preprocessing is part of the net" in given["words"]
    assert made["shape"] == ["batch", 3] and made["name"] == "logits" and made["class_names"] == ["x", "y", "z"]
    assert "logits" in made["words"] and "softmax" in made["words"]
    regression = LeakyMLP((4,), 2, task="regression", width=6, depth=5)
    assert "units" in regression.output_description["words"] and "range" not in regression.input_description
    coder = LeakyMLP((2, 2, 1), task="autoencoding", width=6, depth=5)
    assert coder.output_description["shape"] == coder.input_description["shape"] == ["batch", 2, 2, 1]


def test_descriptions_survive_saving_and_a_new_head(tmp_path):
    net = small(input_range=[[0] * 4, [16] * 4], feature_names=list("abcd"))
    net.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert loaded.input_description == net.input_description
    assert net.with_new_head(5).input_description["range"] == [[0.0] * 4, [16.0] * 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_range": [0]}, {"input_range": "0-16"}, {"input_range": [3, 1]}, {"input_range": [[0, 1], [1, 2]]},
        {"input_range": [0, float("nan")]}, {"feature_names": ["a"]}, {"feature_names": "abcd"},
    ],
)  # fmt: skip
def test_ends_that_do_not_fit_are_refused(wrong):
    with pytest.raises(InvalidInputError, match=f"`{next(iter(wrong))}`"):
        small(**wrong)


@pytest.mark.parametrize("factor", [1 / 16, 20, -20])
def test_inputs_far_off_are_said_once(factor):
    calls = [
        lambda net: net.predict(X * factor, verbose=0),
        lambda net: net.predict_on_batch(X * factor),
        lambda net: evaluate_network(net, X * factor, LABELS),
        lambda net: analyze(net, X * factor, LABELS),
    ]
    for call in calls:
        net = small(input_range=[0, 16])
        said = said_by(lambda net=net, call=call: (call(net), call(net)))
        assert [each.category for each in said] == [InputRangeWarning]
        assert "trained on inputs from 0 to 16" in str(said[0].message)


def test_inputs_like_those_of_training_are_fine():
    for x in (X, X * 1.5, np.zeros((3, 4)), X.round().astype("uint8"), X.astype("float64")):
        assert not said_by(lambda x=x: small(input_range=[0, 16]).predict(x, verbose=0))
    assert not said_by(lambda: small().predict(X * 1000, verbose=0))


def test_a_feature_far_off_is_named():
    span = [[0.0, 100.0], [1.0, 300.0]]
    assert "Feature dose goes from 900 to 900" in far_from(np.array([[0.5, 900.0]]), span, ["age", "dose"])
    assert far_from(np.array([[0.5, 350.0]]), span) is None
    standardised = np.column_stack([RANDOM.uniform(0, 1, 20), RANDOM.normal(size=20)])
    assert "Feature 1 goes" in far_from(standardised, span)
    assert far_from(np.array([["a", "b"]]), span) is None and far_from(np.zeros((0, 2)), span) is None
    RangeWatch(span)([1, 2])  # what is no array is passed over


def test_compile_without_a_loss_is_right(tmp_path):
    keras.utils.set_random_seed(0)
    x = RANDOM.normal(size=(90, 4)).astype("float32")
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    net = small(input_mean=0.0, input_variance=1.0).with_new_head(3)
    net.compile(keras.optimizers.Adam(1e-2))
    history = net.fit(x, y, epochs=60, batch_size=30, verbose=0).history
    assert history["accuracy"][-1] > 0.85
    measured = evaluate_network(net, x, y)
    assert net.evaluate(x, y, verbose=0)[1] == pytest.approx(measured["accuracy"], abs=1e-6)
    assert net.loss.from_logits
    net.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert again.evaluate(x, y[:, None], verbose=0)[0] == pytest.approx(net.evaluate(x, y, verbose=0)[0], rel=1e-5)
    again.fit(x, y, verbose=0)


def test_compile_leaves_a_given_loss_alone():
    net = small()
    net.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    net.fit(X, np.eye(3)[LABELS], verbose=0)
    assert isinstance(net.loss, keras.losses.CategoricalCrossentropy)
    with pytest.raises(TypeError):
        net.compile("adam", None, ["accuracy"])


def test_a_regression_and_an_autoencoder_compile_too():
    net = LeakyMLP((4,), 2, task="regression", width=6, depth=5, output_variance=[4.0, 9.0])
    net.compile()
    targets = RANDOM.normal(size=(12, 2))
    data_term = net.evaluate(X, targets, verbose=0) - float(net.penalty())
    assert data_term == pytest.approx(evaluate_network(net, X, targets)["loss"], rel=1e-5)
    coder = LeakyMLP((4,), task="autoencoding", width=6, depth=5)
    coder.compile()
    coder.fit(X, verbose=0)
    assert np.isfinite(coder.evaluate(X, verbose=0))


@pytest.mark.parametrize("y", [np.eye(3)[LABELS], LABELS + 1, LABELS / 2, LABELS.astype(str), LABELS[:, None] + 1])
def test_labels_the_own_loss_cannot_take_are_refused(y):
    net = small()
    net.compile(run_eagerly=True)
    with pytest.raises(InvalidInputError, match="labels"):
        net.fit(X, y, verbose=0)


@pytest.mark.parametrize("y", [LABELS[:, None], LABELS.astype(float), LABELS.astype("uint8"), list(LABELS)])
def test_labels_as_people_have_them(y):
    net = small()
    net.compile(run_eagerly=True)
    net.fit(X, np.asarray(y) if isinstance(y, list) else y, verbose=0)


def test_a_schedule_that_nobody_moves_is_said_once():
    for name, expected in (("hamiltonian", 1), ("adaptive", 1), ("equidistant", 0), ("learnable", 0)):
        net = small(schedule=name)
        net.compile(run_eagerly=True)
        said = said_by(lambda net=net: [net.fit(X, LABELS, verbose=0) for _ in range(2)])
        assert len(said) == expected, name
        assert all("StepSizeUpdate" in str(each.message) and name in str(each.message) for each in said)


def test_a_schedule_with_its_callback_or_its_training_behind_it_is_fine():
    net = small(schedule="hamiltonian")
    net.compile(run_eagerly=True)
    assert not said_by(lambda: net.fit(X, LABELS, verbose=0, callbacks=[StepSizeUpdate(X, 10)]))
    trained = small(schedule="hamiltonian")
    trained.step_size_trace = [
        {"step": 200, "step_sizes": trained.paths[0].step_sizes.tolist(), "output_change": None, "accepted": True}
    ]
    trained.compile(run_eagerly=True)
    assert not said_by(lambda: trained.fit(X, LABELS, verbose=0))


@pytest.mark.parametrize("size", [0, -5, 2.0, None])
def test_a_batch_size_that_is_none_is_refused(size):
    net = LeakyMLP((4,), 3, width=6, depth=4, effective_depth=1.0)
    with pytest.raises(InvalidInputError, match="batch_size"):
        evaluate_network(net, np.ones((5, 4), "float32"), np.zeros(5, int), batch_size=size)
