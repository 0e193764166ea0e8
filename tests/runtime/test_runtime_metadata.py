"""The keys of a file's metadata: schema, versions, summary, golden pairs."""

import hashlib
import json
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime import inspect_onnx, load, metadata_schema, summarise_audit, verify_onnx
from leaky_zoo.runtime.metadata import (
    JSON_KEYS,
    NEW_IN_1_1,
    PREFIX,
    REQUIRED_KEYS,
    SCHEMA_VERSIONS,
    TEXT_KEYS,
    pack_golden,
    to_json,
    unpack_golden,
)

ROOT = Path(__file__).parents[2]


def rewrite(path, target, **values):
    """The file with some keys changed, added or (None) removed; the last stays last."""
    model = onnx.load(path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    version = properties.pop(PREFIX + "schema_version")
    for key, value in values.items():
        properties.pop(PREFIX + key, None)
        if value is not None:
            properties[PREFIX + key] = to_json(value, key)
    new = any(PREFIX + key in properties for key in NEW_IN_1_1)
    properties[PREFIX + "schema_version"] = SCHEMA_VERSIONS[-1] if new else version
    model.ClearField("metadata_props")
    onnx.helper.set_model_props(model, properties)
    target.write_bytes(model.SerializeToString())
    return target


def test_the_schema_is_valid_and_knows_every_key():
    schema = metadata_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == {PREFIX + key for key in (*JSON_KEYS, *TEXT_KEYS)}
    assert set(schema["required"]) == {PREFIX + key for key in REQUIRED_KEYS}
    assert schema["properties"]["leaky_zoo.schema_version"]["enum"] == list(SCHEMA_VERSIONS)


def test_files_fit_the_schema(plain_file, watching_file):
    validator = jsonschema.Draft202012Validator(metadata_schema())
    for path in (plain_file, watching_file, *sorted((ROOT / "export").glob("*/*.onnx"))):
        validator.validate(inspect_onnx(path))


def test_a_file_states_the_lowest_version_that_has_its_keys(plain_file, watching_file):
    assert inspect_onnx(plain_file)["leaky_zoo.schema_version"] == "1.0"
    assert inspect_onnx(watching_file)["leaky_zoo.schema_version"] == "1.1"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**inspect_onnx(plain_file), "leaky_zoo.temperature": 2}, metadata_schema())


def test_a_summary_is_short_and_names_its_audit(audit):
    summary = summarise_audit(audit)
    assert len(to_json(summary, "audit")) <= 16 * 1024
    whole = json.dumps(audit, sort_keys=True, separators=(",", ":")).encode()
    assert summary["audit_sha256"] == hashlib.sha256(whole).hexdigest()
    assert summary["model"] == audit["model"]
    for row, layer in enumerate(audit["layers"]):
        assert summary["layers"]["layer"][row] == layer["layer"]
        assert summary["layers"]["participation_ratio"][row] == pytest.approx(layer["participation_ratio"], rel=1e-4)
        assert len(summary["singular_values"][row]) <= 12


def test_a_summary_of_many_layers_keeps_what_matters_most(audit):
    deep = {**audit, "layers": [{**audit["layers"][0], "layer": row} for row in range(400)]}
    summary = summarise_audit(deep)
    assert len(to_json(summary, "audit")) <= 16 * 1024
    assert "singular_values" not in summary
    assert summary["layers"]["layer"] == list(range(400))
    with pytest.raises(InvalidInputError, match="too much"):
        summarise_audit({**audit, "model": {"name": "x" * 20_000}})
    for wrong in (None, [], {"layers": 3}, {"layers": [1]}):
        with pytest.raises(InvalidInputError, match="audit"):
            summarise_audit(wrong)


def test_a_file_may_carry_the_summary_alone(plain_file, audit, tmp_path):
    path = rewrite(plain_file, tmp_path / "net.onnx", audit=None, audit_summary=summarise_audit(audit))
    assert verify_onnx(path).passed
    assert load(path).audit is None
    assert load(path).audit_summary["layers"]["layer"] == [layer["layer"] for layer in audit["layers"]]
    jsonschema.validate(inspect_onnx(path), metadata_schema())


def test_a_compressed_file_carries_the_audit_of_its_source(plain_file, audit, tmp_path):
    source = {"name": "net", "weights_sha256": audit["model"]["weights_sha256"]}
    record = {"source": source, "layers": [{"name": "block_1", "became": "folded"}]}
    path = rewrite(plain_file, tmp_path / "net.onnx", compression=record)
    jsonschema.validate(inspect_onnx(path), metadata_schema())
    assert verify_onnx(path).passed
    other = rewrite(path, tmp_path / "other.onnx", compression={"source": {**source, "weights_sha256": "0" * 64}})
    assert [check.name for check in verify_onnx(other).checks if not check.passed] == ["audit"]


def test_golden_pairs_in_proportion():
    pixels, outputs = np.arange(784.0).reshape(1, 28, 28) % 256, np.ones((1, 10))
    pixels, outputs = np.repeat(pixels, 4, 0), np.repeat(outputs, 4, 0)
    small = pack_golden(pixels, outputs, max_bytes=2000)
    assert small["inputs"]["dtype"] == "uint8"
    inputs, kept = unpack_golden(json.loads(json.dumps(small)))
    assert inputs.shape == (2, 28, 28) and kept.shape == (2, 10)
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, pixels[:2])
    assert "dtype" not in pack_golden(pixels + 0.5, outputs, max_bytes=2000)["inputs"]
    assert "dtype" not in pack_golden(pixels, outputs)["inputs"]


@pytest.mark.parametrize("dtype", ["float64", "object", 3, None])
def test_golden_pairs_of_other_kinds_are_refused(dtype):
    packed = pack_golden(np.zeros((1, 2)), np.zeros((1, 1)))
    packed["inputs"]["dtype"] = dtype
    with pytest.raises(InvalidInputError, match="golden"):
        unpack_golden(packed)
