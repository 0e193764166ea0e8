"""Changes of images: what they do, and that they are functions of seed, step and place in the batch alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from processes import run_python

from leaky_zoo.data.augmentation import Augmentation, mix
from leaky_zoo.data.image_changes import project, projection
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.training import Recipe, train

pytestmark = pytest.mark.tensorflow_only
SHAPE = (9, 8, 3)
IMAGES = tf.constant(np.random.default_rng(0).uniform(1, 2, (16, *SHAPE)).astype("float32"))
EACH = {
    "input_dropout": 0.3, "translation": 2, "crop_padding": 2, "flip": 0.5, "rotation": 20.0, "zoom": 0.2, "cutout": 3,
    "noise": 0.1, "mixup": 0.4,
}  # fmt: skip


def changed(step=0, images=IMAGES, rows=None, seed=0, **changes):
    augmentation = Augmentation(seed, **changes)
    draws = augmentation.draw(tf.constant(step), len(images), SHAPE)
    rows = np.arange(len(images)) if rows is None else rows
    mine = {name: tf.gather(values, rows) for name, values in draws.items()}
    return augmentation.apply(tf.gather(images, rows), mine).numpy()


@pytest.mark.parametrize("name", [name for name in EACH if name != "mixup"])
def test_a_change_changes_and_depends_on_seed_and_step(name):
    change = {name: EACH[name]}
    first = changed(**change)
    assert first.shape == IMAGES.shape and np.isfinite(first).all() and not np.array_equal(first, IMAGES)
    np.testing.assert_array_equal(first, changed(**change))
    assert not np.array_equal(first, changed(step=1, **change))
    assert not np.array_equal(first, changed(seed=1, **change))


@given(
    st.lists(st.sampled_from(sorted(EACH)), unique=True, min_size=1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 10**6),
    st.lists(st.integers(0, 15), min_size=1, max_size=16),
)
def test_a_replica_sees_its_rows_of_the_whole_batch(names, seed, step, rows):
    changes = {name: EACH[name] for name in names}
    whole = changed(step, seed=seed, **changes)
    np.testing.assert_array_equal(changed(step, rows=rows, seed=seed, **changes), whole[rows])


@given(st.sampled_from(sorted(EACH)), st.sampled_from(sorted(EACH)), st.integers(0, 1000))
def test_what_one_draws_does_not_depend_on_another(first, second, step):
    both = Augmentation(0, **{first: EACH[first], second: EACH[second]}).draw(tf.constant(step), 4, SHAPE)
    alone = Augmentation(0, **{first: EACH[first]}).draw(tf.constant(step), 4, SHAPE)
    for name, values in alone.items():
        np.testing.assert_array_equal(values, both[name])


def test_a_flip_mirrors_its_share():
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(changed(flip=1.0), IMAGES.numpy(), strict=True)]
    assert all(mirrored)
    share = np.mean(
        [not np.array_equal(a, b) for s in range(60) for a, b in zip(changed(s, flip=0.3), IMAGES.numpy(), strict=True)]
    )
    assert 0.24 < share < 0.36


def test_crops_are_windows_of_the_mirrored_image():
    images = IMAGES.numpy()
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="reflect")
    seen = set()
    for step in range(40):
        for row, image in enumerate(changed(step, crop_padding=2)):
            windows = [padded[row, top : top + 9, left : left + 8] for top in range(5) for left in range(5)]
            seen |= {place for place, window in enumerate(windows) if np.array_equal(window, image)}
    assert len(seen) == 25


def test_turns_and_sizes():
    def moved(images, angle, size):
        return project(images, projection(angle, size, images.shape[1:])).numpy()

    quarter = moved(IMAGES[:, :8], tf.fill((16,), np.float32(np.pi / 2)), None)
    np.testing.assert_allclose(quarter, np.rot90(IMAGES.numpy()[:, :8], -1, (1, 2)), atol=1e-4)
    np.testing.assert_allclose(moved(IMAGES, None, tf.ones(16)), IMAGES, atol=1e-6)
    np.testing.assert_allclose(moved(IMAGES, tf.zeros(16), None), IMAGES, atol=1e-6)
    ramp = np.broadcast_to(np.arange(9.0, dtype="float32")[None, None, :, None], (1, 9, 9, 1))
    larger = moved(tf.constant(ramp), None, tf.constant([2.0]))[0, 4, :, 0]
    np.testing.assert_allclose(larger, 4 + (np.arange(9) - 4) / 2, atol=1e-5)


def test_a_cutout_is_one_square_of_the_mean():
    for image in changed(cutout=3, mean=[-1.0, -2.0, -3.0]):
        cut = (image == [-1.0, -2.0, -3.0]).all(-1)
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        assert 1 <= len(rows) <= 3 and 1 <= len(columns) <= 3 and cut.sum() == len(rows) * len(columns)


def test_mixing():
    augmentation = Augmentation(0, mixup=0.4)
    shares, partners = [], []
    for step in range(50):
        draws = augmentation.draw(tf.constant(step), 16, SHAPE)
        shares.append(draws["share"].numpy())
        partners.append(augmentation.partners(tf.range(16), tf.constant(11), draws).numpy())
    shares = np.concatenate(shares)
    assert shares.min() >= 0 and shares.max() <= 1 and abs(shares.mean() - 0.5) < 0.05
    assert abs(shares.var() - 1 / (4 * (2 * 0.4 + 1))) < 0.02  # of Beta(0.4, 0.4)
    assert set(np.unique(partners)) == set(range(11)), "a partner is one of the samples that there are"
    np.testing.assert_allclose(mix(IMAGES, IMAGES, tf.constant(shares[:16])), IMAGES, rtol=1e-6)


def plan(**changes):
    data = {"name": "optical_digits", "batch_size": 50, "train": "train[:430]", "test": "test[:50]"}
    return Recipe.from_dict(
        {"name": "changed", "data": data | EACH, "network": {"width": 8, "depth": 4}, "optimizer": {"steps": 20},
         "strategy": "cpu"} | changes
    )  # fmt: skip


def test_replicas_and_micro_batches_see_the_same_changes(tmp_path):
    one, _ = train(plan(), tmp_path / "one")
    parts, _ = train(plan(optimizer={"steps": 20, "micro_batches": 3}), tmp_path / "parts")
    plan(strategy="mirrored", devices=2).write(tmp_path / "two.yaml")
    # In a process of its own: devices are chosen before TensorFlow runs anything.
    done = run_python("-m", "leaky_zoo", "train", tmp_path / "two.yaml", "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    two = keras.models.load_model(tmp_path / "two" / "model.keras")
    for network in (parts, two):
        for first, second in zip(one.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_allclose(first, second, atol=2e-4)


def test_mixed_targets_have_their_share_in_the_loss(tmp_path):
    """One step from the same weights: the loss is the mean of both targets' losses in the drawn shares."""
    from leaky_zoo.data.pipeline import BatchOrder
    from leaky_zoo.networks import LeakyMLP
    from leaky_zoo.training.engine import TrainingGraph
    from leaky_zoo.training.optimizer import ClippedAdam
    from leaky_zoo.training.strategy import make_strategy

    x, y = np.random.default_rng(0).normal(size=(12, 4)).astype("float32"), np.arange(12) % 3
    network = LeakyMLP((4,), 3, width=6, depth=4)
    optimizer = ClippedAdam(0.0)
    optimizer.build(network.trainable_variables)
    network.compile(optimizer, network.loss_function(), jit_compile=False)
    order, augmentation = BatchOrder(12, 8, 0), Augmentation(0, mixup=1.0)
    graph = TrainingGraph(network, make_strategy("cpu"), x, y, order, augmentation=augmentation)
    for step in (0, 1):  # the second batch is shorter
        measured = graph.run(step, 1).losses[0]
        rows = order.rows(step)
        draws = {name: values[: len(rows)] for name, values in augmentation.draw(tf.constant(step), 8, (4,)).items()}
        partners = augmentation.partners(tf.range(len(rows)), tf.constant(len(rows)), draws).numpy()
        share = draws["share"].numpy()
        outputs = network(mix(tf.constant(x[rows]), tf.constant(x[rows][partners]), draws["share"]))
        loss = network.loss_function()
        own, other = (loss.call(tf.constant(y[rows][places]), outputs).numpy() for places in (slice(None), partners))
        assert measured == pytest.approx(np.mean(share * own + (1 - share) * other), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"flip": 1.5}, "flip=1.5"), ({"rotation": 200}, "rotation=200"), ({"zoom": 1.0}, "zoom=1.0"),
     ({"cutout": -1}, "cutout=-1"), ({"mixup": -0.1}, "mixup=-0.1"), ({"noise": float("nan")}, "noise=nan")],
)  # fmt: skip
def test_changes_out_of_range_are_refused(change, message):
    with pytest.raises(InvalidInputError, match=message):
        Augmentation(0, **change)


def test_only_images_can_be_turned():
    with pytest.raises(InvalidInputError, match="`rotation` needs images"):
        Augmentation(0, rotation=5).check((30,))
    with pytest.raises(InvalidInputError, match=r"data\.flip: an autoencoder"):
        plan(network={"task": "autoencoding"}, data={"name": "optical_digits", "flip": True})
