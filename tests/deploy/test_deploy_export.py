"""`export_onnx`: what it writes, what it refuses, and that a failed check leaves the old file alone."""

import keras
import numpy as np
import onnx
import pytest
from families import KINDS

from leaky_zoo.deploy import export_onnx
from leaky_zoo.deploy.compare import same_labels
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.runtime import OnnxModel, describe_onnx, inspect_onnx, verify_onnx

METADATA = {
    "name": "tiny",
    "metrics": {"test": {"accuracy": 0.5}},
    "citation": "arXiv:2405.17573",
    "sha256": {"golden.npz": "00ff"},
    "versions": {"keras": "3"},
}


@keras.saving.register_keras_serializable(package="leaky_zoo_tests")
class OwnHead(LeakyMLP):
    """A family of a user, with a head of its own."""

    def _head(self, inputs, arguments):
        return keras.layers.Dense(3, activation="tanh", dtype=arguments.exact, name="own_head")(inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_written_comes_back(kind, tmp_path, make_network, raw_inputs, audit_of):
    network = make_network(kind, class_names=["a", "b", "c"], dataset={"name": "pixels", "split": "train"})
    inputs = raw_inputs(network)
    golden = (inputs, network.predict_on_batch(inputs.astype("float32")))
    path = tmp_path / "net.onnx"
    report = export_onnx(
        network, path, audit=audit_of(network), metadata=METADATA, check_inputs=inputs, golden=golden, model_version=4
    )
    assert report.route == "direct"
    assert report.inputs_from == "7 given samples"
    assert report.labels_agree
    assert max(report.relative_errors.values()) < 3e-6
    assert report.golden_relative_error < 3e-6
    assert report.to_dict()["file_bytes"] == path.stat().st_size

    carried = inspect_onnx(path)
    assert all(key.startswith("leaky_zoo.") for key in carried)
    assert carried["leaky_zoo.schema_version"] == "1.0"
    assert carried["leaky_zoo.audit"] == audit_of(network)
    assert carried["leaky_zoo.class_names"] == ["a", "b", "c"]
    assert carried["leaky_zoo.metrics"] == METADATA["metrics"]
    assert carried["leaky_zoo.citation"] == METADATA["citation"]
    assert carried["leaky_zoo.golden_sha256"] == "00ff"
    assert carried["leaky_zoo.preset"]["versions"] == {"keras": "3"}
    assert carried["leaky_zoo.dataset"] == {"name": "pixels", "split": "train"}
    assert carried["leaky_zoo.preprocessing"]["mean"] == 33.0
    assert carried["leaky_zoo.effective_depth"] == 3.0
    assert carried["leaky_zoo.step_sizes"] == [rho for path in network.paths for rho in path.step_sizes.tolist()]
    assert carried["leaky_zoo.check"]["tolerance"] == 1e-5
    assert carried["leaky_zoo.golden"]["inputs"]["shape"][0] == 4

    facts = describe_onnx(path)
    assert (facts["ir_version"], facts["opset"], facts["model_version"]) == (8, 17, 4)
    assert facts["inputs"] == {"inputs": ["batch", *network.input_shape[1:]]}
    assert facts["outputs"] == {"logits": ["batch", 3]}
    assert facts["producer"].startswith("leaky-zoo ")
    assert sum(facts["node_counts"].values()) == facts["nodes"] == report.nodes
    assert "effective depth 3" in facts["description"]

    verified = verify_onnx(path)
    assert verified.passed, verified.to_dict()

    model = OnnxModel(path, threads=1)
    assert model.audit == audit_of(network)
    expected = network.predict_on_batch(inputs.astype("float32"))
    np.testing.assert_allclose(model.predict(inputs, batch_size=3), expected, atol=3e-6 * np.abs(expected).max())
    assert model.predict_labels(inputs) == ["abc"[place] for place in expected.argmax(axis=1)]


def test_two_exports_have_the_same_bytes(tmp_path, make_network, audit_of):
    network = make_network("channels_last")
    for name in ("one.onnx", "two.onnx"):
        export_onnx(network, tmp_path / name, audit=audit_of(network), metadata=METADATA)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_a_mismatch_raises_and_leaves_the_old_file(tmp_path, make_network, raw_inputs):
    network = make_network()
    path = tmp_path / "net.onnx"
    path.write_bytes(b"the old file")
    inputs = raw_inputs(network)
    wrong = network.predict_on_batch(inputs.astype("float32")) + 1.0
    with pytest.raises(CheckFailedError, match="golden pairs are not reproduced: relative error"):
        export_onnx(network, path, golden=(inputs, wrong))
    with pytest.raises(CheckFailedError, match=r"At batch size 1 .* tolerance 1e-12"):
        export_onnx(network, path, tolerance=1e-12)
    assert path.read_bytes() == b"the old file"
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]


def test_a_network_whose_outputs_are_nan_is_not_exported(tmp_path, make_network):
    network = make_network()
    network.get_layer("head").kernel.assign(np.full((5, 3), 3e38, "float32"))
    with pytest.raises(CheckFailedError, match="relative error inf"):
        export_onnx(network, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
def test_other_dtypes_export_as_float32(dtype, tmp_path, make_network, raw_inputs, audit_of):
    network = make_network().astype(dtype)
    inputs = raw_inputs(network)
    golden = (inputs, network.predict_on_batch(inputs.astype(network.inputs[0].dtype)))
    report = export_onnx(network, tmp_path / "net.onnx", check_inputs=inputs, golden=golden, audit=audit_of(network))
    assert max(report.relative_errors.values()) < 3e-6
    assert ("float32 twin" in report.reference) == (dtype == "mixed_bfloat16")
    model = onnx.load(tmp_path / "net.onnx")
    assert {array.data_type for array in model.graph.initializer} == {onnx.TensorProto.FLOAT}
    assert verify_onnx(tmp_path / "net.onnx").passed


@pytest.mark.parametrize("kind", KINDS)
def test_representations_in_the_file(kind, tmp_path, make_network, raw_inputs):
    network = make_network(kind)
    inputs = raw_inputs(network)
    export_onnx(network, tmp_path / "net.onnx", representations=True, check_inputs=inputs)
    model = OnnxModel(tmp_path / "net.onnx")
    found = model.representations(inputs, batch_size=4)
    for ours, theirs in zip(found, network.representations(inputs.astype("float32")), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-6 * np.abs(theirs).max())
    assert model.predict(inputs).shape == (7, 3)


def test_a_foreign_model_goes_through_the_stock_converter(tmp_path, make_network, raw_inputs):
    network = make_network()
    foreign = keras.Model(network.input, keras.layers.Dense(2, activation="tanh")(network.output))
    inputs = raw_inputs(network)
    metadata = {"task": "classification", "class_names": ["no", "yes"]}
    report = export_onnx(foreign, tmp_path / "net.onnx", metadata=metadata, check_inputs=inputs)
    assert report.route == "tf2onnx"
    facts = describe_onnx(tmp_path / "net.onnx")
    assert facts["inputs"] == {"inputs": ["batch", 6, 4, 2]}
    assert facts["outputs"] == {"logits": ["batch", 2]}
    assert (facts["ir_version"], facts["opset"]) == (8, 17)
    assert set(OnnxModel(tmp_path / "net.onnx").predict_labels(inputs)) <= {"no", "yes"}
    assert verify_onnx(tmp_path / "net.onnx").passed
    export_onnx(foreign, tmp_path / "plain.onnx")
    assert list(describe_onnx(tmp_path / "plain.onnx")["outputs"]) == ["outputs"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_family_of_a_user_goes_through_the_stock_converter(dtype, tmp_path):
    network = OwnHead((4,), 3, width=5, depth=3, effective_depth=1.0, dtype=dtype)
    report = export_onnx(network, tmp_path / "net.onnx")
    assert report.route == "tf2onnx"
    assert list(describe_onnx(tmp_path / "net.onnx")["outputs"]) == ["logits"]


def test_what_the_converter_cannot_do_is_not_written(tmp_path, make_network):
    network = make_network()
    foreign = keras.Model(network.input, keras.ops.erfinv(network.output))
    with pytest.raises(CheckFailedError, match="no ONNX for Erfinv"):
        export_onnx(foreign, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_tie_between_classes_is_no_mismatch():
    expected = np.array([[1.0, 1.0 + 1e-7, 0.0]])
    assert same_labels(np.array([[1.0 + 1e-7, 1.0, 0.0]]), expected, 1e-5)
    assert not same_labels(np.array([[0.0, 0.0, 1.0]]), expected, 1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "net.bin"}, "path="),
        ({"path": 3}, "path=3"),
        ({"model": "net"}, "model=str"),
        ({"audit": "text"}, "audit=str"),
        ({"audit": {"summary": float("nan")}}, "audit"),
        ({"audit": {"model": {"weights_sha256": "other"}}}, "weights_sha256='other'"),
        ({"metadata": [1]}, "metadata="),
        ({"metadata": {"weights_sha256": "other"}}, "weights_sha256='other'"),
        ({"metadata": {"task": "guessing"}}, "task='guessing'"),
        ({"metadata": {"sha256": "text"}}, "sha256='text'"),
        ({"metadata": {"class_names": ["a", "b"]}}, "class_names=\\['a', 'b'\\]"),
        ({"check_inputs": np.zeros((3, 5))}, r"check_inputs.shape=\(3, 5\)"),
        ({"check_inputs": np.full((1, 6, 4, 2), np.nan)}, "check_inputs with NaN"),
        ({"check_inputs": np.full((1, 6, 4, 2), "a")}, "check_inputs.dtype"),
        ({"golden": 1}, "golden=int"),
        ({"golden": (np.zeros((3, 6, 4, 2)), np.zeros((2, 3)))}, "Received"),
        ({"tolerance": 0}, "tolerance=0"),
        ({"tolerance": float("nan")}, "tolerance=nan"),
        ({"model_version": 0}, "model_version=0"),
    ],
)
def test_unusable_arguments_are_refused_before_any_work(changes, message, tmp_path, make_network):
    arguments = {"model": make_network(), "path": tmp_path / "net.onnx", **changes}
    with pytest.raises(InvalidInputError, match=message):
        export_onnx(**arguments)
    assert not list(tmp_path.iterdir())


def test_foreign_models_that_cannot_be_exported_are_refused(tmp_path, make_network):
    network = make_network()
    foreign = keras.Model(network.input, keras.layers.Dense(2)(network.output))
    with pytest.raises(InvalidInputError, match="representations"):
        export_onnx(foreign, tmp_path / "net.onnx", representations=True)
    two = keras.Model(network.input, [network.output, foreign(network.input)])
    with pytest.raises(InvalidInputError, match="one input and one output"):
        export_onnx(two, tmp_path / "net.onnx", golden=(np.zeros((1, 6, 4, 2)), np.zeros((1, 3))))
