"""The training stream: a pure function of seed and step."""

import itertools

import numpy as np
import pytest

from leaky_zoo.data.pipeline import BatchOrder, check_finite, training_pipeline
from leaky_zoo.errors import InvalidInputError

pytestmark = pytest.mark.tensorflow_only
X, Y = np.arange(24, dtype="float32").reshape(12, 2), np.arange(12)


def labels(count, **arguments):
    stream = training_pipeline(X, Y, **{"batch_size": 4, "seed": 0, **arguments})
    return [y.numpy().tolist() for _, y in itertools.islice(stream, count)]


def test_every_sample_once_a_pass():
    batches = labels(6)
    for part in (batches[:3], batches[3:]):
        assert sorted(itertools.chain(*part)) == list(range(12))
    assert batches[:3] != batches[3:], "the second pass has the order of the first"


def test_the_last_batch_of_a_pass_is_shorter():
    batches = labels(6, batch_size=5)
    assert [len(batch) for batch in batches] == [5, 5, 2, 5, 5, 2]
    assert sorted(itertools.chain(*batches[:3])) == list(range(12))


@pytest.mark.parametrize("size", [4, 5, 12])
def test_the_stream_is_the_order_that_train_uses(size):
    order = BatchOrder(12, size, seed=3)
    assert labels(8, batch_size=size, seed=3) == [order.rows(step).tolist() for step in range(8)]
    # Rows of any step, in any order of asking.
    assert order.rows(7).tolist() == labels(8, batch_size=size, seed=3)[7]
    assert order.rows(0).tolist() == labels(1, batch_size=size, seed=3)[0]


def test_order_depends_on_the_seed_alone():
    assert labels(6) == labels(6)
    assert labels(6) != labels(6, seed=1)


@pytest.mark.parametrize("first", [1, 3, 5])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_resuming_gives_the_same_stream(first, dropout):
    def batches(**arguments):
        stream = training_pipeline(X, Y, 4, 0, input_dropout=dropout, **arguments)
        return [x.numpy() for x, _ in itertools.islice(stream, 8 - arguments.get("first_step", 0))]

    np.testing.assert_array_equal(batches()[first:], batches(first_step=first))


def test_dropout_keeps_the_mean_around_its_fill():
    x = np.tile([[10.0, -3.0]], (50, 1)).astype("float32")
    stream = training_pipeline(x, np.zeros(50), 50, 0, input_dropout=0.5, fill=np.array([4.0, 0.0]))
    batches = np.stack([batch.numpy() for batch, _ in itertools.islice(stream, 60)])
    assert set(np.unique(batches[..., 0])) == {4.0, 16.0}
    np.testing.assert_allclose(batches.mean((0, 1)), [10.0, -3.0], atol=0.3)


def test_translated_images_are_windows_of_the_padded_image():
    images = np.random.default_rng(0).normal(size=(7, 6, 5, 2)).astype("float32")
    stream = training_pipeline(images, np.arange(7), 7, 0, translation=2)
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    seen = set()
    for batch, rows in itertools.islice(stream, 60):
        for image, row in zip(batch.numpy(), rows.numpy(), strict=True):
            windows = [padded[row, top : top + 6, left : left + 5] for top in range(5) for left in range(5)]
            (place,) = [number for number, window in enumerate(windows) if np.array_equal(window, image)]
            seen.add(place)
    assert len(seen) == 25, "not every shift is drawn"


def test_translation_leaves_the_draws_of_dropped_inputs_alone():
    images = np.ones((4, 3, 3, 1), "float32")
    plain, moved = (
        next(iter(training_pipeline(images, np.arange(4), 4, 0, input_dropout=0.5, fill=-1.0, translation=most)))[0]
        for most in (0, 1)
    )
    dropped = plain.numpy() == -1
    assert 0 < dropped.mean() < 1
    assert (moved.numpy()[dropped] == -1).all()


@pytest.mark.parametrize(
    ("shape", "most", "message"),
    [((12, 2), 1, r"samples of shape \(2,\)"), ((12, 3, 4, 1), 3, "translation=3"), ((12, 3, 4, 1), -1, "-1")],
)
def test_what_cannot_be_moved_is_refused(shape, most, message):
    with pytest.raises(InvalidInputError, match=message):
        training_pipeline(np.zeros(shape, "float32"), np.zeros(12), 4, 0, translation=most)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_no_number_is_refused_with_its_row(value):
    x = np.ones((5000, 2))
    x[4321, 1] = value
    check_finite(np.ones((5000, 2)), np.zeros(5000, int), "train")
    with pytest.raises(InvalidInputError, match=r"`x` of split 'test\[:50%\]' .* row 4321"):
        check_finite(x, np.zeros(5000, int), "test[:50%]")
    with pytest.raises(InvalidInputError, match=r"`y` of split 'train' .* row 4321"):
        check_finite(np.ones((5000, 2), np.uint8), x, "train")


@pytest.mark.parametrize(
    ("arguments", "message"), [({"batch_size": 13}, "13"), ({"batch_size": 0}, "0"), ({"input_dropout": 1.0}, "1.0")]
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        labels(1, **arguments)
