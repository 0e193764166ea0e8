"""The second phase: objective, coordinates and a critical point."""

import keras
import numpy as np
import pytest

from leaky_zoo.flow import collect
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.training.curvature import KroneckerCoordinates
from leaky_zoo.training.lbfgs import Objective, minimize_objective
from leaky_zoo.zoo.recipe import LBFGSPart

pytestmark = pytest.mark.tensorflow_only
random = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def the_same_numbers_every_time():
    """Seeded weights and samples: a finite difference across a kink of the ReLU is off, now and then."""
    keras.utils.set_random_seed(0)
    random.bit_generator.state = np.random.default_rng(0).bit_generator.state


def problem(task="regression"):
    x = random.normal(size=(60, 4))
    size = {"regression": 2, "classification": 3, "autoencoding": None}[task]
    network = LeakyMLP((4,), size, task=task, width=5, depth=4, effective_depth=2.0, weight_decay=1e-2, dtype="float64")
    y = {"regression": np.abs(x[:, :2]), "classification": random.integers(0, 3, 60), "autoencoding": x}[task]
    return network, x, y


def conv_problem():
    x = random.normal(size=(12, 4, 4, 1))
    network = LeakyConvNet(
        (4, 4, 1), 3, width=2, depth=4, weight_decay=1e-2, dtype="float64", data_format="channels_last"
    )
    return network, x, random.integers(0, 3, 12)


@pytest.mark.parametrize("make", [problem, lambda: problem("classification"), conv_problem])
def test_gradient_of_the_objective_by_finite_differences(make):
    objective = Objective(*make())
    here = objective.get()
    here += 0.1 * random.normal(size=here.shape)  # off the kinks at zero
    value, gradient = objective(here)
    direction = random.normal(size=here.shape)
    slope = (objective(here + 1e-6 * direction)[0] - objective(here - 1e-6 * direction)[0]) / 2e-6
    assert slope == pytest.approx(gradient @ direction, rel=1e-6)
    objective.set(here)
    assert objective(here)[0] == value


@pytest.mark.parametrize(
    "make", [problem, lambda: problem("classification"), lambda: problem("autoencoding"), conv_problem]
)
def test_coordinates_are_a_linear_change_of_variables(make):
    network, x, y = make()
    objective = Objective(network, x, y)
    weights = objective.get()
    weights += 0.1 * random.normal(size=weights.shape)  # off the kinks at zero
    objective.set(weights)
    coordinates = KroneckerCoordinates(network, x)
    u = coordinates.coordinates(weights)
    np.testing.assert_allclose(coordinates.weights(u), weights, rtol=1e-9, atol=1e-9)
    direction = random.normal(size=u.shape) * 1e-3
    _, gradient = objective(weights)
    moved = [objective(coordinates.weights(u + sign * 1e-3 * direction))[0] for sign in (1, -1)]
    assert (moved[0] - moved[1]) / 2e-3 == pytest.approx(coordinates.gradient(gradient) @ direction, rel=1e-5)


def test_coordinates_make_the_curvature_round():
    """Curvature along random directions of `u` varies less than along random directions of the weights."""
    network, x, y = problem()
    minimize_objective(network, x, y, LBFGSPart(iterations=60, round=30))
    coordinates, objective = KroneckerCoordinates(network, x), Objective(network, x, y)
    weights = objective.get()
    u = coordinates.coordinates(weights)

    def curvatures(point, back):
        values = []
        for row in np.random.default_rng(1).permutation(len(point))[:60]:
            step = 1e-4 * np.eye(1, len(point), row).ravel()
            f = [objective(back(point + sign * step))[0] for sign in (1, 0, -1)]
            values.append((f[0] - 2 * f[1] + f[2]) / 1e-8)
        return np.array(values)

    def spread(values):
        return np.subtract(*np.percentile(np.log(np.maximum(values, 1e-6)), [90, 10]))

    assert spread(curvatures(u, coordinates.weights)) < spread(curvatures(weights, lambda v: v))


def residuals_from_momenta(network, x, y):
    (momenta,) = collect(network, x, y).momenta(network.config.weight_decay)
    weights = [block.weight_matrix for block in network.blocks]
    return [np.linalg.norm(w - p.features) / np.linalg.norm(w) for w, p in zip(weights, momenta, strict=True)]


@pytest.mark.parametrize("make", [problem, lambda: problem("classification"), conv_problem])
def test_the_gradient_holds_the_residual_of_the_momenta(make):
    network, x, y = make()
    objective = Objective(network, x, y)
    _, gradient = objective(objective.get())
    assert objective.criticality_residuals(gradient) == pytest.approx(residuals_from_momenta(network, x, y), rel=1e-9)


@pytest.mark.parametrize("preconditioner", ["kronecker", "none"])
def test_a_critical_point_is_reached(preconditioner):
    network, x, y = problem()
    before = Objective(network, x, y)(Objective(network, x, y).get())[0]
    seen = []
    report = minimize_objective(
        network, x, y, LBFGSPart(iterations=600, round=100, preconditioner=preconditioner),
        on_iteration=lambda count, value, residual: seen.append(value),
    )  # fmt: skip
    assert report["objective"] < before and len(seen) == report["iterations"] <= 600
    assert report["criticality_residuals"] == pytest.approx(residuals_from_momenta(network, x, y))
    assert max(report["criticality_residuals"]) < 0.05


def test_stops_at_the_wanted_residual():
    network, x, y = problem()
    report = minimize_objective(network, x, y, LBFGSPart(iterations=600, round=50, criticality=0.2))
    assert max(report["criticality_residuals"]) <= 0.2 and report["iterations"] < 600
    assert report["converged"] is True


@pytest.mark.parametrize("preconditioner", ["kronecker", "none"])
def test_the_mean_of_iterates_is_taken_where_it_is_nearer_to_a_critical_point(preconditioner):
    """It ends inside a round, at the mean of the last iterates, and with fewer of them than without it."""
    found = {}
    for average in (1, 4):
        keras.utils.set_random_seed(0)
        random.bit_generator.state = np.random.default_rng(0).bit_generator.state
        network, x, y = problem()
        part = LBFGSPart(iterations=600, round=50, preconditioner=preconditioner, criticality=0.1, average=average)
        found[average] = minimize_objective(network, x, y, part)
        objective = Objective(network, x, y)
        value, gradient = objective(objective.get())
        assert found[average]["objective"] == pytest.approx(value, rel=1e-12)
        assert found[average]["criticality_residuals"] == pytest.approx(objective.criticality_residuals(gradient))
        assert found[average]["converged"] and max(found[average]["criticality_residuals"]) <= 0.1
    assert found[4]["iterations"] < found[1]["iterations"] and found[4]["iterations"] % 50 % 4 == 0


def test_what_does_not_converge_says_so():
    network, x, y = problem()
    report = minimize_objective(network, x, y, LBFGSPart(iterations=20, round=10, criticality=1e-6))
    assert report["converged"] is False and report["iterations"] == 20
    assert minimize_objective(network, x, y, LBFGSPart(iterations=1))["converged"] is None
