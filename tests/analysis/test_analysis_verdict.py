"""The verdict: exact on nets built by hand, silent where nothing may be said."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from leaky_zoo.analysis import LayerAudit, analyze, analyze_part, merge_parts
from leaky_zoo.analysis.bottleneck import is_critical, judge
from leaky_zoo.analysis.verdict import warn
from leaky_zoo.data import content_sha256
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.zoo import from_preset


def static_net(width, rank, depth=6, effective_depth=3.0):
    """Non-negative representations of rank `rank` that stand still: `W relu(A) = L~ A` by a projection of that rank."""
    random = np.random.default_rng(rank)
    basis = np.eye(width)[:, :rank] + 0.3 * random.uniform(size=(width, rank))
    projection = basis @ np.linalg.pinv(basis)
    net = LeakyMLP((rank,), 2, width=width, depth=depth, effective_depth=effective_depth, use_bias=False,
                   weight_decay=1e-3)  # fmt: skip
    net.get_layer("stem").set_weights([basis.T, np.zeros(width)])
    for block in net.blocks:
        block.assign_weight_matrix(effective_depth * projection)
    return net, np.abs(random.normal(size=(300, rank))) + 0.1


@pytest.mark.parametrize("rank", [1, 2, 5, 8])
def test_rank_and_cost_of_identity_are_exact_on_a_projection(rank):
    net, x = static_net(10, rank)
    audit = analyze(net, x, np.zeros(len(x), int), gamma_0=1e-8)
    for layer in audit.layers:
        assert layer.cost_of_identity == pytest.approx(rank, abs=1e-3)
        assert layer.plateau["rank"] == rank and layer.weight_directions in (rank, None if rank == 8 else rank)
        assert layer.kinetic_energy == pytest.approx(0.0, abs=1e-5)
        assert layer.distance == pytest.approx(0.0, abs=1e-5)
        assert layer.lagrangian == pytest.approx(3.0 / 2 * rank, rel=1e-3)
    assert audit.summary["weight_norm_balance"] == pytest.approx(1.0)


def test_a_linear_path_has_the_rank_of_its_inputs():
    """Biases large enough to keep every unit positive: the net is linear, and COI is the rank of `A` and the ones."""
    random = np.random.default_rng(0)
    net = LeakyMLP((3,), 2, width=8, depth=5, effective_depth=2.0, weight_decay=1e-3)
    net.get_layer("stem").set_weights([random.uniform(0.5, 1, size=(3, 8)), np.zeros(8)])
    for block in net.blocks:
        block.assign_weight_matrix(np.hstack([2.0 * np.eye(8), np.zeros((8, 1))]))
    x = random.uniform(0.1, 1.0, size=(200, 3))
    audit = analyze(net, x, np.zeros(200, int), gamma_0=1e-9)
    assert [layer.plateau["rank"] for layer in audit.layers] == [3] * 5
    assert all(2.5 < layer.cost_of_identity <= 3.001 for layer in audit.layers)


@pytest.mark.parametrize("count", [1, 10, 64])
def test_fewer_samples_than_units_say_nothing_of_dimensions(count):
    net = LeakyMLP((4,), 3, width=64, depth=6)
    audit = analyze(net, np.random.default_rng(0).normal(size=(count, 4)))
    assert audit.bottleneck_rank.estimate is None
    assert audit.bottleneck_rank.verdict.startswith(f"too few samples: {count} column")
    for layer in audit.layers:
        assert layer.plateau is None and layer.on_plateau is False
        assert layer.written_directions is None or layer.written_directions <= count // 2 + 1


def test_a_net_that_is_constant_has_no_dimension_and_no_similarity():
    net = LeakyMLP((4,), 3, width=8, depth=4)
    net.get_layer("stem").kernel.assign(np.zeros((4, 8)))
    net.get_layer("stem").bias.assign(np.linspace(1, 2, 8))
    audit = analyze(net, np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3)
    assert all(layer.participation_ratio is None and layer.cka_with_previous is None for layer in audit.layers)


def test_what_is_left_out_says_why():
    net = LeakyMLP((4,), 3, width=8, depth=4, weight_decay=1e-3)
    x = np.random.default_rng(0).normal(size=(60, 4))
    without = analyze(net, x, np.arange(60) % 3, with_momenta=False)
    assert without.loss is None and without.layers[0].hamiltonian is None
    for name in ("hamiltonian", "criticality_residual", "loss"):
        assert "with_momenta=False" in without.undefined[name]
    assert "labels" in analyze(net, x).undefined["within_class_fraction"]


@pytest.mark.parametrize("task", ["regression", "autoencoding"])
def test_the_training_split_is_known_by_its_content_whatever_the_form_of_its_targets(task):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 4)).astype("float32"), random.normal(size=(60, 1)).astype("float32")
    itself = task == "autoencoding"
    stored = {"name": "mine", "split": "train", "sha256": content_sha256(x, None if itself else y)}
    net = LeakyMLP((4,), None if itself else 1, task=task, width=8, depth=5, weight_decay=1e-3, dataset=stored)
    for targets in (y, y[:, 0], y.astype(float).tolist(), *([None] if itself else [])):
        assert analyze(net, x, targets).data["is_training_split"] is True
    parts = [analyze_part(net, x, y[:, 0], (number, 2)) for number in (1, 2)]
    assert merge_parts(parts).data["is_training_split"] is True
    assert analyze(net, -x, y).data["is_training_split"] is False
    if not itself:
        assert analyze(net, x, -y).data["is_training_split"] is False


def test_a_converged_teacher_has_its_rank_named_without_its_weights():
    net = from_preset("leaky_mlp_teacher_k3_l7_equidistant")
    from leaky_zoo.data import load_data

    about = net.config.dataset
    audit = analyze(net, *load_data(about["name"]).select(about["split"]), data=about)
    rank = audit.bottleneck_rank
    assert rank.estimate == 4 and rank.low <= 4 <= rank.high
    assert set(rank.layers) >= {7, 8} and rank.verdict.startswith("bottleneck of rank 4 in layers")
    directions = {audit.layers[place - 1].weight_directions for place in rank.layers}
    assert directions == {4}
    assert audit.bounds["upper_margin"] > 0 and audit.bounds["lower_margin"] > 0
    assert not any("bound" in warning for warning in audit.warnings)
    other = analyze(net, *load_data(about["name"]).select("test"), data={**about, "split": "test"}).bottleneck_rank
    assert other.estimate is None and "training split" in other.verdict


def test_units_that_are_dead_change_no_count():
    """The same function with as many units again, all weights of which are zero."""
    net = from_preset("leaky_mlp_teacher_k3_l7_equidistant")
    wide = LeakyMLP.from_config({**net.get_config(), "width": 2 * net.config.width, "name": "wide"})
    for old, new in zip(net.weights, wide.weights, strict=True):
        value = np.zeros(new.shape, np.float32)
        value[tuple(map(slice, old.shape))] = keras.ops.convert_to_numpy(old)
        new.assign(value)
    from leaky_zoo.data import load_data

    about = net.config.dataset
    ours, theirs = (analyze(each, *load_data(about["name"]).select(about["split"]), data=about) for each in (net, wide))
    assert theirs.bottleneck_rank == ours.bottleneck_rank and ours.bottleneck_rank.estimate == 4
    for before, after in zip(ours.layers, theirs.layers, strict=True):
        assert (before.weight_directions, before.written_directions) == (
            after.weight_directions,
            after.written_directions,
        )
        assert after.written_gap == pytest.approx(before.written_gap, rel=1e-2)  # up to 2e6: of rounding


def test_an_unconverged_teacher_gets_no_rank():
    """Half-way to a plateau: a trained net whose weights are moved off the critical point."""
    from leaky_zoo.data import load_data

    net = from_preset("leaky_mlp_teacher_k3_l7_equidistant")
    about = net.config.dataset
    for block in net.blocks:
        block.assign_weight_matrix(1.3 * block.weight_matrix)
    rank = analyze(net, *load_data(about["name"]).select(about["split"]), data=about).bottleneck_rank
    assert (rank.low, rank.high, rank.estimate) == (None, None, None)
    assert rank.verdict.startswith("not at a critical point: energies are not conserved, rank not reported")


def test_an_untrained_net_gets_no_rank():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    net = LeakyMLP((5,), 2, width=16, depth=10, effective_depth=5.0, weight_decay=1e-3)
    rank = analyze(net, random.normal(size=(300, 5)), random.integers(0, 2, 300)).bottleneck_rank
    assert rank.estimate is None and "not at a critical point" in rank.verdict


def row(layer, rank, change=0.02, residual=0.01, energy=3.4, high=None):
    plateau = {"gamma_0": 1e-4, "cost_of_identity": rank - 0.03, "change": change, "rank": rank, "low": rank,
               "high": high or rank}  # fmt: skip
    return LayerAudit(layer=layer, name=f"block_{layer}", plateau=plateau, criticality_residual=residual,
                      rank_from_hamiltonian=energy, singular_values=[1.0, 0.5, 0.4, 0.3, 1e-4, 1e-5])  # fmt: skip


SPECTRUM = [1.0, 0.5, 0.4, 0.3, 1e-4, 1e-5]


def written(layer, directions, gap=50.0, **changes):
    """A layer without a plateau that writes so many directions."""
    return replace(row(layer, 4), plateau=None, written_directions=directions, written_gap=gap, **changes)


END = written(9, 20, gap=1.5)


def test_both_counts_are_named_where_they_differ_and_the_interval_holds_them():
    layers = [written(1, 5), replace(row(2, 4), written_directions=5, written_gap=70.0), written(3, 6), END]
    rank = judge(layers, SPECTRUM, 7.0, True)
    assert (rank.estimate, rank.stationary_directions, rank.weight_directions) == (5, 4, 5)
    assert (rank.low, rank.high, rank.layers) == (4, 6, [1, 2, 3])
    assert rank.verdict == (
        "bottleneck of rank 5 in layers 1-2, of rank 6 in 3; 4 stand still in layer 2, at gamma_0 = 1.0e-04"
    )


def test_a_bottleneck_without_a_plateau_says_so_and_the_hamiltonian_gives_the_lower_end():
    rank = judge([written(1, 5), written(2, 5), END], SPECTRUM, 7.0, True)
    assert (rank.low, rank.high, rank.estimate, rank.stationary_directions) == (4, 5, 5, None)
    assert rank.verdict.startswith("bottleneck of rank 5 in layers 1-2; no plateau of the cost of identity")
    # Far below it says nothing; above the rank it is rounding.
    assert judge([written(1, 5, rank_from_hamiltonian=-3.0), END], SPECTRUM, 7.0, True).low == 3
    assert judge([written(1, 5, rank_from_hamiltonian=5.2), END], SPECTRUM, 7.0, True).low == 5


def test_a_plateau_alone_names_a_rank():
    rank = judge([row(1, 4), row(2, 4, high=5)], SPECTRUM, 7.0, True)
    assert (rank.low, rank.high, rank.estimate, rank.layers) == (4, 4, 4, [1, 2])
    words = "bottleneck of rank 4 in layers 1-2; 4 stand still in layers 1-2, at gamma_0 = 1.0e-04, 1.0e-04"
    assert rank.verdict == words
    assert (rank.stationary_directions, rank.weight_directions) == (4, None)


def test_the_clarke_residual_decides_where_it_was_asked_for():
    layers = [written(1, 5, criticality_residual=0.2, clarke_residual=0.03), END]
    assert judge(layers, SPECTRUM, 7.0, True).estimate == 5
    layers = [written(1, 5, criticality_residual=0.2, clarke_residual=0.15), END]
    assert judge(layers, SPECTRUM, 7.0, True).estimate is None


def test_what_holds_away_from_a_critical_point_is_said():
    layers = [written(1, 5, criticality_residual=2.0, negative_share=0.001, stable_rank=1.5),
              written(2, 5, gap=90.0, criticality_residual=0.7, negative_share=0.3, stable_rank=2.5), END]  # fmt: skip
    rank = judge(layers, SPECTRUM, 7.0, True)
    assert rank.estimate is None and rank.verdict == (
        "not at a critical point: energies are not conserved, rank not reported (the least criticality residual of "
        "layers 1-2 is 0.7; it must be at most 0.1); what was measured: 5 directions before a gap of 90 in layer 2, "
        "under 1% of the representations negative after layer 1, stable ranks of 1.5 to 2.5"
    )


@pytest.mark.parametrize(
    ("layers", "training", "depth", "words"),
    [
        ([row(1, 4, residual=0.5)], True, 7.0, "not at a critical point"),
        ([replace(row(1, 4), criticality_residual=None)], True, 7.0, "no momenta"),
        ([row(1, 4)], False, 7.0, "not the training split"),
        ([row(1, 4)], None, 7.0, "not known to be the training split"),
        ([row(1, 4)], True, 0.0, "effective depth 0"),
        ([replace(row(1, 4), plateau=None)], True, 7.0, "no bottleneck"),
        ([row(1, 3)], True, 7.0, "no bottleneck"),  # flat by chance: the spectrum has no gap behind 3
    ],
)
def test_no_number_where_none_may_be_said(layers, training, depth, words):
    rank = judge(layers, SPECTRUM, depth, training)
    assert (rank.low, rank.high, rank.estimate, rank.layers) == (None, None, None, [])
    assert words in rank.verdict


@pytest.mark.parametrize(("residual", "critical"), [(0.05, True), (0.1, True), (0.2, False), (0.5, False)])
def test_verdict_warnings_and_figures_agree_on_what_is_critical(residual, critical):
    layers = [row(1, 4), row(2, 4, residual=residual)]
    assert is_critical(layers[1]) is critical
    assert judge(layers, SPECTRUM, 7.0, True).layers == ([1, 2] if critical else [1])
    said = warn(layers, {"is_training_split": True}, True, [None])
    assert any("Not at a critical point in layer 2 (" in warning for warning in said) is not critical


def test_layers_that_disagree_are_named():
    second = replace(row(2, 5, change=0.05), singular_values=[1.0, 0.5, 0.4, 0.3, 0.2, 1e-4])
    spectra = [replace(row(1, 4), singular_values=[1.0, 0.5, 0.4, 0.3, 0.2, 1e-4]), second]
    rank = judge(spectra, SPECTRUM, 7.0, True)
    assert rank.verdict.startswith("bottleneck of rank 4 in layer 1, of rank 5 in 2; 4 stand still in layer 1")
    assert (rank.low, rank.estimate, rank.high) == (4, 4, 5)
