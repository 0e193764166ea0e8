"""Data sets: what the builders generate, what users' files may hold, and what is said when something is missing."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.data import DATASETS, Dataset, load_data
from leaky_zoo.data.bottleneck_teacher import BottleneckTeacher, teacher_arrays, teacher_summary_arrays
from leaky_zoo.data.checks import check_generated
from leaky_zoo.data.optical_digits import fold_rows
from leaky_zoo.errors import CheckFailedError, InvalidInputError

pytestmark = pytest.mark.tensorflow_only


def test_digits_folds_are_disjoint_stratified_and_cover_everything():
    tests = []
    for fold in range(5):
        _, labels, train, test = fold_rows(fold)
        assert not set(train) & set(test) and len(train) + len(test) == 1797
        shares = np.bincount(labels[test], minlength=10) / len(test)
        np.testing.assert_allclose(shares, np.bincount(labels) / 1797, atol=0.01)
        tests.append(test)
    assert sorted(np.concatenate(tests)) == list(range(1797))


def test_digits_through_tfds():
    digits = load_data("optical_digits/fold_2")
    images, labels, train, test = fold_rows(2)
    np.testing.assert_array_equal(digits.select("train")[0], images[train])
    np.testing.assert_array_equal(digits.select("test")[1], labels[test])
    assert digits.task == "classification" and digits.output_size == 10 and digits.input_shape == (8, 8, 1)
    assert digits.statistics("train")["input_mean"] == pytest.approx(images[train].mean(), rel=1e-6)


@pytest.mark.parametrize("config", BottleneckTeacher.BUILDER_CONFIGS, ids=lambda config: config.name)
def test_teachers_are_what_the_record_says(config):
    arrays = teacher_summary_arrays(config)
    check_generated(f"bottleneck_teacher/{config.name}", floats=arrays)
    np.testing.assert_allclose(arrays["train_y"].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(arrays["train_y"].std(0), 1, atol=1e-6)
    arrays["train_y"] = arrays["train_y"] + 0.01
    with pytest.raises(CheckFailedError, match="train_y"):
        check_generated(f"bottleneck_teacher/{config.name}", floats=arrays)


def test_changed_integers_are_noticed():
    images, labels, _, test = fold_rows(0)
    with pytest.raises(CheckFailedError, match="labels"):
        check_generated("optical_digits/fold_0", integers={"images": images, "labels": labels[::-1], "test_rows": test})


def test_a_fresh_cache_and_a_read_only_tfds_folder(tmp_path, monkeypatch):
    empty = tmp_path / "tfds"
    empty.mkdir(mode=0o555)
    monkeypatch.setenv("LEAKY_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(empty))
    assert load_data("bottleneck_teacher/k2").select("train")[0].shape == (1000, 30)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["tfds"]
    assert not list(empty.iterdir())
    assert load_data("bottleneck_teacher/k2").identifier == "bottleneck_teacher/k2"


def test_mnist(mnist_dir):
    mnist = load_data("mnist", mnist_dir)
    assert mnist.select("train")[0].shape == (60000, 28, 28, 1) and mnist.select("test")[0].shape == (10000, 28, 28, 1)
    assert mnist.class_names == tuple("0123456789")


def test_a_data_set_that_cannot_be_had_names_the_flag(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the folder that a download would make")
    with pytest.raises(InvalidInputError, match="--data-dir"):
        load_data("mnist", blocked / "tfds")


@pytest.mark.parametrize(
    ("name", "message"),
    [("mnits", "mnist"), ("optical_digits/fold_9", "fold_0"), ("mnist/x", r"\(none\)"), ("none.npz", "No such file")],
)
def test_unknown_names_suggest_what_there_is(name, message):
    with pytest.raises(InvalidInputError, match=message):
        load_data(name)


@pytest.fixture
def dataset():
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    return Dataset("toy", None, "classification", {"train": (x, y), "test": (x[:2], y[:2])}, normalize_features=True)


@pytest.mark.parametrize(
    ("split", "rows"),
    [("train", range(10)), ("train[:80%]", range(8)), ("train[80%:]", [8, 9]), ("train[2:4]", [2, 3])],
)
def test_splits_slice_as_in_tfds(dataset, split, rows):
    np.testing.assert_array_equal(dataset.select(split)[1], list(rows))


@pytest.mark.parametrize("split", ["valid", "train[", "train[a:b]", "train[10:]", ""])
def test_bad_splits_are_refused(dataset, split):
    with pytest.raises(InvalidInputError, match="Received: split="):
        dataset.select(split)


def test_statistics_leave_constant_features_alone():
    x = np.column_stack([np.full(6, 7.0), np.arange(6.0)])
    data = Dataset("toy", None, "regression", {"train": (x, x)}, normalize_features=True)
    statistics = data.statistics("train")
    assert statistics["input_variance"][0] == 1.0 and statistics["input_mean"] == [7.0, 2.5]
    assert statistics["output_variance"] == statistics["input_variance"]


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_users_files(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3))
    labels = load_data(save(tmp_path / "a.npz", x=x, y=np.arange(20) % 4))
    assert labels.task == "classification" and labels.output_size == 4
    assert len(labels.select("train")[0]) == 16 and len(labels.select("test")[0]) == 4
    values = load_data(save(tmp_path / "b.npz", x=x, y=x[:, 0], x_test=x[:5], y_test=x[:5, 0]))
    assert values.task == "regression" and values.output_size == 1
    np.testing.assert_array_equal(values.select("test")[0], x[:5])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((9, 2)), "b": np.zeros(9)}, "holds `a`, `b`.* Accepted: `x` and `y`"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(8)}, r"\(8,\)"),
        ({"x": np.full((9, 2), np.nan), "y": np.zeros(9, int)}, "`x` holds NaN or infinity, first in sample 0"),
        *(
            (
                {"x": np.where(np.arange(9)[:, None] == row, np.nan, 1.0), "y": np.zeros(9, int)},
                f"`x` holds .* sample {row}",
            )
            for row in (1, 2, 7)  # in whatever split it would come
        ),
        ({"x": np.zeros((9, 2)), "y": np.where(np.arange(9) == 4, np.inf, 0)}, "`y` holds .* sample 4"),
        ({"x": np.zeros(9), "y": np.zeros(9)}, "one row of features"),
        ({"x": np.zeros((9, 2), complex), "y": np.zeros(9)}, "complex"),
        ({"x": np.array([["a", "b"]] * 9), "y": np.zeros(9)}, "real numbers"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3, int)}, "3 samples"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(9), "x_test": np.zeros((2, 2))}, "x_test"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(9), "x_test": np.zeros((2, 3)), "y_test": np.zeros(2)}, "another shape"),
    ],
)
def test_users_files_that_cannot_be_used(tmp_path, arrays, message):
    with pytest.raises(InvalidInputError, match=message):
        load_data(save(tmp_path / "bad.npz", **arrays))


def test_pickles_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="plain arrays"):
        load_data(save(tmp_path / "bad.npz", x=np.array([{}, {}], dtype=object), y=np.zeros(2)))


@given(st.binary(max_size=300))
def test_any_bytes_give_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("npz") / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError):
        load_data(str(path))


@given(st.integers(0, 400))
def test_truncated_files_give_one_clear_error(tmp_path_factory, cut):
    whole = io.BytesIO()
    np.savez(whole, x=np.zeros((9, 2)), y=np.zeros(9))
    path = tmp_path_factory.mktemp("npz") / "bad.npz"
    path.write_bytes(whole.getvalue()[:cut])
    with pytest.raises(InvalidInputError):
        load_data(str(path))


def test_registry_is_plain_data():
    assert {"optical_digits", "bottleneck_teacher", "mnist"} <= DATASETS.keys()


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_a_teacher_is_locally_k_dimensional(k):
    """Targets near each other differ in k directions: a map through k dimensions is close to affine there."""
    x, y = teacher_arrays((30, k, 30), seed=1)["train"]
    assert x.shape == y.shape == (1000, 30)
    shares = []
    for row in range(20):
        near = y[np.argsort(np.linalg.norm(y - y[row], axis=1))[1:60]]
        squares = np.linalg.svd(near - near.mean(0), compute_uv=False) ** 2
        shares.append(squares[:k].sum() / squares.sum())
    assert np.median(shares) > 0.85


def test_teachers_are_reproducible_and_differ_by_seed():
    first, again, other = (teacher_arrays((30, 3, 30), seed=seed)["train"][1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
