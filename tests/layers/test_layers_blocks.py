"""One step of the flow: the formula, its limits, its penalty, and the numpy maps that analysis uses."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import LeakyConv2D, LeakyDense, LeakyVariance

BACKEND = keras.backend.backend()
random = np.random.default_rng(0)


def dense(effective_depth, step_size=0.1, **changes):
    block = LeakyDense(effective_depth, step_size=step_size, **changes)
    block.build((None, 5))
    if block.bias is not None:
        block.bias.assign(random.normal(size=5))
    return block


def conv(effective_depth=3.0, data_format="channels_last", **changes):
    block = LeakyConv2D(effective_depth, data_format=data_format, **changes)
    block.build((None, 6, 7, 3) if data_format == "channels_last" else (None, 3, 6, 7))
    if block.bias is not None:
        block.bias.assign(random.normal(size=3))
    return block


def numpy(x):
    return ops.convert_to_numpy(x).astype(float)


@pytest.mark.parametrize("use_bias", [True, False])
@given(effective_depth=st.sampled_from([0.0, 0.5, 1.0, 3.0, 8.0]), step_size=st.floats(0.01, 0.11))
def test_dense_is_the_formula(use_bias, effective_depth, step_size):
    block = dense(effective_depth, step_size, use_bias=use_bias)
    a = random.normal(size=(4, 5)).astype("float32")
    s = np.maximum(a, 0) if not use_bias else np.hstack([np.maximum(a, 0), np.ones((4, 1))])
    expected = (1 - step_size * effective_depth) * a + step_size * s @ block.weight_matrix.T
    np.testing.assert_allclose(numpy(block(a)), expected, rtol=1e-5, atol=1e-5)
    other = step_size / 2
    expected = (1 - other * effective_depth) * a + other * s @ block.weight_matrix.T
    np.testing.assert_allclose(numpy(block(a, step_size=other)), expected, rtol=1e-5, atol=1e-5)


def test_without_leak_it_is_a_residual_block():
    block = dense(0.0, 0.25)
    a = random.normal(size=(4, 5)).astype("float32")
    expected = a + 0.25 * (np.maximum(a, 0) @ numpy(block.kernel) + numpy(block.bias))
    np.testing.assert_allclose(numpy(block(a)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("around", [0.0, 1.0])
def test_continuous_in_the_effective_depth_at_fixed_weights(around):
    weights = random.normal(size=(5, 6))
    a = random.normal(size=(4, 5)).astype("float32")
    outputs = []
    for effective_depth in (max(around - 1e-4, 0.0), around + 1e-4):
        block = dense(effective_depth)
        block.assign_weight_matrix(weights)
        outputs.append(numpy(block(a)))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-3)


@pytest.mark.parametrize("make", [dense, conv])
def test_weight_matrix_round_trip(make):
    block = make(3.0)
    matrix = random.normal(size=block.weight_matrix.shape)
    block.assign_weight_matrix(matrix)
    np.testing.assert_allclose(block.weight_matrix, matrix, rtol=1e-6, atol=1e-7)
    with pytest.raises(InvalidInputError, match="shape"):
        block.assign_weight_matrix(matrix[:, 1:])


@pytest.mark.parametrize(("make", "shape"), [(dense, (4, 5)), (conv, (4, 6, 7, 3))])
def test_penalty_has_bias_scale_step_and_ramp(make, shape):
    block = make(4.0, weight_decay=0.3)
    block.penalty_factor.assign(0.5)
    block(random.normal(size=shape).astype("float32"), step_size=0.2)
    (penalty,) = block.losses
    expected = 0.5 * 0.3 / 2 * 0.2 * np.linalg.norm(block.weight_matrix) ** 2
    assert float(penalty) == pytest.approx(expected, rel=1e-5)
    free = make(4.0)
    free(random.normal(size=shape).astype("float32"))
    assert free.losses == []


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("use_bias", [True, False])
def test_conv_is_patches_times_weights(kernel_size, use_bias):
    block = conv(3.0, kernel_size=kernel_size, use_bias=use_bias)
    images = random.normal(size=(2, 6, 7, 3)).astype("float32")
    flat = (1 - 0.1 * 3.0) * block.columns(images) + 0.1 * block.features(images) @ block.weight_matrix.T
    np.testing.assert_allclose(numpy(block(images)), block.restore(flat, images.shape), rtol=1e-4, atol=1e-5)


def test_channels_first_is_channels_last_transposed():
    last, first = conv(), conv(data_format="channels_first")
    first.assign_weight_matrix(last.weight_matrix)
    images = random.normal(size=(2, 6, 7, 3)).astype("float32")
    turned = np.moveaxis(images, -1, 1)
    np.testing.assert_allclose(first.features(turned), last.features(images))
    np.testing.assert_allclose(first.restore(first.columns(turned), turned.shape), turned)
    if BACKEND == "jax":  # TensorFlow computes this layout on GPUs only
        np.testing.assert_allclose(np.moveaxis(numpy(first(turned)), 1, -1), numpy(last(images)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("make", "shape"), [(dense, (4, 5)), (conv, (2, 6, 7, 3))])
def test_pull_back_is_the_transpose_of_the_linearised_step(make, shape):
    """`<g, W s(a + e v) - W s(a - e v)> / 2 e = <pull_back(g), v>` away from the kinks of the ReLU."""
    block = make(3.0)
    a, v = random.normal(size=shape), random.normal(size=shape)
    a[np.abs(a) < 1e-3] = 0.5
    size = 1e-6

    def forward(x):
        return block.features(x) @ block.weight_matrix.T

    gradient = random.normal(size=forward(a).shape)
    slope = np.vdot(gradient, forward(a + size * v) - forward(a - size * v)) / (2 * size)
    assert np.vdot(block.pull_back(gradient, a), block.columns(v)) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("effective_depth", [0.0, 1.0, 3.0, 7.0, 12.0])
def test_initialiser_keeps_the_variance_alive(effective_depth):
    depth, width = 20, 256
    a = random.normal(size=(64, width)).astype("float32")
    start = a.std()
    for row in range(depth):
        block = LeakyDense(
            effective_depth,
            step_size=1 / depth,
            kernel_initializer=LeakyVariance(effective_depth, 1 / depth, seed=row),
        )
        a = numpy(block(a))
    assert 0.5 < a.std() / start < 3.0


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "float64"])
def test_dtype_policies(policy):
    if policy == "float64" and BACKEND == "jax":
        pytest.skip("JAX computes in float32 unless jax_enable_x64 is set")
    block = LeakyDense(3.0, dtype=policy, weight_decay=0.1)
    outputs = block(ops.ones((2, 4), dtype="float32"), step_size=0.05)
    expected = {"mixed_bfloat16": "bfloat16"}.get(policy, policy)
    assert keras.backend.standardize_dtype(outputs.dtype) == expected
    assert block.kernel.dtype == ("float64" if policy == "float64" else "float32")
    assert keras.backend.standardize_dtype(block.losses[0].dtype) == block.kernel.dtype


@pytest.mark.parametrize("make", [dense, conv])
def test_config_round_trip_and_the_order_of_weights(make):
    block = make(3.0, step_size=0.2, weight_decay=0.1)
    again = type(block).from_config(block.get_config())
    assert again.get_config() == block.get_config()
    # Files store weights by position: another order would load, and be wrong.
    assert [weight.name for weight in block.weights] == ["kernel", "bias", "penalty_factor"]


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        (LeakyDense, {"effective_depth": 3.0, "step_size": 0.4}, "overshoots"),
        (LeakyDense, {"effective_depth": -1.0}, "effective_depth=-1.0"),
        (LeakyDense, {"effective_depth": 1.0, "step_size": 0.0}, "step_size=0"),
        (LeakyDense, {"effective_depth": 1.0, "weight_decay": -1.0}, "weight_decay=-1.0"),
        (LeakyConv2D, {"effective_depth": 1.0, "kernel_size": 2}, "kernel_size=2"),
        (LeakyConv2D, {"effective_depth": 1.0, "data_format": "NHWC"}, "NHWC"),
    ],
)
def test_bad_arguments_are_named(layer, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        layer(**arguments)
