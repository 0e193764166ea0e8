"""Staged nets: what their lists say, signals and gradients in deep ones, dropout in the head, flips."""

import keras
import numpy as np
import pytest
from families import samples
from keras import ops

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.layers import HeadDropout, LeakyConv1D, LeakyConv2D, get_schedule
from leaky_zoo.layers.conv import inside_share
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyResNet

LAST = {"data_format": "channels_last"}


def spread(tensor):
    return float(np.sqrt(np.mean(np.square(ops.convert_to_numpy(tensor)))))


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("effective_depth", [0.0, 1.0, 3.0, 7.0])
def test_signals_and_gradients_neither_die_nor_explode_in_sixty_layers(effective_depth):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    fields = {"widths": (16, 24, 32), "depths": (20, 20, 20), "effective_depth": effective_depth}
    net = LeakyResNet((32, 32, 3), 10, **fields, **LAST)
    x = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    found = [spread(a) for a in net.representations(x)]
    # Without a leak the variance of a stage may grow by e; three stages, and as much for what is random in them.
    assert min(found) > 0.2 and max(found) < 8.0
    assert 0.05 < spread(net(x)) < 5.0
    with tf.GradientTape() as tape:
        loss = net.loss_function()(np.arange(8), net(x))
    kernels = [block.kernel.value for block in net.blocks]
    norms = [float(tf.norm(each)) for each in tape.gradient(loss, kernels)]
    assert max(norms) < 100 * min(norms) and 1e-3 < np.median(norms) < 10


def test_the_initialiser_does_not_count_the_padding():
    assert inside_share((3,), 3) == pytest.approx(7 / 9) and inside_share((8, 1), 3) == pytest.approx(22 / 24 / 3)
    keras.utils.set_random_seed(0)
    stds = []
    for counted in (True, False):
        block = LeakyConv2D(3.0, count_padding=counted, **LAST)
        block.build((None, 4, 4, 64))
        stds.append(spread(block.kernel))
        twin = LeakyConv2D.from_config(block.get_config())
        assert twin.count_padding is counted and twin.kernel_initializer.inside == block.kernel_initializer.inside
    assert stds[1] / stds[0] == pytest.approx(12 / 10, rel=0.02)


def test_lists_say_what_each_stage_is():
    net = LeakyResNet((16, 16, 1), 3, width=4, depth=2, effective_depth=1.0, **LAST)
    assert (net.config.widths, net.config.depths, net.config.effective_depths) == ((4, 8, 16), (2, 2, 2), (1.0,) * 3)
    assert [path.name for path in net.paths] == ["stage_1_path", "stage_2_path", "stage_3_path"]
    assert [path.representations[0].shape[1] for path in net.paths] == [16, 8, 4]
    schedules = [{"name": "irregular", "amplitude": 1.0}, get_schedule("learnable")]
    fields = {"widths": (3, 5), "depths": [2, 4], "effective_depths": (0.5, 2), "schedules": schedules}
    net = LeakyResNet((9, 7, 1), 3, **fields, **LAST)
    assert (net.config.width, net.config.depth, net.config.effective_depth) == (3, 2, 0.5)
    assert net.config.schedule["name"] == "irregular" and net.paths[1].step_size_layer.schedule.trainable
    twin = LeakyResNet.from_config(net.get_config())
    assert twin.config == net.config and twin.count_params() == net.count_params()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": (4, 8), "depths": (2, 2, 2)}, r"one entry for each stage, .*widths=\[4, 8\], depths=\[2, 2, 2\]"),
        ({"widths": (1,) * 17}, "at most 16"),
        ({"widths": ()}, "widths"),
        ({"widths": (4, 0)}, "widths"),
        ({"depths": (2, 0)}, "depths"),
        ({"effective_depths": (1.0, -1.0)}, "effective_depths"),
        ({"width": 3, "widths": (4, 8)}, r"`width` is that of the first stage .*width=3, widths=\[4, 8\]"),
        ({"effective_depth": 2.0, "effective_depths": (1.0, 2.0)}, "effective_depth=2.0"),
        ({"schedule": "irregular", "schedules": ["learnable", "irregular"]}, "`schedule`"),
        ({"schedules": ["cubic", "cubic"]}, "cubic"),
        ({"depths": (2, 2), "effective_depth": 3.0}, "Use depth >= 4"),
        ({"input_shape": (5,)}, "an image of 3 axes or a signal of 2"),
        ({"task": "autoencoding", "output_size": None, "widths": (2, 3, 4)}, "all convolutions together, 4"),
    ],
)
def test_what_it_refuses(fields, message):
    arguments = {"input_shape": (6, 6, 1), "output_size": 3, "effective_depth": 1.0, **LAST, **fields}
    if "effective_depths" in fields and "effective_depth" not in fields:
        del arguments["effective_depth"]
    with pytest.raises(InvalidInputError, match=message):
        LeakyResNet(**arguments)


def test_signals_have_a_block_of_their_own():
    net = LeakyConvNet((40, 1), 10, width=4, depth=4, effective_depth=1.0, **LAST)
    assert isinstance(net.blocks[0], LeakyConv1D) and net.blocks[0].feature_words == "patches 3"
    assert net.paths[0].representations[0].shape == (None, 20, 4) and net.output_shape == (None, 10)
    block, a = net.blocks[0], np.random.default_rng(0).normal(size=(2, 20, 4)).astype("float32")
    wanted = block.features(a) @ block.weight_matrix.T
    got = ops.convert_to_numpy(block.apply_weights(ops.relu(a))) * block.scale
    np.testing.assert_allclose(block.columns(got), wanted, rtol=1e-4, atol=1e-5)


def test_dropout_in_the_head_takes_the_draws_it_is_given():
    net = LeakyMLP((4,), 3, width=6, depth=4, effective_depth=1.0, head_dropout=0.5)
    assert isinstance(net.dropout, HeadDropout) and LeakyMLP((4,), 3).dropout is None
    x, _ = samples(net)
    plain = ops.convert_to_numpy(net(x))
    net.dropout.kept = np.zeros((8, 6), bool)
    np.testing.assert_array_equal(ops.convert_to_numpy(net(x)), plain)
    bias = ops.convert_to_numpy(net.get_layer("head").bias)
    np.testing.assert_allclose(ops.convert_to_numpy(net(x, training=True)), np.tile(bias, (8, 1)), atol=1e-6)
    net.dropout.kept = None
    assert not np.allclose(ops.convert_to_numpy(net(x, training=True)), plain)


@pytest.mark.tensorflow_only  # evaluation is training's, on TensorFlow
def test_flips_take_the_mean_of_an_image_and_its_mirror_image():
    net = LeakyResNet((6, 5, 2), 3, width=3, depth=3, effective_depth=1.0, **LAST)
    x, y = samples(net)
    outputs = (net.predict(x, verbose=0) + net.predict(x[:, :, ::-1], verbose=0)) / 2
    found = evaluate_network(net, x, y, flips=True)
    assert found["accuracy"] == np.mean(outputs.argmax(axis=1) == y)
    assert found["loss"] == pytest.approx(float(net.loss_function()(y, outputs)), rel=1e-5)
    mirrored = evaluate_network(net, x[:, :, ::-1], y, flips=True)
    assert mirrored == pytest.approx(found, rel=1e-5)
    with pytest.raises(InvalidInputError, match=r"`flips` is for images. Received: samples of shape \(4,\)"):
        evaluate_network(LeakyMLP((4,), 3), np.zeros((2, 4)), np.zeros(2, int), flips=True)


def test_an_autoencoder_is_mirrored_back():
    net = LeakyResNet((8, 8, 1), task="autoencoding", width=3, depth=3, effective_depth=1.0, **LAST)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    outputs = (net.predict(x, verbose=0) + net.predict(x[:, :, ::-1], verbose=0)[:, :, ::-1]) / 2
    found = evaluate_network(net, x, x, flips=True)
    assert found["loss"] == pytest.approx(float(np.mean((outputs - x) ** 2)), rel=1e-5)
