"""What Keras lets a user change of a network survives every way of saving and copying it."""

import contextlib
import copy
import json
import zipfile

import keras
import numpy as np
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.networks.layer_changes import QUANTIZATION_MODES
from leaky_zoo.networks.resampling import resample
from leaky_zoo.zoo import from_preset, load_model, save_to_preset

POLICIES = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
NETS = 12


def make(random, dtype):
    common = {"width": 6, "depth": 4, "effective_depth": 1.0, "io_weight_decay": 1e-3, "dtype": dtype}
    common["weight_decay"] = float(random.choice([0, 1e-3]))
    if random.random() < 0.3:
        return LeakyConvNet((8, 8, 2), 3, **common)
    return LeakyMLP((8,), 3, schedule=str(random.choice(["equidistant", "learnable"])), **common)


def change(net, random):
    """One to four changes, as users make them; returns their words."""
    layers = [layer for layer in net.layers if layer.weights]
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    done = []
    for what in random.choice(["freeze", "freeze all", "thaw", "rename", "dtype", "quantize", "lora", "weights"], 4):
        layer = layers[random.integers(len(layers))]
        if what == "freeze":
            layer.trainable = False
        elif what == "freeze all":
            net.trainable = False
        elif what == "thaw":
            net.trainable = True
        elif what == "rename":
            layer.name = f"mine_{random.integers(1000)}"
        elif what == "dtype" and layer in net.blocks:
            layer.dtype_policy = str(random.choice(["float32", "bfloat16", "mixed_float16"]))
        elif what == "quantize" and not any(layer.quantization_mode for layer in dense):
            with contextlib.suppress(ValueError):  # Keras refuses int8 in float16, before it touches a layer
                net.quantize(str(random.choice(QUANTIZATION_MODES)))
        elif what == "lora" and not dense[-1].lora_enabled and not dense[-1].quantization_mode:
            dense[-1].enable_lora(2)
        elif what == "weights":
            net.set_weights(
                [w + (0.01 * random.normal(size=w.shape)).astype(w.dtype) if w.dtype.kind == "f" else w
                 for w in net.get_weights()]
            )  # fmt: skip
        done.append(what)
    return done


def outputs(net, x):
    return keras.ops.convert_to_numpy(net(x, training=False)).astype("float64")


def same(found, net, x, policies=True):
    # Keras adds LoRA's product to the kernel when it saves: one rounding more.
    lora = any(getattr(layer, "lora_enabled", False) for layer in net.layers)
    rounding = {"float64": 2.0**-50, "float32": 2.0**-21}.get(net.dtype_policy.variable_dtype, 2.0**-5) if lora else 0
    exact = outputs(net, x)
    np.testing.assert_allclose(outputs(found, x), exact, rtol=0, atol=rounding * np.abs(exact).max())
    assert [layer.name for layer in found.layers] == [layer.name for layer in net.layers]
    assert [layer.trainable for layer in found.layers] == [layer.trainable for layer in net.layers]
    # Paths: LoRA's and quantisation's variables are made in another order.
    for one, other in zip(found.layers, net.layers, strict=True):
        assert sorted(weight.name for weight in one.trainable_weights) == sorted(
            w.name for w in other.trainable_weights
        )
        assert one.dtype_policy.name == other.dtype_policy.name or not policies
    if policies:
        assert {**found.get_config(), "name": 0} == {**net.get_config(), "name": 0}


@pytest.mark.tensorflow_only  # float64 among the dtypes: JAX has it only where x64 is on
@pytest.mark.parametrize("seed", range(NETS))
def test_changes_of_a_network_survive_saving_and_copying(seed, tmp_path):
    random = np.random.default_rng(seed)
    dtype = POLICIES[seed % len(POLICIES)]
    net = make(random, dtype)
    change(net, random)
    x = random.normal(size=(5, *net.input_shape[1:])).astype(net.inputs[0].dtype)
    net.save(tmp_path / "net.keras")
    save_to_preset(net, tmp_path / "own")
    for found in (
        keras.models.load_model(tmp_path / "net.keras", compile=False),
        load_model(tmp_path / "net.keras"),
        from_preset(tmp_path / "own"),
        copy.deepcopy(net),
    ):
        same(found, net, x)
    if not any("dtype" in changed for changed in net.get_config().get("layers", {}).values()):
        same(net.astype(dtype), net, x)
    again = load_model(tmp_path / "net.keras")
    again.save(tmp_path / "again.keras")
    same(load_model(tmp_path / "again.keras"), net, x)


@pytest.mark.tensorflow_only  # float64 among the dtypes: JAX has it only where x64 is on
@pytest.mark.parametrize("dtype", POLICIES)
def test_a_frozen_path_stays_frozen(dtype, tmp_path):
    net = LeakyMLP((8,), 3, width=12, depth=4, effective_depth=1.0, dtype=dtype).with_new_head(5, freeze_path=True)
    net.save(tmp_path / "net.keras")
    for found in (load_model(tmp_path / "net.keras"), net.astype("float64"), copy.deepcopy(net)):
        assert [weight.path for weight in found.trainable_weights] == ["head/kernel", "head/bias"]
    assert len(resample(net, 6).trainable_weights) == 2
    tuned = load_model(tmp_path / "net.keras").with_new_head(2)
    assert len(tuned.trainable_weights) == 2


@pytest.mark.parametrize("mode", QUANTIZATION_MODES)
def test_a_quantised_network_loads_and_gets_a_new_head(mode, tmp_path):
    net = LeakyMLP((8,), 3, width=12, depth=4, effective_depth=1.0)
    x = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    exact = outputs(net, x)
    net.quantize(mode)
    assert np.abs(outputs(net, x) - exact).max() < 0.3 * np.abs(exact).max()
    net.save(tmp_path / "net.keras")
    same(load_model(tmp_path / "net.keras"), net, x)
    tuned = net.with_new_head(4)
    assert tuned.get_layer("stem").quantization_mode == mode and tuned.get_layer("head").quantization_mode is None


def test_a_quantisation_that_could_not_be_loaded_is_refused_before_anything_is_lost():
    net = LeakyMLP((8,), 3, width=12, depth=4, effective_depth=1.0)
    before = net.get_weights()
    for mode in ("gptq", "awq", "int3", None):
        with pytest.raises(ValueError):  # some of them Keras's own
            net.quantize(mode)
    config = keras.quantizers.GPTQConfig(dataset=[x := np.zeros((4, 8))], tokenizer=None, num_samples=len(x))
    with pytest.raises(InvalidInputError, match="is quantised in int8, int4, float8"):
        net.quantize("gptq", config=config)
    for one, other in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_float8_layer_with_lora_could_not_be_saved_and_is_refused():
    net = LeakyMLP((8,), 3, width=12, depth=4, effective_depth=1.0)
    net.get_layer("head").enable_lora(2)
    with pytest.raises(InvalidInputError, match="head, mode=float8"):
        net.quantize("float8")
    assert net.get_layer("stem").quantization_mode is None


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"nobody": {"trainable": False}}, "layers that exist"),
        ({"stem": {"kernel": 3}}, "layers that exist"),
        ({"stem": {"name": "a b"}}, "cannot have this name"),
        ({"stem": {"quantization": {"mode": "int3", "config": None}}}, "is quantised in int8"),
        ([1], "changes by the name"),
    ],
)
def test_changes_of_strangers_are_checked(layers, message, tmp_path):
    net = LeakyMLP((8,), 3, width=12, depth=4, effective_depth=1.0)
    net.save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"] = layers
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidInputError, match=message):
        load_model(tmp_path / "bad.keras")
