"""`.keras` files, users' arrays and ONNX files, spoiled; and what reads them and uses what it accepted."""

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from benchmarks.robustness.fuzz.archives import spoil_h5, spoil_zip, zip_bomb
from benchmarks.robustness.fuzz.text import spoil_bytes, spoil_data, to_json
from leaky_zoo.data import load_data
from leaky_zoo.errors import LeakyZooError
from leaky_zoo.runtime import OnnxModel, describe_onnx, inspect_onnx, verify_onnx
from leaky_zoo.zoo import load_model


class ReportedError(LeakyZooError):
    """A reader that answers with a list of failed checks has refused."""


def spoil_keras(content: bytes, chance: random.Random) -> bytes:
    """Members, configuration, weights or bytes."""

    def inside(name: str, member: bytes) -> bytes:
        if name.endswith(".h5"):
            return spoil_h5(member, chance)
        if chance.random() < 0.2:
            return spoil_bytes(member, chance)
        value = json.loads(member)
        if name == "config.json" and chance.random() < 0.3:
            return to_json(hostile_config(value, chance), chance)
        return to_json(spoil_data(value, chance), chance)

    way = chance.random()
    if way < 0.01:
        return zip_bomb("config.json", 300)
    return spoil_bytes(content, chance) if way < 0.2 else spoil_zip(content, chance, inside)


def hostile_config(value: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Configurations that have run code or read files through Keras, or ask for absurd sizes."""
    layer = chance.choice(
        (
            {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}},
            {"class_name": "__lambda__", "config": {"value": "4wE="}},
            {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
            {
                "class_name": "get_file",
                "module": "keras.utils",
                "config": {"fname": "x", "origin": "http://127.0.0.1/x"},
            },
            {"class_name": "enable_unsafe_deserialization", "module": "keras.config", "config": {}},
            {"class_name": "Popen", "module": "subprocess", "config": {"args": ["touch", "owned.txt"]}},
            {"class_name": "StringLookup", "module": "keras.layers", "config": {"vocabulary": "/etc/passwd"}},
            {"class_name": "TorchModuleWrapper", "module": "keras.layers", "config": {"module": "x"}},
            {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/tmp"}},
            {"class_name": "__typespec__", "config": []},
            {"class_name": "LeakyMLP", "module": "leaky_zoo.networks.families.mlp", "config": {}},
            {"class_name": "Sequential", "module": "keras", "config": {"layers": []}},
            {"class_name": "Dense", "module": "keras.layers", "config": {"units": 10**12}},
        )
    )
    if chance.random() < 0.5:
        key = chance.choice(("width", "depth", "output_size", "input_shape", "effective_depth", "schedule", "dtype"))
        huge = chance.choice((10**9, [10**9], 1e30, layer, {"name": "irregular", "amplitude": []}))
        return {**value, "config": {**value["config"], key: huge}}
    if chance.random() < 0.5:
        return {**layer, "registered_name": chance.choice((None, "leaky_zoo>LeakyMLP", layer["class_name"]))}
    return {**value, "config": {**value["config"], chance.choice(("dtype", "schedule", "class_names")): layer}}


def spoil_onnx(content: bytes, chance: random.Random) -> bytes:
    """Bytes, metadata, tensors, shapes or nodes."""
    if chance.random() < 0.4:
        return spoil_bytes(content, chance)
    model = onnx.ModelProto.FromString(content)
    way = chance.randrange(9)
    entry = chance.choice(model.metadata_props)
    node, tensor = chance.choice(model.graph.node), chance.choice(model.graph.initializer)
    if way <= 1:
        with contextlib.suppress(ValueError, RecursionError, UnicodeEncodeError):
            entry.value = to_json(spoil_data(json.loads(entry.value), chance), chance).decode()
    elif way == 2:
        model.metadata_props.remove(entry)
    elif way == 3:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        elsewhere = ("../x.bin", "/etc/passwd", "", "x.bin", "net.onnx")
        tensor.external_data.add(key="location", value=chance.choice(elsewhere))
    elif way == 4:
        del tensor.dims[:]
        tensor.dims.extend(chance.choice(([2**40], [-1], [0], [3, 10**9], [])))
    elif way == 5:
        node.op_type = chance.choice(("NoSuchOperator", "Loop", "", "ConstantOfShape", "If", "Softmax", "Relu", "PyOp"))
    elif way == 6:
        axis = chance.choice([*model.graph.input, *model.graph.output]).type.tensor_type.shape.dim
        axis[chance.randrange(len(axis))].dim_value = chance.choice((0, -1, 10**12, 7))
    elif way == 7:
        getattr(node, chance.choice(("input", "output")))[0] = chance.choice(("", "nowhere", "outputs", "inputs"))
    else:
        versions = ((8, 0), (99, 17), (8, 999), (-1, -1), (8, 2**62))
        model.ir_version, model.opset_import[0].version = chance.choice(versions)
    return model.SerializeToString()


def user_arrays(chance: random.Random) -> dict[str, np.ndarray]:
    """Good data of a user."""
    random_ = np.random.default_rng(chance.randrange(2**32))
    arrays = {"x": random_.normal(size=(20, 4)), "y": random_.integers(0, 3, 20)}
    if chance.random() < 0.5:
        arrays |= {"x_test": random_.normal(size=(6, 4)), "y_test": random_.integers(0, 3, 6)}
    return arrays


def read_keras(path: Path) -> None:
    """Accepted: computes."""
    use(load_model(path))


def read_user(path: Path) -> None:
    """Accepted: finite numbers, splits and statistics."""
    data = load_data(str(path))
    for split in ("train", "test"):
        x, y = data.select(split)
        assert len(x) == len(y) and np.isfinite(x.astype(np.float32)).all() and np.isfinite(y.astype(np.float32)).all()
    assert np.isfinite(data.statistics("train")["input_variance"]).all()
    assert 1 <= data.output_size <= 10**6


def read_inspect(path: Path) -> None:
    """Metadata."""
    json.dumps(inspect_onnx(path), allow_nan=False)


def read_describe(path: Path) -> None:
    """The graph."""
    json.dumps(describe_onnx(path), allow_nan=False)


def read_verify(path: Path) -> None:
    """All checks; one that failed is a refusal."""
    report = verify_onnx(path)
    json.dumps(report.to_dict(), allow_nan=False)
    if not report.passed:
        failed = "; ".join(check.detail for check in report.checks if not check.passed)
        raise ReportedError(f"net.onnx: {failed}"[:4000])


def read_runtime(path: Path) -> None:
    """Accepted: computes, or refuses the samples."""
    model = OnnxModel(path, threads=1)
    if all(isinstance(side, int) and 0 < side < 10**6 for side in model.input_shape):
        model.predict(np.zeros((2, *model.input_shape)))


def use(network: Any) -> None:
    """A prediction."""
    shape = network.inputs[0].shape[1:]
    if None not in shape and int(np.prod(shape)) <= 10**6:
        assert network(np.zeros((2, *shape), network.inputs[0].dtype), training=False).shape[0] == 2
    keras.backend.clear_session()
