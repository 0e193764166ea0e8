"""What `analyze` and `evaluate_network` take, and what they say of the rest."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from leaky_zoo import analyze, evaluate_network
from leaky_zoo.analysis import AuditCallback
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures import plot_audit, write_report
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.zoo import load_model

pytestmark = pytest.mark.tensorflow_only  # arguments, and words of TensorFlow's errors


random = np.random.default_rng(0)
X, Y = random.normal(size=(64, 8)).astype("float32"), random.integers(0, 3, 64)


@pytest.fixture(scope="module")
def net():
    return LeakyMLP((8,), 3, width=6, depth=3, effective_depth=1.0)


@pytest.fixture(scope="module")
def one():
    inputs = keras.Input((8,))
    return keras.Model(inputs, keras.layers.Dense(3, name="dense")(inputs))


@pytest.fixture(scope="module")
def two():
    a, b = keras.Input((8,), name="a"), keras.Input((4,), name="b")
    return keras.Model([a, b], keras.layers.Dense(3, name="dense")(keras.layers.Concatenate()([a, b])))


def test_an_argument_that_does_not_exist_is_named_with_the_nearest(net):
    with pytest.raises(TypeError, match="analyze takes no argument 'relu_sample'; did you mean 'relu_samples'"):
        analyze(net, X, Y, relu_sample=10)
    with pytest.raises(TypeError, match=r"analyze takes no argument 'weight_decay'\. It takes: gamma_0"):
        analyze(net, X, Y, weight_decay=1e-3)


def batches(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0])


@pytest.mark.parametrize("form", [list, tf.constant, np.asfortranarray, keras.ops.convert_to_tensor])
def test_arrays_in_any_form(form, net, one):
    x, y = form(X.tolist()) if form is list else form(X), form(Y)
    assert evaluate_network(net, x, y) == pytest.approx(evaluate_network(net, X, Y))
    assert analyze(one, x).layers == analyze(one, X).layers
    assert analyze(net, x, y).layers == analyze(net, X, Y).layers


@pytest.mark.parametrize(
    "dataset",
    [batches(X).batch(8), batches(X), batches(X, Y).batch(50), batches(X, Y)],
    ids=["x", "rows", "x y", "rows y"],
)
def test_datasets(dataset, one, net):
    pairs = isinstance(dataset.element_spec, tuple)
    assert analyze(one, dataset).layers == analyze(one, X, Y if pairs else None).layers
    assert analyze(net, dataset, None if pairs else Y).layers == analyze(net, X, Y).layers


def test_several_inputs(two):
    exact = analyze(two, [X, X[:, :4]]).layers
    assert analyze(two, {"a": X, "b": X[:, :4]}).layers == exact
    assert analyze(two, (tf.constant(X), X[:, :4])).layers == exact
    dataset = tf.data.Dataset.from_tensor_slices({"a": X, "b": X[:, :4]}).batch(10)
    assert analyze(two, dataset).layers == exact


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X[:0], Y[:0], "no sample"),
        (X, Y[:10], "equally many"),
        (X[:, :3], Y, r"shape \(8,\)"),
        (3.0, Y, r"shape \(8,\)"),
        ([[1.0, 2.0], [3.0]], Y, "`x` is not an array"),
        (X.astype(str), Y, "array of numbers"),
        (X, None, "evaluated on targets too"),
        (X, Y.astype(float) + 0.5, "holds fractions"),
        (X, np.where(Y == 2, "owl", "cat"), r"not among the 3 classes \(0, 1, 2\)\. Received: cat, owl"),
        (X, Y + 7, r"not among the 3 classes \(0, 1, 2\)\. Received: 7, 8, 9"),
        (np.where(np.arange(len(X))[:, None] == 4, np.nan, X), Y, "`x` holds NaN or infinity, first in sample 4"),
        (np.where(np.arange(len(X))[:, None] == 1, np.inf, X), Y, "`x` holds NaN or infinity, first in sample 1"),
    ],
)
def test_evaluate_refuses(x, y, words, net):
    with pytest.raises(InvalidInputError, match=words):
        evaluate_network(net, x, y, batch_size=3)


def test_other_models_are_not_evaluated(one):
    with pytest.raises(InvalidInputError, match=r"evaluate_network needs a LeakyConvNet or .* Received: "):
        evaluate_network(one, X, Y)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("digits", "`data` must be a dict, .* Received: data='digits'"),
        ({"name": "digits", "splt": "train"}, "no 'splt'; did you mean 'split'?"),
    ],
)
def test_what_the_samples_are_is_said_by_name(data, words, net, one):
    for model in (net, one):
        with pytest.raises(InvalidInputError, match=words):
            analyze(model, X, Y, data=data)
    with pytest.raises(InvalidInputError, match=words):
        AuditCallback(X, Y, data=data)


def test_a_plot_takes_a_theme_and_no_file(net):
    with pytest.raises(InvalidInputError, match=r"`theme` must be a Theme; save_plot writes a file.*p\.png"):
        plot_audit(analyze(net, X, Y), "p.png")


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X[:0], "no sample"),
        ([], "no sample"),
        ({}, "no sample"),
        (3.0, "array or anything that numpy takes"),
        ([[1.0, 2.0], [3.0]], "arrays of numbers"),
        ([X, X[:9, :4]], "equally many"),
        (batches(X).batch(8).repeat(), "never ends"),
        (batches(X).take(0), "empty dataset"),
        (X[:, :3], r"does not take these samples: ValueError.*\(2, 3\) float32"),
    ],
)
def test_analyze_refuses(x, words, one):
    with pytest.raises(InvalidInputError, match=words):
        analyze(one, x)


def test_names_of_layers_are_stripped():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="b")(keras.layers.Dense(3, name="a")(inputs)))
    assert [row.name for row in analyze(model, X, layers=["a", " b "]).layers] == ["a", "b"]


class Raises(keras.Model):
    def __init__(self, error):
        super().__init__()
        self.dense, self.error = keras.layers.Dense(4), error

    def call(self, x):
        if self.error is not None:
            raise self.error
        return self.dense(x)


class Compiled(Raises):
    @tf.function
    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("needs a GPU"),
        NotImplementedError("not here"),
        tf.errors.InvalidArgumentError(None, None, "bad id"),
        KeyError("missing"),
        ZeroDivisionError("by zero"),
        AssertionError("shapes"),
        MemoryError("too large"),
    ],
)
def test_what_a_model_raises_is_one_sentence_that_keeps_the_cause(error):
    with pytest.raises(InvalidInputError, match="does not take these samples") as caught:
        analyze(Raises(error), X)
    words = str(caught.value)
    assert type(error).__name__ in words and "\n" not in words and "\x1b" not in words
    assert next(
        word for word in ("GPU", "not here", "bad id", "missing", "by zero", "shapes", "too large") if word in words
    )


def test_a_token_beyond_the_vocabulary():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Embedding(50, 4), keras.layers.GlobalAveragePooling1D()])
    with pytest.raises(InvalidInputError, match=r"InvalidArgumentError.*58 is not in \[0, 50\)"):
        analyze(model, np.full((9, 5), 58))


def test_a_compiled_call_has_a_reason_or_is_run_eagerly():
    (row,) = analyze(Compiled(None), X).layers
    assert "inside a compiled function" in row.reason and "run_functions_eagerly" in row.reason
    tf.config.run_functions_eagerly(True)
    try:
        (row,) = analyze(Compiled(None), X).layers
        assert row.reason is None and row.width == 4
    finally:
        tf.config.run_functions_eagerly(False)


@keras.saving.register_keras_serializable(package="tests_arguments")
class Lazy(keras.Model):
    """Builds a layer at its first call, which Keras does not know of when it loads the model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = keras.layers.Dense(4), keras.layers.Dense(2)

    def build(self, shape):
        self.first.build(shape)

    def call(self, x):
        return self.second(self.first(x))


def test_weights_made_while_the_model_runs_are_refused(tmp_path):
    model = Lazy()
    model.build((None, 8))
    model.save(tmp_path / "m.keras")
    with pytest.raises(InvalidInputError, match="made 2 weights when it was called"):
        analyze(load_model(tmp_path / "m.keras"), X)


def unmeasured():
    """Models none of whose layers has numbers, each for another reason."""
    inputs = keras.Input((4,))
    nan = keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=keras.initializers.Constant(np.nan))(inputs))
    yield "zero", keras.Model(inputs, keras.layers.Dense(3, kernel_initializer="zeros")(inputs))
    yield "nan", nan
    yield "integers", keras.Model(inputs, keras.layers.Discretization([0.0])(inputs))
    yield "compiled", Compiled(None)


@pytest.mark.parametrize("name", [name for name, _ in unmeasured()])
def test_an_audit_without_numbers_is_drawn(name, tmp_path):
    audit = analyze(dict(unmeasured())[name], random.normal(size=(50, 4)))
    assert all(row.reason for row in audit.layers)
    figure = plot_audit(audit)
    figure.savefig(tmp_path / "p.png")
    assert (
        "No layer has numbers." in figure.texts[0].get_text() and audit.layers[0].reason in figure.texts[0].get_text()
    )
    write_report(audit, tmp_path / "r.html")
