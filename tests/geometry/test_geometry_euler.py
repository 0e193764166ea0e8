"""The Euler step and its adjoint in numpy are those of the Keras layers, in every dtype."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from leaky_zoo.geometry import euler_adjoint, euler_step, leak, velocity
from leaky_zoo.layers import LeakyConv2D, LeakyDense
from leaky_zoo.layers.block import with_ones

BACKEND = keras.backend.backend()
# What a dtype keeps of a sum of a few dozen terms.
TOLERANCE = {"float64": 1e-12, "float32": 3e-6, "mixed_bfloat16": 3e-2}
POLICIES = [pytest.param("float64", marks=pytest.mark.tensorflow_only), "float32", "mixed_bfloat16"]


def built(kind, policy, effective_depth, step_size, use_bias, seed):
    random = np.random.default_rng(seed)
    settings = {"step_size": step_size, "use_bias": use_bias, "dtype": policy}
    if kind == "dense":
        block, shape = LeakyDense(effective_depth, **settings), (6, 5)
    else:
        block, shape = LeakyConv2D(effective_depth, data_format="channels_last", **settings), (2, 5, 4, 3)
    block.build((None, *shape[1:]))
    block.assign_weight_matrix(random.normal(size=block.weight_matrix.shape))
    return block, random.normal(size=shape), random.normal(size=shape)


def pulled_back(block, inputs, gradient):
    """The gradient of `sum gradient * block(inputs)` by automatic differentiation."""
    inputs, gradient = ops.convert_to_tensor(inputs), ops.convert_to_tensor(gradient)
    if BACKEND == "jax":
        import jax

        return np.asarray(jax.vjp(block, inputs)[1](gradient)[0]).astype(float)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = block(inputs)
    return tape.gradient(outputs, inputs, gradient).numpy().astype(float)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["dense", "conv"])
@given(
    effective_depth=st.sampled_from([0.0, 0.5, 3.0, 8.0]),
    step_size=st.floats(0.01, 0.11),
    use_bias=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_step_and_adjoint_are_those_of_the_keras_layer(kind, policy, effective_depth, step_size, use_bias, seed):
    block, a, gradient = built(kind, policy, effective_depth, step_size, use_bias, seed)
    dtype = block.variable_dtype
    a, gradient = a.astype(dtype), gradient.astype(dtype)
    if policy == "mixed_bfloat16":  # numbers that the layer sees as they are, and the kinks where they are
        a, gradient = (ops.convert_to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32")) for x in (a, gradient))
    weights, kept = block.weight_matrix.astype(dtype), leak(step_size, effective_depth)
    columns = block.columns(a, dtype)
    scale = max(np.abs(weights).sum(axis=1).max(), 1.0)
    tolerance = TOLERANCE[policy] * scale

    stepped = euler_step(columns, block.activations(a, dtype), weights, step_size, kept)
    assert stepped.dtype == dtype
    ours = ops.convert_to_numpy(ops.cast(block(ops.cast(a, block.compute_dtype)), dtype))
    np.testing.assert_allclose(block.restore(stepped, a.shape), ours, atol=tolerance)

    back = block.pull_back(block.columns(gradient, dtype), a, weights)
    ours = pulled_back(block, ops.cast(a, block.compute_dtype), ops.cast(gradient, block.compute_dtype))
    adjoint = euler_adjoint(block.columns(gradient, dtype), back, step_size, kept)
    np.testing.assert_allclose(block.restore(adjoint, a.shape), ours, atol=9 * tolerance)


@given(step_size=st.floats(0.01, 1.0), effective_depth=st.floats(0.0, 8.0), seed=st.integers(0, 2**31))
def test_the_forms_of_a_step_agree(step_size, effective_depth, seed):
    """Ones in the features or a bias column, `rho` apart or in the weights, new memory or old, the derivative."""
    random = np.random.default_rng(seed)
    a, weights, kept = random.normal(size=(4, 3)), random.normal(size=(3, 4)), leak(step_size, effective_depth)
    positive = np.maximum(a, 0)
    expected = euler_step(a, positive, weights, step_size, kept)
    ones = with_ones(positive, True)
    np.testing.assert_allclose(euler_step(a, ones, weights, step_size, kept), expected)
    np.testing.assert_allclose(euler_step(a, ones, step_size * weights, None, kept), expected)
    np.testing.assert_allclose(a + step_size * velocity(a, ones @ weights.T, effective_depth), expected)
    out, scratch = np.empty((4, 3)), np.empty((4, 3))
    assert euler_step(a, positive, weights, step_size, kept, out, scratch) is out
    np.testing.assert_array_equal(out, expected)


@given(step_size=st.floats(0.01, 1.0), effective_depth=st.floats(0.0, 8.0), seed=st.integers(0, 2**31))
def test_the_adjoint_is_the_transpose(step_size, effective_depth, seed):
    """`<G, dA_l> = <adjoint(G), dA_{l-1}>` for steps that do not cross a kink."""
    random = np.random.default_rng(seed)
    a, moved, gradient, weights = (random.normal(size=(4, 3)) for _ in range(4))
    weights, mask, kept = weights[:3], a > 0, leak(step_size, effective_depth)
    forward = euler_step(moved, moved * mask, weights, step_size, kept)
    back = euler_adjoint(gradient, mask * (gradient @ weights), step_size, kept)
    assert np.vdot(gradient, forward) == pytest.approx(np.vdot(back, moved), rel=1e-9, abs=1e-9)
