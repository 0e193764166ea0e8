"""Leaving ReLUs out: what it does to the outputs, the linear stretch, the effective nonlinear depth."""

import numpy as np
import pytest

from leaky_zoo.analysis import AnalysisSettings, analyze, analyze_part
from leaky_zoo.analysis.linearity import linearity_sentence, measure_linearity, relative_change
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.without_relus import WithoutRelus
from leaky_zoo.networks import LeakyConvNet, LeakyMLP


def mlp(depth=6, **fields):
    return LeakyMLP((5,), 3, width=8, depth=depth, effective_depth=3.0, **fields)


def samples(count=40, shape=(5,)):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype("float32")


def test_with_all_relus_it_is_the_network():
    net, x = mlp(), samples()
    np.testing.assert_allclose(
        WithoutRelus(net, x, batch_size=7).outputs(), net.predict(x, verbose=0), rtol=1e-4, atol=1e-5
    )


def test_without_its_relus_a_path_is_affine():
    net = mlp()
    x, y = samples(), samples(80)[40:]
    one, other, middle = (WithoutRelus(net, part).outputs(range(1, 7)) for part in (x, y, (x + y) / 2))
    np.testing.assert_allclose((one + other) / 2, middle, rtol=1e-4, atol=1e-5)


def test_a_convolution_without_its_relu_is_the_convolution_of_what_it_gets():
    net, x = LeakyConvNet((6, 6, 1), 3, width=4, depth=4, effective_depth=2.0), samples(10, (6, 6, 1))
    runs, low = WithoutRelus(net, x), net.get_weights()
    np.testing.assert_allclose(runs.outputs(), net.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    net.get_layer("stem").bias.assign(np.full(4, 1e3))  # everything is positive: the first ReLU does nothing
    positive = WithoutRelus(net, x)
    np.testing.assert_allclose(positive.outputs({1}), positive.outputs(), rtol=1e-5)
    net.set_weights(low)
    assert relative_change(runs.outputs({1}), runs.outputs()) > 1e-3


def test_relus_on_positive_representations_do_nothing():
    net, x = mlp(), samples()
    for block in net.blocks:
        block.assign_weight_matrix(np.abs(block.weight_matrix))
    net.get_layer("stem").bias.assign(np.full(8, 50.0))
    found = measure_linearity(net, x)
    assert found.linear_stretch == [1, 6] and found.effective_nonlinear_depth["layers"] == 0
    np.testing.assert_allclose(found.relu_effects, 0, atol=1e-6)


@pytest.mark.tensorflow_only  # in float64: JAX has it only where x64 is on
@pytest.mark.parametrize("task", ["regression", "autoencoding"])
def test_the_units_of_the_outputs_do_not_matter(task):
    """What is far from zero changes by little, relatively, whatever is left out."""
    x, side, size = samples(200), "output" if task == "regression" else "input", 3 if task == "regression" else None
    weights, found = None, []
    for mean, variance in ((0.0, 1.0), (300.0, 4.0), (-1e4, 1e-4)):
        units = {f"{side}_mean": mean, f"{side}_variance": variance}
        net = LeakyMLP((5,), size, task=task, width=8, depth=6, effective_depth=3.0, **units)
        weights = weights or net.get_weights()
        net.set_weights(weights)
        raw = x if side == "output" else mean + variance**0.5 * x.astype(np.float64)
        found.append(measure_linearity(net.astype("float64"), raw))
    for other in found[1:]:
        np.testing.assert_allclose(other.relu_effects, found[0].relu_effects, rtol=1e-3)
        assert (other.linear_stretch, other.left_out) == (found[0].linear_stretch, found[0].left_out)


def test_the_stretch_is_within_what_is_left_out_and_holds():
    net, x = mlp(depth=8), samples(200)
    found = measure_linearity(net, x, tolerance=0.1)
    runs = WithoutRelus(net, x)
    changed = runs.outputs(found.left_out).argmax(-1) != runs.outputs().argmax(-1)
    assert changed.mean() <= 0.1
    if found.linear_stretch:
        assert set(range(found.linear_stretch[0], found.linear_stretch[1] + 1)) <= set(found.left_out)
    assert found.effective_nonlinear_depth["layers"] == 8 - len(found.left_out)


def test_an_audit_has_it_where_it_was_asked_for():
    net, x = mlp(weight_decay=1e-3), samples()
    y = np.arange(40) % 3
    without, asked = analyze(net, x, y), analyze(net, x, y, relu_samples=20)
    assert without.summary["effective_nonlinear_depth"] is None and without.layers[0].relu_effect is None
    assert asked.summary["effective_nonlinear_depth"]["samples"] == 20
    assert all(layer.relu_effect >= 0 for layer in asked.layers)
    assert "ReLUs do something" in linearity_sentence(asked)


def test_bad_input_is_refused():
    net, x = mlp(), samples()
    with pytest.raises(InvalidInputError, match="relu_samples=-1"):
        AnalysisSettings(relu_samples=-1)
    with pytest.raises(InvalidInputError, match="shard cannot"):
        analyze_part(net, x, None, (1, 2), AnalysisSettings(relu_samples=5))
    with pytest.raises(InvalidInputError, match=r"Layers are 1\.\.6"):
        WithoutRelus(net, x).outputs({7})
    with pytest.raises(InvalidInputError, match="length 0"):
        WithoutRelus(net, x[:0])
