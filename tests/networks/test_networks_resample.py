"""A net with another number of layers follows the same path."""

import keras
import numpy as np
import pytest
from families import EXAMPLES, KINDS
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import overlaps, resample


def net(kind="mlp", **changes):
    arguments = {"depth": 8, "effective_depth": 2.0, "weight_decay": 1e-3, **changes}
    arguments |= {} if "widths" in EXAMPLES[kind].fields else {"width": 6}
    return EXAMPLES[kind].make(**({"input_shape": (5,)} if kind == "mlp" else {}), **arguments)


def samples(network, count=400):
    return np.random.default_rng(0).normal(size=(count, *network.input_shape[1:])).astype("float32")


def outputs(network, x):
    return keras.ops.convert_to_numpy(network(x))


def error(network, other, x):
    reference = outputs(network, x)
    return np.linalg.norm(outputs(other, x) - reference) / np.linalg.norm(reference)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_overlaps_are_shares_of_each_new_step(old, new, seed):
    random = np.random.default_rng(seed)
    before, after = (steps / steps.sum() for steps in (random.uniform(0.1, 1, old), random.uniform(0.1, 1, new)))
    shares = overlaps(before, after)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(after @ shares, before, atol=1e-12)  # every part of every old step is used once


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fitted", [False, True])
def test_the_same_depth_is_the_same_net(kind, fitted):
    network = net(kind)
    x = samples(network, 40)
    same = resample(network, 8, x=x if fitted else None)
    assert error(network, same, x) < 1e-4
    assert same.config.weight_decay == 1e-3 and type(same) is EXAMPLES[kind].cls


def test_a_path_of_constant_weights_converges_with_the_steps():
    """With one `W` along the whole path, Euler's error is of first order: halving the steps halves the difference."""
    network = net(depth=16)
    weight = np.random.default_rng(0).normal(size=(6, 7)) / 2
    for block in network.blocks:
        block.assign_weight_matrix(weight)
    x = samples(network)
    finest = resample(network, 128)
    errors = [error(finest, resample(network, depth), x) for depth in (8, 16, 32)]
    assert errors[0] > 1.7 * errors[1] > 2.5 * errors[2] > 0


def test_a_fit_follows_the_path_better():
    network = net(depth=12)
    x = samples(network, 1000)
    held = np.random.default_rng(1).normal(size=(500, 5)).astype("float32")
    plain, fitted = resample(network, 6), resample(network, 6, x=x)
    assert error(network, fitted, held) < 0.5 * error(network, plain, held)
    # The goals are the given net's own representations where both grids have a point.
    theirs = network.representations(held)[4::2]
    ours = fitted.representations(held)[2:]
    plains = plain.representations(held)[2:]
    for a, b, c in zip(theirs, ours, plains, strict=True):
        assert np.linalg.norm(np.subtract(a, b)) < np.linalg.norm(np.subtract(a, c))


def test_every_stage_has_its_own_depth():
    network = net("resnet", effective_depth=1.0, effective_depths=(1.0, 2.0), schedule="irregular",
                  schedules=["irregular", "equidistant"])  # fmt: skip
    x = samples(network, 60)
    both = resample(network, [6, 5], x=x)
    assert [path.depth for path in both.paths] == [6, 5] and both.config.depths == (6, 5)
    assert both.config.schedules[0]["name"] == "fixed"
    assert error(network, both, x) < error(network, resample(network, [6, 5]), x)
    np.testing.assert_array_equal(
        both.get_layer("transition_1").get_weights()[0], network.get_layer("transition_1").get_weights()[0]
    )
    with pytest.raises(InvalidInputError, match=r"one for each of 2 paths. Received: depth=\[6\]"):
        resample(network, [6])


def test_without_data_only_the_weights_are_averaged():
    network = net(depth=8)
    halved = resample(network, 4)
    pairs = zip(network.blocks[::2], network.blocks[1::2], strict=True)
    for block, (first, second) in zip(halved.blocks, pairs, strict=True):
        np.testing.assert_allclose(
            block.weight_matrix, (first.weight_matrix + second.weight_matrix) / 2, rtol=1e-5, atol=1e-6
        )


def test_own_steps_are_stretched_within_the_cap():
    network = net(schedule={"name": "fixed", "step_sizes": [1, 1, 1, 1, 2, 2, 2, 2]})
    np.testing.assert_allclose(resample(network, 4).paths[0].step_sizes, np.array([1, 1, 2, 2]) / 6, rtol=1e-5)
    few = resample(network, 3)
    assert few.paths[0].step_sizes.max() * 2.0 <= 0.9 and few.paths[0].step_size_layer.schedule.name == "fixed"
    assert resample(network, 16, "irregular").paths[0].step_size_layer.schedule.name == "irregular"
    assert resample(net(depth=4, effective_depth=1.8), 2).paths[0].step_sizes == pytest.approx([0.5, 0.5])
    learnt = resample(net(schedule="learnable"), 5, "learnable")
    assert learnt.paths[0].step_size_layer.schedule.trainable


def test_a_resampled_net_is_saved_like_any_other(tmp_path):
    network = net()
    fitted = resample(network, 5, x=samples(network, 50))
    fitted.save(tmp_path / "net.keras")
    x = samples(network, 10)
    np.testing.assert_array_equal(outputs(keras.models.load_model(tmp_path / "net.keras"), x), outputs(fitted, x))


@pytest.mark.parametrize(
    ("depth", "arguments", "message"),
    [
        (2, {}, "Use depth >= 3"),
        (2, {"schedule": "equidistant"}, "Use depth >= 3"),
        (0, {}, "depth=0"),
        (8, {"gamma_0": 0.0}, "gamma_0=0"),
        (8, {"x": np.zeros((0, 5))}, r"shape \(0, 5\)"),
        (8, {"x": np.zeros((3, 4))}, r"shape \(3, 4\)"),
        (8, {"x": np.full((3, 5), np.nan)}, "NaN"),
        (8, {"schedule": "cubic"}, "cubic"),
    ],
)
def test_what_it_refuses(depth, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        resample(net(), depth, **arguments)
