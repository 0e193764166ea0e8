"""Users' files and folders: what is in them is said where it cannot be used; what may not be meant is warned of."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leaky_zoo.data import load_data
from leaky_zoo.data.image_folder import read_image
from leaky_zoo.data.prediction_inputs import read_inputs
from leaky_zoo.errors import InvalidInputError

pytestmark = pytest.mark.tensorflow_only


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def frame(**columns):
    random = np.random.default_rng(0)
    return pd.DataFrame({"a": random.normal(size=40), "b": random.normal(size=40), **columns, "y": np.arange(40) % 2})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("pixels", "answers"), "holds `pixels`, `answers`"),
        (("x", "images", "y"), "`x` and `images` could both be the inputs"),
        (("x_test", "y_test", "x_val", "y_val"), "holds `x_test`"),
        (("arr_0", "arr_1", "arr_2"), "holds `arr_0`"),
        (("y", "labels"), "could both be the targets"),
        (("x_train", "y_train", "x_test"), "no targets for split 'test'"),
        (("indices", "indptr", "format", "shape", "data"), "sparse matrix of scipy"),
    ],
)
def test_arrays_whose_names_do_not_say_what_they_are(tmp_path, names, message):
    with pytest.raises(InvalidInputError, match=message):
        load_data(save(tmp_path / "d.npz", **{name: np.zeros((9, 2)) for name in names}))


def test_one_array_alone_has_no_task(tmp_path):
    data = load_data(save(tmp_path / "d.npz", anything=np.random.default_rng(0).normal(size=(20, 3))))
    assert data.task is None and data.select("train")[1] is None and len(data.select("train")[0]) == 20
    with pytest.raises(InvalidInputError, match="inputs alone"):
        _ = data.output_size
    assert set(load_data(str(tmp_path / "d.npz"), task="autoencoding").splits) == {"train", "test"}


def test_sparse_data_compressed_a_thousandfold_are_answered_with_what_helps(tmp_path):
    x = np.zeros((4000, 20_000), "float32")
    np.savez_compressed(tmp_path / "words.npz", x=x, y=np.arange(4000) % 2)
    with pytest.raises(InvalidInputError, match=r"np\.savez, not np\.savez_compressed"):
        load_data(str(tmp_path / "words.npz"))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("dull", np.full(40, 3.0), r"column dull \(3\) is constant"),
        ("when", 20240101 + np.arange(40) % 28, "column when looks like dates written as numbers"),
        ("timestamp", 1.7e9 + np.arange(40), "column timestamp looks like dates .*seconds since 1970"),
        ("ns", 1.7e18 / 1e6 + np.arange(40) * 1e9, "column ns looks like dates .*milliseconds"),
        ("huge", np.arange(40) * 1e7 + 0.5, "columns huge and . differ by .* in scale"),
        ("offset", 1e9 + np.arange(40) / 50, "column offset varies by"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_warnings_name_the_column(tmp_path, column, values, message, suffix):
    table = frame(**{column: values})
    path = tmp_path / f"d{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path, index=False)
    data = load_data(f"{path}:y")
    assert data.feature_names == ("a", "b", column)
    assert any(pd.Series([warning]).str.contains(message).any() for warning in data.warnings), data.warnings


def test_a_plain_table_has_nothing_to_warn_of():
    assert load_data(frame(), target="y").warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,x,0\n", "column 'b' holds 'x', which is not a number, in row 1"),
        ("a,b,y\n1,2,0\n3,,1\n", "column 'b' is empty, in row 2"),
        ("a,b,y\n1,2,0\n3,4\n", "row 2: 2 cells for 3 columns"),
        ("a,a,y\n1,2,0\n", "two columns called 'a'"),
        ("1,2,0\n3,4,1\n", "no line of column names"),
        ("a,b,z\n1,2,0\n", "no column 'y'. It has the columns a, b, z"),
        ("", "is empty"),
        ("a,b,y\n", "a header and no rows"),
        ('a,b,y\n1,"2,0\n', "not a CSV file"),
        ("a,b,y\n1,nan,0\n", "column 'b' has no number in row 1"),
        ("a,b,y\n1,2,\n", "target 'y' has no value in row 1"),
        ("a,b,y\n1,2,.5\n3,4,NA\n", "target 'y' holds numbers, and 'NA' in row 2"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        load_data(f"{tmp_path / 'd.csv'}:y")


def test_a_table_that_is_no_text(tmp_path):
    (tmp_path / "latin.csv").write_bytes("a,b,y\n1,2,ä\n".encode("latin-1"))
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        load_data(f"{tmp_path / 'latin.csv'}:y")
    (tmp_path / "no.parquet").write_bytes(b"PAR0" * 9)
    with pytest.raises(InvalidInputError, match="not a Parquet file"):
        load_data(f"{tmp_path / 'no.parquet'}:y")


def test_dates_and_empty_cells_of_parquet(tmp_path):
    frame(when=pd.date_range("2024-01-01", periods=40)).to_parquet(tmp_path / "d.parquet")
    with pytest.raises(InvalidInputError, match="column 'when' holds dates"):
        load_data(f"{tmp_path / 'd.parquet'}:y")
    frame(gap=pd.array([1, None] * 20, "Int64")).to_parquet(tmp_path / "d.parquet")
    with pytest.raises(InvalidInputError, match="column 'gap' has empty cells"):
        load_data(f"{tmp_path / 'd.parquet'}:y")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    frame().to_parquet(tmp_path / "d.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidInputError, match=r"leaky-zoo\[pandas\]"):
        load_data(f"{tmp_path / 'd.parquet'}:y")


def picture(path, size=(5, 6), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).convert(mode).save(
        path
    )


def test_images_of_two_sizes_are_refused_by_name(tmp_path):
    picture(tmp_path / "cat" / "a.png")
    picture(tmp_path / "dog" / "b.png", (7, 6))
    with pytest.raises(InvalidInputError, match=r"a.png has 5 x 6 pixels, .*b.png 7 x 6"):
        load_data(str(tmp_path))


def test_pixels_that_would_not_survive_are_refused(tmp_path):
    for row in range(5):
        picture(tmp_path / "cat" / f"{row}.png", mode="L")
    deep = np.arange(30, dtype="uint16").reshape(6, 5) * 2000
    Image.fromarray(deep).save(tmp_path / "cat" / "deep.png")
    with pytest.raises(InvalidInputError, match=r"8 bits, or all 16. Received: .*0.png with 8, .*deep.png with 16"):
        load_data(str(tmp_path))
    np.testing.assert_array_equal(read_image(tmp_path / "cat" / "deep.png")[..., 0], deep)
    half = read_image(tmp_path / "cat" / "deep.png", 1, (3, 5))
    assert half.dtype == np.uint16 and 50_000 < half.max() <= deep.max()  # not cut at 255
    Image.fromarray(np.full((2, 2), 0.5, "float32")).save(tmp_path / "float.tif")
    Image.fromarray(np.full((2, 2), 70_000, "int32")).save(tmp_path / "wide.tif")
    for name, words in (("float.tif", "holds floats"), ("wide.tif", "values from 70000 to 70000")):
        with pytest.raises(InvalidInputError, match=words):
            read_image(tmp_path / name)


def test_images_of_two_modes_get_three_channels(tmp_path):
    for row in range(5):
        picture(tmp_path / "cat" / f"{row}.png", mode="L")
        picture(tmp_path / "dog" / f"{row}.png", mode="RGBA")
    assert load_data(str(tmp_path)).input_shape == (6, 5, 3)


def test_what_is_no_image_and_what_belongs_to_no_class(tmp_path):
    picture(tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "b.png").write_bytes(b"no image")
    with pytest.raises(InvalidInputError, match=r"b.png is not an image"):
        load_data(str(tmp_path))
    (tmp_path / "cat" / "b.png").unlink()
    picture(tmp_path / "c.png")
    with pytest.raises(InvalidInputError, match=r"c.png belongs to no class"):
        load_data(str(tmp_path))


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["train/cat", "train/dog", "test/cat", "extra/cat"], "test, train beside extra"),
        (["train_set/cat", "test_set/cat"], "two folders down"),
        (["data/cat", "data/dog"], "two folders down"),
    ],
)
def test_folders_of_folders_that_are_no_splits_are_a_question(tmp_path, folders, words):
    for folder in folders:
        picture(tmp_path / folder / "a.png")
    with pytest.raises(InvalidInputError, match=words):
        load_data(tmp_path)


def test_classes_of_images_are_the_networks_by_name(tmp_path):
    """A net that knows none of them is not scored, whatever their number; one that knows some is, by their names."""
    for name in ("cat", "dog"):
        picture(tmp_path / name / "a.png")
    with pytest.raises(InvalidInputError, match=r"not among the network's 3 .*Received: dog"):
        load_data(tmp_path, classes=["ant", "bee", "cat"])
    with pytest.raises(InvalidInputError, match="Received: cat, dog"):
        load_data(tmp_path, classes=["0", "1"])
    (tmp_path / "cat" / "b.png").write_bytes((tmp_path / "cat" / "a.png").read_bytes())
    for row in range(4):
        (tmp_path / "dog" / f"{row}.png").write_bytes((tmp_path / "cat" / "a.png").read_bytes())
    found = load_data(tmp_path, classes=["ant", "dog", "cat"])
    assert {int(label) for _, y in found.splits.values() for label in y} == {1, 2}


def test_folders_and_files_of_no_kind(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no images"):
        load_data(str(tmp_path))
    (tmp_path / "d.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInputError, match="not a kind of file"):
        load_data(str(tmp_path / "d.xlsx"))
    with pytest.raises(InvalidInputError, match="No such file or folder"):
        load_data(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInputError, match="TFDS has no data set of this name"):
        load_data("tfds:no_such_thing")


def test_inputs_to_predict(tmp_path):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "deep" / "b.jpg", (9, 9), "RGB")
    with pytest.raises(InvalidInputError, match="--resize"):
        read_inputs(tmp_path / "in", (6, 5, 1))
    names, x = read_inputs(tmp_path / "in", (6, 5, 1), resize=True)
    assert names == ["a.png", "deep/b.jpg"] and x.shape == (2, 6, 5, 1)
    assert read_inputs(tmp_path / "in" / "a.png", (6, 5, 3))[1].shape == (1, 6, 5, 3)
    frame().to_csv(tmp_path / "d.csv", index=False)
    assert read_inputs(f"{tmp_path / 'd.csv'}:y", (2,))[1].shape == (40, 2)
    with pytest.raises(InvalidInputError, match=r"shape \(2,\)"):
        read_inputs(tmp_path / "d.csv", (2,))
    assert read_inputs("optical_digits", (8, 8, 1))[1].shape == load_data("optical_digits").select("test")[0].shape
    with pytest.raises(InvalidInputError, match="Unknown data set 'optical'"):
        read_inputs("optical", (8, 8, 1))
    save(tmp_path / "flat.npz", x=np.zeros((3, 64)))
    assert read_inputs(tmp_path / "flat.npz", (8, 8, 1))[1].shape == (3, 8, 8, 1)


def test_a_misspelt_target_and_one_that_nobody_named(tmp_path):
    (tmp_path / "t.csv").write_text("a,Kind\n" + "".join(f"{row},{'xy'[row % 2]}\n" for row in range(10)))
    with pytest.raises(InvalidInputError, match=r"no column 'kind'; did you mean 'Kind'\?"):
        load_data(f"{tmp_path / 't.csv'}:kind")
    with pytest.raises(InvalidInputError, match=r"If it is the target, name it: .*t\.csv:Kind"):
        load_data(str(tmp_path / "t.csv"))
