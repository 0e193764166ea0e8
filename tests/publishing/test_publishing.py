"""From a recipe in a user's own folder to a preset by the command line: trained, refreshed, refused, never half."""

import json
import shutil

import numpy as np
import pytest

from leaky_zoo import cli
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import sha256, write_json
from leaky_zoo.publishing import Publication, find_recipes
from leaky_zoo.publishing.claims import check_golden
from leaky_zoo.publishing.tables import presets_table
from leaky_zoo.training import Recipe, train
from leaky_zoo.zoo import Preset
from leaky_zoo.zoo.index import FILES

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.usefixtures("data_read_once")]
NAME = "leaky_mlp_optical_digits_l2_equidistant"
RECIPE = f"""
name: {NAME}
data: {{name: optical_digits/fold_1, batch_size: 128}}
network: {{width: 8, depth: 4, effective_depth: 2.0}}
optimizer: {{epochs: 2, learning_rate: 0.01}}
publish:
  about: Reads the digits of a test.
  choice: The first numbers that came to mind.
  limits: Nothing but tests.
  licence: CC0-1.0
  seeds: 2
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A user's zoo with one preset, made by the command line; the answer of the command."""
    place = tmp_path_factory.mktemp("own")
    (place / "zoo" / NAME).mkdir(parents=True)
    (place / "zoo" / NAME / "recipe.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAKY_ZOO_MODELS", str(place / "zoo"))
        patch.chdir(place)
        assert call(patch, "publish", NAME) == 0
    return place


@pytest.fixture
def own(published, tmp_path, monkeypatch):
    """A copy of that zoo for one test, with its export folder."""
    shutil.copytree(published, tmp_path / "own")
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(tmp_path / "own" / "zoo"))
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def call(patch, *arguments):
    patch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def contents(place):
    return {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_a_recipe_becomes_a_preset_that_is_listed_loaded_and_verified(own, monkeypatch, capsys):
    assert {path.name for path in (own / "zoo" / NAME).iterdir()} == set(FILES)
    assert (own / "zoo" / NAME / "recipe.yaml").read_text() == RECIPE
    assert call(monkeypatch, "list", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == NAME and entry["device"] == "CPU" and entry["metrics"].keys() == {"train", "test"}
    assert call(monkeypatch, "evaluate", NAME, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == pytest.approx(entry["metrics"]["test"], rel=1e-6)
    assert call(monkeypatch, "verify", own / "export" / NAME / "model.onnx") == 0
    assert call(monkeypatch, "info", NAME) == 0
    assert f"| `{NAME}` | 2 | 4 |" in presets_table()


def test_the_card_says_what_the_recipe_and_the_data_say(own):
    card = (own / "zoo" / NAME / "README.md").read_text()
    for words in (
        "license: cc0-1.0", "image-classification", "Reads the digits of a test.", "Nothing but tests.",
        "first numbers", "shape (8, 8, 1), uint8 values from 0 to 16", "logits", "0, 1, 2", "CC BY 4.0",
        "Trained on: CPU",
    ):  # fmt: skip
        assert words in card, words


def test_metrics_over_seeds_are_those_of_nets_that_were_trained(own):
    """The first seed is the preset's own; a preset that was published with one learns the others, once."""
    found = Preset.open(NAME).metadata
    seeds, test = found["seeds"], found["metrics"]["test"]
    assert seeds["seeds"] == [0, 1] and seeds["test"].keys() == test.keys()
    other = Recipe.read(own / "zoo" / NAME / "recipe.yaml").model_copy(update={"seed": 1})
    again = train(other, own / "again")[1].metrics["test"]
    for metric, (first, second) in seeds["test"].items():
        assert (first, second) == (test[metric], again[metric])
        assert seeds["mean"][metric] == pytest.approx((first + second) / 2)
        assert seeds["std"][metric] == pytest.approx(abs(first - second) / 2**0.5)
    card = (own / "zoo" / NAME / "README.md").read_text()
    assert "over the seeds 0, 1" in card and f"accuracy {100 * seeds['mean']['accuracy']:.2f}%" in card


@pytest.mark.parametrize("wanted", [1, 3])
def test_another_number_of_seeds_is_measured_when_published_again(own, monkeypatch, wanted):
    recipe = own / "zoo" / NAME / "recipe.yaml"
    recipe.write_text(RECIPE.replace("seeds: 2", f"seeds: {wanted}"))
    assert call(monkeypatch, "publish", NAME) == 0
    assert Preset.open(NAME).metadata.get("seeds", {"seeds": [0]})["seeds"] == list(range(wanted))


def test_an_autoencoder_on_data_with_labels_is_audited_on_its_training_split(own):
    folder = own / "zoo" / "leaky_mlp_copies_l2_equidistant"
    folder.mkdir()
    text = RECIPE.replace(NAME, folder.name).replace("{width: 8", "{task: autoencoding, width: 8")
    (folder / "recipe.yaml").write_text(text.replace("seeds: 2", "onnx: false"))
    done = Publication(folder).run()
    assert done.audit.data["is_training_split"] is True and set(done.metrics["test"]) == {"loss"}
    assert done.audit.layers[0].criticality_residual is not None


def test_a_refresh_changes_no_byte_where_nothing_changed(own, monkeypatch, capsys):
    before = contents(own)
    assert call(monkeypatch, "publish", own / "zoo", "--refresh", "--json") == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["name"] == NAME and answer["trained"] is False
    assert contents(own) == before


@pytest.mark.parametrize("times, kept", [(1 + 1e-8, True), (1 + 1e-4, False)])
def test_a_refresh_keeps_metrics_of_another_processor(own, times, kept):
    """The weights were measured where they were trained; only rounding may differ here."""
    file = own / "zoo" / NAME / "metadata.json"
    metadata = json.loads(file.read_text())
    loss = metadata["metrics"]["test"]["loss"]
    metadata["metrics"]["test"]["loss"] = loss * times
    write_json(file, metadata)
    done = Publication(own / "zoo" / NAME, refresh=True).run()
    assert done.metrics["test"]["loss"] == (loss * times if kept else loss)
    assert json.loads(file.read_text())["metrics"]["test"] == done.metrics["test"]


def test_words_may_change_but_not_the_training(own, monkeypatch, capsys):
    recipe = own / "zoo" / NAME / "recipe.yaml"
    before = contents(own / "zoo" / NAME)
    recipe.write_text(RECIPE.replace("Nothing but tests", "Not for bank cheques") + "  onnx: false\n")
    monkeypatch.setenv("LEAKY_ZOO_MODELS", str(own / "zoo"))
    done = Publication(own / "zoo" / NAME, refresh=True).run(extra={"cross_validation": SPREAD})
    assert done.onnx is None and "bank cheques" in (done.folder / "README.md").read_text()
    after = contents(done.folder)
    assert {path.name for path in before if before[path] != after[path]} == {
        "recipe.yaml",
        "metadata.json",
        "README.md",
    }
    Publication(done.folder, refresh=True).run()  # what a study found stays
    assert Preset.open(NAME).metadata["cross_validation"] == SPREAD and contents(done.folder) == after
    recipe.write_text(RECIPE.replace("epochs: 2", "epochs: 3"))
    assert call(monkeypatch, "publish", NAME) == 2
    assert "did not train the weights" in " ".join(capsys.readouterr().err.split())


SPREAD = {
    "folds": 2, "seeds": 1, "runs": 2, "accuracy_mean": 0.5, "accuracy_std": 0.1, "accuracy_min": 0.4,
    "accuracy_max": 0.6,
}  # fmt: skip


def test_training_goes_on_and_is_not_done_twice(own):
    """The run in `build/` is there already: weights that were removed come back to the same bits."""
    before = contents(own)
    (own / "zoo" / NAME / "model.weights.h5").unlink()
    done = Publication(own / "zoo" / NAME).run()
    assert done.trained and contents(own) == before


def test_weights_that_compute_something_else_are_not_refreshed(own):
    folder = own / "zoo" / NAME
    metadata = json.loads((folder / "metadata.json").read_text())
    inputs, outputs = Preset.open(folder).golden
    np.savez_compressed(folder / "golden.npz", inputs=inputs, outputs=outputs + 1)
    metadata["sha256"]["golden.npz"] = sha256(folder / "golden.npz")
    write_json(folder / "metadata.json", metadata)
    before = contents(own)
    with pytest.raises(CheckFailedError, match="golden outputs"):
        Publication(folder, refresh=True).run()
    assert contents(own) == before
    with pytest.raises(CheckFailedError):
        check_golden(Preset.open(folder))


def test_a_failed_export_leaves_folder_and_file_as_they_were(own):
    """A card's class names cannot break the export; an export folder that is a file can."""
    (own / "blocked").write_text("a file")
    before = contents(own)
    with pytest.raises(OSError, match="blocked"):
        Publication(own / "zoo" / NAME, refresh=True, export=own / "blocked").run()
    assert contents(own) == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RECIPE.replace(f"name: {NAME}", "name: other"), "name must be the folder's"),
        (RECIPE + "strategy: multi_worker\n", "--workers"),
        (RECIPE.replace("licence:", "license:"), "publish.license"),
    ],
)
def test_what_cannot_be_published_is_refused_before_any_work(tmp_path, text, words):
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "recipe.yaml").write_text(text)
    with pytest.raises(InvalidInputError, match=words):
        Publication(folder)
    assert [path.name for path in folder.iterdir()] == ["recipe.yaml"]


def test_places_without_a_recipe(tmp_path, own):
    with pytest.raises(InvalidInputError, match=r"no recipe\.yaml"):
        find_recipes(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match=NAME):
        find_recipes(NAME.replace("digits", "digit"))
    (own / "zoo" / NAME / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"notes\.txt"):
        Publication(own / "zoo" / NAME)
    for file in FILES:
        if file != "recipe.yaml":
            (own / "zoo" / NAME / file).unlink()
    (own / "zoo" / NAME / "notes.txt").unlink()
    with pytest.raises(InvalidInputError, match="no weights to refresh"):
        Publication(own / "zoo" / NAME, refresh=True)
