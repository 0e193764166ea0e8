"""What cannot be saved as a preset or loaded by a name gets a sentence; a card says how its preset is loaded."""

import keras
import numpy as np
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.zoo import Preset, UnknownPresetError, from_preset, save_to_preset

NAME = "leaky_mlp_mine_l2_learnable"


@pytest.fixture
def network():
    return LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0, schedule="learnable", weight_decay=1e-3)


@pytest.fixture
def zoo(network, tmp_path, monkeypatch):
    """A models folder with one preset in it."""
    save_to_preset(network, tmp_path / NAME)
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"golden_inputs": np.full((3, 4), np.nan)}, "`golden_inputs` holds NaN or infinity, first in sample 0"),
        ({"golden_inputs": np.zeros((3, 5))}, r"`golden_inputs` must have samples of shape \(4,\). Received: \(3, 5\)"),
        ({"metrics": "good"}, "`metrics` must be given by split, .* Received: metrics='good'"),
        ({"metrics": {"accuracy": 0.5}}, "`metrics` must be given by split"),
        ({"metrics": {"test": {"accuracy": "good"}}}, r"`metrics\['test'\]\['accuracy'\]` must be a number"),
        (
            {"metrics": {"test": {"loss": np.nan}}},
            r"must be finite. Received: metrics\['test'\]\['loss'\]=nan",
        ),
        ({"extra": ["device"]}, "`extra` must be a dict of metadata. Received"),
        ({"extra": {"name": "other", "device": "CPU"}}, "what the network says itself. Received: name"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_nothing_is_left(arguments, words, network, tmp_path):
    with pytest.raises(InvalidInputError, match=words):
        save_to_preset(network, tmp_path / "mine", **arguments)
    assert not list(tmp_path.iterdir())


def test_metrics_of_numpy_and_frozen_weights_are_saved_as_what_they_are(network, tmp_path):
    saved = {}
    for freeze in (False, True):
        tuned = network.with_new_head(2, freeze_path=freeze)
        folder = save_to_preset(tuned, tmp_path / f"tuned-{freeze:d}", metrics={"test": {"accuracy": np.float32(0.5)}})
        saved[freeze] = Preset.open(folder).metadata
        assert saved[freeze]["metrics"] == {"test": {"accuracy": 0.5}}
    # Stem 4 x 5 + 5, four blocks of 5 x 5 + 5, four steps, head 5 x 2 + 2.
    assert saved[True]["parameters"] == saved[False]["parameters"] == 25 + 120 + 4 + 12


def test_other_models_are_no_presets(tmp_path):
    with pytest.raises(InvalidInputError, match=r"save_to_preset needs a LeakyConvNet or .* Received: Sequential"):
        save_to_preset(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_a_card_of_your_own_preset_says_how_to_load_it(network, tmp_path, monkeypatch):
    save_to_preset(network, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    (line,) = [line for line in (tmp_path / "mine" / "README.md").read_text().splitlines() if "from_preset" in line]
    found = {}
    exec("import leaky_zoo; " + line, found)
    for one, other in zip(found["net"].get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (None, "`name` must be a name or a path. Received: name=None"),
        (3, "`name` must be a name or a path. Received: name=3"),
        ("things", "The folder of this name .* if it is given as ./things"),
        (NAME.upper(), f"Nearest: {NAME}"),
        ("weather", "`leaky-zoo list` names the 1 that there are"),
    ],
)
def test_names_that_nothing_has(name, words, zoo, monkeypatch):
    monkeypatch.chdir(zoo)
    (zoo / "things").mkdir()
    with pytest.raises(InvalidInputError, match=words):
        from_preset(name)


def test_a_folder_of_presets_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(tmp_path / "nothing"))
    with pytest.raises(UnknownPresetError, match=r"no presets in .*nothing, which is not a folder"):
        from_preset("digits")
