"""The audit against a second one that shares no line with it, and its momenta against automatic differentiation."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from leaky_zoo.analysis import analyze
from leaky_zoo.data import load_data
from leaky_zoo.zoo import from_preset, preset_folder
from tests.independent_audit import IndependentAudit

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.usefixtures("data_read_once")]
PRESETS = (
    "leaky_mlp_teacher_k3_l7_equidistant",
    "leaky_mlp_teacher_k3_l12_irregular",
    "leaky_mlp_optical_digits_l7_equidistant",
)
FIELDS = (
    "cost_of_identity", "kinetic_energy", "potential_energy", "cross_term", "hamiltonian", "rank_from_hamiltonian",
    "criticality_residual", "momentum_norm", "weight_norm", "stable_rank",
)  # fmt: skip


@cache
def both(name):
    """The audit of a preset in float64, the independent one, and their samples."""
    network = from_preset(name)
    about = network.config.dataset
    x, y = load_data(about["name"]).select(about["split"])
    audit = analyze(network.astype("float64"), x, y, data=about)
    return audit, IndependentAudit(preset_folder(name), x, y), y


@pytest.mark.parametrize("name", PRESETS)
def test_energies_and_momenta_agree_with_an_independent_audit_by_kernels(name):
    audit, other, _ = both(name)
    assert len(audit.layers) == other.depth
    for layer in audit.layers[:: 3 if other.depth > 12 else 2]:
        expected = other.layer(layer.layer)
        for field in FIELDS:
            assert getattr(layer, field) == pytest.approx(expected[field], rel=1e-6), (layer.layer, field)


@pytest.mark.parametrize("name", PRESETS)
def test_momenta_are_the_gradients_that_automatic_differentiation_gives(name):
    audit, other, y = both(name)
    with tf.GradientTape() as tape:
        path = [tf.constant(other.path[0].T)]
        tape.watch(path[0])
        for w, rho in zip(other.weights, other.rho, strict=True):
            moved = tf.nn.relu(path[-1]) @ w[:, :-1].T + w[:, -1]
            path.append((1 - rho * other.lt) * path[-1] + rho * moved)
        outputs = path[-1] @ other.head[0] + other.head[1]
        if other.config["task"] == "classification":
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, outputs))
        else:
            mean, variance = (np.asarray(other.config[f"output_{key}"]) for key in ("mean", "variance"))
            targets = (y.reshape(len(y), -1) - mean) / np.sqrt(variance)
            loss = tf.reduce_mean(tf.square(outputs - targets))
    slopes = tape.gradient(loss, path[1:])
    for layer, slope, before, momentum in zip(audit.layers, slopes, path, other.momenta, strict=False):
        p = -slope.numpy() / other.mu
        np.testing.assert_allclose(p.T, momentum, atol=1e-9 * np.abs(p).max())
        assert layer.momentum_norm == pytest.approx(np.linalg.norm(p), rel=1e-6)
        s = np.hstack([np.maximum(before.numpy(), 0), np.ones((len(p), 1))])
        pairing, unit = p.T @ s, other.lt or 1.0
        hamiltonian = np.sum(pairing**2) / (2 * unit) - np.vdot(p, before.numpy())
        assert layer.hamiltonian == pytest.approx(hamiltonian, rel=1e-6)
