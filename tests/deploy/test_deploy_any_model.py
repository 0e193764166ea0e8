"""Any Keras model is exported and verifies, or is refused in one sentence."""

import keras
import numpy as np
import onnx
import pytest

from leaky_zoo.deploy import export, export_onnx
from leaky_zoo.errors import CheckFailedError, InvalidInputError, LeakyZooError
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.runtime import OnnxModel
from leaky_zoo.runtime.verify import verify_onnx

layers = keras.layers


@keras.saving.register_keras_serializable(package="tests_any_model")
class Twice(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(5, activation="tanh"), layers.Dense(2)

    def call(self, x):
        return self.second(self.first(x))


@keras.saving.register_keras_serializable(package="tests_any_model")
class Two(keras.Model):
    """Subclassed, of two inputs in a list, a tuple or a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.other = layers.Dense(4, activation="tanh"), layers.Dense(4)

    def call(self, inputs):
        a, b = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
        return self.one(a) - 2 * self.other(b)


PAIR = {"a": np.linspace(-1, 1, 12).reshape(6, 2), "b": np.linspace(2, 5, 18).reshape(6, 3)}


def called_on(kind):
    model = Two()
    rows = {name: values.astype("float32") for name, values in PAIR.items()}
    model(rows if kind is dict else kind(rows.values()))
    return model


def several(outputs="dict"):
    a, b = keras.Input((8,), name="a"), keras.Input((4, 3), name="b")
    joined = layers.Concatenate()([a, layers.Flatten()(b)])
    first, second = layers.Dense(3, name="first")(joined), layers.Dense(2, name="second")(joined)
    if outputs == "dict":
        return keras.Model({"a": a, "b": b}, {"zeta": first, "alpha": second})
    return keras.Model([a, b], [first, second] if outputs == "list" else first)


def nested():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(6)])
    inputs = keras.Input((6,))
    return keras.Sequential([keras.Input((6,)), inner, keras.Model(inputs, inner(inputs)), layers.Dense(2)])


def subclassed():
    model = Twice()
    model(np.ones((2, 6), "float32"))
    return model


def collide(name):
    inputs = keras.Input((4,), name="x")
    return keras.Model(inputs, layers.Dense(2, name=name)(layers.Dense(3, name="a")(inputs)))


def chain(*parts, shape=(6,), **how):
    return keras.Sequential([keras.Input(shape, **how), *parts])


# What once ended in a traceback or a refusal: Sequential, names, inputs, operators, dtypes.
EXPORTED = {
    "sequential": lambda: chain(layers.Dense(5, activation="relu"), layers.Dense(3)),
    "sequential with images": lambda: chain(layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(), shape=(9, 9, 2)),
    "nested": nested,
    "subclassed": subclassed,
    "subclassed, inputs in a list": lambda: called_on(list),
    "subclassed, inputs in a dict": lambda: called_on(dict),
    "several by name": several,
    "several in a list": lambda: several("list"),
    "several inputs": lambda: several("one"),
    "tokens": lambda: chain(layers.Embedding(7, 4), layers.GlobalAveragePooling1D(), shape=(5,)),
    "integers": lambda: chain(layers.Embedding(2, 4), layers.LSTM(3), shape=(5,), dtype="int32"),
    "exact gelu": lambda: chain(layers.Dense(5), layers.Activation(keras.activations.gelu)),
    "celu": lambda: chain(layers.Dense(5, activation="celu")),
    "expm1": lambda: chain(layers.Dense(5, activation=keras.ops.expm1)),
    "elu and selu": lambda: chain(layers.Dense(5, activation="elu"), layers.Dense(4, activation="selu")),
    "attention": lambda: keras.Model(x := keras.Input((5, 8)), layers.MultiHeadAttention(2, 4)(x, x)),
    "recurrent": lambda: chain(
        layers.GRU(4, return_sequences=True), layers.Bidirectional(layers.LSTM(3)), shape=(5, 3)
    ),
    "output called inputs": lambda: collide("inputs"),
    "output called outputs": lambda: collide("outputs"),
    "layer called in_0": lambda: collide("in_0"),
    "mixed_float16": lambda: chain(layers.Dense(5, dtype="mixed_float16"), layers.Dense(3, dtype="float32")),
    "mixed_bfloat16": lambda: chain(layers.Dense(5, dtype="mixed_bfloat16"), layers.Dense(3, dtype="float32")),
    "float16": lambda: chain(layers.Dense(5, dtype="float16"), dtype="float16"),
    "bfloat16": lambda: chain(layers.Dense(5, dtype="bfloat16"), dtype="bfloat16"),
    "float64": lambda: chain(layers.Dense(5, dtype="float64"), dtype="float64"),
}


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_and_verified(name, tmp_path):
    model = EXPORTED[name]()
    report = export_onnx(model, tmp_path / "m.onnx")
    assert max(report.relative_errors.values()) <= 1e-5 and report.samples_kept == 4
    done = verify_onnx(tmp_path / "m.onnx")
    assert done.passed, done.to_dict()


def test_several_inputs_and_outputs_keep_their_names(tmp_path):
    for outputs, names in (("dict", ["alpha", "zeta"]), ("list", ["first", "second"])):
        export_onnx(several(outputs), tmp_path / "m.onnx")
        graph = onnx.load(tmp_path / "m.onnx").graph
        assert [each.name for each in graph.input] == ["a", "b"]
        assert sorted(each.name for each in graph.output) == names
        assert graph.input[1].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize("make", [lambda: called_on(list), lambda: called_on(dict), Two], ids=["list", "dict", "new"])
def test_subclassed_models_of_several_inputs_take_them_apart(make, tmp_path):
    model, path = make(), tmp_path / "m.onnx"
    export_onnx(model, path, check_inputs=list(PAIR.values()))
    assert verify_onnx(path).passed
    names = [each.name for each in onnx.load(path).graph.input]
    found = OnnxModel(path).predict(dict(zip(names, PAIR.values(), strict=True)))
    expected = Two.call(model, [values.astype("float32") for values in PAIR.values()])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("give", ["list", "dict", "dict in another order"])
def test_given_samples_of_several_inputs(give, tmp_path):
    x = {"a": np.ones((6, 8)), "b": np.ones((6, 4, 3))}
    given = {"list": list(x.values()), "dict": x, "dict in another order": dict(reversed(x.items()))}[give]
    report = export_onnx(several(), tmp_path / "m.onnx", check_inputs=given)
    assert report.inputs_from == "6 given samples"
    assert verify_onnx(tmp_path / "m.onnx").passed
    for bad, words in (
        ({"a": x["a"]}, "must have a, b"),
        ([x["a"]], "2 arrays"),
        (x | {"a": x["a"][:3]}, "equally many"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            export_onnx(several(), tmp_path / "m.onnx", check_inputs=bad)


REFUSED = {
    "stateful": (
        lambda: keras.Model(x := keras.Input(batch_shape=(4, 9, 5)), layers.LSTM(3, stateful=True)(x)),
        "fixed",
    ),
    "fixed batch": (lambda: keras.Model(x := keras.Input(batch_shape=(4, 5)), layers.Dense(3)(x)), "fixed batch"),
    "unknown length": (lambda: chain(layers.LSTM(3), shape=(None, 4)), "known shape"),
    "never built": (Twice, "is not known"),
    "text": (lambda: keras.Model(x := keras.Input((1,), dtype="string"), layers.Identity()(x)), "takes text"),
    "no rows": (lambda: chain(layers.Lambda(keras.ops.sum, output_shape=())), "row of real numbers for each sample"),
    "svd": (lambda: chain(layers.Lambda(lambda x: keras.ops.svd(x)[1]), shape=(3, 3)), "no ONNX for Svd"),
    "argmax": (lambda: chain(layers.Lambda(lambda x: keras.ops.argmax(x, -1))), "no ONNX for Bitcast"),
    "no model": (lambda: layers.Dense(3), "must be a Keras model"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name, tmp_path):
    make, words = REFUSED[name]
    with pytest.raises(LeakyZooError, match=words) as error:
        export_onnx(make(), tmp_path / "m.onnx")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize(
    "make", [lambda: LeakyMLP((4,), 3, width=6, depth=3, effective_depth=1.0), EXPORTED["sequential"]]
)
def test_quantised_models_are_refused(make, mode, tmp_path):
    model = make()
    model.quantize(mode)
    with pytest.raises(InvalidInputError, match="quantised layers"):
        export_onnx(model, tmp_path / "m.onnx")


@pytest.mark.parametrize("opset", [17, 18, 19, 20, 21])
def test_opsets(opset, tmp_path):
    own = [
        LeakyMLP((4,), 3, width=6, depth=3, effective_depth=1.0, input_mean=1.0),
        LeakyMLP((2, 2), None, task="autoencoding", width=6, depth=3, effective_depth=1.0),
        LeakyConvNet((8, 8, 1), 3, width=4, depth=3, effective_depth=1.0),
    ]
    for model in own:
        watched = np.random.default_rng(0).normal(size=(400, *model.config.input_shape))
        for monitor_data in (None, watched):
            export_onnx(model, tmp_path / "m.onnx", opset=opset, monitor_data=monitor_data)
            assert onnx.load(tmp_path / "m.onnx").opset_import[0].version == opset
            assert verify_onnx(tmp_path / "m.onnx").passed
    if opset <= 18:
        export_onnx(EXPORTED["sequential"](), tmp_path / "m.onnx", opset=opset)
        assert verify_onnx(tmp_path / "m.onnx").passed
    else:
        with pytest.raises(InvalidInputError, match=r"17 or 18 \(tf2onnx\)"):
            export_onnx(EXPORTED["sequential"](), tmp_path / "m.onnx", opset=opset)


@pytest.mark.parametrize("opset", [16, 22, "17", True])
def test_other_opsets_are_refused(opset, tmp_path):
    with pytest.raises(InvalidInputError, match="`opset` must be 17 to 21"):
        export_onnx(LeakyMLP((4,), 3, width=6, depth=3, effective_depth=1.0), tmp_path / "m.onnx", opset=opset)


def test_without_samples_and_without_audit(tmp_path):
    for name in ("sequential", "tokens", "several by name"):
        report = export_onnx(EXPORTED[name](), tmp_path / "m.onnx", keep_samples=False)
        assert report.samples_kept == 0
        done = {check.name: check for check in verify_onnx(tmp_path / "m.onnx").checks}
        assert all(check.passed for check in done.values())
        assert done["golden"].detail == "No samples were kept, as exported."
        assert done["audit"].detail == "No audit, as exported."


# Above the limit of protobuf, which is lowered here instead of allocating 2 GiB


@pytest.fixture(params=["own", "foreign", "several"])
def large(request, tmp_path, monkeypatch):
    make = {
        "own": lambda: LeakyMLP((40,), 3, width=64, depth=4, effective_depth=1.0),
        "foreign": lambda: chain(layers.Dense(200), layers.Dense(100), shape=(50,)),
        "several": several,
    }[request.param]
    monkeypatch.setattr(onnx.checker, "MAXIMUM_PROTOBUF", 200)
    model = make()
    report = export_onnx(model, tmp_path / "m.onnx")
    return model, report, tmp_path


def test_large_models_keep_their_tensors_beside_the_file(large):
    model, report, folder = large
    (beside,) = folder.glob("*.data")
    assert report.file_bytes == beside.stat().st_size + (folder / "m.onnx").stat().st_size
    assert verify_onnx(folder / "m.onnx").passed
    export_onnx(model, folder / "m.onnx")  # again: nothing is left of the first
    assert sorted(path.suffix for path in folder.iterdir()) == [".data", ".onnx"]
    assert verify_onnx(folder / "m.onnx").passed


@pytest.mark.parametrize("change", ["bytes", "gone", "link", "elsewhere"])
def test_changed_tensors_are_noticed(change, large):
    _, _, folder = large
    (beside,) = folder.glob("*.data")
    content = beside.read_bytes()
    if change == "bytes":
        beside.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        beside.unlink()
    if change == "link":
        (folder / "other").write_bytes(content)
        beside.symlink_to(folder / "other")
    if change == "elsewhere":
        model = onnx.load(folder / "m.onnx", load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = "../" + entry.value if entry.key == "location" else entry.value
        (folder / "m.onnx").write_bytes(model.SerializeToString())
    done = {check.name: check for check in verify_onnx(folder / "m.onnx").checks}
    assert not done["self_contained"].passed and not done["loads"].passed


def test_a_wrong_graph_is_never_written(tmp_path, monkeypatch):
    right = export.build_onnx

    def wrong(*arguments, **how):
        graph = right(*arguments, **how)
        graph.graph.node[-1].input[:] = graph.graph.node[-1].input[:2]  # no bias
        return graph

    monkeypatch.setattr(export, "build_onnx", wrong)
    net = LeakyMLP((4,), 3, width=6, depth=3, effective_depth=1.0)
    net.get_layer("head").bias.assign([1, 2, 3])
    with pytest.raises(CheckFailedError, match="does not agree with Keras"):
        export_onnx(net, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
