"""Labels as people have them: read as what they evidently are, and said; or a question."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from leaky_zoo.data import load_data
from leaky_zoo.data.labels import evident_task, understand
from leaky_zoo.errors import InvalidInputError

pytestmark = pytest.mark.tensorflow_only
X, DIGITS = load_digits(return_X_y=True)


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(DIGITS[:, None].astype("uint8"), 10), (DIGITS > 4, 2), (DIGITS[:, None], 10), (DIGITS[:, None] > 4, 2)],
)
def test_labels_that_have_one_reading(tmp_path, labels, classes):
    data = load_data(save(tmp_path / "d.npz", x=X, y=labels))
    assert (data.task, data.output_size) == ("classification", classes)
    assert data.select("train")[1].dtype == np.int64


@pytest.mark.parametrize("labels", [DIGITS.astype(float), np.eye(10)[DIGITS], np.eye(10, dtype=int)[DIGITS]])
def test_labels_that_have_two_readings_are_a_question(tmp_path, labels):
    path = save(tmp_path / "d.npz", x=X, y=labels)
    with pytest.raises(
        InvalidInputError, match=r"`--task classification` or `--task regression` .*`data\.task`"
    ) as error:
        load_data(path)
    assert error.value.exit_code == 2
    plain = load_data(save(tmp_path / "plain.npz", x=X, y=DIGITS))
    chosen = load_data(path, task="classification")
    np.testing.assert_array_equal(chosen.select("test")[1], plain.select("test")[1])
    assert load_data(path, task="regression").output_size == (1 if labels.ndim == 1 else 10)


def test_labels_nobody_has(tmp_path):
    from_1 = load_data(save(tmp_path / "from1.npz", x=X, y=DIGITS + 1))
    assert from_1.output_size == 10 and from_1.notes == ("10 classes from labels 1 to 10",)
    gaps = load_data(save(tmp_path / "ids.npz", x=X, y=np.where(DIGITS == 9, 500, DIGITS)))
    assert gaps.output_size == 10 and gaps.notes == ("10 classes from labels 0 to 500 with gaps",)
    assert gaps.class_names == (*"012345678", "500")
    one = load_data(save(tmp_path / "one.npz", x=X, y=DIGITS * 0))
    assert "the training split has one class" in one.warnings
    low, high = DIGITS < 8, DIGITS >= 8
    new = load_data(save(tmp_path / "new.npz", x=X[low], y=DIGITS[low], x_test=X[high], y_test=DIGITS[high]))
    assert new.output_size == 10 and "classes 8, 9 are in the test split only" in new.warnings


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (np.array([2, 5, 2]), ["1", "2", "5"], [1, 2, 1]),  # by name: the file has fewer classes than the network
        (np.array([2, 0, 1]), ["cat", "dog", "eel"], [2, 0, 1]),  # by place
        (np.array(["eel", "cat", "cat"]), ["cat", "dog", "eel"], [2, 0, 0]),
        (np.array([True, False, True]), ["no", "yes"], [1, 0, 1]),
        (np.array([3, 1, 1]), 5, [3, 1, 1]),
        (np.eye(3)[[2, 0, 1]], ["cat", "dog", "eel"], [2, 0, 1]),
    ],
)
def test_labels_are_read_as_the_networks_classes(labels, classes, expected):
    assert understand({"test": labels}, classes=classes).values["test"].tolist() == expected


@pytest.mark.parametrize(
    ("labels", "classes"), [(np.array([0, 3]), ["1", "2", "3"]), (np.array([0, 5]), 5), (np.array(["gnu"]), ["cat"])]
)
def test_labels_that_are_none_of_the_networks_classes(labels, classes):
    with pytest.raises(InvalidInputError, match="not among the"):
        understand({"test": labels}, task="classification", classes=classes)


def test_names_of_a_source_find_the_networks_classes():
    found = understand({"test": np.array([0, 1])}, class_names=["dog", "cat"], classes=["cat", "dog", "eel"])
    assert found.values["test"].tolist() == [1, 0] and found.class_names == ("cat", "dog", "eel")


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_target_that_is_missing_is_no_class(missing):
    texts = ["a", "b", missing, "a", "b", "b"]
    with pytest.raises(InvalidInputError, match="`y` has no value in sample 2"):
        load_data((np.eye(6), texts))
    with pytest.raises(InvalidInputError, match="`y` has no value in sample 2"):
        load_data((np.eye(6), np.array(texts, object)))
    frame = pd.DataFrame({"size": range(6), "kind": pd.Series(texts, dtype=object)})
    with pytest.raises(InvalidInputError, match="the target 'kind' has no value in row 3"):
        load_data(frame, target="kind")


def test_a_frame_has_no_two_columns_of_one_name():
    with pytest.raises(InvalidInputError, match="two columns called 'a'"):
        load_data(pd.DataFrame(np.ones((6, 3)), columns=["a", "a", "y"]), target="y")


def test_a_test_split_alone_is_data_to_evaluate_on():
    data = load_data({"test": (np.eye(6), np.arange(6) % 2)})
    assert list(data.splits) == ["test"] and data.input_shape == (6,) and data.output_size == 2
    with pytest.raises(InvalidInputError, match="has the splits test, "):
        data.select("train")


@pytest.mark.parametrize("offset", [0.0, 1e-3])
def test_targets_that_float32_cannot_standardise_are_refused(offset):
    random = np.random.default_rng(0)
    x, noise = random.normal(size=(50, 3)), random.normal(size=50)
    data = load_data((x, offset + 1e-8 * noise), task="regression")
    with pytest.raises(InvalidInputError, match=r"standard deviation above 1e-06: give them in other units"):
        data.statistics("train")
    small = load_data((x, offset + 1e-5 * noise), task="regression").statistics("train")
    assert small["output_variance"][0] == pytest.approx(1e-10, rel=0.5)
    constant = load_data((x, np.full(50, offset + 0.1)), task="regression").statistics("train")
    assert constant["output_variance"] == [1.0]
    (said,) = [each for each in load_data((x * [1, 1e-8, 1], noise)).warnings if "not standardised" in each]
    assert "x[:, 1] varies by" in said


def test_very_many_whole_numbers_are_a_question():
    prices = np.arange(300)
    assert evident_task({"train": prices}) is None
    assert evident_task({"train": np.tile(prices, 10)}) == "classification"
    assert understand({"train": prices}, task="regression").values["train"].shape == (300, 1)


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (np.array([0.5, 1.0]), "classification", "fractions"),
        (np.array(["a", "b"]), "regression", "no numbers"),
        (np.ones((4, 3)), "classification", "not one-hot"),
        (np.array([0, 1]), "clustering", "clustering"),
    ],
)
def test_tasks_that_the_targets_cannot_serve(labels, task, message):
    with pytest.raises(InvalidInputError, match=message):
        understand({"train": labels}, task=task)


@pytest.mark.parametrize(("different", "samples", "asked"), [(84, 90, True), (40, 90, False), (15, 16, False)])
def test_whole_numbers_that_hardly_come_twice_are_a_question(different, samples, asked):
    ages = np.resize(np.arange(different), samples)
    if asked:
        with pytest.raises(InvalidInputError, match="84 different whole numbers in 90 samples"):
            understand({"train": ages})
    else:
        assert understand({"train": ages}).task == "classification"


def test_rows_of_whole_numbers_are_said_to_be_numbers():
    rows = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 0]])
    assert understand({"train": rows}).note == "3 numbers to predict from rows of integers"
    assert understand({"train": rows.astype(bool)}).note == "3 numbers to predict from rows of bools"
    assert understand({"train": rows + 0.5}).note is None
