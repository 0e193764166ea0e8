"""Subgradients on kinks: against a search over all of them, and against sign masks where nothing is free."""

from itertools import product

import numpy as np
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry.kinks import clarke_residuals


def path(seed, width=3, samples=4, depth=3, kinks=((1, 0, 1), (2, 2, 0))):
    """A path of random weights with some entries of its representations put on a kink."""
    random = np.random.default_rng(seed)
    representations = [random.normal(size=(samples, width)) for _ in range(depth)]
    for layer, row, column in kinks:
        representations[layer][row, column] = random.choice([1e-9, -1e-9, 0.0])
    weights = [random.normal(size=(width, width + 1)) for _ in range(depth)]
    steps = random.dirichlet(np.full(depth, 5.0))
    return representations, weights, steps, 2.0, random.normal(size=(samples, width))


def by_loops(representations, weights, steps, effective_depth, momentum, masks):
    """The residuals by the definition, sample by sample and unit by unit."""
    samples, width = momentum.shape
    depth, momenta = len(weights), [momentum]
    for layer in range(depth - 1, 0, -1):
        before = np.zeros((samples, width))
        for n, i in product(range(samples), range(width)):
            image = sum(weights[layer][j, i] * momenta[0][n, j] for j in range(width))
            leak = 1 - steps[layer] * effective_depth
            before[n, i] = leak * momenta[0][n, i] + steps[layer] * masks[layer][n, i] * image
        momenta.insert(0, before)
    found = []
    for a, w, p in zip(representations, weights, momenta, strict=True):
        total = sum(np.outer(p[n], [*np.maximum(a[n], 0), 1.0]) for n in range(samples))
        found.append(np.linalg.norm(w - total) / np.linalg.norm(w))
    return np.array(found)


@pytest.mark.parametrize("seed", range(6))
def test_no_choice_of_subgradients_on_a_fine_grid_is_better(seed):
    arguments = path(seed)
    found = clarke_residuals(*arguments, iterations=500)
    masks = [(a > 0).astype(float) for a in arguments[0]]
    least = np.inf
    for first, second in product(np.linspace(0, 1, 21), repeat=2):
        masks[1][0, 1], masks[2][2, 0] = first, second
        least = min(least, np.sum(by_loops(*arguments, masks) ** 2))
    assert found.free.tolist() == [1, 1, 0]
    assert np.sum(found.residuals**2) <= least * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_without_free_entries_it_is_the_residual_of_the_sign_masks(seed):
    arguments = path(seed, kinks=())
    found = clarke_residuals(*arguments, control=True)
    expected = by_loops(*arguments, [(a > 0).astype(float) for a in arguments[0]])
    np.testing.assert_allclose(found.residuals, expected, rtol=1e-12)
    np.testing.assert_allclose(found.control, expected, rtol=1e-12)
    assert found.free.sum() == 0 and found.share == 0


def critical(seed=0, width=4, samples=6):
    """Two layers with `W = P s^T` exactly, where some units of `A_1` are on a kink with subgradients inside (0, 1)."""
    random = np.random.default_rng(seed)
    first, second = np.abs(random.normal(size=(2, samples, width)))
    mask = np.ones((samples, width))
    places = random.choice(samples * width, 5, replace=False)
    second.ravel()[places], mask.ravel()[places] = 0.0, random.uniform(0.2, 0.8, 5)
    steps, depth, last = np.array([0.4, 0.6]), 1.5, random.normal(size=(samples, width))
    ones = np.ones((samples, 1))
    w_2 = last.T @ np.hstack([second, ones])
    before = (1 - steps[1] * depth) * last + steps[1] * mask * (last @ w_2[:, :width])
    w_1 = before.T @ np.hstack([first, ones])
    return ([first, second], [w_1, w_2], steps, depth, last), mask.ravel()[places]


@pytest.mark.parametrize("seed", range(4))
def test_a_point_that_is_critical_in_clarkes_sense_has_no_residual(seed):
    arguments, _ = critical(seed)
    found = clarke_residuals(*arguments, iterations=1000, control=True)
    assert found.sign_residuals.max() > 0.05 and found.free.tolist() == [5, 0]
    assert found.residuals.max() < 2e-3 < 0.02 < found.control.max()
    for momentum, weights in zip(found.momenta, arguments[1], strict=True):
        np.testing.assert_allclose(momentum.features, weights, atol=0.01 * np.linalg.norm(weights))


def test_bad_arguments_are_named():
    arguments = path(0)
    with pytest.raises(InvalidInputError, match="Received: threshold=-1"):
        clarke_residuals(*arguments, threshold=-1)
    with pytest.raises(InvalidInputError, match="one step for each layer"):
        clarke_residuals(arguments[0][1:], *arguments[1:])
