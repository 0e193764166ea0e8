"""Bad days: what is not finite, full and read-only disks, no memory. One clear message, nothing half-written."""

import shutil
import subprocess

import numpy as np
import pytest

from leaky_zoo.errors import CheckFailedError, InvalidInputError, WriteFailedError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.training import StepCallback, train
from leaky_zoo.training.checkpoint import Checkpoints
from leaky_zoo.training.diagnosis import explain

pytestmark = pytest.mark.tensorflow_only


class Spoil(StepCallback):
    """Sets the weights of a layer after some step."""

    def __init__(self, step, layer, value):
        super().__init__()
        self.at, self.layer, self.value = step, layer, value

    def next_stop(self, step):
        return self.at if step < self.at else None

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step == self.at:
            kernel = self.model.get_layer(self.layer).kernel
            signs = np.where(np.random.default_rng(0).random(kernel.shape) < 0.5, -1, 1)
            kernel.assign(self.value * signs)


@pytest.mark.parametrize(
    ("layer", "value", "where"),
    [
        ("block_2", 3e38, r"in the output of layer 'block_2', for samples \d+, \d+"),
        ("block_2", np.nan, "the weights of layer 'block_2'"),
        ("head", 1e20, "not finite in the gradient of"),
    ],
)
def test_what_is_not_finite_is_named_and_the_last_checkpoint_kept(tmp_path, recipe, layer, value, where):
    plan = recipe(checkpoint_every=4, objective={"io_weight_decay": 0.0})
    with pytest.raises(CheckFailedError, match=rf"Step 12 is not finite: .*{where}"):
        train(plan, tmp_path / "run", callbacks=[Spoil(11, layer, value)])
    kept = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert kept.step == 8 and all(np.isfinite(array).all() for array in kept.arrays.values())
    assert not (tmp_path / "run" / "result.json").exists()
    _, result = train(plan, tmp_path / "run", resume=True)  # without the spoiler it goes on
    assert np.isfinite(result.metrics["train"]["loss"])


def test_the_samples_that_did_it_are_named():
    network = LeakyMLP((3,), 2, width=4, depth=4, effective_depth=1.0)
    x = np.ones((6, 3), "float32")
    x[[1, 4]] = 3e38
    network.get_layer("stem").kernel.assign(np.full((3, 4), 10.0))
    said = explain(network, x, np.zeros(6, int), np.array([10, 20, 30, 40, 50, 60]))
    assert said == "first not finite in the output of layer 'stem', for samples 20, 50 of the training split"


@pytest.mark.parametrize(("name", "split"), [("x", "train"), ("y", "train"), ("x", "test")])
def test_data_that_are_no_numbers_are_refused_before_training(tmp_path, recipe, monkeypatch, name, split):
    from leaky_zoo.data import Dataset

    arrays = {key: [np.ones((60, 3), "float32"), np.ones((60, 1), "float32")] for key in ("train", "test")}
    arrays[split]["xy".index(name)][17] = np.nan
    data = Dataset("mine", None, "regression", {key: tuple(pair) for key, pair in arrays.items()})
    monkeypatch.setattr("leaky_zoo.training.fit.data_of", lambda *_: data)
    with pytest.raises(InvalidInputError, match=f"`{name}` of split '{split}' holds nan in row 17"):
        train(recipe(data={"name": "mine", "train": "train", "batch_size": 20}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_that_does_not_fit_into_memory(tmp_path, recipe):
    plan = recipe()  # a recipe does not allow it; a machine with less memory refuses what it allows
    plan = plan.model_copy(update={"network": plan.network.model_copy(update={"width": 900_000})})
    with pytest.raises(CheckFailedError, match="Out of memory building a network of width 900000"):
        train(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 KB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"mounting a small disk needs rights that this user has not: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_the_run_and_costs_nothing_that_was_saved(
    small_disk, tmp_path, recipe, trained, assert_same_run
):
    plan = recipe(checkpoint_every=1, keep_checkpoints=1000)
    with pytest.raises(WriteFailedError, match=r"No space left on device\. What was there before is intact"):
        train(plan, small_disk / "run")
    checkpoints = Checkpoints(small_disk / "run" / "checkpoints")
    assert 1 <= len(checkpoints.names()) < 25
    for name in checkpoints.names():
        checkpoints.read(name)  # verified by hash
    assert not list((small_disk / "run").rglob(".aside-*")) and not (small_disk / "run" / "result.json").exists()
    shutil.copytree(small_disk / "run", tmp_path / "run")
    train(plan, tmp_path / "run", resume=True)
    assert_same_run(trained(plan), tmp_path / "run")


def test_a_disk_that_fills_up_with_the_model(small_disk, tmp_path, recipe):
    plan = recipe(optimizer={"epochs": 1})
    _, first = train(plan, small_disk / "run")
    (small_disk / "run" / "result.json").unlink()
    before = (small_disk / "run" / "model.keras").read_bytes()
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(bytes(max(free - 8192, 0)))
    with pytest.raises(WriteFailedError, match=r"model\.keras could not be written: No space left"):
        train(plan, small_disk / "run", resume=True)
    assert (small_disk / "run" / "model.keras").read_bytes() == before
    (small_disk / "filler").unlink()
    _, again = train(plan, small_disk / "run", resume=True)
    assert again.metrics == first.metrics


def test_a_read_only_folder_is_refused_before_training(small_disk, recipe):
    (small_disk / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(WriteFailedError, match="Read-only file system"):
        train(recipe(), small_disk / "run")
    assert not list((small_disk / "run").iterdir())
