"""`load` and what its model gives."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from leaky_zoo.deploy import export_onnx
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime import OnnxModel, fit_temperature, load, softmax


def test_what_a_file_says_of_itself(plain_file, watching_file, audit):
    model = load(plain_file, threads=1)
    assert type(model) is OnnxModel
    assert model.providers == ["CPUExecutionProvider"]
    assert model.temperature == 1.0
    assert load(watching_file).temperature == 2.0
    assert model.audit["layers"] == audit["layers"]
    assert model.audit_summary is None
    assert model.input_description["shape"] == ["batch", 4, 3]
    assert model.input_description["name"] == "inputs"
    assert model.output_description["name"] == "logits"
    assert "logits" in model.output_description["words"]


def test_a_foreign_file_is_described_by_its_graph(plain_file, tmp_path):
    model = onnx.load(plain_file)
    model.ClearField("metadata_props")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    foreign = load(tmp_path / "net.onnx")
    assert foreign.output_description == {"name": "logits", "shape": ["batch", 3], "dtype": "float32", "words": ""}
    with pytest.raises(InvalidInputError, match="Only a classifier has probabilities"):
        foreign.predict_probabilities(np.zeros((1, 4, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_have_no_class(value, plain_file, samples, tmp_path):
    x = samples(6).astype("float32")
    x[4, 1, 2] = value
    model = load(plain_file)
    for ask in (model.predict, model.predict_labels, model.predict_probabilities, model.predict_by_name):
        with pytest.raises(InvalidInputError, match="`x` holds NaN or infinity, first in sample 4"):
            ask(x)
    bare = onnx.load(plain_file)
    bare.ClearField("metadata_props")
    (tmp_path / "net.onnx").write_bytes(bare.SerializeToString())
    assert len(load(tmp_path / "net.onnx").predict(x)) == 6  # of another origin: NaN may stand for what is missing


def test_probabilities_are_softmax_over_the_temperature(watching_file, samples):
    model, x = load(watching_file), samples(20)
    probabilities = model.predict_probabilities(x)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities, softmax(model.predict(x) / 2), rtol=1e-5)
    assert model.predict_labels(x) == [["ant", "bee", "cat"][place] for place in probabilities.argmax(-1)]
    assert np.isfinite(softmax(np.array([[1e30, -1e30]]))).all()


def test_a_temperature_is_found():
    random = np.random.default_rng(0)
    honest = random.normal(size=(20000, 4)) * 2
    labels = (softmax(honest).cumsum(-1) > random.random((20000, 1))).argmax(-1)
    assert fit_temperature(3 * honest, labels) == pytest.approx(3, rel=0.05)
    assert fit_temperature([[1.0, 0.0]], [0]) == pytest.approx(0.01, rel=1e-3)
    for logits, wrong in (([[1.0, 0.0]], [2]), ([[1.0]], [0.5]), ([[np.nan, 0]], [0]), ([1.0], [0]), ([], [])):
        with pytest.raises(InvalidInputError, match="Received"):
            fit_temperature(logits, wrong)


@pytest.mark.parametrize("value", ['"warm"', "0", "-1", "true", "1e300", "[1]"])
def test_a_damaged_temperature_is_refused(value, plain_file, tmp_path):
    model = onnx.load(plain_file)
    model.metadata_props.add(key="leaky_zoo.temperature", value=value)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidInputError, match=r"leaky_zoo\.temperature"):
        load(tmp_path / "net.onnx")


def test_many_threads_share_one_model(watching_file, samples):
    model = load(watching_file)
    batches = [samples(50, seed=seed) for seed in range(24)]
    alone = [model.predict_with_bottleneck(x) for x in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(model.predict_with_bottleneck, batches * 4))
    for row, (outputs, rows) in enumerate(together):
        np.testing.assert_array_equal(outputs, alone[row % 24][0])
        np.testing.assert_array_equal(rows, alone[row % 24][1])


def test_coordinates_need_a_reference(plain_file):
    with pytest.raises(InvalidInputError, match="monitor_data"):
        load(plain_file).predict_with_bottleneck(np.zeros((1, 4, 3)))


def test_loading_predicting_and_watching_import_little(watching_file):
    code = (
        "import sys, numpy\n"
        "import leaky_zoo.runtime as runtime\n"
        "model = runtime.load(sys.argv[1])\n"
        "monitor = runtime.DriftMonitor(model, batch=4)\n"
        "monitor.predict(numpy.zeros((8, *model.input_shape)))\n"
        "assert monitor.last.batch == 2\n"
        "heavy = {'onnx', 'tensorflow', 'keras', 'pydantic', 'yaml', 'psutil', 'scipy', 'h5py', 'rich', 'typer'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(watching_file)], check=True)


@pytest.mark.parametrize("temperature", [0, -1.0, "warm", True])
def test_a_temperature_that_is_none_is_not_exported(temperature, network, tmp_path):
    with pytest.raises(InvalidInputError, match="temperature="):
        export_onnx(network, tmp_path / "net.onnx", metadata={"temperature": temperature})
    assert not (tmp_path / "net.onnx").exists()


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory):
    """Sums of rows of two numbers and a whole number, and that number alone."""
    value = onnx.helper.make_tensor_value_info
    kinds = onnx.TensorProto
    inputs = [value("pair", kinds.FLOAT, ["batch", 2]), value("step", kinds.INT32, ["batch"])]
    outputs = [value("total", kinds.FLOAT, ["batch"]), value("again", kinds.INT32, ["batch"])]
    nodes = [
        onnx.helper.make_node("ReduceSum", ["pair", "axis"], ["sum"], keepdims=0),
        onnx.helper.make_node("Cast", ["step"], ["real"], to=kinds.FLOAT),
        onnx.helper.make_node("Add", ["sum", "real"], ["total"]),
        onnx.helper.make_node("Identity", ["step"], ["again"]),
    ]
    axis = onnx.numpy_helper.from_array(np.array([1]), "axis")
    graph = onnx.helper.make_graph(nodes, "two", inputs, outputs, [axis])
    path = tmp_path_factory.mktemp("two") / "two.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return load(path)


def test_several_inputs_by_name_or_in_order(two_inputs):
    pair, step = np.arange(10.0).reshape(5, 2), np.arange(5)
    expected = pair.sum(axis=1) + step
    assert two_inputs.input_shapes == {"pair": (2,), "step": ()}
    for x in ({"step": step, "pair": pair}, (pair, step), [pair, step.astype(float)]):
        for batch_size in (2, 256):
            np.testing.assert_array_equal(two_inputs.predict(x, batch_size), expected)
    named = two_inputs.predict_by_name((pair, step), batch_size=3)
    assert list(named) == ["total", "again"] and named["again"].dtype == np.int32
    np.testing.assert_array_equal(named["again"], step)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((3, 2)), r"2 inputs: give a dict with pair, step, or a tuple in that order\. Received: ndarray"),
        ((np.ones((3, 2)),), "Received: 1 arrays"),
        ({"pair": np.ones((3, 2))}, r"must have pair, step\. Received: pair"),
        ((np.ones((3, 2)), np.ones(2)), r"equally many samples\. Received: 3 of pair, 2 of step"),
        ((np.ones((3, 3)), np.ones(3)), r"`x\['pair'\]` must have shape \(n, 2\)"),
        ((np.ones((3, 2)), [0.5, 1, 2]), r"`x\['step'\]` must hold int32 numbers"),
        ((np.ones((3, 2)), [0, 1, 2**40]), r"`x\['step'\]` must hold int32 numbers"),
        ((np.ones((3, 2)), ["a", "b", "c"]), "real numbers"),
    ],
)
def test_samples_that_do_not_fit_several_inputs_are_refused(x, message, two_inputs):
    with pytest.raises(InvalidInputError, match=message):
        two_inputs.predict(x)


def test_one_shape_is_not_asked_of_several_inputs(two_inputs):
    with pytest.raises(InvalidInputError, match="2 inputs, not one"):
        _ = two_inputs.input_shape


def test_one_input_by_name(plain_file, samples):
    model, x = load(plain_file), samples(3)
    np.testing.assert_array_equal(model.predict({"inputs": x}), model.predict(x))
    with pytest.raises(InvalidInputError, match=r"must have inputs\. Received: pixels"):
        model.predict({"pixels": x})
