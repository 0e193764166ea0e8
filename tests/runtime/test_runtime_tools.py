"""What other tools leave of a file: metadata that survives, and putting back what does not."""

import shutil

import keras
import onnx
import onnxruntime
import pytest

from leaky_zoo.deploy import export_onnx
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.runtime import DriftMonitor, attach_metadata, describe_onnx, inspect_onnx, load, provenance, verify_onnx
from leaky_zoo.runtime.inspect import FOREIGN, OURS, STRIPPED


def optimised_save(source, target):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def shape_inference(source, target):
    onnx.save(onnx.shape_inference.infer_shapes(onnx.load(source)), target)


def version_conversion(source, target):
    onnx.save(onnx.version_converter.convert_version(onnx.load(source), 18), target)


def simplify(source, target):
    onnxsim = pytest.importorskip("onnxsim", reason="onnxsim is not installed")
    model, checked = onnxsim.simplify(onnx.load(source))
    assert checked
    onnx.save(model, target)


def slim(source, target):
    onnxslim = pytest.importorskip("onnxslim", reason="onnxslim is not installed")
    onnx.save(onnxslim.slim(onnx.load(source)), target)


def quantize(source, target):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Seven bits: with eight ONNX Runtime's sums overflow on x86 processors without VNNI, by its own documentation.
    quantize_dynamic(source, target, weight_type=QuantType.QInt8, reduce_range=True)


def extract(source, target):
    """The tool that drops everything."""
    names = [output.name for output in onnx.load(source).graph.output]
    onnx.utils.extract_model(str(source), str(target), ["inputs"], names)


EXACT = (optimised_save, shape_inference, version_conversion, simplify, slim)
quiet = pytest.mark.filterwarnings("ignore")  # theirs, of their own dependencies


@quiet
@pytest.mark.parametrize("tool", [*EXACT, quantize])
def test_metadata_survives(tool, watching_file, tmp_path, samples):
    tool(watching_file, tmp_path / "net.onnx")
    found = inspect_onnx(tmp_path / "net.onnx")  # tools add properties of their own
    assert {key: value for key, value in found.items() if key.startswith("leaky_zoo.")} == inspect_onnx(watching_file)
    assert provenance(tmp_path / "net.onnx") == OURS
    monitor = DriftMonitor(load(tmp_path / "net.onnx"), batch=32)
    monitor.predict(samples(64, seed=21))
    assert monitor.last.p_value > 1e-3
    if tool in EXACT:
        assert verify_onnx(tmp_path / "net.onnx").passed
    else:
        assert verify_onnx(tmp_path / "net.onnx", tolerance=0.2).passed


@quiet
@pytest.mark.parametrize("tool", [*EXACT, quantize, extract])
def test_a_stripped_file_is_told_from_a_foreign_one(tool, watching_file, tmp_path):
    tool(watching_file, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    for field in ("metadata_props", "doc_string", "producer_name", "producer_version", "domain"):
        model.ClearField(field)
    (tmp_path / "bare.onnx").write_bytes(model.SerializeToString())
    assert provenance(tmp_path / "bare.onnx") == STRIPPED
    assert describe_onnx(tmp_path / "bare.onnx")["metadata"] == STRIPPED


def test_foreign_files_are_foreign(tmp_path):
    value = onnx.helper.make_tensor_value_info
    for name in ("x", "block_a"):
        node = onnx.helper.make_node("Relu", [name], ["logits"], name="stem")
        kind = onnx.TensorProto.FLOAT
        graph = onnx.helper.make_graph([node], "g", [value(name, kind, ["b", 2])], [value("logits", kind, ["b", 2])])
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "foreign.onnx")
        assert provenance(tmp_path / "foreign.onnx") == FOREIGN
        assert inspect_onnx(tmp_path / "foreign.onnx") == {}


def strip(path, target):
    model = onnx.load(path)
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    target.write_bytes(model.SerializeToString())
    return target


def test_metadata_is_put_back(watching_file, tmp_path):
    bare = strip(watching_file, tmp_path / "bare.onnx")
    report = attach_metadata(bare, watching_file, out=tmp_path / "whole.onnx")
    assert report["left_out"] == [] and report["relative_error"] <= 1e-6
    assert inspect_onnx(tmp_path / "whole.onnx") == inspect_onnx(watching_file)
    assert verify_onnx(tmp_path / "whole.onnx").passed
    assert provenance(bare) == STRIPPED
    attach_metadata(bare, watching_file)
    assert provenance(bare) == OURS
    with pytest.raises(InvalidInputError, match="already"):
        attach_metadata(bare, watching_file)


def test_metadata_are_put_back_into_files_of_several_inputs(tmp_path, watching_file):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    model = keras.Model([a, b], [keras.layers.Dense(2, name=name)(joined) for name in ("one", "two")])
    export_onnx(model, tmp_path / "two.onnx")
    bare = strip(tmp_path / "two.onnx", tmp_path / "bare.onnx")
    assert attach_metadata(bare, tmp_path / "two.onnx", out=tmp_path / "whole.onnx")["relative_error"] <= 1e-6
    assert verify_onnx(tmp_path / "whole.onnx").passed
    before = bare.read_bytes()
    with pytest.raises(InvalidInputError, match=r"bare\.onnx cannot be run on the golden inputs: Required inputs"):
        attach_metadata(bare, watching_file)
    assert bare.read_bytes() == before


@quiet
def test_a_quantised_file_takes_a_tolerance(watching_file, tmp_path):
    quantize(watching_file, tmp_path / "int8.onnx")
    bare = strip(tmp_path / "int8.onnx", tmp_path / "bare.onnx")
    before = bare.read_bytes()
    with pytest.raises(CheckFailedError, match="Nothing was written"):
        attach_metadata(bare, watching_file)
    assert bare.read_bytes() == before
    report = attach_metadata(bare, watching_file, tolerance=0.2)
    assert 1e-5 < report["relative_error"] < 0.2
    assert verify_onnx(bare).passed
    assert load(bare).predict_labels


def test_a_reference_without_its_output_is_left_out(watching_file, tmp_path):
    onnx.utils.extract_model(str(watching_file), str(tmp_path / "cut.onnx"), ["inputs"], ["logits"])
    report = attach_metadata(tmp_path / "cut.onnx", watching_file)
    assert report["left_out"] == ["leaky_zoo.reference"]
    assert verify_onnx(tmp_path / "cut.onnx").passed
    with pytest.raises(InvalidInputError, match="monitor_data"):
        DriftMonitor(load(tmp_path / "cut.onnx"))


def test_other_weights_are_not_given_this_metadata(watching_file, plain_file, network, tmp_path):
    bare = strip(plain_file, tmp_path / "bare.onnx")
    model = onnx.load(bare)
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "block_2/weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(1.5 * onnx.numpy_helper.to_array(weight), weight.name))
    bare.write_bytes(model.SerializeToString())
    with pytest.raises(CheckFailedError, match="relative error"):
        attach_metadata(bare, watching_file)
    assert provenance(bare) == STRIPPED


def test_what_cannot_be_attached_is_refused(watching_file, tmp_path):
    bare = strip(watching_file, tmp_path / "bare.onnx")
    shutil.copy(bare, tmp_path / "other.onnx")
    with pytest.raises(InvalidInputError, match="no golden pairs"):
        attach_metadata(bare, tmp_path / "other.onnx")
    with pytest.raises(InvalidInputError, match="tolerance=2"):
        attach_metadata(bare, watching_file, tolerance=2)
    with pytest.raises(InvalidInputError, match="No such ONNX file"):
        attach_metadata(tmp_path / "none.onnx", watching_file)
