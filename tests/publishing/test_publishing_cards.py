"""The compressed files beside an export, in the metadata and the card of their preset."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from PIL import Image

from leaky_zoo import cli
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.figures import save_plot
from leaky_zoo.publishing import compressed_files, renew_card
from leaky_zoo.publishing.compressed import export_folder
from leaky_zoo.zoo import Preset, list_presets, models_dir
from leaky_zoo.zoo.index import FILES

pytestmark = pytest.mark.tensorflow_only
NAME = "leaky_conv_mnist_l3_equidistant"
EXPORT = Path(__file__).parents[2] / "export"
COMPRESSED = sorted({path.parent.name for path in EXPORT.glob("*/compressed*.onnx")})


@pytest.fixture
def copy(tmp_path):
    """A zoo of one preset, without any ONNX file."""
    return Path(shutil.copytree(models_dir() / NAME, tmp_path / "zoo" / NAME))


def test_the_cards_name_what_lies_in_export():
    assert NAME in COMPRESSED
    for preset in map(Preset.open, (entry["name"] for entry in list_presets())):
        assert ("compressed" in preset.metadata) == (preset.name in COMPRESSED), preset.name
    for preset in map(Preset.open, COMPRESSED):
        assert preset.metadata["compressed"] == compressed_files(EXPORT / preset.name, preset.network)


def test_a_card_follows_the_files_and_all_else_stays(copy):
    before = {name: (copy / name).read_bytes() for name in FILES if (copy / name).is_file()}
    assert renew_card(copy) == []
    assert "compressed" not in json.loads((copy / "metadata.json").read_text())
    assert "## Compressed" not in (copy / "README.md").read_text()
    shutil.copytree(EXPORT / NAME, export_folder(copy))
    found = renew_card(copy)
    assert [each["file"] for each in found] == ["compressed_int8.onnx"]
    assert {name: (copy / name).read_bytes() for name in before} == before
    lines = [line for line in (copy / "README.md").read_text().splitlines() if "`compressed_int8.onnx`" in line]
    size = (EXPORT / NAME / "compressed_int8.onnx").stat().st_size
    assert len(lines) == 1 and f"{size:,}" in lines[0] and f"{found[0]['numbers']:,}" in lines[0]


def test_the_audit_is_drawn_where_there_is_no_picture(copy):
    metadata = json.loads((copy / "metadata.json").read_text())
    del metadata["sha256"]["audit.png"]
    (copy / "metadata.json").write_text(json.dumps(metadata))
    (copy / "audit.png").unlink()
    renew_card(copy)
    drawn = (copy / "audit.png").read_bytes()
    assert "](audit.png)" in (copy / "README.md").read_text()
    assert Preset.open(copy).content("audit.png") == drawn
    with Image.open(copy / "audit.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (880, 600))
    save_plot(Preset.open(copy).audit, copy / "again.png")
    assert (copy / "again.png").read_bytes() == drawn


def test_a_file_of_other_weights_is_left_out(copy, tmp_path):
    other = next(name for name in COMPRESSED if name != NAME)
    shutil.copytree(EXPORT / other, tmp_path / "elsewhere" / NAME)
    assert renew_card(copy, tmp_path / "elsewhere") == []


def cut_off(file):
    return file.read_bytes()[:1000]


def without_its_source(file):
    model = onnx.load(file)
    (record,) = [each for each in model.metadata_props if each.key == "leaky_zoo.compression"]
    record.value = json.dumps({**json.loads(record.value), "source": "unknown"})
    return model.SerializeToString()


@pytest.mark.parametrize("damaged", [cut_off, without_its_source])
def test_a_damaged_file_is_refused_and_the_folder_is_as_it_was(copy, tmp_path, damaged):
    folder = tmp_path / "export" / NAME
    folder.mkdir(parents=True)
    (folder / "compressed_int8.onnx").write_bytes(damaged(EXPORT / NAME / "compressed_int8.onnx"))
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(InvalidInputError, match=r"compressed_int8\.onnx"):
        renew_card(copy, tmp_path / "export")
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def call(patch, *arguments):
    patch.setattr("sys.argv", ["leaky-zoo", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def test_the_command_writes_the_card_alone(copy, monkeypatch, capsys):
    assert call(monkeypatch, "publish", copy, "--card", "--export", EXPORT, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [each["file"] for each in answer[0]["compressed"]] == ["compressed_int8.onnx"]
    for other in (["--refresh"], ["--data-dir", copy]):
        assert call(monkeypatch, "publish", copy, "--card", *other) == 2
        assert other[0] in capsys.readouterr().err
