"""Kinks in audits, and training splits that are known by their content."""

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import analyze
from leaky_zoo.data import content_sha256, load_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.kinks import KinkFinder
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.training.lbfgs import minimize_objective
from leaky_zoo.zoo import from_preset
from leaky_zoo.zoo.recipe import LBFGSPart
from leaky_zoo.zoo.training_data import training_data

pytestmark = pytest.mark.tensorflow_only


def small(**changes):
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(80, 4)), random.integers(0, 3, 80)
    network = LeakyMLP((4,), 3, width=6, depth=5, effective_depth=2.0, weight_decay=1e-2, dtype="float64", **changes)
    return network, x, labels


def test_a_preset_at_kinks_is_nearer_to_critical_than_its_sign_masks_say():
    """The shipped net of figure 1's kind: its worst layer is at 0.158 with sign masks."""
    net = from_preset("leaky_mlp_teacher_k3_l7_equidistant")
    samples = training_data(net)
    plain = analyze(net, *samples.arrays, data=samples.about)
    audit = analyze(net, *samples.arrays, data=samples.about, clarke=True)
    signs, least, control = (
        max(getattr(layer, f"{name}_residual" if name != "clarke_control" else name) for layer in audit.layers)
        for name in ("criticality", "clarke", "clarke_control")
    )
    assert least < 0.6 * signs and control > 0.8 * signs
    assert [layer.free_kinks for layer in audit.layers][-1] == 0 and 20 < sum(x.free_kinks for x in audit.layers) < 500
    for layer, other in zip(audit.layers, plain.layers, strict=True):
        assert layer.criticality_residual == pytest.approx(other.criticality_residual, rel=1e-3)
        assert other.clarke_residual is None and layer.cost_of_identity == pytest.approx(other.cost_of_identity)


def test_the_second_phase_ends_by_the_clarke_residual_and_reports_both():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(60, 4))
    network = LeakyMLP(
        (4,), 2, task="regression", width=5, depth=4, effective_depth=2.0, weight_decay=1e-2, dtype="float64"
    )
    part = LBFGSPart(iterations=600, round=100, criticality=0.05, average=10)
    report = minimize_objective(network, x, np.abs(x[:, :2]), part)
    found = KinkFinder(network, x, np.abs(x[:, :2]))()
    assert report["converged"] and max(report["clarke_residuals"]) <= 0.05
    np.testing.assert_allclose(report["clarke_residuals"], found.residuals, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(report["criticality_residuals"], found.sign_residuals, rtol=1e-6)
    assert report["free_kinks"] == found.free.tolist()


def test_where_there_is_no_clarke_residual_it_is_refused():
    network, x, labels = small()
    with pytest.raises(InvalidInputError, match="they need targets"):
        analyze(network, x, clarke=True)
    conv = LeakyConvNet((4, 4, 1), 3, width=2, depth=4, weight_decay=1e-2)
    with pytest.raises(InvalidInputError, match="not for convolutions"):
        analyze(conv, np.zeros((5, 4, 4, 1)), np.zeros(5, int), clarke=True)
    with pytest.raises(InvalidInputError, match="mu > 0"):
        KinkFinder(LeakyMLP((4,), 3, width=6, depth=5), x, labels)


def test_training_data_are_known_by_content_whatever_they_are_called(tmp_path):
    digits = load_data("optical_digits/fold_0")
    x, y = digits.select("train[:200]")
    about = {"name": "optical_digits/fold_0", "split": "train[:200]", "sha256": content_sha256(x, y)}
    network = LeakyMLP((8, 8, 1), 10, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3, dataset=about)
    np.savez(tmp_path / "mine.npz", x=x, y=y, x_test=x[:20], y_test=y[:20])
    np.savez(tmp_path / "other.npz", x=x[::-1], y=y[::-1], x_test=x[:20], y_test=y[:20])
    sample = training_data(network, str(tmp_path / "mine.npz"), "train")
    audit = analyze(network, *sample.arrays, data=sample.about)
    assert (audit.data["is_training_split"], audit.data["recognised_by"]) == (True, "content")
    sample = training_data(network, str(tmp_path / "other.npz"), "train")
    audit = analyze(network, *sample.arrays, data=sample.about)
    assert (audit.data["is_training_split"], audit.data["recognised_by"]) == (False, "content")
    # The same name for other samples: the content decides.
    audit = analyze(network, x[:100], y[:100], data={"name": about["name"], "split": about["split"]})
    assert audit.data["is_training_split"] is False
    about.pop("sha256")
    old = LeakyMLP((8, 8, 1), 10, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3, dataset=about)
    audit = analyze(old, x, y, data={"name": about["name"], "split": about["split"]})
    assert (audit.data["is_training_split"], audit.data["recognised_by"]) == (True, "name")


def test_the_split_of_a_copy_is_found(tmp_path):
    digits = load_data("optical_digits/fold_0")
    x, y = digits.select("train[:90%]")
    about = {"name": "optical_digits/fold_0", "split": "train[:90%]", "sha256": content_sha256(x, y)}
    network = LeakyMLP((8, 8, 1), 10, width=6, depth=5, dataset=about)
    x, y = digits.select("train")
    np.savez(tmp_path / "copy.npz", x=x, y=y, x_test=x[:20], y_test=y[:20])
    assert training_data(network, str(tmp_path / "copy.npz")).split == "train[:90%]"
    np.savez(tmp_path / "copy.npz", x=x[1:], y=y[1:], x_test=x[:20], y_test=y[:20])
    assert training_data(network, str(tmp_path / "copy.npz")).split == "train"
