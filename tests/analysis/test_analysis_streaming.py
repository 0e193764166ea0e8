"""Streaming: batches, threads and shards agree to 1e-9; parts are checked when read."""

import dataclasses
import random

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.analysis import AnalysisSettings, AuditPart, analyze, analyze_part, merge_parts
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import collect, nested_sums
from leaky_zoo.flow.sums import Subsample
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyResNet

# Stem and head are looked at in float64 too, but for JAX, where that needs `jax_enable_x64`.
EXACT = keras.backend.backend() == "tensorflow"


def mlp(**changes):
    arguments = {"width": 12, "depth": 6, "effective_depth": 3.0, "weight_decay": 1e-3, "name": "net", **changes}
    return LeakyMLP((9,), 3, **arguments)


def conv():
    return LeakyConvNet((6, 6, 1), 3, width=4, depth=4, weight_decay=1e-3, data_format="channels_last", name="net")


@pytest.fixture
def samples():
    random = np.random.default_rng(0)
    return random.normal(size=(203, 9)), random.integers(0, 3, 203)


def largest_difference(first, second):
    """Over all scalars of all layers, relative."""
    worst = 0.0
    for a, b in zip(first.layers, second.layers, strict=True):
        for field in dataclasses.fields(a):
            one, two = getattr(a, field.name), getattr(b, field.name)
            if isinstance(one, float) and one != two:
                worst = max(worst, abs(one - two) / max(abs(one), 1e-6))
    return worst


@pytest.mark.parametrize("batch_size", [1, 7, 64, 150])
@pytest.mark.parametrize("kind", ["mixed_bfloat16", "float32", "no_biases", "conv"])
def test_batches_agree(samples, batch_size, kind):
    x, y = samples
    changes = {"mixed_bfloat16": {"dtype": "mixed_bfloat16"}, "no_biases": {"use_bias": False}}
    network = conv() if kind == "conv" else mlp(**changes.get(kind, {}))
    if kind == "conv":
        x = np.random.default_rng(1).normal(size=(203, 6, 6, 1))
    whole, parts = analyze(network, x, y), analyze(network, x, y, batch_size=batch_size)
    assert largest_difference(whole, parts) < (1e-9 if EXACT else 2e-6)
    assert whole.bottleneck_rank == parts.bottleneck_rank and (not EXACT or whole.projection == parts.projection)


def test_threads_agree_with_one(samples):
    x, y = samples
    network = mlp()
    one = collect(network, x, y, 16, classes=3, subsample=Subsample.of(203, 50), threads=1)
    four = collect(network, x, y, 16, classes=3, subsample=Subsample.of(203, 50), threads=4)
    for a, b in zip(nested_sums.to_arrays(one).values(), nested_sums.to_arrays(four).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-9)


def test_progress_is_told_of_every_batch(samples):
    seen = []

    def track(items):
        for item in items:
            seen.append(item)
            yield item

    analyze(mlp(), *samples, batch_size=10, track=track)
    assert seen == list(range(0, 203, 10))


@given(st.integers(1, 8))
def test_shards_merge_to_the_whole(count):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(61, 9)), random.integers(0, 3, 61)
    network = mlp(depth=3, effective_depth=2.0)
    parts = [
        analyze_part(network, x, y, (place, count), AnalysisSettings(subsample=20)) for place in range(count, 0, -1)
    ]
    whole, merged = analyze(network, x, y, subsample=20), merge_parts(parts)
    assert largest_difference(whole, merged) < 1e-9
    assert merged.projection == whole.projection and merged.n == 61 and merged.data == whole.data


def test_a_part_survives_its_file(samples, tmp_path):
    x, y = samples
    part = analyze_part(mlp(), x, y, (2, 3), data={"name": "d", "split": "train"})
    part.save(tmp_path / "part.npz")
    again = AuditPart.load(tmp_path / "part.npz")
    assert (again.settings, again.data, again.samples, again.has_targets) == (
        part.settings, {"name": "d", "split": "train"}, 203, True)  # fmt: skip
    assert again.shard == (2, 3) and again.network.about == part.network.about
    for a, b in zip(nested_sums.to_arrays(part.sums).items(), nested_sums.to_arrays(again.sums).items(), strict=True):
        assert a[0] == b[0]
        np.testing.assert_array_equal(a[1], b[1])


def test_parts_that_do_not_belong_together_are_refused(samples):
    x, y = samples
    network = mlp()
    one, two = (analyze_part(network, x, y, (place, 2)) for place in (1, 2))
    with pytest.raises(InvalidInputError, match=r"needed once\. Received: 1, 1"):
        merge_parts([one, one])
    with pytest.raises(InvalidInputError, match=r"needed once\. Received: 1$"):
        merge_parts([one])
    with pytest.raises(InvalidInputError, match="settings"):
        merge_parts([one, analyze_part(network, x, y, (2, 2), AnalysisSettings(1e-3))])
    with pytest.raises(InvalidInputError, match="weights"):
        merge_parts([one, analyze_part(mlp(), x, y, (2, 2))])
    with pytest.raises(InvalidInputError, match="do not fit"):
        merge_parts(
            [
                one,
                dataclasses.replace(
                    two, sums=analyze_part(network, x, y, (2, 2), AnalysisSettings(with_momenta=False)).sums
                ),
            ]
        )
    with pytest.raises(InvalidInputError, match="no parts"):
        merge_parts([])
    with pytest.raises(InvalidInputError, match="shard=3/2"):
        analyze_part(network, x, y, (3, 2))


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "pickle", "no_header", "nan", "shape"])
def test_what_is_no_part_is_refused(samples, tmp_path, damage):
    x, y = samples
    path = tmp_path / "part.npz"
    analyze_part(mlp(), x, y, (1, 1)).save(path)
    with np.load(path) as loaded:
        arrays = dict(loaded)
    if damage in ("empty", "text", "cut"):
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2]}[damage])
    elif damage == "pickle":
        np.savez(path, **{**arrays, "header": np.array([{"a": 1}], dtype=object)})
    elif damage == "no_header":
        arrays.pop("header")
        np.savez(path, **arrays)
    elif damage == "nan":
        np.savez(path, **{**arrays, "sums.loss": np.array(np.nan)})
    else:
        np.savez(path, **{**arrays, "sums.paths.0.layers.0.moments.gram": np.zeros((2, 2))})
    with pytest.raises(InvalidInputError):
        AuditPart.load(path)
    with pytest.raises(InvalidInputError, match="No such part"):
        AuditPart.load(tmp_path / "none.npz")


def test_sums_of_different_kinds_do_not_add():
    with pytest.raises(ValueError, match="different kinds"):
        nested_sums.add((1.0, None), (1.0, np.ones(2)))
    with pytest.raises(ValueError, match="different shapes"):
        nested_sums.add(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="different lengths"):
        nested_sums.add((1,), (1, 2))


def test_a_vector_carries_all_sums(samples):
    x, y = samples
    sums = collect(mlp(), x, y, classes=3, subsample=Subsample.of(203, 20))
    again = nested_sums.from_vector(sums, nested_sums.to_vector(sums))
    for a, b in zip(nested_sums.to_arrays(sums).values(), nested_sums.to_arrays(again).values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_float32_products_are_close_and_say_so(samples):
    x, y = samples
    network = mlp()
    exact, fast = analyze(network, x, y), analyze(network, x, y, products="float32")
    assert fast.products == "float32" and exact.products == "float64"
    assert 0 < largest_difference(exact, fast) < 1e-2


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("family", ["mlp", "conv", "resnet"])
def test_a_network_is_looked_at_in_float64_whatever_its_dtype(family, dtype):
    networks = {
        "mlp": lambda: LeakyMLP((9,), 3, width=6, depth=5, weight_decay=1e-3, dtype=dtype),
        "conv": lambda: LeakyConvNet((6, 6, 1), 3, width=4, depth=5, weight_decay=1e-3, dtype=dtype),
        "resnet": lambda: LeakyResNet((8, 8, 1), 3, widths=[4, 6], depths=[4, 5], weight_decay=1e-3, dtype=dtype),
    }
    keras.utils.set_random_seed(0)
    network = networks[family]()
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=(70, *network.config.input_shape)), np.arange(70) % 3
    before = random.getstate(), network.get_weights()
    found = analyze(network, x, y)
    assert random.getstate() == before[0]
    if not EXACT:
        pytest.skip("Stem and head are in float32 on JAX.")
    wanted = analyze(network.astype("float64"), x, y)
    assert found.dtype == "float32" and wanted.dtype == "float64"
    assert found.layers == wanted.layers and found.loss == wanted.loss
    for one, other in zip(network.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(one, other)
