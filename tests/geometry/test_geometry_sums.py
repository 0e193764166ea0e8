"""Accumulated moments, the recursion over a step, plateaus and bounds: against brute force and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.geometry import (
    MomentSums,
    MomentumSums,
    cost_of_identity,
    cost_of_identity_sweep,
    cost_of_identity_sweeps,
    cross_to_next,
    find_plateau,
    linear_cka,
    moments,
    nuclear_norm_rank,
    outer_after_step,
    singular_values,
    squared_length,
    within_class_fractions,
)

GAMMAS = 10.0 ** np.arange(-8, -0.9, 0.25)
cases = st.tuples(st.integers(1, 9), st.integers(1, 40), st.booleans(), st.integers(0, 2**31))


def draw(case):
    width, samples, ones, seed = case
    random = np.random.default_rng(seed)
    a = random.normal(size=(samples, width))
    s = np.maximum(a, 0)
    return a, s, np.hstack([s, np.ones((samples, 1))]) if ones else s, random


@given(cases, st.integers(1, 39))
def test_accumulated_moments_are_the_moments(case, cut):
    a, s, features, _ = draw(case)
    sums = MomentSums(a.shape[1], s.shape[1], case[2])
    for part in (slice(0, cut), slice(cut, None)):
        sums.add(np.ascontiguousarray(a[part]), np.ascontiguousarray(s[part]))
    found, whole = sums.moments(), moments(a, features)
    assert found.count == whole.count
    for name in ("gram", "cross", "outer", "total", "squared"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-12, atol=1e-12)


def test_float32_products_are_summed_in_float64():
    """Within a batch float32 may round; what is kept over batches does not."""
    a = np.full((1000, 2), 1.0 + 2.0**-20, dtype=np.float32)
    sums = MomentSums(2, 2, True, products="float32")
    for _ in range(50):
        sums.add(a, a)
    exact = 50_000 * (1 + 2.0**-20) ** 2
    assert sums.moments().gram[0, 0] == pytest.approx(exact, rel=3e-6)  # a thousand products in float32
    assert sums.moments().squared == pytest.approx(2 * exact, rel=1e-12)
    with pytest.raises(ValueError, match="float16"):
        MomentSums(2, 2, True, products="float16")


@given(cases)
def test_momentum_sums(case):
    a, s, features, random = draw(case)
    gradient = random.normal(size=a.shape)
    sums = MomentumSums(a.shape[1], s.shape[1], case[2])
    sums.add(gradient, a, s)
    np.testing.assert_allclose(sums.features(), gradient.T @ features, rtol=1e-12, atol=1e-12)
    assert sums.trace == pytest.approx(float(np.vdot(gradient, a)), abs=1e-12 * a.size)
    assert sums.squared == pytest.approx(float(np.vdot(gradient, gradient)))


@given(cases, st.sampled_from([0.0, 1.0, 7.0]), st.sampled_from([0.05, 0.12]))
def test_a_step_of_moments_is_the_moments_of_the_step(case, depth, step):
    a, _, features, random = draw(case)
    weights = random.normal(size=(a.shape[1], features.shape[1]))
    leak = 1 - step * depth
    after = leak * a + step * features @ weights.T
    before = moments(a, features)
    scale = float(np.abs(after.T @ after).max()) + 1
    np.testing.assert_allclose(outer_after_step(before, weights, leak, step), after.T @ after, atol=1e-12 * scale)
    np.testing.assert_allclose(cross_to_next(before, weights, leak, step), a.T @ after, atol=1e-12 * scale)
    assert squared_length(before, weights, depth, step) == pytest.approx(np.sum((after - a) ** 2), rel=1e-9)


@given(cases, st.sampled_from([1e-1, 1e-3, 1e-6]))
def test_the_sweep_is_the_solve(case, gamma_0):
    a, _, features, _ = draw(case)
    if not features.any():
        return
    identity = cost_of_identity(moments(a, features), gamma_0)
    costs, fractions = cost_of_identity_sweep(moments(a, features), [gamma_0])
    assert costs[0] == pytest.approx(identity.cost, rel=1e-8)
    assert fractions[0] == pytest.approx(identity.out_of_image_fraction, abs=1e-12)


@given(st.integers(1, 12), st.floats(0.02, 1.0), st.integers(0, 60), st.floats(1e-5, 1e-4), st.integers(0, 2**31))
def test_a_gap_in_the_spectrum_is_a_plateau_at_its_rank(rank, least, others, small, seed):
    """`rank` directions of amplitude `least` or more above `others` of amplitude `small`: COI says `rank`."""
    random = np.random.default_rng(seed)
    amplitudes = np.concatenate([[1.0], random.uniform(least, 1.0, rank - 1), np.full(others, small)])
    variances = amplitudes**2
    plateau = find_plateau(GAMMAS, [np.sum(variances / (variances + gamma)) for gamma in GAMMAS])
    assert plateau is not None and plateau.rank == rank
    assert plateau.low <= rank <= plateau.high
    assert plateau.cost_of_identity == pytest.approx(rank, abs=0.3)


def test_shortfall_and_excess_cancel_at_the_flattest_point():
    variances = np.concatenate([np.full(4, 0.05), np.full(60, 1e-7)])
    fine = 10.0 ** np.arange(-8, -0.9, 0.01)
    costs = np.array([np.sum(variances / (variances + gamma)) for gamma in fine])
    flattest = np.argmin(np.abs(np.gradient(np.log(costs))))
    shortfall, excess = 4 * fine[flattest] / 0.05, 60 * 1e-7 / fine[flattest]
    assert shortfall == pytest.approx(excess, rel=0.05) and shortfall > 0.01
    assert costs[flattest] == pytest.approx(4.0, abs=0.003)


@pytest.mark.parametrize("costs", [GAMMAS**-0.3, np.full(29, np.nan), np.zeros(29), [3.0, 3.0]])
def test_what_is_no_plateau(costs):
    assert find_plateau(GAMMAS[: len(costs)], costs) is None


@given(cases)
def test_linear_cka_against_its_definition(case):
    a, _, _, random = draw(case)
    b = random.normal(size=(len(a), 3)) + a[:, :1]
    x, y = a - a.mean(0), b - b.mean(0)
    gram_x, gram_y = x @ x.T, y @ y.T
    scale = np.linalg.norm(gram_x) * np.linalg.norm(gram_y)
    found = linear_cka(x.T @ y, x.T @ x, y.T @ y)
    if scale == 0:
        assert found is None
    else:
        assert found == pytest.approx(np.vdot(gram_x, gram_y) / scale, rel=1e-9)


def test_class_variances_against_the_samples():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    a = random.normal(size=(200, 4)) + 3 * np.eye(4)[labels]
    counts = np.bincount(labels, minlength=4)
    totals = np.array([a[labels == c].sum(0) for c in range(4)])
    squares = np.array([(a[labels == c] ** 2).sum() for c in range(4)])
    fraction, each = within_class_fractions(counts, totals, squares)
    variance = a.var(axis=0).sum()
    within = [a[labels == c].var(axis=0).sum() for c in range(3)]
    assert fraction == pytest.approx(np.average(within, weights=counts[:3]) / variance)
    assert each[:3] == pytest.approx([w / variance for w in within]) and each[3] is None
    assert within_class_fractions(counts, np.zeros((4, 4)), np.zeros(4)) == (None, [None] * 4)


def test_nuclear_norm_rank_is_between_one_and_the_rank():
    values = singular_values(np.diag([9.0, 4.0, 0.0]))
    assert nuclear_norm_rank(values) == pytest.approx(25 / 13)
    assert nuclear_norm_rank(np.zeros(3)) is None


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([1, 9]),
    st.booleans(),
)
def test_sums_of_what_is_never_negative_are_made_once(batches, patch, ones):
    """Batches that are among their own features and batches that are not, in any order: units or middles of patches."""
    random, width = np.random.default_rng(len(batches)), 3
    sums, columns, features = MomentSums(width, patch * width, ones), [], []
    middle = slice(patch // 2 * width, (patch // 2 + 1) * width)
    for count, negative in batches:
        s = random.uniform(size=(count, patch * width))
        a = s[:, middle].copy()
        if negative:
            s[:, middle][0], a[0] = 0.0, -1.0
        sums.add(a, s, repeated=not negative)
        columns.append(a)
        features.append(s)
    a, s = np.concatenate(columns), np.concatenate(features)
    s = np.hstack([s, np.ones((len(s), 1))]) if ones else s
    for found, expected in ((sums.moments(), moments(a, s)), (sums.rectified_moments(), moments(s[:, middle], s))):
        for name in ("count", "gram", "cross", "outer", "total", "squared", "rectified"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)
        if not found.gram.any():
            continue
        costs, fractions = cost_of_identity_sweep(found, GAMMAS)
        plain, plain_fractions = cost_of_identity_sweep(expected, GAMMAS)
        np.testing.assert_allclose(costs, plain, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(fractions, plain_fractions, atol=1e-12)


def test_one_decomposition_for_all_with_the_same_features():
    random = np.random.default_rng(0)
    a = random.normal(size=(200, 6))
    s = np.maximum(a, 0)
    both = [moments(a, s), moments(s, s)]
    for found, alone in zip(cost_of_identity_sweeps(both, GAMMAS), both, strict=True):
        np.testing.assert_array_equal(found, cost_of_identity_sweep(alone, GAMMAS))


@given(st.integers(1, 6), st.integers(40, 70), st.booleans(), st.integers(0, 2**31))
def test_fewer_samples_than_units(samples, width, negative, seed):
    """The decomposition of the few directions that there are is the whole one."""
    random = np.random.default_rng(seed)
    a = random.normal(size=(samples, width)) if negative else random.uniform(size=(samples, width))
    a *= 10.0 ** random.uniform(-3, 0, (samples, 1))
    s = np.hstack([np.maximum(a, 0), np.ones((samples, 1))])
    found = moments(a, s)
    values = singular_values(found.outer, samples)
    exact = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(values[:samples], exact, rtol=0, atol=1e-7 * exact[0])
    assert len(values) == width and not values[samples:].any()
    costs, fractions = cost_of_identity_sweep(found, GAMMAS)
    whole = [cost_of_identity(found, gamma) for gamma in GAMMAS]
    np.testing.assert_allclose(costs, [each.cost for each in whole], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fractions, [each.out_of_image_fraction for each in whole], rtol=0, atol=1e-12)
