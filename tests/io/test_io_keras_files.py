"""`.keras` files of anyone's: what of Keras is loaded, what of the user's own, and what to do with other formats."""

import importlib
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.description import weights_sha256
from leaky_zoo.io.keras_config import CLASSES_OF_MODULES, MODULES, REFUSED_CLASSES, USER_MODULES
from leaky_zoo.io.keras_file import read_keras_file
from leaky_zoo.processes.user_modules import VARIABLE, import_modules
from leaky_zoo.zoo import load_model

OWN = """
import os
from os import path as other
import keras

class Scale(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Focal(keras.losses.Loss):
    def call(self, y, p):
        return keras.ops.mean((y - p) ** 2)

class Hits(keras.metrics.Mean):
    pass

class Slow(keras.optimizers.SGD):
    pass

class Steps(keras.optimizers.schedules.ExponentialDecay):
    pass

def swish2(x):
    return x * keras.ops.sigmoid(2 * x)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's, which Keras knows nothing of."""
    (tmp_path / "own_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("own_parts")
    sys.modules.pop("own_parts")


def small(compiled=None, own_layer=None, activation="relu"):
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation=activation), *([own_layer] if own_layer else [])]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    if compiled:
        model.compile(**compiled)
    return model


def same(model, path, **how):
    found = load_model(path, **how)
    x = np.random.default_rng(0).normal(size=(5, *model.input_shape[1:])).astype("float32")
    one, other = (keras.ops.convert_to_numpy(each(x)).astype("float64") for each in (model, found))
    np.testing.assert_array_equal(one, other)
    return found


# What of Keras is loaded: the list against the installed Keras


# In a process of its own: importing all of Keras changes what its backends are.
WALK = """
import importlib, inspect, json, pkgutil
import keras, keras.src
from keras.src.api_export import get_name_from_symbol
found = []
for module in pkgutil.walk_packages(keras.src.__path__, "keras.src."):
    if "_test" in module.name or ".backend" in module.name or "torchtree" in module.name:
        continue
    for name, each in vars(importlib.import_module(module.name)).items():
        if inspect.isclass(each) and issubclass(each, keras.Operation) and each.__module__ == module.name:
            public = get_name_from_symbol(each)
            found.append((public.rpartition(".")[0] if public else module.name, name))
print(json.dumps(found))
"""


def test_every_operation_and_layer_of_keras_is_on_the_list():
    done = subprocess.run([sys.executable, "-c", WALK], capture_output=True, text=True, check=True)
    classes = [tuple(each) for each in json.loads(done.stdout.splitlines()[-1])]
    assert len(classes) > 500
    missing = []
    for module, name in classes:
        abstract = name.startswith("Base") or name in ("ConvLSTM", "DataLayer", "IndexLookup", "Merge")
        feature_space = name == "FeatureSpace" or "feature_space" in module  # looks words up, as the refused ones
        if not (abstract or feature_space or name in REFUSED_CLASSES or module.startswith("keras._legacy")):
            listed = module in MODULES or name in CLASSES_OF_MODULES.get(module, ())
            missing += [] if listed else [f"{module}.{name}"]
    assert not missing


def test_everything_on_the_list_exists():
    for module in MODULES:
        importlib.import_module(module)
    for module, names in CLASSES_OF_MODULES.items():
        for name in names:
            assert issubclass(getattr(importlib.import_module(module), name), keras.Operation)


def image_model(function, batch=None):
    image = keras.Input(batch_shape=(batch, 8, 8, 3))
    return keras.Model(image, function(image))


def part_of(module, name, *arguments):
    return getattr(importlib.import_module(f"keras.src.applications.{module}"), name)(*arguments)


# The parts of Keras that were once left out, and their kin.
PARTS = {
    "resize": lambda: image_model(lambda x: keras.ops.image.resize(x, (4, 4))),
    "crop": lambda: image_model(lambda x: keras.ops.image.crop_images(x, 1, 1, 1, 1)),
    "rearrange": lambda: image_model(lambda x: keras.ops.rearrange(x, "b h w c -> b c w h"), 5),
    "norm": lambda: image_model(lambda x: keras.ops.norm(x, axis=-1)),
    "layer scale": lambda: image_model(part_of("convnext", "LayerScale", 1.0, 3)),
    "custom scale": lambda: image_model(lambda x: part_of("inception_resnet_v2", "CustomScaleLayer", 0.2)([x, x])),
    "ops as activation": lambda: small(activation=keras.ops.tanh),
    "mish": lambda: small(activation="mish"),
    "convolutional lstm": lambda: keras.Sequential([keras.Input((3, 8, 8, 1)), keras.layers.ConvLSTM2D(2, 3)]),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_keras_load(name, tmp_path):
    model = PARTS[name]()
    model.save(tmp_path / "m.keras")
    same(model, tmp_path / "m.keras")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_bfloat16", "float64"])
def test_foreign_models_of_every_dtype_load(dtype, tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, dtype=dtype)(inputs))
    model.save(tmp_path / "m.keras")
    found = same(model, tmp_path / "m.keras")
    assert weights_sha256(found) == weights_sha256(model)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantised_foreign_models_load(mode, tmp_path):
    model = small()
    model.quantize(mode)
    model.save(tmp_path / "m.keras")
    same(model, tmp_path / "m.keras")


# How it was compiled


@pytest.mark.parametrize("what", ["loss", "lambda", "metric", "optimizer", "schedule", "function"])
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_how_a_model_was_compiled_is_not_read(what, own, tmp_path):
    compiled = {
        "loss": {"loss": own.Focal()},
        "lambda": {"loss": lambda y, p: keras.ops.mean((y - p) ** 2)},
        "metric": {"loss": "mse", "metrics": [own.Hits()]},
        "optimizer": {"loss": "mse", "optimizer": own.Slow()},
        "schedule": {"loss": "mse", "optimizer": keras.optimizers.SGD(own.Steps(0.1, 10, 0.9))},
        "function": {"loss": own.swish2},
    }[what]
    model = small(compiled)
    model.save(tmp_path / "m.keras")
    assert not same(model, tmp_path / "m.keras").compiled
    with pytest.warns(UserWarning, match="loaded, not compiled"):
        found = same(model, tmp_path / "m.keras", compile=True)
    assert not found.compiled
    nested = keras.Sequential([keras.Input((4,)), model])
    nested.save(tmp_path / "nested.keras")
    same(nested, tmp_path / "nested.keras")


def test_a_compiled_model_comes_back_with_its_optimizer(tmp_path):
    model = small({"optimizer": keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10)), "loss": "mse"})
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    model.fit(x, x[:, :2], verbose=0)
    model.save(tmp_path / "m.keras")
    assert not same(model, tmp_path / "m.keras").compiled
    found = same(model, tmp_path / "m.keras", compile=True)
    assert found.compiled and int(found.optimizer.iterations) == 1
    for one, other in zip(model.optimizer.variables, found.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_presets_are_not_compiled():
    with pytest.raises(InvalidInputError, match="a preset is of our classes"):
        load_model("leaky_mlp_optical_digits_l7_equidistant", compile=True)


# Classes of the user's own


def test_own_classes_by_custom_objects_or_by_import(own, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    model = small(own_layer=own.Scale(), activation=own.swish2)
    model.save(tmp_path / "m.keras")
    with pytest.raises(InvalidInputError, match=r"own.*--import MODULE.*custom_objects"):
        load_model(tmp_path / "m.keras")
    same(model, tmp_path / "m.keras", custom_objects={"Scale": own.Scale, "swish2": own.swish2})
    try:
        import_modules(["own_parts"])
        same(model, tmp_path / "m.keras")
        with zipfile.ZipFile(tmp_path / "m.keras") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        bad = members["config.json"].replace(b'"Scale"', b'"other"')
        with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
            for name, content in {**members, "config.json": bad}.items():
                archive.writestr(name, content)
        with pytest.raises(InvalidInputError, match="own_parts"):  # what the module imported is not the user's
            load_model(tmp_path / "bad.keras")
    finally:
        USER_MODULES.discard("own_parts")


def test_a_custom_name_opens_no_other_module(tmp_path):
    model = small()
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1].update(module="antigravity", class_name="Scale", registered_name="Other")
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidInputError, match="antigravity"):
        load_model(tmp_path / "bad.keras", custom_objects={"Scale": keras.layers.Dense})
    assert "antigravity" not in sys.modules


# Other formats, and files without weights


@pytest.mark.filterwarnings("ignore")
def test_other_formats_say_what_to_do(tmp_path):
    model = small()
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "h5.keras").write_bytes((tmp_path / "m.h5").read_bytes())
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")
    _, metadata, _ = read_keras_file(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        old = json.dumps({**metadata, "keras_version": "2.15.0"})
        for name, content in {**members, "metadata.json": old}.items():
            archive.writestr(name, content)
    for file, words in {
        "m.h5": "keras.models.load_model",
        "h5.keras": "keras.models.load_model",
        "m.weights.h5": "load_weights",
        "saved": "SavedModel",
        "old.keras": "written by Keras '2.15.0'",
    }.items():
        with pytest.raises(InvalidInputError, match=words) as error:
            load_model(tmp_path / file)
        assert file in str(error.value) and "\n" not in str(error.value)


@keras.saving.register_keras_serializable(package="tests_io")
class Later(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize("make", [Later, lambda: keras.Sequential([keras.layers.Dense(3)])])
def test_a_file_without_weights_is_refused(make, tmp_path):
    model = make()
    model.save(tmp_path / "m.keras")
    with pytest.raises(InvalidInputError, match="without weights"):
        load_model(tmp_path / "m.keras")
    model(np.ones((2, 4), "float32"))
    model.save(tmp_path / "built.keras")
    one, other = (load_model(tmp_path / "built.keras") for _ in range(2))
    assert weights_sha256(one) == weights_sha256(other) == weights_sha256(model)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    for name, units in (("one", 3), ("two", 5)):
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, name="dense")]).save(tmp_path / f"{name}.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Flatten()]).save(tmp_path / "none.keras")
    with zipfile.ZipFile(tmp_path / "one.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for other in ("two", "none"):
        with zipfile.ZipFile(tmp_path / f"{other}.keras") as archive:
            weights = archive.read("model.weights.h5")
        with zipfile.ZipFile(tmp_path / "mixed.keras", "w") as archive:
            for name, content in {**members, "model.weights.h5": weights}.items():
                archive.writestr(name, content)
        with pytest.raises(InvalidInputError, match="cannot be loaded"):
            load_model(tmp_path / "mixed.keras")
