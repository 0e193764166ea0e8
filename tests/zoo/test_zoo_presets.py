"""Presets on disk: what is saved comes back, and every way it can be wrong has its own error."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from leaky_zoo.analysis import analyze
from leaky_zoo.data import content_sha256
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.files import making_folder
from leaky_zoo.networks import LeakyConvNet, LeakyMLP
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import (
    ChangedFileError,
    MissingFileError,
    Preset,
    UnknownPresetError,
    WrongClassError,
    from_preset,
    list_presets,
    load_model,
    save_to_preset,
)
from leaky_zoo.zoo.training_data import training_data

NAME = "leaky_mlp_toy_l2_learnable"


def make():
    """The network of the preset."""
    keras.utils.set_random_seed(0)
    return LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0, schedule="learnable", weight_decay=1e-3)


@pytest.fixture
def network():
    return make()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The preset as it is saved, which is the same for every test."""
    x, network, folder = np.random.default_rng(0).normal(size=(20, 4)), make(), tmp_path_factory.mktemp("saved") / NAME
    recipe = Recipe.from_dict({"name": NAME, "data": {"name": "optical_digits"}, "optimizer": {"epochs": 1}})
    save_to_preset(
        network,
        folder,
        recipe=recipe,
        metrics={"test": {"loss": 0.5, "accuracy": 0.75}},
        audit=analyze(network, x, np.zeros(20, int)),
        golden_inputs=x,
        extra={"device": "CPU", "training_seconds": 1.0},
    )
    return folder


@pytest.fixture
def zoo(saved, tmp_path, monkeypatch):
    """A models folder with one preset in it, a copy."""
    shutil.copytree(saved, tmp_path / NAME)
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(tmp_path))
    return tmp_path


def test_round_trip_is_bit_identical(zoo, network):
    loaded = from_preset(NAME)
    for saved, read in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, read)
    assert loaded.config == network.config
    with np.load(zoo / NAME / "golden.npz") as golden:
        np.testing.assert_array_equal(loaded.predict_on_batch(golden["inputs"].astype("float32")), golden["outputs"])


def test_a_folder_is_a_path_and_a_name_is_a_name(zoo, monkeypatch):
    assert isinstance(from_preset(zoo / NAME), LeakyMLP)
    monkeypatch.chdir(zoo)
    assert isinstance(from_preset(f".{os.sep}{NAME}"), LeakyMLP)
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(zoo / "elsewhere"))
    with pytest.raises(UnknownPresetError):
        from_preset(NAME)  # a folder of that name is here, but no path was given


def test_unknown_name_suggests_the_nearest(zoo):
    with pytest.raises(UnknownPresetError, match=NAME):
        from_preset(NAME.replace("toy", "tay"))
    for name in ("../" + NAME, "/etc"):
        with pytest.raises(MissingFileError):
            from_preset(name)


@pytest.mark.parametrize("file", ["config.json", "model.weights.h5"])
def test_changed_file_is_refused(zoo, file):
    path = zoo / NAME / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ChangedFileError, match=file):
        from_preset(NAME)


@pytest.mark.parametrize("file", ["config.json", "model.weights.h5"])
def test_missing_file_is_named(zoo, file):
    (zoo / NAME / file).unlink()
    with pytest.raises(MissingFileError, match=file):
        from_preset(NAME)


def test_wrong_class(zoo):
    with pytest.raises(WrongClassError, match="LeakyConvNet"):
        from_preset(NAME, LeakyConvNet)


def test_foreign_class_is_refused(zoo):
    folder = zoo / NAME
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "class_name": "Lambda"}))
    from leaky_zoo.io.files import sha256

    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["sha256"]["config.json"] = sha256(folder / "config.json")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(WrongClassError, match="Lambda"):
        from_preset(NAME)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_broken_metadata(zoo, text):
    (zoo / NAME / "metadata.json").write_text(text)
    with pytest.raises(InvalidInputError, match=r"metadata\.json"):
        from_preset(NAME)


def test_list_and_filter(zoo):
    (entry,) = list_presets()
    assert entry["name"] == NAME and entry["metrics"]["test"]["accuracy"] == 0.75
    assert {"task", "dataset", "effective_depth", "schedule", "depth", "width", "parameters"} <= entry.keys()
    assert list_presets("TOY") and not list_presets("mnist")


def test_saving_refuses_to_overwrite_and_replaces_whole(zoo, network):
    with pytest.raises(InvalidInputError, match="exists"):
        save_to_preset(network, zoo / NAME)
    save_to_preset(network, zoo / NAME, overwrite=True)
    assert not (zoo / NAME / "golden.npz").exists(), "a file of the old preset has survived"
    assert sorted(path.name for path in zoo.iterdir()) == [NAME], "something was left beside the preset"


def test_failed_save_leaves_nothing(network, tmp_path):
    with pytest.raises(ValueError):
        save_to_preset(network, tmp_path / "broken", golden_inputs=np.zeros((2, 9)))
    assert not list(tmp_path.iterdir())


def test_parameters_count_what_is_trained(zoo):
    metadata = json.loads((zoo / NAME / "metadata.json").read_text())
    # stem 4*5+5, four blocks 5*5+5, head 5*3+3, four step-size logits
    assert metadata["parameters"] == 25 + 4 * 30 + 18 + 4


def test_card_is_made_of_the_metadata(zoo):
    card = (zoo / NAME / "README.md").read_text()
    assert "75.00%" in card and "effective depth 2" in card and "Seed 0" in card


def test_load_model_reads_keras_files_safely(network, tmp_path):
    network.save(tmp_path / "net.keras")
    assert isinstance(load_model(tmp_path / "net.keras"), LeakyMLP)
    with pytest.raises(InvalidInputError, match="No such model file"):
        load_model(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"not a zip")
    with pytest.raises(InvalidInputError, match=r"bad\.keras"):
        load_model(tmp_path / "bad.keras")


def test_lambdas_are_refused(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(InvalidInputError, match=r"lambda\.keras"):
        load_model(tmp_path / "lambda.keras")


def test_a_copied_preset_loads(zoo, tmp_path):
    copy = tmp_path / "copies" / "mine"
    shutil.copytree(zoo / NAME, copy)
    assert isinstance(from_preset(copy), LeakyMLP)


@pytest.mark.parametrize("config", ["{", "[]", '{"class_name": "LeakyMLP", "config": {"depth": 3}}'])
def test_a_config_that_builds_nothing_is_one_clear_error(zoo, config):
    from leaky_zoo.io.files import sha256

    folder = zoo / NAME
    (folder / "config.json").write_text(config)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["sha256"]["config.json"] = sha256(folder / "config.json")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(InvalidInputError):
        from_preset(NAME)


def test_names_and_foreign_folders_are_checked_before_saving(network, tmp_path):
    with pytest.raises(InvalidInputError, match="My Net!"):
        save_to_preset(network, tmp_path / "My Net!")
    (tmp_path / "thesis").mkdir()
    with pytest.raises(InvalidInputError, match="left alone"):
        save_to_preset(network, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis").is_dir()


def test_metadata_without_its_fields_is_named(zoo):
    (zoo / NAME / "metadata.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="lacks name"):
        list_presets()


OPENED = {}
COUNTING = []


def count_opens(event, arguments):
    """An audit hook cannot be removed: it counts only while COUNTING names a folder."""
    if event == "open" and COUNTING and str(arguments[0]).startswith(COUNTING[-1]):
        name = Path(arguments[0]).name
        OPENED[name] = OPENED.get(name, 0) + 1


def test_each_file_is_read_once_and_nothing_after_that(zoo):

    folder = zoo / NAME
    files = {path.name for path in folder.iterdir()}
    sys.addaudithook(count_opens)
    COUNTING.append(str(folder) + os.sep)
    try:
        preset = Preset.open(NAME)
        shutil.rmtree(folder)  # what is made of it later is made of what was read
        network, recipe = load_model(preset), preset.recipe
        inputs, outputs = preset.golden
        assert preset.audit.model["weights_sha256"] and recipe.name == NAME
    finally:
        COUNTING.clear()
    assert dict.fromkeys(files - {"README.md"}, 1) == OPENED
    np.testing.assert_array_equal(network.predict_on_batch(inputs.astype("float32")), outputs)
    assert from_preset(preset) is network


def test_opening_starts_no_keras(zoo):
    code = (
        "import sys; from leaky_zoo.zoo import Preset; p = Preset.open(sys.argv[1]); p.recipe.seed; p.golden;"
        "assert not {'keras', 'tensorflow', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, NAME], check=True)


@pytest.mark.parametrize("file", ["audit.json", "golden.npz", "recipe.yaml"])
def test_a_file_without_a_hash_is_not_believed(zoo, file):
    metadata = json.loads((zoo / NAME / "metadata.json").read_text())
    del metadata["sha256"][file]
    (zoo / NAME / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ChangedFileError, match=file):
        Preset.open(NAME)
    assert Preset.open(NAME, verify=("config.json", "model.weights.h5")).network.effective_depth == 2.0


def test_the_data_of_a_network(network):
    with pytest.raises(InvalidInputError, match="--data"):
        training_data(network)
    with pytest.raises(InvalidInputError, match="holdout"):
        training_data(network, "optical_digits", "holdout")
    trained = LeakyMLP((8, 8, 1), 10, dataset={"name": "optical_digits/fold_1", "split": "train[:100]"})
    about = training_data(trained).about
    assert about.pop("sha256") == content_sha256(*training_data(trained).arrays)
    assert about == {"name": "optical_digits/fold_1", "split": "train[:100]"}
    assert len(training_data(trained).arrays[0]) == 100
    assert training_data(trained, "optical_digits/fold_2").split == "train"
    assert training_data(trained, split="test").split == "test"


def test_the_card_has_a_head_that_hubs_read(zoo):
    _, head, body = (zoo / NAME / "README.md").read_text().split("---\n", 2)
    head = yaml.safe_load(head)
    assert (
        head["library_name"] == "keras" and head["license"] == "apache-2.0" and head["metrics"] == ["loss", "accuracy"]
    )
    assert "shape (4)" in body and "logits" in body and "optimizer:" in body


def test_a_killed_replacement_is_put_back(tmp_path):
    (tmp_path / ".aside-old-mine").mkdir()
    (tmp_path / ".aside-old-mine" / "kept").write_text("kept")
    with pytest.raises(RuntimeError), making_folder(tmp_path / "mine", replace=True):
        raise RuntimeError
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["kept"] and len(list(tmp_path.iterdir())) == 1
