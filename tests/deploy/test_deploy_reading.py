"""`inspect_onnx`, `describe_onnx`, `verify_onnx` and the runtime, on good files and on every kind of bad one."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaky_zoo.deploy import export_onnx
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime import OnnxModel, describe_onnx, inspect_onnx, verify_onnx
from leaky_zoo.runtime.metadata import pack_golden, unpack_golden

READERS = (inspect_onnx, describe_onnx, verify_onnx, OnnxModel)


@pytest.fixture(scope="module")
def good_file(tmp_path_factory, make_network, raw_inputs, audit_of):
    network = make_network("mlp", "regression")
    path = tmp_path_factory.mktemp("good") / "net.onnx"
    export_onnx(network, path, audit=audit_of(network), check_inputs=raw_inputs(network))
    assert verify_onnx(path).passed
    return path


def failed(path) -> dict[str, str]:
    return {check.name: check.detail for check in verify_onnx(path).checks if not check.passed}


def tamper(good_file, path, change):
    model = onnx.load(good_file)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def set_property(key, value):
    def change(model):
        next(entry for entry in model.metadata_props if entry.key == f"leaky_zoo.{key}").value = value

    return change


@pytest.mark.parametrize("read", READERS)
def test_what_is_no_file_is_refused(read, tmp_path):
    with pytest.raises(InvalidInputError, match=r"No such ONNX file: .*none\.onnx"):
        read(tmp_path / "none.onnx")
    for folder in (tmp_path, ""):  # an empty path is the folder one is in
        with pytest.raises(InvalidInputError, match="is a folder, not an ONNX file"):
            read(folder)
    with pytest.raises(InvalidInputError, match="path=3"):
        read(3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_random_bytes_give_one_clear_error(content, tmp_path):
    path = tmp_path / "random.onnx"
    path.write_bytes(content)
    for read in READERS:
        with pytest.raises(InvalidInputError):
            read(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_gives_one_clear_error(part, good_file, tmp_path):
    whole = good_file.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(part * len(whole))])
    # Cut off exactly between graph and metadata it is a whole graph that says nothing; everywhere else it is no file.
    try:
        assert inspect_onnx(path) == {}
    except InvalidInputError:
        return
    assert not verify_onnx(path).passed


def test_cut_off_between_two_properties(good_file, tmp_path):
    path = tamper(good_file, tmp_path / "cut.onnx", lambda model: model.metadata_props.pop())
    with pytest.raises(InvalidInputError, match="cut off"):
        inspect_onnx(path)
    assert "cut off" in failed(path)["metadata"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_changed_byte_never_crashes(place, byte, good_file, tmp_path):
    content = bytearray(good_file.read_bytes())
    content[int(place * len(content))] = byte
    path = tmp_path / "changed.onnx"
    path.write_bytes(content)
    for read in READERS:
        try:
            read(path)
        except InvalidInputError:
            continue


def test_a_changed_weight_is_noticed(good_file, tmp_path):
    def change(model):
        weight = next(array for array in model.graph.initializer if array.name == "block_3/weight")
        weight.raw_data = (np.frombuffer(weight.raw_data, "float32") * 1.1).astype("float32").tobytes()

    assert set(failed(tamper(good_file, tmp_path / "net.onnx", change))) == {"golden"}


def test_a_dead_graph_is_noticed(good_file, tmp_path):
    def change(model):
        model.graph.node[3].op_type = "NoSuchOperator"

    found = failed(tamper(good_file, tmp_path / "net.onnx", change))
    assert {"checker", "loads", "batches", "golden"} == set(found)
    assert "NoSuchOperator" in found["checker"]
    with pytest.raises(InvalidInputError, match="cannot be loaded"):
        OnnxModel(tmp_path / "net.onnx")


def test_a_fixed_batch_is_noticed(good_file, tmp_path):
    def change(model):
        for value in (model.graph.input[0], model.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_value = 4

    assert "batches" in failed(tamper(good_file, tmp_path / "net.onnx", change))


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("audit", "{", {"metadata", "golden", "audit"}),
        ("audit", '{"x":NaN}', {"metadata", "golden", "audit"}),
        ("audit", "{}", {"audit"}),
        ("audit", "[]", {"audit"}),
        ("audit", '{"model":{"weights_sha256":"other"}}', {"audit"}),
        ("weights_sha256", "other", {"audit"}),
        ("schema_version", "9.0", {"metadata"}),
        ("golden", "{}", {"batches", "golden"}),
        ("golden", '{"inputs":{"shape":[1],"data":"AA"},"outputs":1}', {"batches", "golden"}),
        ("check", '{"tolerance":"loose"}', set()),
    ],
)
def test_changed_metadata_is_noticed(key, value, names, good_file, tmp_path):
    assert set(failed(tamper(good_file, tmp_path / "net.onnx", set_property(key, value)))) == names


@pytest.mark.parametrize("location", ["../secret.bin", "secret.bin", "/etc/hostname"])
def test_files_outside_are_never_read(location, good_file, tmp_path):
    def change(model):
        weight = model.graph.initializer[0]
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)

    path = tamper(good_file, tmp_path / "net.onnx", change)
    found = failed(path)
    assert location in found["self_contained"]
    assert "Not loaded" in found["loads"]
    assert "leaky_zoo.audit" in inspect_onnx(path)


def test_a_file_without_our_metadata(good_file, tmp_path):
    path = tamper(good_file, tmp_path / "net.onnx", lambda model: model.ClearField("metadata_props"))
    assert inspect_onnx(path) == {}
    assert set(failed(path)) == {"metadata", "golden", "audit"}
    assert OnnxModel(path).audit is None


def test_verify_takes_a_tolerance(good_file):
    assert not verify_onnx(good_file, tolerance=1e-12).passed
    with pytest.raises(InvalidInputError, match="tolerance=2"):
        verify_onnx(good_file, tolerance=2)
    report = verify_onnx(good_file).to_dict()
    assert report["passed"]
    assert json.loads(json.dumps(report)) == report


def test_the_runtime_refuses_what_does_not_fit(good_file):
    model = OnnxModel(good_file)
    assert model.input_shape == (6, 4, 2)
    for wrong in (np.zeros((6, 4, 2)), np.zeros((2, 6, 4, 3)), np.zeros((0, 6, 4, 2))):
        with pytest.raises(InvalidInputError, match=r"shape \(n, 6, 4, 2\).*Received: x.shape"):
            model.predict(wrong)
    with pytest.raises(InvalidInputError, match=r"x\.dtype"):
        model.predict(np.full((1, 6, 4, 2), "a"))
    with pytest.raises(InvalidInputError, match="batch_size=0"):
        model.predict(np.zeros((1, 6, 4, 2)), batch_size=0)
    for size in (None, 2.0, True):
        with pytest.raises(InvalidInputError, match=f"batch_size={size}"):
            model.predict(np.zeros((1, 6, 4, 2)), batch_size=size)
    for providers, named in (("Abacus", "Abacus"), (["Abacus"], "Abacus"), ([("Abacus", {})], "Abacus")):
        with pytest.raises(InvalidInputError, match=f"CPUExecutionProvider.* Received: '{named}'"):
            OnnxModel(good_file, providers=providers)
    assert OnnxModel(good_file, providers="CPUExecutionProvider").input_shape == (6, 4, 2)
    with pytest.raises(InvalidInputError, match="task='regression'"):
        model.predict_labels(np.zeros((1, 6, 4, 2)))
    with pytest.raises(InvalidInputError, match="representations"):
        model.representations(np.zeros((1, 6, 4, 2)))
    with pytest.raises(InvalidInputError, match="threads=0"):
        OnnxModel(good_file, threads=0)


def test_golden_pairs_are_bounded():
    inputs, outputs = np.ones((9, 2, 3), "float32"), np.zeros((9, 1), "float32")
    kept = unpack_golden(json.loads(json.dumps(pack_golden(inputs, outputs))))
    assert kept[0].shape == (4, 2, 3)
    assert kept[1].shape == (4, 1)
    assert pack_golden(np.zeros((4, 300, 300)), np.zeros((4, 1)))["inputs"]["shape"] == [1, 300, 300]


def run_alone(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readers_start_neither_tensorflow_nor_keras(good_file):
    run_alone(
        "import sys, numpy\n"
        "import leaky_zoo.runtime\n"
        "from leaky_zoo.runtime.model import OnnxModel\n"
        "model = OnnxModel(sys.argv[1])\n"
        "assert model.predict(numpy.zeros((2, *model.input_shape))).shape == (2, 3)\n"
        "assert not {'onnx', 'tensorflow', 'keras'} & set(sys.modules)\n"
        "from leaky_zoo.runtime import describe_onnx, inspect_onnx, verify_onnx\n"
        "assert verify_onnx(sys.argv[1]).passed and describe_onnx(sys.argv[1]) and inspect_onnx(sys.argv[1])\n"
        "assert not {'tensorflow', 'keras', 'tf2onnx'} & set(sys.modules)\n",
        str(good_file),
    )


def test_inspect_imports_nothing_heavy():
    run_alone(
        "import sys, leaky_zoo.runtime.inspect\n"
        "assert not {'onnx', 'onnxruntime', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )


def test_building_directly_needs_no_tensorflow_converter():
    run_alone("import sys, leaky_zoo.deploy.export\nassert 'tf2onnx' not in sys.modules\n")


def test_an_unknown_name_is_an_attribute_error():
    import leaky_zoo.runtime

    assert "OnnxModel" in dir(leaky_zoo.runtime)
    with pytest.raises(AttributeError, match="no_such_name"):
        leaky_zoo.runtime.no_such_name  # noqa: B018


@pytest.mark.parametrize(("key", "value"), [("audit", "[1]"), ("class_names", '"abc"')])
def test_the_runtime_refuses_metadata_of_another_kind(key, value, good_file, tmp_path):
    def change(model):
        model.metadata_props.add(key=f"leaky_zoo.{key}", value=value)

    path = tamper(good_file, tmp_path / "net.onnx", change)
    with pytest.raises(InvalidInputError, match=f"damaged: leaky_zoo.{key}"):
        OnnxModel(path)


def test_the_runtime_refuses_too_few_names(make_network, tmp_path):
    export_onnx(make_network(class_names=["a", "b", "c"]), tmp_path / "net.onnx")
    path = tamper(tmp_path / "net.onnx", tmp_path / "net.onnx", set_property("class_names", '["a"]'))
    with pytest.raises(InvalidInputError, match="each of its 3 classes"):
        OnnxModel(path).predict_labels(np.zeros((1, 6, 4, 2)))
