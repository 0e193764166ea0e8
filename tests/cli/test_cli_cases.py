"""Small inputs that went wrong for somebody, as they were typed, and others of their kind."""

import shlex

import keras
import numpy as np
import pytest

from leaky_zoo.data import load_data

pytestmark = pytest.mark.tensorflow_only
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)).astype("float32")
Y = np.arange(60) % 3


def saved(folder, name="mine.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (Y[:, None].astype("uint8"), None), (Y > 0, "2 classes from bools"), (Y[:, None] > 0, "2 classes from bools"),
        (Y[:, None, None], None), (Y.astype("int8"), None), (Y.astype("U2"), "3 classes from texts"),
    ],
)  # fmt: skip
def test_labels_with_one_reading_are_labels_and_suggest_says_so(line, tmp_path, labels, said):
    code, out, err = line("suggest", "--data", saved(tmp_path, x=X, y=labels))
    classes = len(np.unique(labels))
    assert code == 0 and f"{classes} classes" in out and "classification" in out
    assert said is None or said in err


@pytest.mark.parametrize(
    "labels", [Y.astype(float), np.eye(3)[Y], np.eye(3, dtype=int)[Y], Y[:, None].astype("float32")]
)
def test_labels_with_two_readings_are_a_question(line, tmp_path, labels):
    file = saved(tmp_path, x=X, y=labels)
    code, _, err = line("suggest", "--data", file)
    assert code == 2 and "--task classification" in err and "data.task" in err
    code, out, _ = line("suggest", "--data", file, "--task", "classification", "--out", tmp_path / "recipe.yaml")
    assert code == 0 and "3 classes" in out
    assert "task: classification" in (tmp_path / "recipe.yaml").read_text()
    assert line("suggest", "--data", file, "--task", "regression")[0] == 0


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"), ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"), ("arr_0", "arr_1"), ("X", "Y"),
        ("data", "target"),
    ],
)  # fmt: skip
def test_layouts_as_people_write_them(line, tmp_path, names):
    arrays = [X, Y, X[:10], Y[:10]][: len(names)]
    file = saved(tmp_path, **dict(zip(names, arrays, strict=True)))
    code, out, _ = line("suggest", "--data", file)
    assert code == 0 and "3 classes" in out
    assert len(load_data(str(file)).select("test")[0]) == (10 if len(names) == 4 else 12)


@pytest.mark.parametrize("names", [("spam", "eggs"), ("spam", "eggs", "ham"), ("y",)])
def test_arrays_that_are_there_are_named(line, tmp_path, names):
    code, _, err = line("suggest", "--data", saved(tmp_path, **dict.fromkeys(names, X)))
    assert code == 2 and all(name in err for name in names)


@pytest.mark.parametrize(
    ("labels", "test", "outputs", "said"),
    [
        (Y + 1, None, 3, "labels 1 to 3"), (np.where(Y == 2, 500, Y), None, 3, "labels 0 to 500 with gaps"),
        (Y - 7, None, 3, "labels -7 to -5"), (Y * 0, None, 1, "one class"),
        (Y * 10, None, 3, "labels 0 to 20 with gaps"), (Y % 2, Y, 3, "class 2 is in the test split only"),
    ],
)  # fmt: skip
def test_labels_nobody_has_are_said(line, tmp_path, labels, test, outputs, said):
    more = {} if test is None else {"x_test": X, "y_test": test}
    file = saved(tmp_path, x=X, y=labels, **more)
    code, _, err = line("suggest", "--data", file)
    assert code == 0 and said in err and load_data(str(file)).output_size == outputs


@pytest.mark.parametrize("layers", ["a,inputs", "a, inputs", " a ,inputs ", "inputs"])
@pytest.mark.parametrize("name", ["inputs", "outputs", "batch"])
def test_names_of_layers(line, tmp_path, layers, name):
    """With spaces after commas, and those that the exporter uses itself."""
    if name != "inputs" and layers != "a, inputs":
        pytest.skip("one way of writing the list is enough for the other names")
    start = keras.Input((4,), name="x")
    hidden = keras.layers.Dense(3, name="a")(start)
    keras.Model(start, keras.layers.Dense(2, name=name)(hidden)).save(tmp_path / "m.keras")
    file = saved(tmp_path, x=X, y=Y)
    code, _, err = line("analyze", tmp_path / "m.keras", "--data", file, "--layers", layers.replace("inputs", name))
    assert code == 0, err
    if layers == "a, inputs":
        assert line("export", tmp_path / "m.keras", "--out", tmp_path / "m.onnx")[0] == 0
        assert line("verify", tmp_path / "m.onnx")[0] == 0


@pytest.mark.parametrize("shape", [(900, 20_000), (40, 700, 700, 1)])
def test_mostly_zeros_compressed_are_answered_with_what_helps(line, tmp_path, shape):
    x = np.zeros(shape, "float32")
    x.reshape(len(x), -1)[:, 0] = np.arange(len(x))
    np.savez_compressed(tmp_path / "words.npz", x=x, y=np.arange(len(x)) % 2)
    code, _, err = line("suggest", "--data", tmp_path / "words.npz")
    assert (code == 2 and "np.savez, not np.savez_compressed" in err) or code == 0
    np.savez(tmp_path / "plain.npz", x=x[:50, ..., :40], y=np.arange(len(x[:50])) % 2)
    assert line("suggest", "--data", tmp_path / "plain.npz")[0] == 0


@pytest.mark.parametrize("name", ["my data", "it's", 'a"b', "semi;colon", "$HOME", "naïve ñame", "-dash"])
def test_printed_commands_run_when_pasted(line, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, f"{name}.npz", x=X, y=Y)
    recipe = f"./{name} recipe.yaml"
    code, _, err = line("suggest", "--data", f"./{name}.npz", "--out", recipe)
    (said,) = [each.partition(": ")[2] for each in err.splitlines() if each.startswith("Written to")]
    words = shlex.split(said)
    assert (code == 0 and words[:3] == ["leaky-zoo", "train", recipe.removeprefix("./")]) or words[2] == recipe
    assert (tmp_path / words[2]).is_file()
