"""Every number a preset publishes, measured again from its files."""

import functools
import json
import re
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import yaml

from leaky_zoo.analysis import analyze
from leaky_zoo.data import DATASETS, load_data
from leaky_zoo.deploy import export_model
from leaky_zoo.figures import write_report
from leaky_zoo.flow import evaluate_network
from leaky_zoo.io.files import sha256
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.runtime import OnnxModel, verify_onnx
from leaky_zoo.training import Recipe, train
from leaky_zoo.zoo import Preset, list_presets, models_dir, preset_folder
from leaky_zoo.zoo.card import write_card
from leaky_zoo.zoo.index import FILES

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.usefixtures("data_read_once")]
ROOT = Path(__file__).parent.parent
RETRAINED = "leaky_mlp_wine_l3_equidistant"
NEEDS_FILES = re.compile("_mnist_|_cifar")  # data that are on a machine or not
NAMES = [preset["name"] for preset in list_presets()]
EXPORTED = sorted(path.parent.name for path in (ROOT / "export").glob("*/model.onnx"))
NAME = re.compile(r"^leaky_(mlp|conv|resnet)_(?P<dataset>[a-z0-9_]+)_l(?P<depth>[0-9.]+)_(?P<schedule>[a-z]+)$")


opened = functools.cache(Preset.open)


def data_of(name, mnist_dir):
    identifier = opened(name).metadata["dataset"]
    return loaded(identifier, mnist_dir if identifier in ("mnist", "cifar10_jpeg") else None)


loaded = functools.cache(load_data)


@functools.cache
def measured_on_test_set(name, mnist_dir):
    """What `evaluate_network` measures on the test set, and of one preset of each kind the outputs it measured on."""
    network, outputs, predict = opened(name).network, [], LeakyNetwork.predict_on_batch

    def kept(self, x):
        outputs.append(predict(self, x))
        return outputs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LeakyNetwork, "predict_on_batch", kept)
        metrics = evaluate_network(network, *data_of(name, mnist_dir).select("test"))
    return metrics, np.concatenate(outputs) if name in one_of_each() else None


@pytest.fixture(scope="module", autouse=True)
def shared():
    """Presets, data and outputs are shared by the tests of this file, and let go after them."""
    yield
    for cached in (opened, loaded, measured_on_test_set):
        cached.cache_clear()


@pytest.fixture
def mnist(request):
    """Data folder with MNIST for presets that need it; skips with the reason where there is none."""
    return request.getfixturevalue("mnist_dir") if NEEDS_FILES.search(request.node.name) else None


@functools.cache
def one_of_each():
    """The names of a fixed sample: of each class on each data set with each task, the first by its name."""
    entries = list_presets()
    kinds = {(entry["class"], entry["dataset"], entry["task"]): entry["name"] for entry in reversed(entries)}
    return sorted(kinds.values())


def test_there_are_presets_across_effective_depths():
    assert len(NAMES) >= 60
    assert len({(entry["dataset"].split("/")[0], entry["task"]) for entry in list_presets()}) >= 9
    assert {entry["effective_depth"] for entry in list_presets()} >= {0, 1, 3, 7, 12, 20}
    for dataset in ("optical_digits", "teacher_k3", "mnist"):
        depths = [float(NAME.match(name)["depth"]) for name in NAMES if NAME.match(name)["dataset"] == dataset]
        assert set(depths) >= {0, 1, 3, 7, 12}
        schedules = {NAME.match(name)["schedule"] for name in NAMES if f"{dataset}_l7_" in name}
        assert schedules >= {"equidistant", "hamiltonian"}


@pytest.mark.parametrize("name", NAMES)
def test_files_agree_with_each_other(name):
    preset = opened(name)
    folder, metadata = preset.folder, preset.metadata
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for file, digest in metadata["sha256"].items():
        assert sha256(folder / file) == digest, f"{file} has changed"
    recipe, match = preset.recipe, NAME.match(name)
    assert recipe.name == metadata["name"] == name
    assert recipe.network.effective_depth == metadata["effective_depth"] == float(match["depth"])
    assert metadata["schedule"] == match["schedule"]
    assert metadata["dataset"].split("/")[0] in DATASETS
    assert (folder / "README.md").read_text() == write_card(metadata, preset.audit, recipe)
    assert preset.audit.data["is_training_split"] is (recipe.publish.audit_split is None)


def test_the_zoo_stays_small_enough_to_clone():
    assert sum(path.stat().st_size for path in models_dir().rglob("*") if path.is_file()) < 80e6


@pytest.mark.parametrize("name", NAMES)
def test_golden_pairs(name):
    network = opened(name).network
    inputs, expected = opened(name).golden
    outputs = keras.ops.convert_to_numpy(network(inputs.astype("float32")))  # nothing is compiled for so few
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_published_metrics(name, mnist):
    published = opened(name).metadata["metrics"]["test"]
    measured, _ = measured_on_test_set(name, mnist)
    assert measured.get("accuracy") == published.get("accuracy")
    assert measured["loss"] == pytest.approx(published["loss"], abs=1e-6)


def computes_as_where_it_was_trained():
    """Whether this processor adds in vectors of 512 bits: with others a sum of float32 has other last bits."""
    told = Path("/proc/cpuinfo")
    return told.is_file() and " avx512f " in told.read_text()


def test_a_small_preset_is_retrained_to_the_same_bits(tmp_path):
    preset = opened(RETRAINED)
    (network, result), (again, _) = (train(preset.recipe, tmp_path / run) for run in ("run", "again"))
    weights = network.get_weights()
    for ours, theirs in zip(weights, again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    published = preset.metadata["metrics"]["test"]
    if computes_as_where_it_was_trained():
        for ours, theirs in zip(weights, preset.network.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert result.metrics["test"] == published
    else:
        for ours, theirs in zip(weights, preset.network.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
        assert result.metrics["test"] == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in one_of_each() if not NEEDS_FILES.search(name)])
def test_published_audit(name):
    published = opened(name).audit
    network, data = opened(name).network, data_of(name, None)
    clarke = opened(name).recipe.converge and published.layers[0].clarke_residual is not None
    split = data.select(published.data["split"])
    measured = analyze(network, *split, data=dict(published.data), clarke=clarke)
    assert measured.model["weights_sha256"] == published.model["weights_sha256"]
    assert measured.summary["bottleneck_layers"] == published.summary["bottleneck_layers"]
    for ours, theirs in zip(measured.layers, published.layers, strict=True):
        assert ours.cost_of_identity == pytest.approx(theirs.cost_of_identity, rel=1e-3)
        assert ours.criticality_residual == pytest.approx(theirs.criticality_residual, rel=1e-2, abs=1e-3)


def test_the_teacher_at_l7_has_its_bottleneck():
    summary = opened("leaky_mlp_teacher_k3_l7_equidistant").audit.summary
    (directions,) = summary["weight_directions"]
    assert summary["cost_of_identity"]["min"] >= directions - 0.1
    assert summary["cost_of_identity"]["max"] <= directions + 0.1
    assert summary["weight_gap"] >= 50
    assert summary["rank_from_hamiltonian"]["spread"] <= 0.10
    assert summary["max_criticality_residual"] <= 0.3


def test_the_teacher_at_l12_has_its_bottleneck():
    (name,) = [name for name in NAMES if "teacher_k3_l12" in name]
    audit = opened(name).audit
    least = audit.layers[audit.summary["layer_of_min_cost_of_identity"] - 1]
    assert audit.model["depth"] >= 18
    assert least.on_plateau and abs(least.cost_of_identity - least.weight_directions) <= 0.1
    assert audit.summary["rank_from_hamiltonian"]["spread"] <= 0.25


@pytest.mark.parametrize("name", ["leaky_mlp_mnist_l7_equidistant", "leaky_mlp_teacher_k3_l12_irregular"])
def test_the_page_of_an_audit_is_quiet_in_a_browser(name, tmp_path, browse):
    write_report(opened(name).audit, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 2e6
    page = browse(tmp_path / "report.html", 1280)
    assert page["images"] >= 10 and page["fetched"] == 0 and not page["messages"]


def test_verdicts_of_the_teachers():
    """Where the weights have a clear gap the verdict names it, without having looked at them."""
    for name in (
        "leaky_mlp_teacher_k3_l7_equidistant",
        "leaky_mlp_teacher_k3_l7_hamiltonian",
        "leaky_mlp_teacher_k3_l12_irregular",
    ):
        audit = opened(name).audit
        rank = audit.bottleneck_rank
        directions = {audit.layers[place - 1].weight_directions for place in rank.layers}
        assert directions == {rank.estimate} == {4} and rank.low <= 4 <= rank.high, name
    for name in NAMES:
        if not opened(name).recipe.lbfgs_phase:
            assert opened(name).audit.bottleneck_rank.estimate is None, name


def test_digits_and_mnist_are_as_good_as_they_must_be():
    presets = {name: opened(name).metadata for name in NAMES}
    validated = [m["cross_validation"] for n, m in presets.items() if "digits" in n and "cross_validation" in m]
    assert validated and validated[0]["runs"] == 25 and validated[0]["accuracy_mean"] >= 0.980
    assert max(m["metrics"]["test"]["accuracy"] for n, m in presets.items() if "_mnist_l" in n) >= 0.987
    weights = opened("leaky_mlp_mnist_l7_equidistant").network.blocks
    for block in weights[len(weights) // 3 : -(len(weights) // 3)]:
        spectrum = np.linalg.svd(block.weight_matrix, compute_uv=False)
        assert (spectrum > spectrum[0] / 10).sum() <= 10


@pytest.mark.parametrize("name", one_of_each())
def test_onnx_agrees_on_the_whole_test_set(name, mnist, tmp_path):
    export_model(opened(name), tmp_path / "net.onnx")
    network, x = opened(name).network, data_of(name, mnist).select("test")[0].astype("float32")
    expected, got = measured_on_test_set(name, mnist)[1], OnnxModel(tmp_path / "net.onnx").predict(x)
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()
    if network.task.labels:
        np.testing.assert_array_equal(got.argmax(-1), expected.argmax(-1))


def without_reference(path):
    """A file without what watches for drift, and its reference: measured numbers differ in their last digits."""
    model = onnx.load(path)
    for parts in (model.graph.node, model.graph.output, model.graph.initializer):
        kept = [each for each in parts if each.name.split("/")[0] != "bottleneck"]
        del parts[:]
        parts.extend(kept)
    properties = {each.key: each.value for each in model.metadata_props}
    reference = json.loads(properties.pop("leaky_zoo.reference", "null"))
    properties.pop("leaky_zoo.schema_version")
    del model.metadata_props[:]
    return model.SerializeToString(deterministic=True), properties, reference


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_files_verify_and_are_what_the_command_makes(name, mnist, tmp_path):
    shipped = ROOT / "export" / name / "model.onnx"
    assert verify_onnx(shipped).passed
    graph, properties, reference = without_reference(shipped)
    export_model(opened(name), tmp_path / "again.onnx", monitor=bool(reference), data_dir=mnist)
    if reference is None:
        assert (tmp_path / "again.onnx").read_bytes() == shipped.read_bytes()
        return
    again = without_reference(tmp_path / "again.onnx")
    assert again[:2] == (graph, properties)
    for key in ("tensor", "directions", "samples", "initializers"):
        assert again[2][key] == reference[key]
    deviation = np.sqrt(np.diag(reference["covariance"]))
    signs = np.sign(again[2]["mean"]) * np.sign(reference["mean"])  # a direction and its opposite are the same
    assert np.abs(signs * again[2]["mean"] - reference["mean"]).max() <= 1e-3 * deviation.max()


def test_export_holds_what_the_recipes_want():
    assert [name for name in NAMES if opened(name).recipe.publish.onnx] == EXPORTED
    best = max((p for p in list_presets("mlp_mnist_l")), key=lambda p: p["metrics"]["test"]["accuracy"])["name"]
    assert best in EXPORTED


def test_recipes_hold_only_what_differs_from_the_defaults():
    for name in NAMES:
        text = (preset_folder(name) / "recipe.yaml").read_text()
        assert Recipe.from_dict(yaml.safe_load(text)).to_yaml() == text


def test_the_table_of_presets_has_all():
    table = (ROOT / "docs" / "presets.md").read_text()
    for name in NAMES:
        assert f"| `{name}` |" in table, "run make docs"
    assert sorted(path.name for path in models_dir().iterdir() if path.is_dir()) == NAMES
