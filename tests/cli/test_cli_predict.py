"""`leaky-zoo predict`, and what the commands say about data, as a user types them."""

import contextlib
import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from leaky_zoo import cli
from leaky_zoo.data import load_data
from leaky_zoo.io.reading import read_yaml

pytestmark = pytest.mark.tensorflow_only
PRESET = "leaky_mlp_optical_digits_l7_equidistant"
ONNX = Path(__file__).parents[2] / "export" / PRESET / "model.onnx"


@pytest.fixture
def leaky_zoo(monkeypatch, capsys):
    """A function that runs a command line in this process; what it wrote to stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words, code=0, cwd=None):
        monkeypatch.setattr("sys.argv", ["leaky-zoo", *map(str, words)])
        with contextlib.chdir(cwd or Path.cwd()), pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.out + said.err
        return SimpleNamespace(stdout=said.out, stderr=said.err)

    return call


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Twenty digits as arrays, a table and images; and their labels."""
    folder = tmp_path_factory.mktemp("digits")
    x, y = (part[:20] for part in load_data("optical_digits").select("test"))
    np.savez(folder / "new.npz", images=x, labels=y)
    lines = [",".join([*(f"p{place}" for place in range(64)), "digit"])]
    lines += [",".join(map(str, [*row.ravel(), label])) for row, label in zip(x, y, strict=True)]
    (folder / "new.csv").write_text("\n".join(lines) + "\n")
    for row, picture in enumerate(x):
        (folder / "pictures").mkdir(exist_ok=True)
        Image.fromarray(picture[..., 0]).save(folder / "pictures" / f"{row:02d}.png")
    return folder, y


def test_predict_gives_the_same_from_every_model_and_format(leaky_zoo, digits):
    folder, labels = digits
    answers = [
        json.loads(leaky_zoo("predict", model, "--data", data, "--json").stdout)
        for model, data in (
            (ONNX, folder / "new.npz"), (ONNX, f"{folder / 'new.csv'}:digit"), (ONNX, folder / "pictures"),
            (PRESET, folder / "new.npz"),
        )
    ]  # fmt: skip
    first = [row["label"] for row in answers[0]]
    assert np.mean([int(label) == wanted for label, wanted in zip(first, labels, strict=True)]) > 0.8
    for rows in answers:
        assert [row["label"] for row in rows] == first
        np.testing.assert_allclose([row["outputs"] for row in rows], [row["outputs"] for row in answers[0]], atol=1e-3)
        assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-9 for row in rows)
        assert all(row["probability"] == max(row["probabilities"].values()) for row in rows)
    assert answers[2][3]["sample"] == "03.png"


def foreign(kind):
    """A model that is not ours, of a kind whose answers cannot be written in rows."""
    x = keras.Input((3,))
    if kind == "two outputs":
        return keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])
    if kind == "two inputs":
        return keras.Model([x, other := keras.Input((3,))], keras.layers.Add()([x, other]))
    return keras.Model(x, keras.layers.Rescaling(1e38)(x))


@pytest.mark.parametrize(
    ("kind", "words", "code"),
    [
        ("two outputs", "A model of one output", 2),
        ("two inputs", "A model of one input", 2),
        ("infinite", "NaN or inf", 1),
    ],
)
def test_answers_that_cannot_be_written_are_refused(kind, words, code, leaky_zoo, tmp_path):
    foreign(kind).save(tmp_path / "model.keras")
    np.savez(tmp_path / "new.npz", x=np.full((2, 3), 100, np.float32))
    for how in (["--json"], ["--out", "rows.json"]):
        said = leaky_zoo("predict", "model.keras", "--data", "new.npz", *how, code=code, cwd=tmp_path)
        assert words in said.stderr and not said.stdout
    assert not (tmp_path / "rows.json").exists()


def test_predict_needs_no_tensorflow_for_onnx(digits):
    folder, _ = digits
    heavy = ("tensorflow", "keras", "pandas", "pyarrow", "sklearn", "scipy")
    words = ["predict", str(ONNX), "--data", f"{folder / 'new.csv'}:digit"]
    script = f"import sys\nsys.modules |= dict.fromkeys({heavy})\nfrom leaky_zoo.cli import app\napp({words})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and "probability" in done.stdout, done.stderr


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_predict_writes_all_rows(leaky_zoo, digits, tmp_path, suffix):
    folder, _ = digits
    leaky_zoo("predict", ONNX, "--data", folder / "new.npz", "--first", 7, "--out", tmp_path / f"out.{suffix}")
    text = (tmp_path / f"out.{suffix}").read_text()
    rows = json.loads(text) if suffix == "json" else list(csv.DictReader(text.splitlines()))
    assert len(rows) == 7 and {"sample", "label", "probability"} <= rows[0].keys()
    assert suffix == "json" or float(rows[0]["p_3"]) >= 0


def test_predict_refuses_what_does_not_fit(leaky_zoo, digits, tmp_path):
    folder, _ = digits
    assert "shape (8, 8, 1)" in leaky_zoo("predict", ONNX, "--data", folder / "new.csv", code=2).stderr
    assert ".csv or .json" in leaky_zoo("predict", ONNX, "--data", folder / "new.npz", "--out", "x.txt", code=2).stderr
    assert "No such" in leaky_zoo("predict", ONNX, "--data", tmp_path / "no.npz", code=2).stderr


def test_suggest_says_the_task_and_quotes_its_command(leaky_zoo, tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 4))
    np.savez(tmp_path / "my data.npz", x=x, y=(np.arange(50) % 3).astype(float))
    refused = leaky_zoo("suggest", "--data", tmp_path / "my data.npz", code=2).stderr
    assert "--task classification" in refused and "data.task" in refused
    done = leaky_zoo(
        "suggest", "--data", "my data.npz", "--task", "classification", "--out", "my recipe.yaml", cwd=tmp_path
    )
    assert "leaky-zoo train 'my recipe.yaml'" in done.stderr
    assert "classification" in done.stdout and "3 classes" in done.stdout
    assert read_yaml(tmp_path / "my recipe.yaml")["data"]["task"] == "classification"


def test_commands_say_how_data_were_read_and_what_may_not_be_meant(leaky_zoo, tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 4))
    x[:, 2] = 7
    np.savez(tmp_path / "d.npz", x=x, y=np.array(["no", "yes"])[np.arange(50) % 2])
    said = " ".join(leaky_zoo("suggest", "--data", tmp_path / "d.npz").stderr.split())
    assert "2 classes from texts: no, yes" in said and "column x[:, 2] (7) is constant" in said
