"""From a net to a compressed file: budgets, distillation, refusals, the command."""

import json

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from leaky_zoo.analysis import analyze
from leaky_zoo.cli import app
from leaky_zoo.compress import CompressionData, compress, plan_compression, split_for
from leaky_zoo.compress.chain import build_model
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.distill import distill
from leaky_zoo.data import Dataset
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.deploy import export_compressed
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.runtime import DriftMonitor, inspect_onnx, load, verify_onnx
from tests.compress.conftest import parts, samples

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture(scope="module")
def planned(case):
    net, data = case
    return net, data, plan_compression(net, data, max_drop=3.0)


def test_a_plan_is_within_the_budget_where_nothing_is_distilled(planned):
    net, data, plan = planned
    last = plan.choices[-1].candidate
    assert last.drop <= 3.0 and last.numbers < plan.numbers
    assert [choice.candidate.numbers for choice in plan.choices] == sorted(
        choice.candidate.numbers for choice in plan.choices
    )
    made = compress(net, plan, data)
    assert made.record["parameters"] == pytest.approx(last.numbers, abs=8)
    assert made.record["cost"]["validation"]["drop"] <= 6.0
    assert 0.01 <= made.temperature <= 100


def test_every_layer_is_accounted_for(planned):
    net, _, plan = planned
    record = compress(net, plan, choice=0).record
    assert record["layers"][0]["name"] == "stem"
    assert len(record["layers"]) == len(net.blocks) + (2 if isinstance(net, LeakyMLP) else 3)
    assert sum(layer["bytes"] for layer in record["layers"]) == pytest.approx(4 * record["parameters"], rel=0.02)
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_a_file_says_what_became_of_the_net(planned, storage, tmp_path):
    net, data, plan = planned
    made = compress(net, plan, data, storage=storage)
    audit = analyze(net, data.fit[0], data.fit[1], relu_samples=50)
    path = tmp_path / "small.onnx"
    report = export_compressed(made, net, path, check_inputs=data.fit[0], audit=audit, monitor_data=None)
    assert verify_onnx(path).passed
    metadata = inspect_onnx(path)
    assert metadata["leaky_zoo.compression"]["settings"]["storage"] == storage
    assert metadata["leaky_zoo.compression"]["source"]["weights_sha256"] == metadata["leaky_zoo.weights_sha256"]
    assert metadata["leaky_zoo.temperature"] == pytest.approx(made.temperature)
    assert len(json.dumps(metadata["leaky_zoo.audit_summary"])) < 20_000
    found = load(path).predict(data.fit[0])
    expected = made.model.predict(data.fit[0], verbose=0)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert report["bytes"] == path.stat().st_size


def test_a_file_without_an_audit_verifies_and_one_of_other_weights_is_refused(planned, tmp_path):
    net, data, plan = planned
    made = compress(net, plan)
    export_compressed(made, net, tmp_path / "small.onnx", check_inputs=data.fit[0][:9].tolist())
    assert verify_onnx(tmp_path / "small.onnx").passed
    before = (tmp_path / "small.onnx").read_bytes()
    other = {"model": {"weights_sha256": "f" * 64}, "layers": []}
    with pytest.raises(InvalidInputError, match="audit is of other weights"):
        export_compressed(made, net, tmp_path / "small.onnx", check_inputs=data.fit[0][:9], audit=other)
    with pytest.raises(InvalidInputError, match="`monitor_data` must"):
        export_compressed(
            made, net, tmp_path / "small.onnx", check_inputs=data.fit[0][:9], monitor_data=np.ones((9, 2))
        )
    assert (tmp_path / "small.onnx").read_bytes() == before


def test_int8_is_a_quarter_of_the_weights(planned, tmp_path):
    net, data, plan = planned
    sizes = {}
    for storage in ("float32", "int8"):
        made = compress(net, plan, data, storage=storage)
        export_compressed(made, net, tmp_path / f"{storage}.onnx", check_inputs=data.fit[0])
        model = onnx.load(tmp_path / f"{storage}.onnx")
        kernels = [each for each in model.graph.initializer if "/weight_" in each.name and "scale" not in each.name]
        sizes[storage] = sum(len(each.raw_data) for each in kernels)
    assert sizes["int8"] * 4 == sizes["float32"]


def test_distillation_ends_no_worse_than_it_began_and_resumes(planned, tmp_path):
    net, data, plan = planned
    links = plan.choices[0].links
    metric = Metric.of(net)

    def score(model):
        return metric.value(model.predict(data.choose[0], verbose=0), data.choose[1])

    def run(folder, stop=None):
        model = build_model(links, net.config.input_shape, "pupil_of_the_test")

        def after(epoch, value):
            if epoch == stop:
                raise KeyboardInterrupt

        scores = distill(
            model, net, data.fit, score, epochs=3, batch_size=64, folder=folder, report=after,
            augmentation=Augmentation(0, translation=1),
        )  # fmt: skip
        return scores, model.get_weights()

    whole, weights = run(tmp_path / "whole")
    assert len(whole) == 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop=1)
    resumed, same = run(tmp_path / "cut")
    assert resumed == whole
    for one, other in zip(weights, same, strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(whole) >= whole[0]
    with pytest.raises(InvalidInputError, match="another distillation"):
        distill(build_model(links, net.config.input_shape, "other"), net, data.fit, score, epochs=4,
                batch_size=64, folder=tmp_path / "cut")  # fmt: skip


def test_a_net_without_a_bottleneck_is_told_so():
    net = LeakyMLP((6,), 3, width=12, depth=5, effective_depth=1.0)
    own = [part[0] for part in (parts((6,)).fit, parts((6,)).choose, parts((6,)).validation)]
    data = CompressionData(*((x, net.predict(x, verbose=0).argmax(-1)) for x in own))
    with pytest.raises(CheckFailedError, match=r"no bottleneck.*left alone"):
        plan_compression(net, data, max_drop=0.01, distill=False)


def test_parts_of_a_training_split():
    x, y = np.arange(600, dtype=np.float32)[:, None], np.arange(600) % 3
    dataset = Dataset("mine", None, "classification", {"train": (x, y)})
    net = LeakyMLP((1,), 3, width=4, depth=4)
    seen = split_for(net, dataset)
    assert [len(part[0]) for part in (seen.fit, seen.choose, seen.validation)] == [450, 50, 100]
    unseen = LeakyMLP((1,), 3, width=4, depth=4, dataset={"name": "mine", "split": "train[:480]"})
    parts = split_for(unseen, dataset)
    assert parts.fit[0].max() == 479 and parts.choose[0].min() == 480 and parts.validation[0].min() == 520
    assert "not trained on" in parts.words
    with pytest.raises(InvalidInputError, match="at least 20 samples"):
        CompressionData((x, y), (x[:5], y[:5]), (x, y))


def test_bad_input_is_refused(planned):
    net, data, plan = planned
    with pytest.raises(InvalidInputError, match="max_drop=0"):
        plan_compression(net, data, max_drop=0)
    with pytest.raises(InvalidInputError, match="metric='f1'"):
        plan_compression(net, data, max_drop=1, metric="f1")
    with pytest.raises(InvalidInputError, match=r"reach=0\.5"):
        plan_compression(net, data, max_drop=1, reach=0.5)
    with pytest.raises(InvalidInputError, match="choice=9"):
        compress(net, plan, choice=9)
    with pytest.raises(InvalidInputError, match="needs `data`"):
        compress(net, plan, epochs=1)
    with pytest.raises(InvalidInputError, match="epochs=0"):
        distill(build_model(plan.choices[0].links, net.config.input_shape, "x"), net, data.fit, len, epochs=0)


@pytest.fixture
def files(mlp, tmp_path):
    """A saved net with a bottleneck, and its data."""
    (x, y), (x_test, y_test) = samples((6, 6, 1), 600, 4), samples((6, 6, 1), 400, 5)
    np.savez(tmp_path / "mine.npz", x=x, y=y, x_test=x_test, y_test=y_test)
    mlp.save(tmp_path / "net.keras")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["compress", *map(str, arguments)])


def test_the_command_writes_a_file_or_nothing(files):
    out = files / "small.onnx"
    given = (files / "net.keras", "--data", files / "mine.npz", "--out", out)
    done = run(*given, "--max-drop", 5, "--distill", 0, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["record"]["cost"]["test"]["samples"] == 400 and verify_onnx(out).passed
    reference = inspect_onnx(out)["leaky_zoo.reference"]
    assert report["monitor"].endswith(", test") and len(json.dumps(reference)) < 8000
    assert DriftMonitor(load(out), batch=32).watch(np.zeros((32, reference["directions"] + 1)))
    before = out.read_bytes()
    assert [set(each["drops"]) for each in report["tried"]] == [{"validation"}]
    recipe = "name: net\ndata: {name: optical_digits, translation: 1}\nnetwork: {width: 24, depth: 6}\n"
    (files / "recipe.yaml").write_text(recipe + "optimizer: {learning_rate: 0.002, epochs: 1}\n")
    unwatched = run(*given, "--max-drop", 5, "--distill", 0, "--no-monitor", "--json")
    assert json.loads(unwatched.stdout)["monitor"] is None and "leaky_zoo.reference" not in inspect_onnx(out)
    assert len(before) - out.stat().st_size < 12_000
    last, cost = (json.loads(unwatched.stdout)[key] for key in ("tried", "record"))
    drops = [cost["cost"]["validation"]["drop"]]
    drops.append(sum(cost["cost"]["validation_augmented"][key] for key in ("drop", "standard_error")))
    assert last[-1]["spent"] == max(drops) <= 5
    before = out.read_bytes()
    refused = run(*given, "--max-drop", 5, "--int8", "--float16")
    assert isinstance(refused.exception, InvalidInputError)
    impossible = run(files / "net.keras", "--data", files / "mine.npz", "--out", files / "no.onnx", "--max-drop", 1e-9,
                     "--distill", 0, "--int8")  # fmt: skip
    assert isinstance(impossible.exception, CheckFailedError) or impossible.exit_code == 0
    assert out.read_bytes() == before
