"""Data that stay on the disk: the same samples, statistics, weights and audits as in memory; exact resume."""

import itertools
import signal
import time

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from processes import Started, run_python

from leaky_zoo.analysis import analyze
from leaky_zoo.data import load_data
from leaky_zoo.data.pipeline import BatchOrder, InOrder, read_ahead
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.training import Recipe, train

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("LEAKY_ZOO_CACHE", str(folder))
        yield folder


def sources(folder):
    """One source of each kind."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(53, 4)), np.arange(53) % 3
    np.savez_compressed(folder / "d.npz", x=x.astype("float32"), y=y + 1)
    np.savez(folder / "alone.npz", images=random.integers(0, 256, (20, 5, 5)).astype("uint8"))
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.array(["u", "v", "w"])[y]}).to_csv(folder / "d.csv", index=False)
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 2]}).to_parquet(folder / "d.parquet", index=False)
    for row in range(12):
        path = folder / "pictures" / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path)
    return [
        str(folder / "d.npz"), str(folder / "alone.npz"), f"{folder / 'd.csv'}:y", f"{folder / 'd.parquet'}:y",
        str(folder / "pictures"), "optical_digits/fold_1", "bottleneck_teacher/k2", (x, y), "breast_cancer",
    ]  # fmt: skip


def test_every_source_streams_to_the_same_samples(tmp_path, cache):
    for source in sources(tmp_path):
        held, streamed = load_data(source), load_data(source, stream=True)
        assert streamed.streamed and not held.streamed
        assert (held.task, held.class_names, held.notes, held.warnings) == (
            streamed.task, streamed.class_names, streamed.notes, streamed.warnings,
        )  # fmt: skip
        assert held.splits.keys() == streamed.splits.keys()
        for split in (*held.splits, "train[20%:60%]"):
            (x, y), (rows, targets) = held.select(split), streamed.select(split)
            assert rows.shape == x.shape and rows.dtype == x.dtype
            np.testing.assert_array_equal(rows[:], x)
            np.testing.assert_array_equal(rows[[0, len(x) - 1]], x[[0, len(x) - 1]])
            if y is not None:
                np.testing.assert_array_equal(targets, y)
        assert held.statistics("train") == streamed.statistics("train")
    assert not list(cache.glob(".aside-*"))


def test_a_copy_is_made_once_and_made_again_for_another_file(tmp_path, cache):
    path, copies = tmp_path / "d.npz", set((cache / "streams").iterdir()) if (cache / "streams").exists() else set()

    def made():
        nonlocal copies
        load_data(str(path), stream=True)
        before, copies = copies, set((cache / "streams").iterdir())
        return len(copies - before)

    x, y = np.zeros((30, 2), "float32"), np.arange(30) % 2
    x[:, 0] = y
    np.savez(path, x=x, y=y)
    assert [made(), made()] == [1, 0]
    np.savez(path, x=x + 1, y=y)
    assert made() == 1


def test_a_damaged_copy_is_said_to_be_one(tmp_path, cache):
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(5).normal(size=(300, 40)), y=np.arange(300) % 2)
    data = load_data(str(tmp_path / "d.npz"), stream=True)
    newest = max((cache / "streams").iterdir(), key=lambda path: path.stat().st_mtime)
    (file,) = newest.glob("*train*array_record*")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckFailedError, match="damaged"):
        load_data(str(tmp_path / "d.npz"), stream=True).select("train")[0][:]
    assert data.streamed


def test_rows_are_not_turned_into_an_array_by_accident(cache):
    rows, _ = load_data("optical_digits", stream=True).select("train")
    with pytest.raises(InvalidInputError, match="not held in memory"):
        np.asarray(rows)
    with pytest.raises(IndexError):
        rows[[len(rows)]]


def test_read_ahead_is_the_order_of_memory(cache):
    rows, labels = load_data("optical_digits", stream=True).select("train[:37]")
    held, _ = load_data("optical_digits").select("train[:37]")
    for order, first in itertools.product((BatchOrder(37, 5, 3), InOrder(37, 10)), (0, 6, 9)):
        for step, (x, y) in zip(range(first, first + 20), read_ahead(rows, labels, order, first), strict=False):
            np.testing.assert_array_equal(x, held[order.rows(step)])
            np.testing.assert_array_equal(y, labels[order.rows(step)])


def recipe(stream, **changes):
    data = {"name": "optical_digits", "stream": stream, "batch_size": 100, "validation": "train[:20%]"}
    return Recipe.from_dict(
        {
            "name": "streamed",
            "data": data | {"input_dropout": 0.1, "translation": 1},
            "network": {"width": 16, "depth": 4},
            "optimizer": {"epochs": 3},
            "strategy": "cpu",
            "checkpoint_every": 5,
        }
        | changes
    )


@pytest.mark.parametrize("changes", [{}, {"network": {"width": 16, "depth": 4, "task": "autoencoding"}}])
def test_trains_and_audits_to_the_same_numbers(tmp_path, cache, changes):
    if changes:
        changes = changes | {"data": {"name": "optical_digits", "batch_size": 100, "noise": 1.0, "cutout": 2}}
    plan = recipe(False, **changes)
    streaming = plan.model_copy(update={"data": plan.data.model_copy(update={"stream": True})})
    (held, a), (streamed, b) = train(plan, tmp_path / "a"), train(streaming, tmp_path / "b")
    for first, second in zip(held.get_weights(), streamed.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert a.metrics == b.metrics
    audits = [analyze(held, *load_data("optical_digits", stream=stream).select("train")) for stream in (False, True)]
    assert audits[0].to_dict() == audits[1].to_dict()


def test_a_killed_run_resumes_to_the_same_bits(tmp_path, cache):
    plan = recipe(True, optimizer={"epochs": 40})
    plan.write(tmp_path / "recipe.yaml")
    command = ["-m", "leaky_zoo", "train", tmp_path / "recipe.yaml", "--out", tmp_path / "cut"]
    whole, _ = train(plan, tmp_path / "whole")
    run = Started(command)
    while run.poll() is None and len(list((tmp_path / "cut" / "checkpoints").glob("*"))) < 2:
        time.sleep(0.01)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    done = run_python(*command, "--resume")
    assert done.returncode == 0, done.stderr
    again = keras.models.load_model(tmp_path / "cut" / "model.keras")
    for first, second in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lbfgs": {"iterations": 5}}, "L-BFGS computes on all samples at once"),
        ({"data": {"name": "optical_digits", "stream": True, "batch_size": "full"}}, "batch_size"),
    ],
)
def test_what_needs_everything_at_once_does_not_stream(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        recipe(True, **changes)
