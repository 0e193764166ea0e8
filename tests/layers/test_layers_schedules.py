"""Every schedule keeps its guarantees; the rules do what their formulas say."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers import SCHEDULES, Irregular, Schedule, StepSizes, get_schedule
from leaky_zoo.layers.schedules.base import bounded_simplex
from leaky_zoo.layers.schedules.hamiltonian import minimal_norm_steps

NAMES = ["equidistant", "irregular", "adaptive", "learnable", "hamiltonian", "equidistributing", "local_error"]
depths = st.integers(1, 40)
effective_depths = st.sampled_from([0.0, 0.3, 1.0, 3.0, 7.0, 12.0])


def assert_guarantees(steps, effective_depth, cap=0.9):
    assert (steps > 0).all()
    assert steps.sum() == pytest.approx(1.0, abs=5e-7)
    assert steps.max() * effective_depth <= cap * (1 + 1e-6)


@pytest.mark.parametrize("name", NAMES)
@given(depth=depths, effective_depth=effective_depths)
def test_guarantees_or_a_refusal_that_says_what_would_do(name, depth, effective_depth):
    try:
        steps = StepSizes(depth, effective_depth, name)
    except InvalidInputError as refusal:
        enough = int(str(refusal).split("depth >= ")[1].split()[0])
        assert enough > depth
        steps = StepSizes(enough, effective_depth, name)
    steps.build()
    assert_guarantees(steps.rho, effective_depth)


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name):
    steps = StepSizes(12, 3.0, name)
    again = StepSizes.from_config(steps.get_config())
    assert again.get_config() == steps.get_config()
    assert type(again.schedule) is SCHEDULES[name]


@given(st.integers(2, 30), st.floats(-3.99, 3.99))
def test_irregular_is_symmetric_and_small_at_the_ends_or_large_there(depth, amplitude):
    steps = Irregular(amplitude).initial(depth, 0.0)
    np.testing.assert_allclose(steps, steps[::-1], rtol=1e-12)
    assert np.sign(amplitude) * steps[0] <= np.sign(amplitude) * steps[depth // 2] * (1 + 1e-12) + 1e-12
    assert steps.min() > 0


def random_path(seed, depth=8, effective_depth=3.0, moving=True):
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=(30, 4))]
    for row in range(depth):
        still = not moving or row in (2, 3)
        arrays.append(arrays[-1] + (0 if still else random.uniform(0, 1)) * random.normal(size=(30, 4)))
    features = [np.hstack([np.maximum(a, 0), np.ones((30, 1))]) for a in arrays[:-1]]
    return ProbePath(arrays, features, effective_depth, lambda row, a: a**2)


@pytest.mark.parametrize("name", ["adaptive", "hamiltonian", "equidistributing", "local_error"])
@pytest.mark.parametrize("moving", [True, False])
@given(seed=st.integers(0, 99), effective_depth=st.sampled_from([0.0, 0.5, 3.0, 6.0]))
def test_updates_keep_the_guarantees(name, moving, seed, effective_depth):
    schedule = get_schedule({"name": name, "damping": 1.0})
    steps = np.full(8, 1 / 8)
    for _ in range(3):
        steps = schedule.update(steps, random_path(seed, effective_depth=effective_depth, moving=moving))
        assert_guarantees(steps, effective_depth)
        assert steps.min() >= schedule.floor / 8 * (1 - 1e-9)


def test_adaptive_rule_is_the_papers_where_no_bound_is_active():
    path = random_path(3)
    arrays = [path.representations[0] * (1 + 0.1 * row**2) for row in range(9)]  # all layers move
    path = ProbePath(arrays, [np.maximum(a, 0) for a in arrays[:-1]], 3.0)
    rho = np.full(8, 1 / 8)
    speed = path.distances() / (rho * path.norms())
    expected = (1 / speed) / (1 / speed).sum()
    moved = get_schedule({"name": "adaptive", "damping": 0.05, "floor": 0.01}).update(rho, path)
    np.testing.assert_allclose(moved, rho + 0.05 * (expected - rho), rtol=1e-9)


@given(st.integers(0, 200), st.sampled_from([0.5, 3.0, 7.0]))
def test_minimal_norm_steps_minimise_the_parameter_norm(seed, effective_depth):
    """Against SLSQP on `sum_l rho_l ||W_l||^2 = sum_l k_l^2 / rho_l + L~^2 rho_l COI_l + const`, least norm `W_l`."""
    random = np.random.default_rng(seed)
    k, costs = random.uniform(0.1, 2, 6), random.uniform(1, 10, 6)
    low, high = 0.3 / 6, min(1.0, 1.4 / effective_depth)

    def norm(rho):
        return np.sum(k**2 / rho + effective_depth**2 * rho * costs)

    steps = minimal_norm_steps(k, costs, effective_depth, low, high)
    assert steps.sum() == pytest.approx(1) and (steps >= low - 1e-12).all() and (steps <= high + 1e-12).all()
    found = minimize(
        norm, np.full(6, 1 / 6), bounds=[(low, high)] * 6, constraints={"type": "eq", "fun": lambda r: r.sum() - 1},
        options={"maxiter": 500, "ftol": 1e-12},
    )  # fmt: skip
    assert norm(steps) <= found.fun * (1 + 1e-6)


def test_the_hamiltonian_is_constant_where_no_bound_is_active():
    k, costs = np.array([1.0, 1.2, 0.9, 1.1]), np.array([2.0, 2.2, 2.1, 1.9])
    steps = minimal_norm_steps(k, costs, 3.0, 1e-3, 1.0)
    energy = (k / (3.0 * steps)) ** 2 - costs
    np.testing.assert_allclose(energy, energy[0], rtol=1e-8)


def test_without_leak_the_steps_are_the_lengths():
    k = np.array([1.0, 3.0, 0.0])
    np.testing.assert_allclose(minimal_norm_steps(k, np.ones(3), 0.0, 1e-9, 1.0), [0.25, 0.75, 0], atol=1e-6)
    np.testing.assert_allclose(minimal_norm_steps(0 * k, np.ones(3), 0.0, 1e-9, 1.0), 1 / 3)


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=20))
def test_bounded_simplex(weights):
    depth = len(weights)
    shares = bounded_simplex(np.array(weights), 0.2 / depth, min(1.0, 2.5 / depth))
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= 0.2 / depth - 1e-12 and shares.max() <= min(1.0, 2.5 / depth) + 1e-12
    order = np.argsort(weights, kind="stable")
    assert (np.diff(shares[order]) >= -1e-12).all()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("equidistent", "did you mean 'equidistant'"),
        ({"name": "irregular", "amplitude": 4.0}, "amplitude=4.0"),
        ({"name": "irregular", "slope": 1}, "slope"),
        ({"name": "adaptive", "damping": 0}, "damping=0"),
        ({"name": "adaptive", "interval": 0}, "interval=0"),
        ({"name": "hamiltonian", "floor": 1.5}, "floor=1.5"),
        ({"name": "hamiltonian", "gamma_0": 0}, "gamma_0=0"),
        ({"name": "hamiltonian", "tolerance": -1}, "tolerance=-1"),
        ({"name": "hamiltonian", "freeze_at": 2}, "freeze_at=2"),
        ({"name": "learnable", "cap": 1.0}, "cap=1.0"),
        ({"name": "learnable", "gain": 0}, "gain=0"),
        ({"name": "learnable", "entropy": -1}, "entropy=-1"),
        ({"name": "learnable", "start_at": [1, -1]}, "start_at="),
        ({"name": "fixed", "step_sizes": "all"}, "step_sizes=all"),
        ({"name": "equidistributing", "alpha": -1}, "alpha=-1"),
        ({"name": "equidistributing", "beta": 3}, "beta=3"),
        ({"name": "equidistributing", "norm": "l2"}, "norm='l2'"),
        ({"name": "equidistributing", "gamma_0": 0}, "gamma_0=0"),
        ({"name": "equidistributing", "alpha": float("inf")}, "alpha=inf"),
        ({"name": "irregular", "amplitude": float("nan")}, "amplitude=nan"),
        ({"amplitude": 1}, "name"),
        (7, "7"),
    ],
)
def test_bad_schedules_are_named(schedule, message):
    with pytest.raises(InvalidInputError, match=message):
        StepSizes(10, 1.0, schedule)


def test_bad_bounds_are_refused():
    with pytest.raises(InvalidInputError, match="cannot sum to 1"):
        minimal_norm_steps(np.ones(4), np.ones(4), 1.0, 0.3, 0.9)
    for arguments in ((0, 1.0), (5, -1.0), (5, float("nan"))):
        with pytest.raises(InvalidInputError, match="Received"):
            StepSizes(*arguments)


def test_assign_checks_what_it_is_given():
    steps = StepSizes(4, 2.0)
    steps.build()
    steps.assign([0.1, 0.4, 0.4, 0.1])
    np.testing.assert_allclose(steps.rho, [0.1, 0.4, 0.4, 0.1], atol=1e-7)
    for bad in ([0.5, 0.5], [0.3, 0.3, 0.3, 0.3], [0.0, 0.4, 0.4, 0.2], [0.46, 0.2, 0.2, 0.14]):
        with pytest.raises(InvalidInputError):
            steps.assign(bad)
    learnable = StepSizes(4, 2.0, "learnable")
    learnable.build()
    with pytest.raises(InvalidInputError, match="learns"):
        learnable.assign([0.25] * 4)


def test_a_users_schedule_is_one_class(tmp_path):
    class Halving(Schedule):
        name = "halving_for_test"

        def initial(self, depth, effective_depth):
            shares = 0.5 ** np.arange(depth)
            return shares / shares.sum()

    from leaky_zoo.networks import LeakyMLP

    network = LeakyMLP((3,), 2, width=4, depth=3, effective_depth=1.0, schedule="halving_for_test")
    np.testing.assert_allclose(network.paths[0].step_sizes, np.array([4, 2, 1]) / 7, atol=1e-7)
    network.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded.paths[0].step_sizes, network.paths[0].step_sizes)
    with pytest.raises(InvalidInputError, match="already"):
        type("Other", (Schedule,), {"name": "equidistant", "initial": Halving.initial})
    del SCHEDULES["halving_for_test"]


@pytest.mark.parametrize("shares", [[-1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.0, 0.5, 0.5], [0.5, 0.5]])
def test_a_users_start_is_checked(shares):
    class Careless(Schedule):
        def initial(self, depth, effective_depth):
            return np.array(shares)

    with pytest.raises(InvalidInputError, match="3 positive numbers"):
        Careless().start(3, 0.5)


def test_a_cap_that_no_depth_satisfies_is_said_to_be_one():
    class Halving(Schedule):
        def initial(self, depth, effective_depth):
            shares = 0.5 ** np.arange(min(depth, 40))
            return np.append(shares, np.full(depth - len(shares), 1e-12)) / (
                shares.sum() + (depth - len(shares)) * 1e-12
            )

    with pytest.raises(InvalidInputError, match="No other depth"):
        Halving().start(9, 7.0)


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_fixed_steps_are_the_given_ones_at_their_depth(depth):
    numbers = np.arange(1.0, depth + 1)
    steps = StepSizes(depth, 0.5, {"name": "fixed", "step_sizes": numbers.tolist()})
    steps.build()
    np.testing.assert_allclose(steps.rho, numbers / numbers.sum(), atol=1e-7)
    with pytest.raises(InvalidInputError, match=f"There are {depth} step sizes"):
        StepSizes(depth + 1, 0.5, steps.schedule)
    with pytest.raises(InvalidInputError, match="No other depth"):
        StepSizes(depth, 5 * depth, steps.schedule)


@pytest.mark.parametrize("norm", ["k", "euclidean"])
def test_equidistributing_shares_out_its_monitor(norm):
    path = random_path(3)
    arrays = [path.representations[0] * (1 + 0.1 * row**2) for row in range(9)]  # all layers move
    path = ProbePath(arrays, [np.maximum(a, 0) for a in arrays[:-1]], 3.0)
    rho = np.full(8, 1 / 8)
    lengths = path.k_distances(1e-5) if norm == "k" else path.distances()
    monitor = (0.2 * (lengths / rho).mean() + lengths / rho) ** -0.5
    schedule = get_schedule({"name": "equidistributing", "alpha": 0.2, "norm": norm, "damping": 0.05, "floor": 0.01})
    np.testing.assert_allclose(schedule.update(rho, path), rho + 0.05 * (monitor / monitor.sum() - rho), rtol=1e-9)


def test_a_path_in_float32_is_measured_in_float64():
    exact = random_path(3)
    arrays = [a.astype("float32") for a in exact.representations]
    features = [np.maximum(a, 0) for a in arrays[:-1]]
    single = ProbePath(arrays, features, 3.0, lambda row, a: a**2)
    widened = ([a.astype("float64") for a in part] for part in (arrays, features))
    double = ProbePath(*widened, 3.0, lambda row, a: a**2)
    assert single.representations[0].dtype == np.float32
    rho = np.full(8, 1 / 8)
    for measure in (
        ProbePath.distances, ProbePath.norms, lambda p: p.k_distances(1e-5), lambda p: p.costs_of_identity(1e-5),
        lambda p: p.half_step_errors(rho),
    ):  # fmt: skip
        np.testing.assert_array_equal(measure(single), measure(double))


def test_half_steps_by_hand():
    """`A' = -2 A + w relu(A)`, one sample of width 1: from 1 at rho = 0.25 with w = 6 to 2; by halves to 2.25."""
    path = ProbePath(
        [np.ones((1, 1)), np.full((1, 1), 2.0)], [np.ones((1, 1))], 2.0, lambda row, a: 6 * np.maximum(a, 0)
    )
    assert path.half_step_errors(np.array([0.25])) == pytest.approx([0.25])
    with pytest.raises(ValueError, match="weighted"):
        ProbePath(path.representations, [np.ones((1, 1))], 2.0).half_step_errors(np.array([0.25]))


def test_local_errors_become_equal_on_a_linear_flow():
    """On `dA/dp = g(p) A` every step's relative error is `(rho g / 2)^2` to first order, so `rho g` becomes equal."""
    growth = np.array([1.0, 2.0, 4.0, 2.0])

    def path(rho):
        a = [np.ones((1, 1))]
        for step, rate in zip(rho, growth, strict=True):
            a.append(a[-1] * (1 + step * rate))
        return ProbePath(a, a[:-1], 0.0, lambda row, at: growth[row] * at)

    schedule = get_schedule({"name": "local_error", "damping": 1.0, "floor": 0.01})
    rho = np.full(4, 1 / 4)
    for _ in range(40):
        rho = schedule.update(rho, path(rho))
    errors = path(rho).half_step_errors(rho) / path(rho).norms()
    np.testing.assert_allclose(errors, errors.mean(), rtol=1e-6)
    np.testing.assert_allclose(rho * growth, (rho * growth).mean(), rtol=1e-6)


def test_schedules_keep_a_path_that_stands_still():
    still = [np.ones((3, 2))] * 5
    path = ProbePath(still, [np.ones((3, 2))] * 4, 1.0, lambda row, a: a)
    for name in ("equidistributing", "local_error"):
        np.testing.assert_array_equal(get_schedule(name).update(np.full(4, 0.25), path), np.full(4, 0.25))
