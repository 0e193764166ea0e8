"""The energies against brute force with `N x N` kernels in float64, and the exact identities of the theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import (
    MomentumMoments,
    cost_of_identity,
    cost_of_identity_sweep,
    energies,
    hamiltonian_bounds,
    k_norms_squared,
    moments,
    participation_ratio,
    singular_values,
    stable_rank,
)

shapes = st.tuples(st.integers(1, 8), st.integers(2, 30), st.integers(0, 2**31))


def draw(shape, scale=1.0):
    """Representations `A` (w x N) and features `s(A)` with the row of ones."""
    width, samples, seed = shape
    random = np.random.default_rng(seed)
    a = scale * random.normal(size=(width, samples))
    return a, np.vstack([np.maximum(a, 0), np.ones((1, samples))]), random


def kernel_norm(x, y, s, gamma):
    """`Tr[X (K + gamma I)^-1 Y^T]` with the kernel written out."""
    return np.trace(x @ np.linalg.solve(s.T @ s + gamma * np.eye(s.shape[1]), y.T))


@given(shapes, st.sampled_from([1e-1, 1e-3, 1e-5]))
def test_cost_of_identity_is_the_kernel_norm(shape, gamma_0):
    a, s, _ = draw(shape)
    identity = cost_of_identity(moments(a.T, s.T), gamma_0)
    assert identity.gamma == pytest.approx(gamma_0 * np.linalg.norm(s, 2) ** 2, rel=1e-12)
    assert identity.cost == pytest.approx(kernel_norm(a, a, s, identity.gamma), rel=1e-9)
    assert cost_of_identity_sweep(moments(a.T, s.T), [gamma_0])[0][0] == pytest.approx(identity.cost, rel=1e-9)
    left_out = np.linalg.norm(a - identity.weights @ s) ** 2 / np.linalg.norm(a) ** 2
    assert identity.out_of_image_fraction == pytest.approx(left_out, abs=1e-12)


@given(shapes)
def test_any_matrix_has_its_kernel_norm(shape):
    a, s, random = draw(shape)
    x = random.normal(size=a.shape)
    gamma = cost_of_identity(moments(a.T, s.T), 1e-4).gamma
    expected = [kernel_norm(m, m, s, gamma) for m in (x, a)]
    np.testing.assert_allclose(k_norms_squared([x.T, a.T], s.T, 1e-4), expected, rtol=1e-9)


@given(shapes, st.sampled_from([0.0, 0.5, 3.0, 12.0]))
def test_energies_against_brute_force(shape, depth):
    a, s, random = draw(shape)
    weights = random.normal(size=(a.shape[0], s.shape[0]))
    sums = moments(a.T, s.T)
    identity = cost_of_identity(sums, 1e-4)
    energy = energies(sums, identity, weights, depth)
    speed, unit = weights @ s - depth * a, depth or 1.0
    kinetic = kernel_norm(speed, speed, s, identity.gamma) / (2 * unit)
    scale = kinetic + depth * identity.cost + np.linalg.norm(weights) ** 2
    assert energy.kinetic_energy == pytest.approx(kinetic, abs=1e-9 * scale)
    assert energy.cross_term == pytest.approx(kernel_norm(speed, a, s, identity.gamma), abs=1e-9 * scale)
    if depth:
        assert energy.potential_energy == pytest.approx(-(depth / 2) * kernel_norm(a, a, s, identity.gamma), rel=1e-9)
        total = energy.kinetic_energy + energy.cross_term - energy.potential_energy
        assert energy.lagrangian == pytest.approx(total, abs=1e-9 * scale)
    else:
        assert energy.potential_energy is None and energy.rank_from_hamiltonian is None


@given(shapes, st.sampled_from([1e-1, 1e-3, 1e-5]), st.sampled_from([0.3, 1.0, 7.0]))
def test_gamma_identity(shape, gamma_0, depth):
    """Oracle 1: `-(2/L~) H = COI - ||(dA/dp)/L~ + gamma B||_gamma^2 + gamma ||B||^2` if `dA/dp = L~ (B K - A)`."""
    a, s, random = draw(shape)
    b = random.normal(size=a.shape)
    sums = moments(a.T, s.T)
    identity = cost_of_identity(sums, gamma_0)
    p = depth * b  # the momentum; the inclusion dA/dp = W s - L~ A holds with W = P s^T
    momentum = MomentumMoments(p @ s.T, float(np.vdot(p, a)), float(np.vdot(p, p)))
    energy = energies(sums, identity, p @ s.T, depth, momentum)
    shifted = (p @ s.T @ s - depth * a) / depth + identity.gamma * b
    terms = (identity.cost, k_norms_squared([shifted.T], s.T, gamma_0)[0], identity.gamma * np.vdot(b, b))
    expected = terms[0] - terms[1] + terms[2]
    assert energy.rank_from_hamiltonian == pytest.approx(expected, abs=1e-10 * max(map(abs, terms)))
    assert energy.criticality_residual == pytest.approx(0.0, abs=1e-14)


@given(shapes)
def test_rank_of_non_negative_representations(shape):
    """Oracle 2: without the row of ones COI is `sum sigma^2 / (sigma^2 + gamma)`, the rank as gamma vanishes."""
    a = np.abs(draw(shape)[0])
    for gamma_0 in (1e-2, 1e-6):
        identity = cost_of_identity(moments(a.T, a.T), gamma_0)
        squares = np.linalg.svd(a, compute_uv=False) ** 2
        assert identity.cost == pytest.approx(np.sum(squares / (squares + identity.gamma)), rel=1e-9)


def test_the_row_of_ones_takes_a_little_off_the_rank():
    """`rank - v^2 / (1 + v^2)`, `v = ||A^{+T} 1||`, where the constant is in the row space."""
    random = np.random.default_rng(0)
    a = random.uniform(1, 2, size=(5, 3)) @ np.vstack([np.ones(40), random.uniform(size=(2, 40))])
    v = np.linalg.norm(np.linalg.pinv(a).T @ np.ones(40)) ** 2
    s = np.vstack([a, np.ones(40)])
    assert cost_of_identity(moments(a.T, s.T), 1e-10).cost == pytest.approx(3 - v / (1 + v), abs=1e-4)


@given(shapes, st.sampled_from([1e-2, 1e-5]))
def test_nuclear_norm_bound(shape, gamma_0):
    """Oracle 5, with the row of ones and stabilised: `COI >= ||A||_*^2 / (||A||_F^2 + N (1 + gamma))`."""
    a, s, _ = draw(shape)
    identity = cost_of_identity(moments(a.T, s.T), gamma_0)
    nuclear, frobenius = np.linalg.norm(a, "nuc"), np.linalg.norm(a)
    assert identity.cost >= nuclear**2 / (frobenius**2 + a.shape[1] * (1 + identity.gamma)) * (1 - 1e-9)


def test_the_bound_without_correction_fails_with_the_row_of_ones():
    a = np.full((1, 10), 0.5)
    identity = cost_of_identity(moments(a.T, np.vstack([a, np.ones((1, 10))]).T), 1e-9)
    assert identity.cost < np.linalg.norm(a, "nuc") ** 2 / np.linalg.norm(a) ** 2 - 0.5


@given(shapes, st.integers(1, 29))
def test_moments_add(shape, cut):
    a, s, _ = draw(shape)
    whole, first, second = moments(a.T, s.T), moments(a[:, :cut].T, s[:, :cut].T), moments(a[:, cut:].T, s[:, cut:].T)
    both = first + second
    assert both.count == whole.count
    for name in ("gram", "cross", "outer", "total"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(whole.covariance, np.cov(a, bias=True).reshape(whole.covariance.shape), atol=1e-12)


@pytest.mark.parametrize("depth", [0.3, 1.0])
def test_symplectic_euler_conserves_the_hamiltonian_to_first_order(depth):
    """Oracle 3: the drift of H over a path of critical steps is of order `max rho` (median slope within 20% of 1)."""
    slopes = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        a0, b0 = random.uniform(0.5, 1.5, size=(3, 4)), 0.2 * random.normal(size=(3, 4))
        lengths = np.array([10, 20, 40, 80])
        slopes.append(np.polyfit(np.log(1 / lengths), np.log([drift(a0, b0, depth, n) for n in lengths]), 1)[0])
    assert np.median(slopes) == pytest.approx(1.0, abs=0.2)


def drift(a_first, b_first, depth, length):
    """Largest change of the Hamiltonian along a critical path."""
    values = []
    for a, b, s in critical_path(a_first, b_first, depth, length):
        values.append(depth / 2 * np.linalg.norm(b @ s.T) ** 2 - depth * np.vdot(b, a))
    return np.ptp(values)


def critical_path(a, b, depth, length):
    """`(A_{l-1}, B_l, s(A_{l-1}))` of `A_l = A + rho L~ (B_l K - A)`, `B_l` from the adjoint of the same step."""
    rho = 1 / length
    for row in range(length):
        s = np.vstack([np.maximum(a, 0), np.ones((1, a.shape[1]))])
        if row:
            b = next_momentum(a, s, b, rho * depth)
        yield a, b, s
        a = a + rho * depth * (b @ s.T @ s - a)


def next_momentum(a, s, b_before, step):
    """`B_{l-1} = (1 - rho L~) B_l + rho L~ relu'(A) * (s B_l^T B_l)` for `B_l`, by fixed-point iteration."""
    b = b_before
    for _ in range(200):
        back = (b.T @ b @ s.T).T[:-1] * (a > 0)
        b = (b_before - step * back) / (1 - step)
    return b


@given(st.integers(0, 500), st.sampled_from([0.3, 1.0, 3.0]), st.sampled_from([1e-2, 1e-4, 1e-5]))
def test_the_papers_bounds(seed, depth, gamma_0):
    """Oracle 4: `-(len/L~ + sqrt(gamma c))^2 <= -(2/L~) H - min COI <= gamma c`, `c` the largest `||B||^2`.

    Discretely: H at the layer of least COI for the upper bound, at the slowest layer for the lower.
    """
    random = np.random.default_rng(seed)
    a0, b0 = random.uniform(0.2, 1.5, size=(3, 8)), 0.1 * random.normal(size=(3, 8))
    rows = []
    for a, b, s in critical_path(a0, b0, depth, 20):
        sums, p = moments(a.T, s.T), depth * b
        identity = cost_of_identity(sums, gamma_0)
        momentum = MomentumMoments(p @ s.T, float(np.vdot(p, a)), float(np.vdot(p, p)))
        energy = energies(sums, identity, p @ s.T, depth, momentum)
        speed = np.sqrt(2 * depth * energy.kinetic_energy)
        rows.append((identity.cost, energy.rank_from_hamiltonian, speed, identity.gamma, energy.momentum_norm))
    costs, ranks, speeds, gammas, momenta = np.array(rows).T
    bounds = hamiltonian_bounds(costs, ranks, speeds, gammas, momenta, np.full(20, 1 / 20), depth)
    rounding = 1e-8 * max(1.0, np.abs(ranks).max())
    assert bounds.upper_margin >= -rounding and bounds.lower_margin >= -rounding
    assert bounds.upper_value >= bounds.lower and bounds.lower <= 0 <= bounds.upper


@pytest.mark.parametrize("gamma_0", [0.0, -1.0, float("nan")])
def test_gamma_must_be_positive(gamma_0):
    a, s, _ = draw((2, 5, 0))
    with pytest.raises(ValueError, match="gamma_0"):
        cost_of_identity(moments(a.T, s.T), gamma_0)


def test_values_that_are_not_finite_and_features_that_vanish_are_refused():
    a, s, _ = draw((2, 5, 0))
    with pytest.raises(InvalidInputError, match="NaN"):
        cost_of_identity(moments(np.full_like(a, np.nan).T, s.T * np.nan))
    with pytest.raises(InvalidInputError, match="zero"):
        cost_of_identity(moments(a.T, 0 * s.T))
    with pytest.raises(ValueError, match=r"\(5, 2\)"):
        moments(a.T, s)


def test_spectra_of_known_matrices():
    np.testing.assert_allclose(singular_values(np.diag([4.0, 9.0, 0.0])), [3, 2, 0])
    assert stable_rank(np.array([2.0, 1.0])) == pytest.approx(1.25)
    assert participation_ratio(np.diag([1.0, 1.0, 0.0])) == pytest.approx(2.0)
    assert stable_rank(np.zeros(3)) is None and participation_ratio(np.zeros((2, 2))) is None
