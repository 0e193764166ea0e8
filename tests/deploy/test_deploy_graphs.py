"""Directly built graphs compute what Keras computes, in every form."""

import keras
import numpy as np
import onnx
import pytest
from families import EXAMPLES, KINDS

from leaky_zoo.deploy.build import build_onnx
from leaky_zoo.deploy.convert import convert_with_tf2onnx
from leaky_zoo.deploy.convolutions import same_padding
from leaky_zoo.deploy.ports import Reference
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import TASKS
from leaky_zoo.runtime.session import open_session, relative_error, run_rows, take_rows


def run(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    return run_rows(open_session(model.SerializeToString(), threads=1), inputs)


def error_against_keras(network, model: onnx.ModelProto, inputs: np.ndarray) -> float:
    return relative_error(run(model, inputs), np.asarray(network(inputs.astype(network.inputs[0].dtype))))


def assign_steps(network, steps: list[float]) -> None:
    for path in network.paths:
        path.step_size_layer.values.assign(steps)  # by hand: `assign` would refuse steps beyond the cap


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("effective_depth", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", EXAMPLES)
def test_graph_agrees_with_keras(kind, task, effective_depth, use_bias, make_network, raw_inputs):
    network = make_network(kind, task, effective_depth, use_bias=use_bias)
    model = build_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString(), threads=1)
    assert session.get_inputs()[0].name == "inputs"
    assert session.get_inputs()[0].shape == ["batch", *network.input_shape[1:]]
    assert session.get_outputs()[0].name == TASKS[task].output_name
    inputs = raw_inputs(network).astype(np.float32)
    for batch in (1, 2, 257):
        rows = take_rows(inputs, batch)
        assert relative_error(run_rows(session, rows), np.asarray(network(rows))) < 3e-6


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_direct_graph_agrees_with_the_stock_converter(kind, task, make_network, raw_inputs):
    network = make_network(kind, task)
    inputs = raw_inputs(network).astype(np.float32)
    direct, converted = build_onnx(network), convert_with_tf2onnx(Reference(network, TASKS[task].output_name))
    assert relative_error(run(direct, inputs), run(converted, inputs)) < 3e-6
    assert len(direct.graph.node) < len(converted.graph.node)


def test_a_dense_block_is_three_operators_and_two_without_bias(make_network):
    operators = [node.op_type for node in build_onnx(make_network(depth=5)).graph.node]
    assert operators == ["Flatten", "Gemm", *["Relu", "Add", "Gemm"] * 5, "Gemm"]
    operators = [node.op_type for node in build_onnx(make_network(depth=5, use_bias=False)).graph.node]
    assert operators == ["Flatten", "Gemm", *["Relu", "Gemm"] * 5, "Gemm"]


def test_names_say_what_things_are(make_network):
    graph = build_onnx(make_network()).graph
    assert {"block_3/relu", "block_3/leak", "block_3/step"} <= {node.name for node in graph.node}
    assert {"stem/weight", "block_3/weight", "block_3/bias", "head/bias"} <= {array.name for array in graph.initializer}


@pytest.mark.parametrize("kind", KINDS)
def test_versions_and_determinism(kind, make_network):
    network = make_network(kind)
    model = build_onnx(network)
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.SerializeToString() == build_onnx(network).SerializeToString()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_leak_of_zero_and_beyond(kind, use_bias, dtype, make_network, raw_inputs):
    network = make_network(kind, effective_depth=3.0, use_bias=use_bias).astype(dtype)
    # 1 - rho L~: zero (as float32 rounds 3 * (1/3)), tiny and positive, negative, ordinary.
    assign_steps(network, [1 / 3, 1 / 3 - 1e-6, 0.35, 0.2, 0.1])
    inputs = raw_inputs(network).astype(np.float32)
    assert error_against_keras(network, build_onnx(network), inputs) < 3e-6
    assert error_against_keras(network, build_onnx(network, representations=True), inputs) < 3e-6


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("effective_depth", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("kind", ["channels_last", "signals", "resnet"])
def test_folded_and_plain_convolutions_agree(kind, task, effective_depth, make_network, raw_inputs):
    network = make_network(kind, task, effective_depth)
    inputs = raw_inputs(network).astype(np.float32)
    folded, plain = build_onnx(network, folded=True), build_onnx(network, folded=False)
    assert not [node for node in folded.graph.node if node.op_type == "Mul"]
    assert len([node for node in plain.graph.node if node.op_type == "Mul"]) == (
        5 * len(network.paths) if effective_depth else 0
    )
    assert relative_error(run(folded, inputs), run(plain, inputs)) < 3e-6


def test_folding_is_refused_where_it_would_be_wrong(make_network, raw_inputs):
    network = make_network("channels_last", depth=22, effective_depth=19.0)
    with pytest.raises(InvalidInputError, match="Received: folded=True"):
        build_onnx(network, folded=True)
    inputs = raw_inputs(network).astype(np.float32)
    assert error_against_keras(network, build_onnx(network), inputs) < 3e-6
    with pytest.raises(InvalidInputError, match="representations=True"):
        build_onnx(make_network("channels_last"), folded=True, representations=True)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_representations_are_those_of_the_network(kind, make_network, raw_inputs):
    network = make_network(kind)
    model = build_onnx(network, representations=True)
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString(), threads=1)
    inputs = raw_inputs(network).astype(np.float32)
    logits, *found = session.run(None, {"inputs": inputs})
    expected = network.representations(inputs)
    rows = range(6 * len(network.paths))
    assert [value.name for value in session.get_outputs()[1:]] == [f"representation_{row}" for row in rows]
    assert max(relative_error(a, np.asarray(b)) for a, b in zip(found, expected, strict=True)) < 3e-6
    assert relative_error(logits, np.asarray(network(inputs))) < 3e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_nearly_constant_feature_keeps_its_digits(kind, make_network):
    # Folded into the stem, 1000 / 0.01 would cost five digits.
    network = make_network(kind, input_mean=[1000.0, 0.0], input_variance=[1e-4, 0.0])
    inputs = np.zeros((4, *network.input_shape[1:]), "float32")
    inputs[..., 0] = 1000 + 0.01 * np.random.default_rng(0).normal(size=inputs.shape[:-1])
    assert error_against_keras(network, build_onnx(network), inputs) < 3e-6


@pytest.mark.parametrize("task", ["classification", "autoencoding"])
def test_channels_first_normalises_along_the_last_axis_as_keras_does(task, make_network, raw_inputs):
    network = make_network(
        "channels_first", task, input_mean=list(range(6)), input_variance=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    )
    inputs = raw_inputs(network).astype(np.float32)
    assert error_against_keras(network, build_onnx(network), inputs) < 3e-6


@pytest.mark.parametrize(("stem_size", "stem_stride"), [(5, 1), (4, 2), (5, 3), (1, 1), (2, 3)])
@pytest.mark.parametrize("task", ["classification", "autoencoding"])
def test_padding_of_every_stem(task, stem_size, stem_stride, make_network, raw_inputs):
    network = (
        make_network("channels_last", task, stem_size=stem_size, stem_stride=stem_stride, depth=4, effective_depth=1.0)
        if stem_stride != 3 or task == "classification"
        else make_wide_autoencoder(stem_size)
    )
    inputs = raw_inputs(network).astype(np.float32)
    assert error_against_keras(network, build_onnx(network), inputs) < 3e-6


def make_wide_autoencoder(stem_size: int):
    from leaky_zoo.networks import LeakyConvNet

    keras.utils.set_random_seed(1)
    return LeakyConvNet(
        (9, 6, 2),
        task="autoencoding",
        width=5,
        depth=4,
        stem_size=stem_size,
        stem_stride=3,
        data_format="channels_last",
    )


def test_same_padding_is_that_of_tensorflow():
    assert same_padding(28, kernel=5, stride=2) == (1, 2)
    assert same_padding(9, kernel=2, stride=2) == (0, 1)
    assert same_padding(6, kernel=1, stride=3) == (0, 0)


def test_weights_that_are_not_finite_are_refused(make_network):
    network = make_network()
    network.blocks[2].kernel.assign(np.full((5, 5), np.nan))
    with pytest.raises(InvalidInputError, match="block_3/weight with 25 of 25"):
        build_onnx(network)


def test_a_foreign_model_is_not_built_directly(make_network):
    network = make_network()
    foreign = keras.Model(network.input, keras.layers.Dense(2)(network.output))
    with pytest.raises(InvalidInputError, match="Received: network=Functional"):
        build_onnx(foreign)
