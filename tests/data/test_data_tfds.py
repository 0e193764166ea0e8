"""Data sets of TFDS: ours generated, others found or refused at once, nothing written where it was only read."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mock_tfds import write_mock

from leaky_zoo.data import DATASETS, load_data
from leaky_zoo.data.checks import changed, check_generated
from leaky_zoo.data.mnist1d import TEMPLATES, signal_arrays, summary_arrays
from leaky_zoo.data.sklearn_tables import TABLES, table_fold
from leaky_zoo.data.sprites import FACTORS, render, sprite_arrays, sprite_summary_arrays
from leaky_zoo.errors import InvalidInputError, WriteFailedError

pytestmark = pytest.mark.tensorflow_only


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_sprites_have_the_factors_that_they_say(count):
    splits = sprite_arrays(count)
    check_generated(f"sprites/factors_{count}", floats=sprite_summary_arrays(splits))
    images, factors = splits["test"]
    for column, (_, least, most) in zip(factors.T, FACTORS, strict=False):
        assert least <= column.min() < column.max() <= most
    whole = np.tile([(least + most) / 2 for _, least, most in FACTORS], (len(factors), 1))
    whole[:, :count] = factors
    assert np.abs(render(whole).astype(int) - images).max() <= 1  # the factors alone give the image
    assert images[:, [0, -1]].max() == images[:, :, [0, -1]].max() == 0, "shapes are cut off"


def test_each_factor_of_a_sprite_moves_it_in_a_way_of_its_own():
    middle = np.array([(least + most) / 2 for _, least, most in FACTORS])
    spans = np.array([most - least for _, least, most in FACTORS])
    images = render(middle + np.vstack([np.zeros(5), 0.1 * np.diag(spans)])).reshape(6, -1).astype(float)
    moves = images[1:] - images[0]
    moves /= np.linalg.norm(moves, axis=1, keepdims=True)
    assert np.linalg.svd(moves, compute_uv=False).min() > 0.3


def test_mnist1d():
    splits = signal_arrays()
    check_generated("mnist1d", **summary_arrays(splits))
    assert {split: len(y) for split, (_, y) in splits.items()} == {"train": 4000, "test": 1000}
    assert len(TEMPLATES) == 10 and {len(template) for template in TEMPLATES} == {12}
    data = load_data("mnist1d")
    np.testing.assert_array_equal(data.select("test")[0], splits["test"][0])
    assert data.input_shape == (40, 1) and data.class_names == tuple("0123456789")


@pytest.mark.parametrize(("name", "features"), [("breast_cancer", 30), ("wine", 13), ("diabetes", 10)])
def test_tables_keep_the_names_of_their_features(name, features):
    data = load_data(f"{name}/fold_3")
    x, y, train, test = table_fold(name, 3)
    np.testing.assert_array_equal(data.select("train")[0], x[train].astype(np.float32))
    np.testing.assert_array_equal(data.select("test")[1].ravel(), y[test].astype(np.float32))
    assert len(data.feature_names) == features and data.feature_names == tuple(TABLES[name].BUNCH().feature_names)
    rows = np.concatenate([table_fold(name, fold)[3] for fold in range(5)])
    assert sorted(rows) == list(range(len(x)))


def test_the_jpeg_copy_of_cifar10_is_decoded_to_the_pixels_on_record(mnist_dir):
    data = load_data("cifar10_jpeg", mnist_dir)
    assert data.select("train")[0].shape == (50_000, 32, 32, 3) and data.class_names[0] == "airplane"
    assert data.warnings == ()
    pixels = data.select("test")[0].copy()
    assert changed("cifar10_jpeg", {"test": pixels}) == []
    pixels[0, 0, 0, 0] ^= 1
    assert changed("cifar10_jpeg", {"test": pixels}) == ["test"]


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("fashion_mnist", (28, 28, 1), 10), ("cifar100", (32, 32, 3), 100), ("imagenette", (128, 128, 3), 10),
     ("cifar10", (32, 32, 3), 10)],
)  # fmt: skip
def test_records_read_what_tfds_writes(tmp_path, name, shape, classes):
    configs = DATASETS[name].configs
    write_mock(name, configs[0] if configs else "", tmp_path)
    data = load_data(name, tmp_path)
    x, y = data.select("train")
    count = 8 if name == "imagenette" else 10  # it has no test split: a fifth becomes one
    assert x.shape == (count, *shape) and x.dtype == np.uint8 and y.shape == (count,)
    assert data.output_size == classes == len(data.class_names)
    if not configs:
        other = load_data(f"tfds:{name}", tmp_path)
        np.testing.assert_array_equal(other.select("train")[0], x)


def test_any_name_of_tfds_is_read_or_refused_with_its_reason(tmp_path, mnist_dir):
    data = load_data("tfds:mnist", mnist_dir)
    assert data.identifier == "tfds:mnist" and data.task == "classification"
    write_mock("imagenette", "160px-v2", tmp_path)
    with pytest.raises(InvalidInputError, match="inputs of one shape"):
        load_data("tfds:imagenette/160px-v2", tmp_path)
    for bad in ("tfds:", "tfds:../x", "tfds:a b"):
        with pytest.raises(InvalidInputError, match="tfds:NAME"):
            load_data(bad)


def offline(folder, **more):
    """A process's environment without a network: a proxy that nobody is behind."""
    dead = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return (
        os.environ
        | dead
        | {"TFDS_DATA_DIR": str(folder), "LEAKY_ZOO_CACHE": str(folder / "cache"), "no_proxy": ""}
        | more
    )


def test_without_a_network_the_answer_comes_at_once_and_nothing_is_written(tmp_path):
    script = "import leaky_zoo\ntry: leaky_zoo.load_data({!r})\nexcept ValueError as error: print(error)"
    folder = tmp_path / "tfds"
    folder.mkdir()
    for name in ("mnist", "tfds:cifar10"):
        done = subprocess.run(
            [sys.executable, "-c", script.format(name)], capture_output=True, text=True, env=offline(folder)
        )
        assert "does not answer: point --data-dir (or TFDS_DATA_DIR)" in done.stdout, done.stderr
    assert [path.name for path in folder.iterdir()] == ["cache"] and not list((folder / "cache").iterdir())


def test_a_folder_too_deep_is_recognised(tmp_path, mnist_dir):
    (tmp_path / "mnist").symlink_to(Path(mnist_dir) / "mnist")
    with pytest.raises(InvalidInputError, match="point --data-dir"):
        load_data("mnist", tmp_path / "mnist")
    with pytest.raises(InvalidInputError, match="point --data-dir"):
        load_data("mnist", tmp_path / "mnist" / "3.0.1")


def test_a_renamed_folder_of_one_data_set_is_recognised(tmp_path, mnist_dir):
    (tmp_path / "renamed").symlink_to(Path(mnist_dir) / "mnist")
    with pytest.raises(InvalidInputError, match="folder of one data set"):
        load_data("mnist", tmp_path / "renamed")


def test_a_home_that_cannot_be_written_names_the_variable_that_helps(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("no folder")
    monkeypatch.delenv("LEAKY_ZOO_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    with pytest.raises(WriteFailedError, match="set LEAKY_ZOO_CACHE"):
        load_data("wine")
