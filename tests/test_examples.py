"""The files of examples/ are what the script makes, small, and read as what they are said to be."""

import io
import json
import runpy
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from leaky_zoo.data import load_data
from leaky_zoo.sweeps import Sweep
from leaky_zoo.zoo import Recipe, load_model

pytestmark = pytest.mark.tensorflow_only
EXAMPLES = Path(__file__).parent.parent / "examples"
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def make():
    return runpy.run_path(str(EXAMPLES / "make.py"))


def test_arrays_and_tables_are_made_the_same_to_the_byte(make, tmp_path):
    make["write_arrays"](tmp_path)
    make["write_tables"](tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["digits.csv", "my.csv", "my.npz"]
    for name in ("digits.csv", "my.csv"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes(), f"make.py writes {name}"
    # The archive's own headers follow the version of Python, before and after 3.11.4.
    with zipfile.ZipFile(tmp_path / "my.npz") as ours, zipfile.ZipFile(EXAMPLES / "my.npz") as kept:
        assert ours.namelist() == kept.namelist() == ["x.npy", "y.npy"]
        for name in kept.namelist():
            assert ours.read(name) == kept.read(name), f"make.py writes {name}"


def test_pictures_are_made_the_same(make, tmp_path, mnist_dir):
    make["write_pictures"](tmp_path, mnist_dir)
    made, kept = ({path.relative_to(folder) for path in folder.rglob("*.png")} for folder in (tmp_path, EXAMPLES))
    assert made == kept and len(kept) == 180
    for path in kept:  # another zlib packs the same pixels otherwise
        assert np.array_equal(Image.open(tmp_path / path), Image.open(EXAMPLES / path))


def test_the_model_is_a_plain_keras_file_that_knows_digits(make, tmp_path):
    make["write_model"](tmp_path)
    with zipfile.ZipFile(tmp_path / "my.keras") as made, zipfile.ZipFile(EXAMPLES / "my.keras") as kept:
        assert made.namelist() == kept.namelist()
        plain = {name: json.loads(kept.read(name)) for name in ("config.json", "metadata.json")}
        assert plain["config.json"] == json.loads(made.read("config.json"))
        assert "leaky" not in json.dumps(plain).replace("leaky_relu", "")
        names: list[str] = []
        h5py.File(io.BytesIO(kept.read("model.weights.h5"))).visit(names.append)
        assert not any("optimizer" in name for name in names)
    x, y = load_data(EXAMPLES / "my.npz").select("train")
    assert (load_model(EXAMPLES / "my.keras").predict(x, verbose=0).argmax(-1) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("data", "shape", "names"),
    [
        ("my.npz", (8, 8, 1), None),
        ("my.csv:species", (4,), ("setosa", "versicolor", "virginica")),
        ("digits.csv:parity", (64,), ("even", "odd")),
        ("images", (28, 28, 1), ("loop", "no_loop")),
    ],
)
def test_data_are_read_as_what_they_are(data, shape, names):
    found = load_data(str(EXAMPLES / data))
    assert found.task == "classification" and found.select("test")[0].shape[1:] == shape
    assert names is None or found.class_names == names


def test_recipe_and_sweep_are_valid():
    recipe = Recipe.read(EXAMPLES / "my_recipe.yaml")
    cells = Sweep.read(EXAMPLES / "my_sweep.yaml").cells()
    assert len(cells) == 4 and all(cell.problem is None for cell in cells)
    assert {cell.recipe.data.name for cell in cells} == {recipe.data.name}


def test_they_are_small_and_named_in_the_page():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if "__pycache__" not in path.parts) < MOST_BYTES
    for path in EXAMPLES.iterdir():
        assert path.name.startswith("__") or f"`{path.name}{'/' if path.is_dir() else ''}`" in page or path.name in (
            "README.md", "make.py",
        )  # fmt: skip
