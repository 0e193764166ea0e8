"""The audit: what it measures on nets whose answer is known, and what it says when a number means nothing."""

import json
from itertools import pairwise
from pathlib import Path

import jsonschema
import keras
import numpy as np
import pytest

from leaky_zoo.analysis import SCHEMA_VERSION, Audit, analyze
from leaky_zoo.analysis.dimensions import intrinsic_dimensions
from leaky_zoo.analysis.schema import SCHEMA_FILE, audit_schema
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures import plot_audit
from leaky_zoo.geometry import cost_of_identity, energies, moments
from leaky_zoo.networks import LeakyConvNet, LeakyMLP


def small_net(effective_depth=2.0, weight_decay=1e-3, **changes):
    arguments = {"width": 6, "depth": 5, "effective_depth": effective_depth, "weight_decay": weight_decay, **changes}
    return LeakyMLP((4,), 3, **arguments)


@pytest.fixture
def samples():
    random = np.random.default_rng(0)
    return random.normal(size=(60, 4)).astype("float32"), random.integers(0, 3, 60)


def test_rows_are_the_steps_with_energies_at_their_input(samples):
    x, y = samples
    network = small_net()
    audit = analyze(network, x, y)
    representations = [np.asarray(a, dtype=float) for a in network.representations(x)]
    for row, layer in enumerate(audit.layers):
        block = network.blocks[row]
        sums = moments(representations[row], block.features(representations[row]))
        identity = cost_of_identity(sums, audit.gamma_0)
        expected = energies(sums, identity, block.weight_matrix, network.effective_depth)
        assert layer.layer == row + 1
        assert layer.cost_of_identity == pytest.approx(identity.cost, rel=1e-2)  # representations of Keras are float32
        assert layer.kinetic_energy == pytest.approx(expected.kinetic_energy, rel=1e-2)
        spectrum = np.linalg.svd(representations[row + 1], compute_uv=False) / np.sqrt(len(x))
        np.testing.assert_allclose(layer.singular_values[:3], spectrum[:3], rtol=1e-4)
    assert audit.layers[-1].position == pytest.approx(1.0)


def test_kinetic_cross_and_potential_sum_to_the_weights(samples):
    audit = analyze(small_net(), *samples)
    network_norms = [layer.weight_norm**2 / (2 * 2.0) for layer in audit.layers]
    for layer, norm in zip(audit.layers, network_norms, strict=True):
        total = layer.kinetic_energy + layer.cross_term - layer.potential_energy
        assert 0 < total <= norm * (1 + 1e-9)


@pytest.mark.tensorflow_only  # float64; JAX computes in float32 unless told otherwise
def test_criticality_residual_is_the_gradient_of_the_objective():
    """`dObjective/dW_l = mu rho_l (W_l - P_l s^T)`: by finite differences of loss and penalty in float64."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(1)
    x, y = random.normal(size=(20, 4)), random.normal(size=(20, 2))
    network = LeakyMLP((4,), 2, task="regression", width=5, depth=4, weight_decay=1e-2, dtype="float64")
    audit = analyze(network, x, y)
    block, mu, rho = network.blocks[1], 1e-2, network.paths[0].step_sizes[1]
    weights = block.weight_matrix

    def objective(matrix):
        block.assign_weight_matrix(matrix)
        return float(network.loss_function()(y, network(x))) + float(network.penalty())

    direction = random.normal(size=weights.shape)
    slope = (objective(weights + 1e-6 * direction) - objective(weights - 1e-6 * direction)) / 2e-6
    block.assign_weight_matrix(weights)
    from leaky_zoo.flow import collect

    momentum = collect(network, x, y).momenta(mu)[0][1]
    assert slope == pytest.approx(mu * rho * np.vdot(weights - momentum.features, direction), rel=1e-5)
    residual = np.linalg.norm(weights - momentum.features) / np.linalg.norm(weights)
    assert audit.layers[1].criticality_residual == pytest.approx(residual)


def test_known_rank_on_a_path_that_does_not_move():
    """Non-negative representations of rank 3, identity weights without biases: COI is 3 at every layer."""
    random = np.random.default_rng(2)
    network = LeakyMLP((6,), 2, width=6, depth=4, effective_depth=2.0, use_bias=False, weight_decay=1e-3)
    network.get_layer("stem").set_weights([np.eye(6), np.zeros(6)])
    for block in network.blocks:
        block.assign_weight_matrix(2.0 * np.eye(6))  # W relu(A) = L~ A, so dA/dp = 0
    x = random.uniform(1, 2, size=(200, 3)) @ random.uniform(size=(3, 6))
    audit = analyze(network, x, np.zeros(200, int), gamma_0=1e-8)
    for layer in audit.layers:
        assert layer.cost_of_identity == pytest.approx(3.0, abs=0.01)
        assert layer.kinetic_energy == pytest.approx(0.0, abs=1e-6)
        assert layer.potential_energy == pytest.approx(-layer.cost_of_identity)
    assert audit.summary["bottleneck_layers"]


def test_undefined_values_are_null_with_a_reason(samples):
    x, y = samples
    flat = analyze(small_net(effective_depth=0.0), x, y)
    assert flat.layers[0].potential_energy is None and flat.layers[0].rank_from_hamiltonian is None
    assert flat.layers[0].hamiltonian is not None
    assert {"potential_energy", "rank_from_hamiltonian"} <= flat.undefined.keys()
    half = analyze(small_net(), x)
    assert half.layers[0].hamiltonian is None and "targets" in half.undefined["hamiltonian"]
    free = analyze(small_net(weight_decay=0.0), x, y)
    assert free.layers[0].criticality_residual is None and "mu > 0" in free.undefined["criticality_residual"]


def test_warnings_say_when_a_number_means_nothing(samples):
    audit = analyze(small_net(), *samples, data={"name": "other", "split": "test"})
    assert any("critical point" in warning for warning in audit.warnings)
    assert any("training split" in warning for warning in audit.warnings)


def test_convolution_counts_positions(samples):
    network = LeakyConvNet((6, 6, 1), 3, width=3, depth=4, weight_decay=1e-3, data_format="channels_last")
    x = np.random.default_rng(3).normal(size=(10, 6, 6, 1))
    audit = analyze(network, x, samples[1][:10], batch_size=4)
    assert (audit.n, audit.columns) == (10, 10 * 3 * 3)
    assert all(layer.criticality_residual > 0 for layer in audit.layers)


def test_json_round_trip_and_schema(samples, tmp_path):
    audit = analyze(small_net(), *samples)
    audit.save(tmp_path / "audit.json")
    assert Audit.load(tmp_path / "audit.json") == audit
    published = json.loads(SCHEMA_FILE.read_text())
    assert published == json.loads(json.dumps(audit_schema())), "run python -m leaky_zoo.analysis.schema"
    jsonschema.validate(audit.to_dict(), published)
    broken = {**audit.to_dict(), "n": "many"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, published)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": "0.1"}', '{"schema_version": "1.0"}'])
def test_what_is_no_audit_is_refused(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(InvalidInputError):
        Audit.load(tmp_path / "audit.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma_0": 0.0}, "gamma_0=0.0"),
        ({"x": np.zeros((3, 5))}, r"\(3, 5\)"),
        ({"x": np.full((60, 4), np.nan)}, "NaN"),
        ({"y": np.zeros(3, int)}, "60 and 3"),
        ({"x": np.zeros((0, 4)), "y": np.zeros(0, int)}, "length 0"),
    ],
)
def test_bad_input_is_named(samples, change, message):
    arguments = {"x": samples[0], "y": samples[1], **change}
    with pytest.raises(InvalidInputError, match=message):
        analyze(small_net(), **arguments)


def test_plot_has_four_labelled_panels(samples):
    figure = plot_audit(analyze(small_net(), *samples))
    assert len(figure.axes) == 4
    assert all(axes.get_xlabel() and axes.get_ylabel() and axes.get_title() for axes in figure.axes)


def test_an_audit_of_the_first_schema_still_loads():
    """A file that version 0.1 wrote; what it did not measure is None."""
    old = Audit.load(Path(__file__).parent / "data" / "audit_1_0.json")
    assert (old.schema_version, old.kind, old.n, len(old.layers)) == (SCHEMA_VERSION, "path", 40, 3)
    assert old.bottleneck_rank is None and old.layers[0].plateau is None
    assert old.layers[0].hamiltonian is not None and old.layers[2].weight_gap is not None
    assert Audit.from_dict(old.to_dict()) == old
    assert plot_audit(old).axes


def test_an_audit_of_schema_2_0_loads_with_none_for_what_it_lacks(samples):
    audit = analyze(small_net(), *samples)
    old, new = {**audit.to_dict(), "schema_version": "2.0"}, ("path", "negative_share", "relu_effect")
    old["layers"] = [{key: value for key, value in layer.items() if key not in new} for layer in old["layers"]]
    del old["paths"], old["bottleneck_rank"]["weight_directions"], old["summary"]["linear_stretch"]
    loaded = Audit.from_dict(old)
    assert loaded.schema_version == SCHEMA_VERSION and loaded.layers[0].negative_share is None
    assert loaded.layers[0].hamiltonian == audit.layers[0].hamiltonian
    assert [path.name for path in loaded.per_path()] == ["path"]
    assert 0 <= audit.layers[0].negative_share <= 1 and audit.layers[0].path == "path"
    assert plot_audit(loaded).axes


def test_differences_name_what_changed(samples):
    x, y = samples
    network = small_net()
    first = analyze(network, x, y)
    assert first.diff(first).comparable and not first.diff(first).layers
    network.blocks[2].assign_weight_matrix(2 * network.blocks[2].weight_matrix)
    second = analyze(network, x, y)
    change = first.diff(second)
    assert change.comparable and change.layers[(3, "weight_norm")][1] == pytest.approx(2 * first.layers[2].weight_norm)
    assert (1, "weight_norm") not in change.layers and change.largest(3)[0][2] > 0.4
    assert not first.diff(analyze(network, x, y, gamma_0=1e-3)).comparable
    with pytest.raises(InvalidInputError, match="5 and 4"):
        first.diff(analyze(small_net(depth=4), x, y))


def test_a_data_frame_says_what_it_was_measured_with(samples):
    frame = analyze(small_net(), *samples, data={"name": "d", "split": "s"}).to_dataframe()
    assert len(frame) == 5 and set(frame["n"]) == {60} and set(frame["gamma_0"]) == {1e-5}
    assert set(frame["data"]) == {"d"} and frame["weights_sha256"].nunique() == 1
    assert {"cost_of_identity", "hamiltonian", "turning_angle"} <= set(frame.columns)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("n",), "many", "n"),
        (("layers", 0, "step_size"), "0.2", "layers.0.step_size"),
        (("layers", 0, "colour"), 1, "layers.0.colour"),
        (("bottleneck_rank", "low"), 1.5, "bottleneck_rank"),
        (("gamma_sweep",), None, "gamma_sweep"),
        (("loss",), float("nan"), "plain JSON"),
    ],
)
def test_a_wrong_field_is_named(samples, path, value, words):
    broken = analyze(small_net(), *samples).to_dict()
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(InvalidInputError, match=words):
        Audit.from_dict(broken)


def test_path_geometry_against_the_representations(samples):
    """Distances, turning angles, CKA and class variances from the sums are those of the representations."""
    x, y = samples
    network = small_net()
    audit = analyze(network, x, y)
    path = [np.asarray(a, dtype=float) for a in network.representations(x)]
    steps = [after - before for before, after in pairwise(path)]
    for row, layer in enumerate(audit.layers):
        assert layer.distance == pytest.approx(np.linalg.norm(steps[row]) / np.linalg.norm(path[row + 1]), rel=1e-5)
        one, two = (a - a.mean(0) for a in path[row : row + 2])
        cka = np.linalg.norm(one.T @ two) ** 2 / np.linalg.norm(one.T @ one) / np.linalg.norm(two.T @ two)
        assert layer.cka_with_previous == pytest.approx(cka, rel=1e-5)
        means = np.array([path[row + 1][y == c].mean(0) for c in range(3)])[y]
        spread = path[row + 1] - path[row + 1].mean(0)
        assert layer.within_class_fraction == pytest.approx(
            np.sum((path[row + 1] - means) ** 2) / np.sum(spread**2), rel=1e-5
        )
        if row + 1 < len(steps):
            cosine = np.vdot(steps[row], steps[row + 1]) / np.linalg.norm(steps[row]) / np.linalg.norm(steps[row + 1])
            assert layer.turning_angle == pytest.approx(np.degrees(np.arccos(cosine)), rel=1e-4)
    assert audit.layers[-1].turning_angle is None
    travelled = sum(layer.step_size * layer.speed for layer in audit.layers)
    assert audit.summary["path_length"] == pytest.approx(travelled) == audit.layers[-1].path_length


def test_intrinsic_dimensions_are_the_estimators_own():
    """One search of neighbours for both gives what scikit-dimension gives by itself; repeated rows are left out."""
    from skdim.id import MLE, TwoNN

    random = np.random.default_rng(0)
    sheet = random.normal(size=(300, 2)) @ random.normal(size=(2, 9)) + 0.01 * random.normal(size=(300, 9))
    found = intrinsic_dimensions(np.vstack([sheet, sheet[:50]]))
    assert found["two_nn_dimension"] == pytest.approx(TwoNN().fit(sheet).dimension_)
    assert found["mle_dimension"] == pytest.approx(MLE().fit(sheet).dimension_)
    assert set(intrinsic_dimensions(sheet[:20]).values()) == {None}
    assert set(intrinsic_dimensions(sheet[:, :1]).values()) == {None}
