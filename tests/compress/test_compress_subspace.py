"""A dense path in few directions: the same function where nothing is left out, and what the search leaves out."""

import itertools

import keras
import numpy as np
import onnxruntime as ort
import pytest

from leaky_zoo.compress import Compressed, plan_compression, split_for
from leaky_zoo.compress.chain import Map, Step, build_model, numbers_of, read_chain, read_maps
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.folding import normalization_folded
from leaky_zoo.compress.layers import SubspaceStep
from leaky_zoo.compress.search import Judge
from leaky_zoo.compress.storage import rounded
from leaky_zoo.compress.subspace import in_subspaces, is_dense_path, measure_chain
from leaky_zoo.compress.subspace_search import SubspaceSearch
from leaky_zoo.data import load_data
from leaky_zoo.deploy import export_compressed
from leaky_zoo.deploy.compressed_graph import build_compressed
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.runtime import inspect_onnx
from leaky_zoo.zoo import Preset
from tests.compress.conftest import parts

pytestmark = pytest.mark.tensorflow_only


def net(seed=0, **how):
    keras.utils.set_random_seed(seed)
    made = LeakyMLP((5,), 3, **({"width": 10, "depth": 4, "effective_depth": 3.0} | how))
    random = np.random.default_rng(seed)
    made.set_weights([w + 0.3 * random.normal(size=w.shape) * (w.ndim == 1) for w in made.get_weights()])
    return made


def whole(links, x, shape=(5,)):
    """What samples say, with all directions and all units."""
    seen = measure_chain(links, x, shape)
    ranks = {name: len(each.outward) for name, each in seen.directions.items() if name in seen.units}
    return seen, ranks, {name: len(each.order) for name, each in seen.units.items()}


def outputs(links, x, shape=(5,)):
    return np.asarray(build_model(links, shape, "chain")(x))


def samples(count=400, size=5, seed=1):
    return np.random.default_rng(seed).normal(size=(count, size)).astype("float32")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "how", [{}, {"task": "regression"}, {"schedule": "irregular", "depth": 6}, {"use_bias": False}]
)
def test_all_directions_and_units_are_the_same_function(seed, how):
    links, x = read_chain(net(seed, **how)), samples()
    assert is_dense_path(links)
    seen, ranks, units = whole(links, x)
    chain = in_subspaces(links, seen, ranks, units)
    wanted = outputs(links, x)
    np.testing.assert_allclose(outputs(chain, x), wanted, rtol=0, atol=3e-5 * np.abs(wanted).max())
    last = len(seen.units)
    between = [f"block_{place}" for place in range(1, last)]
    assert [link.name for link in chain if isinstance(link, Map | Step)] == ["stem", *between, f"block_{last}_to_head"]


def test_units_that_are_always_on_or_off_cost_nothing():
    made = net()
    stem = made.get_layer("stem")
    bias = np.where(np.arange(10) < 4, 50.0, np.where(np.arange(10) < 7, -50.0, 0.0))
    stem.set_weights([stem.get_weights()[0], bias])
    links, x = read_chain(made), samples()
    seen, ranks, units = whole(links, x)
    assert sorted(seen.units["block_1"].order[3:].tolist()) == list(range(7))
    assert seen.units["block_1"].lost[3] == 0 and seen.units["block_1"].active[:4].all()
    chain = in_subspaces(links, seen, ranks, {**units, "block_1": 3})
    wanted = outputs(links, x)
    np.testing.assert_allclose(outputs(chain, x), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    (step,) = (link for link in chain if link.name == "block_1")
    assert step.down.shape == (3, ranks["block_2"])


def test_a_layer_without_units_is_multiplied_out():
    made = net()
    for block in made.blocks[1:3]:
        block.bias.assign(np.full(10, 100.0))
    links, x = read_chain(made), samples()
    seen, ranks, units = whole(links, x)
    assert seen.units["block_3"].lost[0] == 0
    chain = in_subspaces(links, seen, ranks, {**units, "block_3": 0, "block_4": 0})
    assert [link.name for link in chain if not isinstance(link, keras.layers.Layer)] == [
        "stem", "block_1", "block_2_to_head"
    ]  # fmt: skip
    assert chain[-1].made_of == ("block_2", "block_3", "block_4", "head")
    all_linear = in_subspaces(links, seen, ranks, dict.fromkeys(units, 0))
    assert [type(link) for link in all_linear if not isinstance(link, keras.layers.Layer)] == [Map]


def test_outputs_of_few_directions_are_a_map_of_their_own():
    made = LeakyMLP((5,), 8, width=10, depth=2, effective_depth=1.0, task="regression")
    head = made.get_layer("head")
    kernel = np.random.default_rng(0).normal(size=(10, 2)) @ np.random.default_rng(1).normal(size=(2, 8))
    head.set_weights([kernel, np.arange(8.0)])
    links, x = read_chain(made), samples()
    seen, ranks, units = whole(links, x)
    assert len(seen.directions["head"].outward) == 2
    chain = in_subspaces(links, seen, {**ranks, "head": 2}, units)
    maps = [link for link in chain if isinstance(link, Map | Step)]
    assert [link.name for link in maps] == ["stem", "block_1", "block_2", "head"] and maps[-1].made_of == ("head",)
    wanted = outputs(links, x)
    np.testing.assert_allclose(outputs(chain, x), wanted, rtol=0, atol=3e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_the_graph_computes_what_keras_does(storage):
    made = net(task="regression", input_mean=0.3, input_variance=2.0, output_mean=[1.0, 2.0, 3.0],
               output_variance=[1.0, 4.0, 9.0])  # fmt: skip
    links, x = read_chain(made), samples()
    seen, ranks, units = whole(links, x)
    ranks["block_2"], units["block_2"], units["block_3"] = 4, 5, 0
    chain = in_subspaces(links, seen, ranks, units)
    folded = normalization_folded(chain)
    assert len(folded) < len(chain)
    once = outputs(chain, x)
    np.testing.assert_allclose(outputs(folded, x), once, rtol=0, atol=1e-5 * np.abs(once).max())
    kept = rounded(folded, storage)
    model = build_model(kept, (5,), "small")
    graph = build_compressed(Compressed(model, kept, storage, None, {}), "outputs")
    found = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"inputs": x})
    wanted = np.asarray(model(x))
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    again = read_maps(model, kept)
    assert numbers_of(again) == numbers_of(kept)


def test_the_search_goes_down_in_numbers_and_its_candidates_are_what_they_say(mlp):
    data = parts((6, 6, 1))
    plan = plan_compression(mlp, data, max_drop=3.0)
    assert all(each.numbers <= plan.numbers for each in plan.trail)
    in_directions = [choice for choice in plan.choices if choice.candidate.units]
    assert in_directions
    for choice in in_directions:
        each = choice.candidate
        steps = [link for link in choice.links if isinstance(link, Step)]
        assert numbers_of(choice.links) == each.numbers
        assert [len(step.down) for step in steps] == [count for count in each.units.values() if count]
        assert [len(step.carry) for step in steps] == [each.ranks[step.made_of[0]] for step in steps]
        folded = {int(name.removeprefix("block_")) for name, count in each.units.items() if not count}
        assert folded <= set(each.left_out) and len(folded) + len(steps) == len(each.units)


def search_of(made, x, y):
    """A search on a net as it is, judged on the same samples."""
    judge = Judge(made, x, (x, y), Metric.of(made))
    return judge, SubspaceSearch(read_chain(made), x, judge, made.config.input_shape)


@pytest.mark.parametrize("outputs_", [1, 4, 60])
@pytest.mark.parametrize("width", [8, 20])
def test_every_step_of_the_search_saves_numbers_and_is_measured_as_keras_computes_it(outputs_, width):
    keras.utils.set_random_seed(1)
    made = LeakyMLP((5,), outputs_, width=width, depth=4, effective_depth=3.0, task="regression")
    x = samples(200)
    judge, search = search_of(made, x, np.random.default_rng(0).normal(size=(200, outputs_)))
    found = search.candidates(1e9)
    numbers = [each.numbers for each in found]
    assert all(after < before for before, after in itertools.pairwise(numbers))
    for each in found[:: max(1, len(found) // 6)]:
        chain = search.chain(each)
        model = build_model(chain, (5,), "whole")
        assert numbers_of(chain) == each.numbers
        assert judge.divergence(model) == pytest.approx(each.divergence, rel=1e-3, abs=1e-6)
        assert judge.cost(model)[1] == pytest.approx(each.drop, rel=1e-3, abs=1e-3)
    if outputs_ == 60:
        assert "head" in found[-1].ranks  # a map of its own for many outputs


def test_constant_outputs_keep_one_map():
    made = net(task="regression")
    made.get_layer("head").set_weights([np.zeros((10, 3)), np.arange(3.0)])
    x = samples(100)
    _, search = search_of(made, x, np.zeros((100, 3)))
    for each in search.candidates(1e9):
        found = outputs(search.chain(each), x)
        np.testing.assert_allclose(found, np.tile(np.arange(3.0), (100, 1)), atol=1e-5)


def test_a_shipped_preset_has_choices_within_its_budget():
    preset = Preset.open("leaky_mlp_breast_cancer_l7_irregular")
    data = split_for(preset.network, load_data("breast_cancer"))
    plan = plan_compression(preset.network, data, max_drop=1.0, distill=False)
    assert plan.choices[-1].candidate.drop <= 1.0 and plan.choices[-1].candidate.numbers <= 62


def test_a_step_keeps_its_config_and_refuses_no_size():
    layer = SubspaceStep(3, 8, name="step")
    assert SubspaceStep.from_config(layer.get_config()).get_config() == layer.get_config()
    assert layer.compute_output_shape((None, 4)) == (None, 3)
    with pytest.raises(InvalidInputError, match=r"at least 1\. Received: directions=0, units=8"):
        SubspaceStep(0, 8)


def test_a_file_watches_the_first_step_of_few_directions(tmp_path):
    made = net(width=40, depth=5)
    links, x = read_chain(made), samples(600)
    seen, ranks, units = whole(links, x)
    assert len(seen.directions["block_2"].outward) > 21
    chain = in_subspaces(links, seen, {**ranks, "block_2": 21, "block_3": 20, "block_4": 6}, units)
    record = {"source": {"weights_sha256": "0" * 64, "parameters": 1}, "parameters": 1}
    small = Compressed(build_model(chain, (5,), "small"), chain, "float32", None, record)
    export_compressed(small, made, tmp_path / "small.onnx", check_inputs=x[:8], monitor_data=x)
    reference = inspect_onnx(tmp_path / "small.onnx")["leaky_zoo.reference"]
    assert reference["tensor"] == "block_2/step" and reference["directions"] == 19


def test_a_path_of_one_direction_is_not_watched(tmp_path):
    made = net(width=10)
    links, x = read_chain(made), samples(600)
    seen, ranks, units = whole(links, x)
    chain = in_subspaces(links, seen, dict.fromkeys(ranks, 1), units)
    record = {"source": {"weights_sha256": "0" * 64, "parameters": 1}, "parameters": 1}
    small = Compressed(build_model(chain, (5,), "small"), chain, "float32", None, record)
    export_compressed(small, made, tmp_path / "small.onnx", check_inputs=x[:8], monitor_data=x)
    assert "leaky_zoo.reference" not in inspect_onnx(tmp_path / "small.onnx")
