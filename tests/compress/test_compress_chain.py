"""Chains, folding, factors, rounding: exact where they must be, and refused where they cannot be."""

import keras
import numpy as np
import pytest

from leaky_zoo.compress.chain import Map, build_model, maps_of, numbers_of, read_chain, read_maps
from leaky_zoo.compress.factors import InputMoments, factored, input_moments, most_rank, spectrum_of
from leaky_zoo.compress.folding import fold, leaks_absorbed, normalization_folded, remove_dead_units
from leaky_zoo.compress.layers import FactoredMap
from leaky_zoo.compress.storage import int8_of, rounded
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.without_relus import WithoutRelus
from leaky_zoo.networks import LeakyConvNet, LeakyMLP


def outputs(links, net, x):
    return build_model(links, net.config.input_shape, "chain").predict(x, verbose=0)


def close(found, expected, tolerance=1e-5):
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_the_chain_computes_what_the_network_does(case):
    net, data = case
    close(outputs(read_chain(net), net, data.fit[0]), net.predict(data.fit[0], verbose=0))


def test_dropout_is_left_out():
    net = LeakyMLP((5,), 3, width=8, depth=4, head_dropout=0.5)
    links = read_chain(net)
    assert any(isinstance(layer, keras.layers.Dropout) for layer in net.head.layers)
    assert not any(isinstance(link, keras.layers.Dropout) for link in links)
    x = np.random.default_rng(0).normal(size=(9, 5)).astype("float32")
    model = build_model(links, (5,), "chain")
    close(np.asarray(model(x, training=True)), net.predict(x, verbose=0))


def test_folding_is_the_net_without_those_relus(case):
    net, data = case
    for left_out in ({3, 4}, {1, 2}, {2}, set(range(1, len(net.blocks) + 1))):
        folded = fold(read_chain(net), left_out)
        close(outputs(folded, net, data.fit[0]), WithoutRelus(net, data.fit[0]).outputs(left_out), 1e-4)
        if isinstance(net, LeakyMLP) and len(left_out) > 1:
            assert len(folded) < len(read_chain(net))


def test_a_stretch_from_stem_to_head_is_one_map():
    net = LeakyMLP((5,), 3, width=8, depth=4)
    (link,) = maps_of(fold(read_chain(net), {1, 2, 3, 4})).values()
    assert link.matrix.shape == (5, 3) and link.made_of[0] == "stem" and link.made_of[-1] == "head"


def test_convolutions_of_1_x_1_fold_and_larger_ones_do_not():
    small = LeakyConvNet((6, 6, 1), 3, width=4, depth=4, effective_depth=2.0, kernel_size=1, stem_size=1, stem_stride=1)
    large = LeakyConvNet((6, 6, 1), 3, width=4, depth=4, effective_depth=2.0)
    assert len(maps_of(fold(read_chain(small), {2, 3}))) == len(maps_of(read_chain(small))) - 1
    kept = maps_of(fold(read_chain(large), {2, 3}))
    assert len(kept) == len(maps_of(read_chain(large))) and not kept["block_2"].relu
    x = np.random.default_rng(0).normal(size=(9, 6, 6, 1)).astype("float32")
    close(outputs(fold(read_chain(small), {2, 3}), small, x), WithoutRelus(small, x).outputs({2, 3}))


def test_full_rank_factors_lose_nothing_on_the_data(case):
    net, data = case
    links = read_chain(net)
    moments = input_moments(build_model(links, net.config.input_shape, "seen"), links, data.fit[0])
    low = []
    for link in links:
        if isinstance(link, Map):
            spectrum = spectrum_of(link, moments[link.name])
            link = factored(link, moments[link.name], spectrum, len(spectrum.values))
        low.append(link)
    close(outputs(low, net, data.fit[0]), net.predict(data.fit[0], verbose=0), 1e-3)


def test_three_directions_are_three_factors():
    net = LeakyMLP((6,), 3, width=20, depth=4)
    random = np.random.default_rng(0)
    net.blocks[1].assign_weight_matrix(random.normal(size=(20, 3)) @ random.normal(size=(3, 21)))
    links, x = read_chain(net), random.normal(size=(200, 6)).astype("float32")
    moments = input_moments(build_model(links, (6,), "seen"), links, x)
    link = maps_of(links)["block_2"]
    low = factored(link, moments["block_2"], spectrum_of(link, moments["block_2"]), 3)
    close(outputs([low if each is link else each for each in links], net, x), net.predict(x, verbose=0), 1e-4)
    assert numbers_of([low]) < numbers_of([link]) and most_rank(link) == 9


def test_the_bias_takes_over_the_mean_of_what_is_cut():
    link = Map("map", ("map",), (np.eye(2),), np.zeros(2))
    seen = InputMoments(np.array([0.0, 5.0]), np.diag([1.0, 1e-12]), np.ones(2))
    low = factored(link, seen, spectrum_of(link, seen), 1)
    np.testing.assert_allclose(np.array([1.0, 5.0]) @ low.matrix + low.bias, [1.0, 5.0], atol=1e-6)


def test_normalisations_and_leaks_move_into_maps_exactly(case):
    net, data = case
    links = read_chain(net)
    moved = leaks_absorbed(normalization_folded(links))
    close(outputs(moved, net, data.fit[0]), outputs(links, net, data.fit[0]), 1e-4)
    if isinstance(net, LeakyMLP):
        assert not any(isinstance(link, keras.layers.Normalization) for link in moved)
    else:
        assert {link.leak for link in maps_of(moved).values()} == {None, 1.0}


def test_a_regression_loses_its_last_normalisation():
    net = LeakyMLP((4,), 2, width=8, depth=5, task="regression", output_mean=[3.0, 5.0], output_variance=[4.0, 9.0])
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    moved = normalization_folded(read_chain(net))
    assert all(isinstance(link, Map) for link in moved)
    close(outputs(moved, net, x), net.predict(x, verbose=0))


def test_dead_units_go_and_nothing_else_changes():
    net = LeakyMLP((4,), 2, width=8, depth=4)
    stem, head = net.get_layer("stem"), net.get_layer("head")
    stem.kernel.assign(np.asarray(stem.kernel) * np.array([1.0] * 6 + [0.0] * 2))
    for block in net.blocks:
        matrix = block.weight_matrix
        matrix[6:] = 0
        block.assign_weight_matrix(matrix)
    x = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    links = read_chain(net)
    energies = {name: each.energies for name, each in input_moments(build_model(links, (4,), "seen"), links, x).items()}
    alive = remove_dead_units(links, energies, 1e-8)
    assert maps_of(alive)["block_1"].matrix.shape == (6, 6) and numbers_of(alive) < numbers_of(links)
    assert head.kernel.shape == (8, 2)
    close(outputs(alive, net, x), net.predict(x, verbose=0))


@pytest.mark.parametrize("storage", ["int8", "float16"])
def test_rounding_is_stable_and_small(case, storage):
    net, data = case
    once = rounded(read_chain(net), storage)
    again = rounded(once, storage)
    for first, second in zip(maps_of(once).values(), maps_of(again).values(), strict=True):
        for one, other in zip(first.factors, second.factors, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-7)
    kernel = np.random.default_rng(0).normal(size=(50, 7))
    values, scale = int8_of(kernel)
    assert np.abs(values * scale - kernel).max() <= np.abs(kernel).max() / 254 * 1.001
    close(outputs(once, net, data.fit[0]), net.predict(data.fit[0], verbose=0), 0.2)


def test_models_of_factored_maps_are_saved_and_loaded_safely(case, tmp_path):
    net, data = case
    model = build_model(read_chain(net), net.config.input_shape, "chain")
    model.save(tmp_path / "chain.keras")
    twin = keras.models.load_model(tmp_path / "chain.keras", safe_mode=True)
    np.testing.assert_array_equal(twin.predict(data.fit[0], verbose=0), model.predict(data.fit[0], verbose=0))
    links = read_chain(net)
    for link, found in zip(links, read_maps(model, links), strict=True):
        if isinstance(link, Map):
            np.testing.assert_allclose(found.matrix, link.matrix, rtol=1e-6, atol=1e-7)


def test_bad_input_is_refused():
    with pytest.raises(InvalidInputError, match="rank"):
        FactoredMap(3, rank=0)
    with pytest.raises(InvalidInputError, match="strides"):
        FactoredMap(3, strides=2)
    with pytest.raises(InvalidInputError, match="storage='int4'"):
        rounded([], "int4")
    with pytest.raises(InvalidInputError, match="float16"):
        rounded([Map("map", ("map",), (np.full((2, 2), 1e6),), np.zeros(2))], "float16")
