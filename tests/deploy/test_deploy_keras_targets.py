"""`leaky-zoo export --format saved_model` and `litert`: what is written, and that a failed check writes nothing."""

import json
import sys

import jsonschema
import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from leaky_zoo.analysis import Audit
from leaky_zoo.cli import app
from leaky_zoo.deploy import export_model
from leaky_zoo.errors import CheckFailedError, InvalidInputError, MissingExtraError
from leaky_zoo.runtime import metadata_schema
from leaky_zoo.runtime.metadata import unpack_golden
from leaky_zoo.zoo import Preset

pytestmark = pytest.mark.tensorflow_only
PRESET = "leaky_mlp_optical_digits_l7_equidistant"
NAMES = {"saved_model": "digits", "litert": "digits.tflite"}


@pytest.fixture(scope="module")
def litert():
    return pytest.importorskip("ai_edge_litert.interpreter", reason="the extra litert is not installed")


def read(path, name, rows):
    """What the written file gives, read as its users would read it."""
    if name == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        return {key: value.numpy() for key, value in loaded.signatures["serving_default"](**rows).items()}
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner("serving_default")(**rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_becomes_one_file_with_its_audit_beside(name, tmp_path, request):
    if name == "litert":
        request.getfixturevalue("litert")
    path = tmp_path / NAMES[name]
    done = CliRunner().invoke(app, ["export", PRESET, "--format", name, "--out", str(path), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["checks"]["labels_agree"] and max(report["checks"]["relative_errors"].values()) <= 1e-5
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    assert report["bytes"] == sum(each.stat().st_size for each in files)
    preset = Preset.open(PRESET)
    inputs, outputs = preset.golden
    found = read(path, name, {"inputs": inputs.astype(np.float32)})
    assert list(found) == ["logits"]
    assert np.abs(found["logits"] - outputs).max() <= 1e-5 * np.abs(outputs).max()

    assert Audit.load(tmp_path / f"{path.name}.audit.json").to_dict() == {**preset.audit.to_dict(), "projection": None}
    said = json.loads((tmp_path / f"{path.name}.metadata.json").read_text())
    jsonschema.validate(said, metadata_schema())
    assert said["leaky_zoo.class_names"] == [str(digit) for digit in range(10)]
    assert said["leaky_zoo.check"]["format"] == name and "leaky_zoo.audit" not in said
    kept = unpack_golden(said["leaky_zoo.golden"])
    np.testing.assert_array_equal(kept[0], inputs[: len(kept[0])])
    beside = {f"{path.name}.audit.json", f"{path.name}.metadata.json"}
    assert {each.name for each in tmp_path.iterdir()} == {path.name, *beside}


def test_several_inputs_and_low_precision_keep_names_and_are_float32(tmp_path):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = keras.layers.Dense(4, dtype="mixed_bfloat16")(keras.layers.Concatenate()([a, b]))
    model = keras.Model([a, b], {"sum": joined, "first": a})
    model.save(tmp_path / "two.keras")
    export_model(tmp_path / "two.keras", tmp_path / "two", format="saved_model")
    rows = {"a": np.ones((3, 2), np.float32), "b": np.ones((3, 3), np.float32)}
    found = read(tmp_path / "two", "saved_model", rows)
    assert {key: (value.shape, value.dtype.name) for key, value in found.items()} == {
        "sum": ((3, 4), "float32"),
        "first": ((3, 2), "float32"),
    }
    assert not (tmp_path / "two.audit.json").exists()  # nothing to analyse it on
    assert json.loads((tmp_path / "two.metadata.json").read_text())["leaky_zoo.check"]["audit"] is False


def test_what_does_not_agree_is_not_written(tmp_path, monkeypatch, make_network):
    from leaky_zoo.deploy import keras_targets
    from leaky_zoo.deploy.saved_model import SAVED_MODEL

    network = make_network()
    keras_targets.export_keras_target(network, tmp_path / "net", SAVED_MODEL, audit=None)
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    written = keras_targets._write

    def of_another_net(reference, aside, target):
        written(keras_targets.Reference(make_network(effective_depth=1.0), "logits"), aside, target)

    monkeypatch.setattr(keras_targets, "_write", of_another_net)
    with pytest.raises(CheckFailedError, match="does not agree with Keras"):
        keras_targets.export_keras_target(network, tmp_path / "net", SAVED_MODEL)
    assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before


def test_what_cannot_be_is_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(InvalidInputError, match=r"not just a SavedModel \(mine.txt\)"):
        export_model(PRESET, tmp_path / "notes", format="saved_model")
    with pytest.raises(InvalidInputError, match=r"ends in \.tflite"):
        export_model(PRESET, tmp_path / "net.onnx", format="litert")
    with pytest.raises(InvalidInputError, match=r"one of onnx, saved_model, litert\. Received: format='coreml'"):
        export_model(PRESET, tmp_path / "net", format="coreml")
    for extra in ({"opset": 18}, {"representations": True}, {"monitor": True}):
        with pytest.raises(InvalidInputError, match=f"Only an ONNX file has {next(iter(extra))}"):
            export_model(PRESET, tmp_path / "net", format="saved_model", **extra)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"leaky-zoo\[litert\]"):
        export_model(PRESET, tmp_path / "net.tflite", format="litert")
    assert [each.name for each in tmp_path.iterdir()] == ["notes"]
