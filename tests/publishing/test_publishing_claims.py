"""What presets publish is measured again: exact, to rounding, another number, or not here to be checked."""

import json
import shutil

import numpy as np
import pytest

from leaky_zoo import cli
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import evaluate_network
from leaky_zoo.io.files import write_json
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.publishing.claims import DIFFERS, EXACT, ROUNDED, UNCHECKED, check_presets
from leaky_zoo.zoo import from_preset, models_dir, save_to_preset

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.usefixtures("data_read_once")]
SHIPPED = "leaky_mlp_optical_digits_l1_irregular"


@pytest.fixture(scope="module")
def without_data(tmp_path_factory):
    """A preset whose data are nowhere."""
    folder = tmp_path_factory.mktemp("made") / "lost"
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 4)), random.integers(0, 3, 20)
    lost = LeakyMLP((4,), 3, width=5, depth=4, dataset={"name": "gone.npz", "split": "train"})
    save_to_preset(lost, folder, metrics={"test": evaluate_network(lost, x, y)})
    return folder


@pytest.fixture
def zoo(without_data, tmp_path, monkeypatch):
    """A zoo with a shipped preset, and one without its data."""
    shutil.copytree(models_dir() / SHIPPED, tmp_path / SHIPPED)
    shutil.copytree(without_data, tmp_path / "lost")
    write_json(tmp_path / "aliases.json", {"first": SHIPPED})
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def publish_instead(folder, **changes):
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["metrics"]["test"] |= {key: change(metadata["metrics"]["test"][key]) for key, change in changes.items()}
    write_json(folder / "metadata.json", metadata)


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr()
    return stop.value.code or 0, said.out, said.err


def test_a_preset_is_what_it_publishes_and_one_without_data_is_said_to_be_unchecked(zoo, monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys, "evaluate", "--all", "--check", "--json")
    answer = json.loads(out)
    statuses = {each["name"]: each["status"] for each in answer["presets"]}
    assert code == 0 and statuses[SHIPPED] in (EXACT, ROUNDED) and statuses["lost"] == UNCHECKED
    assert answer["counts"][UNCHECKED] == 1 and answer["counts"][DIFFERS] == 0
    code, out, err = call(monkeypatch, capsys, "evaluate", "--all", "--check")
    assert code == 0 and SHIPPED in out and "gone.npz" in err and "1 not checked" in err


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"loss": lambda loss: loss * (1 + 1e-8)}, ROUNDED, 0),
        ({"loss": lambda loss: loss * (1 + 1e-4)}, DIFFERS, 1),
        ({"accuracy": lambda accuracy: accuracy - 1 / 360}, DIFFERS, 1),
        ({"accuracy": lambda accuracy: np.nextafter(accuracy, 0)}, DIFFERS, 1),
    ],
)
def test_what_differs_is_named_and_ends_with_one(zoo, monkeypatch, capsys, changes, status, code):
    publish_instead(zoo / SHIPPED, **changes)
    found, out, err = call(monkeypatch, capsys, "evaluate", "--all", "--check", "--only", SHIPPED)
    assert found == code and status in out
    if code:
        assert "published" in err and "measured" in err and next(iter(changes)) in err
    assert call(monkeypatch, capsys, "evaluate", "--all", "--only", SHIPPED)[0] == 0  # without --check


def test_the_validation_and_training_splits_are_those_of_the_recipe(zoo):
    (train,) = check_presets([SHIPPED], "train")
    assert train.status in (EXACT, ROUNDED) and train.measured["accuracy"] == train.published["accuracy"]
    (nothing,) = check_presets([SHIPPED], "validation")
    assert nothing.status == UNCHECKED and "publishes nothing" in nothing.words
    with pytest.raises(InvalidInputError, match="test, validation, train"):
        list(check_presets([SHIPPED], "train[:5]"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate",), "Give a model, or --all"),
        (("evaluate", SHIPPED, "--check"), "--check"),
        (("evaluate", SHIPPED, "--only", "digits"), "--only"),
        (("evaluate", SHIPPED, "--all"), "leave model"),
        (("evaluate", "--all", "--only", "no such"), "no such"),
        (("evaluate", "--all", "--split", "train[:9]"), "validation"),
    ],
)
def test_what_does_not_go_together_is_refused(zoo, monkeypatch, capsys, arguments, words):
    code, _, err = call(monkeypatch, capsys, *arguments)
    assert code == 2 and words in err


def test_an_alias_opens_its_preset_everywhere_and_is_listed(zoo, monkeypatch, capsys):
    assert from_preset("first").name == from_preset(SHIPPED).name
    entries = json.loads(call(monkeypatch, capsys, "list", "--json")[1])
    assert {entry["name"]: entry["alias"] for entry in entries} == {SHIPPED: "first", "lost": None}
    assert "first" in call(monkeypatch, capsys, "list")[1]
    code, out, _ = call(monkeypatch, capsys, "evaluate", "first", "--json")
    assert code == 0 and json.loads(out)["model"] == SHIPPED
    code, _, err = call(monkeypatch, capsys, "info", "frist")
    assert code == 2 and "first" in err
    write_json(zoo / "aliases.json", {"first": "lost", SHIPPED: "lost"})
    assert from_preset(SHIPPED).name == SHIPPED  # a preset's own name goes first
    write_json(zoo / "aliases.json", ["first"])
    assert call(monkeypatch, capsys, "list")[0] == 2
