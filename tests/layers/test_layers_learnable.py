"""Learnable steps: guarantees for any values, exact gradients, warm start, learning rate, entropy penalty."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.layers import Learnable, StepSizes


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
@given(depth=st.integers(2, 25), seed=st.integers(0, 999))
def test_learnable_steps_for_any_logits(scale, depth, seed):
    effective_depth = 0.6 * depth
    logits = np.random.default_rng(seed).uniform(-scale, scale, depth).astype("float32")
    steps = np.asarray(keras.ops.convert_to_numpy(Learnable().step_sizes(logits, effective_depth)), dtype=float)
    assert (steps >= 0).all() and steps.sum() == pytest.approx(1.0, abs=5e-7)
    assert steps.max() * effective_depth <= 0.9 * (1 + 5e-6)


def test_learnable_tends_to_the_softmax_and_reaches_the_cap():
    logits = np.array([0.3, -0.2, 1.0, 0.0])
    softmax = np.exp(logits) / np.exp(logits).sum()
    free = np.asarray(keras.ops.convert_to_numpy(Learnable(cap=0.99).step_sizes(logits, 0.0)))
    assert np.argsort(free).tolist() == np.argsort(softmax).tolist()
    steps = np.asarray(keras.ops.convert_to_numpy(Learnable().step_sizes(np.array([9.0, -9.0, 9.0, 9.0]), 2.9)))
    np.testing.assert_allclose(steps * 2.9, [0.9, 0.2, 0.9, 0.9], atol=2e-3)


def test_learnable_gradient_by_finite_differences():
    logits = np.random.default_rng(0).normal(size=6)
    weights = np.arange(6.0)

    def value(z):
        z = keras.ops.convert_to_tensor(z, "float64" if keras.backend.backend() == "tensorflow" else "float32")
        return keras.ops.sum(Learnable().step_sizes(z, 4.0) * keras.ops.cast(weights, z.dtype))

    gradient = gradient_of(value, logits)
    size = 1e-6 if keras.backend.backend() == "tensorflow" else 1e-2
    numeric = [(float(value(logits + size * e)) - float(value(logits - size * e))) / (2 * size) for e in np.eye(6)]
    np.testing.assert_allclose(
        gradient, numeric, rtol=1e-2 if size > 1e-3 else 1e-7, atol=2e-3 if size > 1e-3 else 1e-9
    )


def gradient_of(value, x):
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(value)(x.astype("float32")))
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = value(x)
    return tape.gradient(y, x).numpy()


@given(seed=st.integers(0, 99), gain=st.sampled_from([0.2, 1.0, 5.0]))
def test_learnable_steps_start_where_they_are_told(seed, gain):
    numbers = np.random.default_rng(seed).uniform(1, 3, 8)
    steps = StepSizes(8, 2.0, {"name": "learnable", "start_at": numbers.tolist(), "gain": gain})
    steps.build()
    np.testing.assert_allclose(steps.rho, numbers / numbers.sum(), rtol=1e-4)


def test_gain_is_a_learning_rate():
    """The same values move the logits `gain` times as far."""
    values = np.random.default_rng(0).normal(size=6)
    fast = keras.ops.convert_to_numpy(Learnable(gain=5.0).step_sizes(values, 3.0))
    np.testing.assert_allclose(
        fast, keras.ops.convert_to_numpy(Learnable().step_sizes(5 * values, 3.0)), rtol=1e-5, atol=1e-7
    )


def test_entropy_penalty_is_zero_for_equal_steps_and_part_of_the_objective():
    from leaky_zoo.networks import LeakyMLP

    def net(start_at, entropy):
        return LeakyMLP(
            (3,), 2, width=4, depth=4, effective_depth=1.0,
            schedule={"name": "learnable", "start_at": start_at, "entropy": entropy},
        )  # fmt: skip

    shares = np.array([0.1, 0.2, 0.3, 0.4])
    expected = 0.5 * np.sum(shares * np.log(4 * shares))
    assert float(net(None, 0.5).penalty()) == pytest.approx(0, abs=1e-6)
    assert float(net(shares.tolist(), 0.5).penalty()) == pytest.approx(expected, rel=1e-4)
    assert float(net(shares.tolist(), 0.0).penalty()) == 0
    network = net(shares.tolist(), 0.5)
    network(np.ones((2, 3), "float32"))
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-4)
