"""A share of the generated bad inputs (`benchmarks/robustness/bad_inputs.py`), and the attacks that have a name."""

import csv
import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from leaky_zoo.data import load_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import open_archive, read_npz
from leaky_zoo.io.reading import parse_json, read_json, read_text, read_yaml
from leaky_zoo.io.weights_file import check_weights
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.training import Recipe
from leaky_zoo.zoo import load_model

pytestmark = pytest.mark.tensorflow_only
ROOT = Path(__file__).parent.parent


def test_bad_inputs_are_refused_clearly(tmp_path):
    table, command = tmp_path / "table.csv", [sys.executable, "-m", "benchmarks.robustness.bad_inputs"]
    done = subprocess.run(
        [*command, "--count", "240", "--seed", "7", "--processes", "2", "--out", str(table)],
        capture_output=True, text=True, check=False, timeout=500, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    *readers, whole = csv.DictReader(table.read_text().splitlines())
    assert len(readers) == 20 and int(whole["inputs"]) > 230
    assert int(whole["refused"]) > 165 and all(int(row["refused"]) for row in readers)


# YAML and JSON


def laughs(levels):
    lines = ["l0: &l0 [lol]"]
    lines += [f"l{row}: &l{row} [{', '.join([f'*l{row - 1}'] * 9)}]" for row in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(30), "aliases"),
        ("a: !!python/object/apply:os.system ['echo']", "tags"),
        ("a: !!timestamp x", "tags"),
        ("a: 1\na: 2", "'a' is given twice"),
        ("a: " + "[" * 40, "levels of nesting"),
        ("a: " + "9" * 5000, "plain YAML"),
        ("a: 2026-13-45", "plain YAML"),
        ("a: .nan", "a must be a finite number"),
        ("a: [1, .inf]", r"a\[1\] must be a finite number"),
        ("a: 1\n---\nb: 1", "plain YAML"),
        ("a: " + "1" * 300_000, "too long"),
        ("a: \x00", "plain YAML"),
    ],
)
def test_yaml_that_is_more_than_plain_is_refused(tmp_path, text, message):
    file = tmp_path / "file.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=message) as error:
        read_yaml(file)
    assert "file.yaml" in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[1e999]", "1" * 5000, "9" * 30, "[" * 10_000, '"\\ud800"', '{"a": {"b": [-Infinity]}}']
)
def test_json_that_surprises_is_refused(text):
    with pytest.raises(InvalidInputError, match=r"config\.json") as error:
        parse_json(text, "config.json")
    assert len(str(error.value)) < 500


def test_files_that_are_no_files_are_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "long").write_bytes(b"a" * 11)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInputError, match="is a folder, not a file"):
        read_json(tmp_path)
    for path in (tmp_path / "none", tmp_path / ("x" * 300), "a\x00b", "/dev/zero", tmp_path / "pipe"):
        with pytest.raises(InvalidInputError, match="No such file"):
            read_json(path)
    with pytest.raises(InvalidInputError, match="UTF-8 text: byte 3"):
        read_text(tmp_path / "latin", 100)
    with pytest.raises(InvalidInputError, match="more than 10 bytes"):
        read_text(tmp_path / "long", 10)


def test_a_message_about_a_huge_value_is_short():
    with pytest.raises(InvalidInputError) as error:
        Recipe.from_dict({"name": "a" * 10_000, "x" * 10_000: 1, **{f"k{row}": 1 for row in range(100)}})
    assert len(str(error.value)) < 2500 and "more" in str(error.value)


# Archives


def make_zip(path, members, compression=zipfile.ZIP_STORED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../up", b"")], "out of place"),
        ([("/etc/up", b"")], "out of place"),
        ([("..\\up", b"")], "out of place"),
        ([("C:/up", b"")], "out of place"),
        ([("a", b""), ("a", b"")], "out of place or there twice"),
        ([(link("a"), b"/etc/passwd")], "is a link"),
        ([(f"{row}", b"") for row in range(1001)], "1,001 members"),
    ],
)
def test_archives_with_strange_members_are_refused(tmp_path, members, message):
    with pytest.raises(InvalidInputError, match=message), open_archive(make_zip(tmp_path / "a.zip", members)):
        pass


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = make_zip(tmp_path / "x.npz", [("x.npy", bytes(300 * 2**20))], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    with pytest.raises(InvalidInputError, match="zip bomb"):
        read_npz(path, ["x"])


def test_pickles_are_never_loaded(tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path(tmp_path / "owned").write_text, ("owned",))

    np.savez(tmp_path / "bad.npz", x=np.array([Attack()] * 9, dtype=object), y=np.zeros(9))
    with pytest.raises(InvalidInputError, match="`x` holds objects"):
        load_data(str(tmp_path / "bad.npz"))
    assert not (tmp_path / "owned").exists()


def test_a_header_that_claims_more_than_there_is_costs_nothing(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10**13,), }".replace(b"10**13", b"9" * 13) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with pytest.raises(InvalidInputError, match="header of `x` does not fit"):
        read_npz(make_zip(tmp_path / "x.npz", [("x.npy", content)]), ["x"])


def test_npz_arrays_come_back_as_numpy_wrote_them(tmp_path):
    arrays = {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.array(3, "i1"), "c": np.zeros((0, 2))}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    for name, array in read_npz(tmp_path / "x.npz", arrays).items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype and array.flags.writeable


# `.keras` files and weights


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "net.keras"
    LeakyMLP((4,), 3, width=5, depth=4, effective_depth=2.0).save(path)
    return path


def with_member(saved, path, name, content):
    with zipfile.ZipFile(saved) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    return make_zip(path, {**members, name: content}.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_name": "Lambda", "module": "keras.layers"}, "runs code"),
        ({"class_name": "TorchModuleWrapper", "module": "keras.layers"}, "runs code"),
        ({"class_name": "StringLookup", "module": "keras.layers"}, "reads other files"),
        ({"class_name": "Popen", "module": "subprocess", "registered_name": None}, "module must be one of"),
        (
            {"class_name": "enable_unsafe_deserialization", "module": "keras.config", "registered_name": None},
            "module must",
        ),
        ({"config": {"input_shape": [4], "width": 10**9, "depth": 4}}, "width is more than the weights hold"),
        ({"config": {"input_shape": [4], "width": 300, "depth": 300}}, "more weights than the file holds"),
        ({"config": 3}, "must hold `class_name` and `config`"),
    ],
)
def test_configurations_that_name_other_things_than_layers_are_refused(saved, tmp_path, change, message):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    path = with_member(saved, tmp_path / "bad.keras", "config.json", json.dumps({**config, **change}))
    with pytest.raises(InvalidInputError, match=message) as error:
        load_model(path)
    assert "bad.keras: config.json" in str(error.value)


def test_a_keras_file_holds_a_model_and_nothing_else(saved, tmp_path):
    path = with_member(saved, tmp_path / "more.keras", "assets/run.sh", b"#!/bin/sh")
    with pytest.raises(InvalidInputError, match=r"nothing else.*assets/run\.sh"):
        load_model(path)


def test_foreign_keras_models_still_load(tmp_path):
    import keras

    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Conv2D(2, 3, activation="relu")(inputs * 2.0)
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.BatchNormalization()(outputs)))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    model.save(tmp_path / "foreign.keras")
    x = np.ones((2, 8, 8, 1), "float32")
    np.testing.assert_array_equal(load_model(tmp_path / "foreign.keras").predict_on_batch(x), model.predict_on_batch(x))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda group: group.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "is a link"),
        (lambda group: group.__setitem__("x", h5py.SoftLink("/elsewhere")), "is a link"),
        (lambda group: group.create_dataset("x", (8,), "u1", external=[("/etc/passwd", 0, 8)]), "in another file"),
        (lambda group: group.create_virtual_dataset("x", h5py.VirtualLayout((4,), "f4")), "in another file"),
        (lambda group: group.create_dataset("x", (10**7, 10**7), "f4", chunks=(8, 8)), "not in the file as they are"),
        (lambda group: group.create_dataset("x", data=np.zeros(10**5), compression="gzip"), "not in the file as they"),
        (lambda group: group.create_dataset("x", data="text"), "must hold numbers"),
    ],
)
def test_weights_are_plain_numbers_in_the_file_itself(spoil, message):
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        spoil(weights.create_group("layers"))
    with pytest.raises(InvalidInputError, match=message) as error:
        check_weights(file, "net.keras: model.weights.h5")
    assert "net.keras" in str(error.value)
