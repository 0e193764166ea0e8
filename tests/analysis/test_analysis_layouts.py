"""A layer's numbers depend on what its axes mean: the same function in another layout has the same numbers."""

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import analyze
from leaky_zoo.analysis.axes import UNKNOWN, WEIGHTS_OF_ATTENTION

layers = keras.layers
NUMBERS = (
    "width",
    "columns",
    "features",
    "cost_of_identity",
    "participation_ratio",
    "stable_rank",
    "nuclear_norm_rank",
)


def rows(model, x, **how):
    return {row.name: row for row in analyze(model, x, **how).layers}


def same(one, other, tolerance):
    assert one.reason == other.reason
    for field in NUMBERS:
        first, second = getattr(one, field), getattr(other, field)
        if isinstance(first, float):
            assert second == pytest.approx(first, rel=tolerance), (one.name, field)
        else:
            assert first == second, (one.name, field)
    np.testing.assert_allclose(other.singular_values, one.singular_values, rtol=0, atol=2e-6 * one.singular_values[0])


def image_net(form, dtype):
    """Convolution, normalisation, activation, sum, pooling, upsampling, padding: with and without a data_format."""
    shape, axis = ((12, 10, 3), -1) if form == "channels_last" else ((3, 12, 10), 1)
    inputs = keras.Input(shape, dtype=dtype)
    how = {"data_format": form, "dtype": dtype}
    a = layers.Conv2D(4, 3, padding="same", name="conv", **how)(inputs)
    b = layers.BatchNormalization(axis=axis, name="bn", dtype=dtype)(a)
    c = layers.Activation("relu", name="act", dtype=dtype)(b)
    d = layers.Add(name="sum", dtype=dtype)([a, c])
    e = layers.AveragePooling2D(2, name="pool", **how)(d + 1.0)
    f = layers.DepthwiseConv2D(3, padding="same", name="depthwise", **how)(e)
    g = layers.UpSampling2D(name="up", **how)(layers.ReLU(name="relu", dtype=dtype)(f))
    if dtype == "float32":  # JAX's differs in the last digits between axes
        g = layers.LayerNormalization(axis=axis, name="ln", dtype=dtype)(g)
    h = layers.GlobalAveragePooling2D(name="mean", **how)(layers.SpatialDropout2D(0.5, name="drop", **how)(g))
    return keras.Model(inputs, layers.Dense(2, name="head", dtype=dtype)(h))


def check_channels_first(dtype, tolerance):
    x = np.random.default_rng(0).normal(size=(60, 12, 10, 3)).astype(dtype)
    last, first = image_net("channels_last", dtype), image_net("channels_first", dtype)
    first.set_weights(last.get_weights())
    found = rows(last, x), rows(first, x.transpose(0, 3, 1, 2))
    assert list(found[0]) == list(found[1]) and all(row.reason is None for row in found[0].values())
    for name, row in found[0].items():
        if dtype == "float32" or name not in ("mean", "head"):  # Keras averages in float32 on JAX, in any dtype
            same(row, found[1][name], tolerance)
    assert found[0]["act"].width == 4 and found[0]["act"].features.startswith("patches")


def test_channels_first_has_the_numbers_of_channels_last():
    check_channels_first("float32", 1e-4)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow has no such convolution on a CPU")
def test_channels_first_in_float64():
    import jax

    with jax.enable_x64(True):
        check_channels_first("float64", 1e-9)


def volume_net(form, rank):
    shape = (8, 6, 3) if rank == 2 else (6, 5, 4, 2) if rank == 3 else (9, 3)
    shape = shape if form == "channels_last" else (shape[-1], *shape[:-1])
    conv = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[rank]
    return keras.Sequential(
        [keras.Input(shape), conv(4, 2, data_format=form, name="conv"), layers.ReLU(name="relu")]
    )  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_sequences_images_and_volumes(rank):
    last, first = volume_net("channels_last", rank), volume_net("channels_first", rank)
    first.set_weights(last.get_weights())
    x = np.random.default_rng(0).normal(size=(50, *last.input_shape[1:])).astype("float32")
    one, other = rows(last, x), rows(first, np.moveaxis(x, -1, 1))
    for name in one:
        assert one[name].width == 4
        same(one[name], other[name], 1e-4)


def test_video():
    x = np.random.default_rng(0).normal(size=(20, 3, 8, 8, 2)).astype("float32")
    found, weights = [], []
    for form in ("channels_last", "channels_first"):
        shape = x.shape[1:] if form == "channels_last" else (3, 2, 8, 8)
        model = keras.Sequential(
            [
                keras.Input(shape),
                layers.TimeDistributed(layers.Conv2D(4, 3, data_format=form), name="frames"),
                layers.ConvLSTM2D(3, 2, data_format=form, return_sequences=True, name="lstm"),
                layers.ReLU(name="relu"),
            ]
        )
        if weights:
            model.set_weights(weights)
        weights = model.get_weights()
        found.append(rows(model, x if form == "channels_last" else x.transpose(0, 1, 4, 2, 3)))
    for name in ("frames", "lstm", "relu"):
        assert found[0][name].width == (4 if name == "frames" else 3)
        same(found[0][name], found[1][name], 1e-4)


def test_attention_has_units_of_heads_and_sizes():
    inputs = keras.Input((6, 8))
    attention = layers.MultiHeadAttention(4, 5, name="mha")
    model = keras.Model(inputs, layers.Dense(3, name="head")(attention(inputs, inputs)))
    x = np.random.default_rng(0).normal(size=(60, 6, 8)).astype("float32")
    one = rows(model, x)
    assert (one["query"].width, one["query"].columns, one["mha"].width) == (20, 360, 8)
    # The same function with its heads and sizes in another order.
    order, sizes = [2, 0, 3, 1], [4, 2, 0, 1, 3]
    for part in (attention._query_dense, attention._key_dense, attention._value_dense):
        kernel, bias = part.get_weights()
        part.set_weights([kernel[:, order][:, :, sizes], bias[order][:, sizes]])
    kernel, bias = attention._output_dense.get_weights()
    attention._output_dense.set_weights([kernel[order][:, sizes], bias])
    other = rows(model, x)
    for name in ("query", "key", "value", "attention_output", "mha", "head"):
        same(one[name], other[name], 1e-4)


def test_weights_of_attention_have_a_reason():
    inputs = keras.Input((6, 8))
    attention = layers.MultiHeadAttention(6, 6, name="mha")  # as many heads as tokens: the shapes say nothing
    outputs, scores = attention(inputs, inputs, return_attention_scores=True)
    found = rows(keras.Model(inputs, [outputs, scores]), np.random.default_rng(0).normal(size=(40, 6, 8)))
    (softmax,) = (row for name, row in found.items() if name.startswith("softmax"))
    assert softmax.reason == WEIGHTS_OF_ATTENTION
    assert found["query"].width == 36 and found["mha"].reason == "its output is a tuple, not one array"


def test_a_padded_sequence_has_the_numbers_of_the_unpadded():
    random = np.random.default_rng(0)
    tokens = random.integers(1, 9, (50, 6))
    model = keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(9, 4, mask_zero=True, name="embed"),
            layers.LSTM(5, return_sequences=True, name="lstm"),
            layers.Dense(3, name="dense"),
            layers.LSTM(2, name="last"),
        ]
    )
    found = [rows(model, np.pad(tokens, [(0, 0), (0, more)])) for more in (0, 3, 9)]
    for other in found[1:]:
        for name in ("embed", "lstm", "dense", "last"):
            same(found[0][name], other[name], 1e-4)
    assert found[1]["lstm"].columns == 300 and "masked" in found[1]["lstm"].features


def test_permuted_axes_and_joined_positions():
    x = np.random.default_rng(0).normal(size=(50, 6, 5, 4)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((6, 5, 4)),
            layers.Conv2D(4, 1, name="conv"),
            layers.Permute((3, 1, 2), name="permute"),
            layers.ReLU(name="relu"),
            layers.Permute((2, 3, 1), name="back"),
            layers.Reshape((30, 4), name="join"),
        ]
    )
    found = rows(model, x)
    assert {found[name].width for name in ("conv", "permute", "relu", "back", "join")} == {4}
    same(found["conv"], found["permute"], 1e-6)
    same(found["relu"], found["back"], 1e-6)


def test_four_axes_without_a_meaning_have_a_reason():
    model = keras.Sequential([keras.Input((24,)), layers.Reshape((2, 3, 4), name="shape"), layers.ReLU(name="relu")])
    found = rows(model, np.random.default_rng(0).normal(size=(40, 24)))
    assert found["shape"].reason == found["relu"].reason == UNKNOWN.format(count=4)
    told = keras.Sequential([*model.layers, layers.Conv2D(2, 1, name="conv")])  # says what the ones before it hold
    found = rows(told, np.random.default_rng(0).normal(size=(40, 24)))
    assert found["shape"].width == found["relu"].width == 4


def test_a_layer_called_several_times_has_a_row_for_each():
    inputs = keras.Input((6,))
    shared = layers.Dense(6, activation="relu", name="shared")
    model = keras.Model(inputs, shared(shared(shared(inputs))))
    x = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    found = rows(model, x)
    assert list(found) == ["shared", "shared, call 2", "shared, call 3"]
    alone = keras.Model(inputs, shared(inputs))
    same(rows(alone, x)["shared"], found["shared"], 1e-6)
    same(rows(alone, np.asarray(alone(x)))["shared"], found["shared, call 2"], 1e-6)


@keras.saving.register_keras_serializable(package="tests_layouts")
class Loop(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.step = layers.Dense(6, name="step")

    def call(self, x):
        for _ in range(9):
            x = x + 0.1 * self.step(x)
        return x


def test_a_layer_called_in_a_loop_has_a_reason():
    model = keras.Sequential([keras.Input((6,)), Loop(name="loop")])
    found = rows(model, np.random.default_rng(0).normal(size=(40, 6)))
    assert "a step of a loop" in found["step"].reason and found["loop"].width == 6


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised_layers_are_seen(mode):
    model = keras.Sequential(
        [keras.Input((16,)), layers.Dense(32, activation="relu", name="a"), layers.Dense(4, name="b")]
    )
    x = np.random.default_rng(0).normal(size=(200, 16)).astype("float32")
    exact = rows(model, x)
    model.quantize(mode)
    found = rows(model, x)
    for name in ("a", "b"):
        assert found[name].participation_ratio == pytest.approx(exact[name].participation_ratio, rel=0.1)
    assert "call" not in vars(model.layers[0])  # nothing is left behind
