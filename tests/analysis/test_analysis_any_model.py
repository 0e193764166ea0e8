"""Any Keras model: a row for each layer, or the reason why not."""

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.analysis.recorder import sample_cka
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import cost_of_identity, moments, participation_ratio
from leaky_zoo.layers import LeakyConv2D
from leaky_zoo.networks import LeakyConvNet


@pytest.fixture
def samples():
    random = np.random.default_rng(0)
    return random.normal(size=(120, 5)).astype("float32"), random.integers(0, 3, 120)


def functional():
    inputs = keras.Input((5,), name="x")
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, name="out")(hidden), name="functional")


class Subclassed(keras.Model):
    """Calls its layers in another order than it makes them; one never, one twice."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.last = keras.layers.Dense(2, name="last")
        self.first = keras.layers.Dense(6, activation="relu", name="first")
        self.never = keras.layers.Dense(4, name="never")
        self.twice = keras.layers.Dense(6, name="twice")

    def call(self, inputs):
        return self.last(self.twice(self.twice(self.first(inputs))))


def test_a_layer_with_nan_in_one_batch_has_no_numbers_however_slow_the_sums_are():
    model = keras.Sequential([keras.Input((48, 48, 3)), keras.layers.Conv2D(120, 1)])
    x = np.random.default_rng(0).normal(size=(96, 48, 48, 3)).astype("float32")
    x[0, 0, 0, 0] = np.nan
    for _ in range(4):
        (layer,) = analyze(model, x, batch_size=32).layers
        assert layer.reason == "its outputs hold NaN or infinity" and layer.columns is None


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
@pytest.mark.parametrize("structure", ["dict", "list"])
def test_batches_of_several_inputs_and_targets_are_joined(kind, structure):
    import tensorflow as tf

    random = np.random.default_rng(0)
    parts = {"a": random.normal(size=(24, 3)).astype("float32"), "b": random.normal(size=(24, 2)).astype("float32")}
    targets = {"one": np.arange(24) % 2, "other": np.arange(24) % 3}
    inputs = {name: keras.Input(values.shape[1:], name=name) for name, values in parts.items()}
    joined = keras.layers.Dense(4)(keras.layers.Concatenate()(list(inputs.values())))
    if structure == "list":
        parts, inputs = tuple(parts.values()), list(inputs.values())
    model = keras.Model(inputs, joined)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, number):
            return keras.tree.map_structure(lambda values: values[6 * number : 6 * number + 6], (parts, targets))

    data = Batches() if kind == "PyDataset" else tf.data.Dataset.from_tensor_slices((parts, targets)).batch(6)
    whole = analyze(model, parts if structure == "dict" else list(parts))
    found = analyze(model, data)
    assert found.n == 24
    assert [layer.cost_of_identity for layer in found.layers] == [layer.cost_of_identity for layer in whole.layers]


def test_labels_in_a_column_are_labels(samples):
    x, y = samples
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    flat, column = (analyze(model, x, labels).layers[0].within_class_fraction for labels in (y, y[:, None]))
    assert flat == column is not None


def test_rows_are_the_statistics_of_each_output(samples):
    x, y = samples
    model = functional()
    audit = analyze(model, x, y, batch_size=50, data={"name": "d", "split": "s"})
    assert audit.kind == "representations" and audit.n == 120 and audit.weight_decay is None
    hidden = keras.ops.convert_to_numpy(model.get_layer("hidden")(x)).astype(float)
    sums = moments(hidden, np.hstack([np.maximum(hidden, 0), np.ones((120, 1))]))
    row = audit.layers[0]
    assert (row.name, row.kind, row.width, row.columns, row.features) == ("hidden", "Dense", 8, 120, "units")
    assert row.cost_of_identity == pytest.approx(cost_of_identity(sums, 1e-5).cost, rel=1e-5)
    assert row.participation_ratio == pytest.approx(participation_ratio(sums.covariance), rel=1e-5)
    out = keras.ops.convert_to_numpy(model(x))
    assert audit.layers[1].cka_with_previous == pytest.approx(sample_cka(hidden, out), rel=1e-5)
    assert 0 < row.within_class_fraction <= 1 and len(row.class_variances) == 3
    assert row.criticality_residual is None and "LeakyMLP" in audit.undefined["criticality_residual"]
    assert audit.bottleneck_rank.estimate is None
    assert Audit.from_dict(audit.to_dict()) == audit


def test_sequential_is_functional(samples):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    assert [row.reason for row in analyze(model, samples[0]).layers] == [None, None]


def test_subclassed_rows_follow_the_calls_and_say_why_not(samples):
    model = Subclassed()
    audit = analyze(model, samples[0])
    rows = {row.name: row for row in audit.layers}
    assert [row.name for row in audit.layers] == ["first", "twice", "twice, call 2", "last", "never"]
    assert rows["first"].reason is None and rows["last"].reason is None
    assert rows["twice"].reason is None and rows["twice, call 2"].reason is None
    assert "not called" in rows["never"].reason
    assert any("1 of 5 layers" in warning for warning in audit.warnings)
    assert "call" not in model.first.__dict__, "the watch is taken off again"


def test_layers_can_be_chosen(samples):
    audit = analyze(functional(), samples[0], layers=["out"])
    assert [row.name for row in audit.layers] == ["out"]
    with pytest.raises(InvalidInputError, match=r"has the layers hidden, out\. Received: layers=wrong"):
        analyze(functional(), samples[0], layers=["wrong"])


def test_convolutions_by_patches_or_channels():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    first = keras.layers.Conv2D(4, 3, padding="same", name="narrow", data_format="channels_last")(inputs)
    wide = keras.layers.Conv2D(140, 1, name="wide", data_format="channels_last")(first)
    outputs = keras.layers.Flatten(name="flat")(wide)
    model = keras.Model(inputs, keras.layers.Embedding(3, 2, name="ids")(keras.ops.cast(outputs[:, :1] > 0, "int32")))
    x = np.random.default_rng(0).normal(size=(40, 6, 6, 2)).astype("float32")
    rows = {row.name: row for row in analyze(model, x).layers}
    assert rows["narrow"].features == "patches 3x3" and rows["narrow"].columns == 40 * 36
    array = keras.ops.convert_to_numpy(keras.Model(inputs, first)(x))
    block = LeakyConv2D(effective_depth=1.0, data_format="channels_last")
    expected = cost_of_identity(moments(block.columns(array), block.features(array) if block.use_bias else None), 1e-5)
    assert rows["narrow"].cost_of_identity == pytest.approx(expected.cost, rel=1e-4)
    assert rows["wide"].features == "channels"
    assert "width 5040 is above 4096" in rows["flat"].reason


def test_large_images_are_thinned_out_and_say_so():
    inputs = keras.Input((30, 30, 2))
    images = keras.layers.Conv2D(2, 1, data_format="channels_last", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.ReLU(name="relu")(images))
    x = np.random.default_rng(0).normal(size=(5, 30, 30, 2)).astype("float32")
    (row,) = analyze(model, x, layers=["relu"]).layers
    assert row.features == "patches 3x3, every 4th position" and row.columns == 5 * 8 * 8


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (lambda x: keras.ops.cast(x > 0, "int32"), "not real numbers"),
        (lambda x: [x, x], "list, not one array"),
        (lambda x: keras.ops.sum(x), "without one row for each sample"),
        (lambda x: x * 0, "all zero"),
        (lambda x: x / 0, "NaN or infinity"),
    ],
)
def test_what_cannot_be_measured_has_a_reason(samples, outputs, words):
    class Odd(keras.layers.Layer):
        def call(self, x):
            return outputs(x)

    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__()
            self.odd = Odd(name="odd")

        def call(self, x):
            self.odd(x)
            return x

    (row,) = analyze(Wrapped(), samples[0]).layers
    assert words in row.reason and row.cost_of_identity is None


def test_bad_input_is_named(samples):
    x, _ = samples
    with pytest.raises(InvalidInputError, match="does not take these samples"):
        analyze(functional(), x[:, :3])
    with pytest.raises(InvalidInputError, match="length 0"):
        analyze(functional(), x[:0])
    with pytest.raises(InvalidInputError, match="equally many"):
        analyze(functional(), x, np.zeros(3, int))
    with pytest.raises(InvalidInputError, match="Received: dict"):
        analyze({}, x)


def test_targets_that_are_no_labels_give_no_classes(samples):
    audit = analyze(functional(), samples[0], samples[0][:, 0])
    assert audit.layers[0].within_class_fraction is None and "labels" in audit.undefined["within_class_fraction"]


def test_a_convolution_too_wide_for_its_patches_keeps_its_channels():
    net = LeakyConvNet((4, 4, 1), 3, width=460, depth=2, effective_depth=1.0, weight_decay=1e-3,
                       data_format="channels_last")  # fmt: skip
    x = np.random.default_rng(0).normal(size=(6, 4, 4, 1)).astype("float32")
    audit = analyze(net, x, np.arange(6) % 3)
    assert [row.features for row in audit.layers] == ["channels", "channels"] and audit.kind == "representations"
    assert "4141 rows" in audit.warnings[0] and "channels only" in audit.undefined["hamiltonian"]
    assert audit.bottleneck_rank.estimate is None
