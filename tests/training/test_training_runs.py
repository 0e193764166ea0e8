"""Whole runs: files, resuming, replicas, step-size updates, and what stops a run that has gone wrong."""

import csv
import json

import keras
import numpy as np
import pytest
from families import EXAMPLES, KINDS

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.data.pipeline import training_pipeline
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.geometry import ProbePath
from leaky_zoo.layers import Schedule, UpdatedSchedule
from leaky_zoo.networks import LeakyConvNet, LeakyMLP, resample
from leaky_zoo.training import PenaltyRamp, StepSizeUpdate, make_strategy, train
from leaky_zoo.training.step_size_update import measure_paths
from leaky_zoo.zoo import load_model

pytestmark = pytest.mark.tensorflow_only


def read_log(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def test_a_run_leaves_its_files(tmp_path, recipe):
    network, result = train(recipe(data={"validation": "train[400:500]"}), tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "recipe.yaml", "log.csv", "checkpoints", "model.keras", "result.json", ".lock",
    }  # fmt: skip
    rows = read_log(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == [5, 10, 15, 20, 25]
    assert {"loss", "data_loss", "accuracy", "val_data_loss"} <= rows[0].keys()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"] == result.metrics
    assert result.metrics.keys() == {"train", "validation", "test"}
    loaded = load_model(tmp_path / "run" / "model.keras")
    for saved, kept in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, kept)
    dataset = dict(network.config.dataset)
    assert len(dataset.pop("sha256")) == 64
    assert dataset == {"name": "optical_digits/fold_0", "split": "train[:400]"}
    assert all(float(block.penalty_factor) == 1.0 for block in network.blocks)
    assert [entry["step"] for entry in result.step_size_trace] == [4, 8, 12, 16, 20]
    # The saved net carries it, and so does every audit of the net.
    assert loaded.step_size_trace == result.step_size_trace
    audit = analyze(loaded, np.zeros((20, 8, 8, 1), "float32"), np.zeros(20, int))
    assert Audit.from_dict(audit.to_dict()).model["step_size_trace"] == result.step_size_trace
    assert resample(loaded, 5).step_size_trace is None  # it is about other layers


def test_a_folder_holds_one_run(tmp_path, recipe, trained):
    folder = trained(recipe(optimizer={"epochs": 1}))
    with pytest.raises(InvalidInputError, match="--resume"):
        train(recipe(optimizer={"epochs": 1}), folder)
    with pytest.raises(InvalidInputError, match="is not the recipe to resume"):
        train(recipe(seed=1), folder, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="is a file"):
        train(recipe(), tmp_path / "file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"batch_size": 401}}, "401"),
        ({"data": {"train": "train[:0%]"}}, "train"),
        ({"network": {"effective_depth": 9.0}}, "depth >= 10"),
        ({"network": {"schedule": "steady"}}, "steady"),
    ],
)
def test_a_recipe_that_does_not_fit_leaves_no_folder(tmp_path, recipe, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        train(recipe(**changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("tpu",), "tpu"), (("auto", 0), "devices=0"), (("cpu", 64), "new process")],
)
def test_bad_strategies_are_named(arguments, message):
    keras.ops.zeros(1)  # TensorFlow has set up its devices
    with pytest.raises(InvalidInputError, match=message):
        make_strategy(*arguments)


def test_early_stopping_restores_the_best(tmp_path, recipe):
    plan = recipe(
        data={"validation": "train[400:500]"}, early_stopping=1,
        optimizer={"epochs": 30, "learning_rate": 0.5, "global_clipnorm": None},
    )  # fmt: skip
    _, result = train(plan, tmp_path / "run")
    rows = read_log(tmp_path / "run")
    assert len(rows) < 30
    best = min(float(row["val_data_loss"]) for row in rows)
    assert result.metrics["validation"]["loss"] == pytest.approx(best, rel=1e-4)


def test_the_ramp_rises_geometrically():
    ramp = PenaltyRamp(total_steps=100, fraction=0.4, start=0.01)
    assert [ramp.factor(step) for step in (0, 20, 40, 99)] == pytest.approx([0.01, 0.1, 1.0, 1.0])
    assert PenaltyRamp(100, fraction=0.0).factor(0) == 1.0
    with pytest.raises(InvalidInputError, match="fraction=2"):
        PenaltyRamp(100, fraction=2)


def test_the_penalty_is_released_at_its_step_however_many_steps_a_call_takes():
    ramp = PenaltyRamp(total_steps=1000, fraction=0.1, peak=20.0, release_at=0.6125)
    step, seen = 0, []
    while (stop := ramp.next_stop(step)) is not None:
        assert all(ramp.factor(between) == ramp.factor(step) for between in range(step, stop))
        seen.append(ramp.factor(step))
        step = stop
    assert seen == sorted(seen)
    assert (seen[0], seen[-1], step, ramp.factor(step)) == (0.01, 20.0, 613, 1.0)
    for wrong in ({"peak": 0.5}, {"peak": 2.0, "release_at": 0.2}, {"peak": float("nan")}):
        with pytest.raises(InvalidInputError, match="`peak` must be at least 1"):
            PenaltyRamp(100, **wrong)


def fitted(schedule, total=40, **changes):
    keras.utils.set_random_seed(0)
    arguments = {"width": 8, "depth": 6, "effective_depth": 3.0, "weight_decay": 1e-3, **changes}
    network = LeakyMLP((5,), 2, task="regression", schedule=schedule, **arguments)
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 5)).astype("float32")
    y = np.stack([np.abs(x[:, 0]), x[:, 1] * x[:, 2]], axis=1)
    network.compile(keras.optimizers.Adam(0.01), network.loss_function(), run_eagerly=True)  # no graph for 40 steps
    updates = StepSizeUpdate(x, total)
    network.fit(training_pipeline(x, y, 32, 0), epochs=1, steps_per_epoch=total, shuffle=False, verbose=0,
                callbacks=[updates])  # fmt: skip
    return network, updates, x


@pytest.mark.parametrize("name", ["adaptive", "hamiltonian"])
def test_steps_move_at_the_interval_and_freeze(name):
    network, updates, _ = fitted({"name": name, "interval": 5, "freeze_at": 0.5})
    assert [entry["step"] for entry in updates.trace] == [5, 10, 15, 20]
    assert not np.allclose(network.paths[0].step_sizes, 1 / 6)
    np.testing.assert_allclose(network.paths[0].step_sizes, updates.trace[-1]["step_sizes"])


def test_learnable_steps_are_recorded_at_most_a_hundred_times(tmp_path, recipe):
    changes = {"network": {"schedule": "learnable"}, "optimizer": {"epochs": None, "steps": 220}, "log_every": 1}
    _, result = train(recipe(data={"batch_size": 20}, **changes), tmp_path / "run")
    steps = [entry["step"] for entry in result.step_size_trace]
    assert steps == list(range(3, 220, 3))  # every third: the first at least a hundredth of the run apart
    assert result.step_size_trace[-1]["step_sizes"] != result.step_size_trace[0]["step_sizes"]


def test_an_update_can_keep_the_function():
    schedule = {"name": "hamiltonian", "interval": 1000, "damping": 1.0, "gamma_0": 1e-6}
    kept, updates, x = fitted({**schedule, "keeps_function": True, "tolerance": 0.5})
    free, plain, _ = fitted({**schedule, "keeps_function": False})
    before, changes = kept.predict(x, verbose=0), {}
    for network, callback in ((kept, updates), (free, plain)):
        callback.set_model(network)
        callback.on_train_begin()
        callback.update()
        assert not np.allclose(network.paths[0].step_sizes, 1 / 6)
        difference = np.linalg.norm(network.predict(x, verbose=0) - before) / np.linalg.norm(before)
        changes[network.paths[0].step_size_layer.schedule.keeps_function] = difference
    assert changes[True] < 0.2 * changes[False]
    assert updates.trace[-1]["output_change"] == pytest.approx(changes[True], rel=1e-3)
    assert updates.trace[-1]["accepted"] and plain.trace[-1]["output_change"] is None


def test_a_change_above_the_tolerance_is_undone():
    schedule = {"name": "hamiltonian", "interval": 1000, "damping": 1.0, "gamma_0": 0.1, "keeps_function": True}
    network, updates, _ = fitted({**schedule, "tolerance": 1e-9})
    before = network.get_weights()
    updates.set_model(network)
    updates.on_train_begin()
    updates.update()
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not updates.trace[-1]["accepted"]


def test_a_users_schedule_can_keep_the_function():
    class Halfway(UpdatedSchedule):
        """Towards larger first steps."""

        keeps_function = True

        def update(self, step_sizes, path):
            target = np.linspace(2, 1, len(step_sizes))
            return self.towards(step_sizes, target / target.sum(), path.effective_depth)

    network, updates, x = fitted(Halfway(interval=1000))
    assert (network.paths[0].step_size_layer.schedule.gamma_0, Halfway().tolerance) == (1e-5, 0.05)
    before = network.predict(x, verbose=0)
    updates.set_model(network)
    updates.on_train_begin()
    updates.update()
    assert updates.trace[-1]["accepted"] and not np.allclose(network.paths[0].step_sizes, 1 / 6)
    difference = np.linalg.norm(network.predict(x, verbose=0) - before) / np.linalg.norm(before)
    assert difference == pytest.approx(updates.trace[-1]["output_change"], rel=1e-3) and difference < 0.05


def test_updates_measure_the_path_of_a_convolution():
    network = LeakyConvNet((6, 6, 1), 3, width=3, depth=5, effective_depth=2.0, schedule="hamiltonian",
                           data_format="channels_last")  # fmt: skip
    updates = StepSizeUpdate(np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype("float32"), 10)
    updates.set_model(network)
    updates.on_train_begin()
    updates.update()
    steps = network.paths[0].step_sizes
    assert steps.sum() == pytest.approx(1.0, abs=1e-6) and not np.allclose(steps, 0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_measured_path_is_the_networks(kind):
    network = EXAMPLES[kind].make(schedule="irregular", dtype="float64")
    x = np.random.default_rng(0).normal(size=(8, *network.input_shape[1:]))
    expected = [keras.ops.convert_to_numpy(a) for a in network.representations(x)]
    measured = [each for path in measure_paths(network, x) for each in path.representations]
    for ours, theirs in zip(measured, expected, strict=True):
        np.testing.assert_allclose(ours, network.blocks[0].columns(theirs), rtol=1e-12, atol=1e-12)


def test_step_size_updates_need_one_of_our_networks():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    callback = StepSizeUpdate(np.zeros((2, 2)), 10)
    callback.set_model(model)
    with pytest.raises(InvalidInputError, match="Sequential"):
        callback.on_train_begin()


def test_a_users_rule_sees_the_path():
    class Recording(Schedule):
        name = "recording_for_test"
        interval = 10

        def initial(self, depth, effective_depth):
            return np.full(depth, 1 / depth)

        def update(self, step_sizes, path):
            assert isinstance(path, ProbePath) and len(path.representations) == 7
            assert (path.k_distances(1e-5) > 0).all() and (path.costs_of_identity(1e-5) > 0).all()
            return step_sizes[::-1]

    _, updates, _ = fitted(Recording())
    assert len(updates.trace) == 4


def test_splits_are_checked_before_anything_is_written(tmp_path, recipe):
    for changes in ({"test": "tset"}, {"validation": "vall"}):
        with pytest.raises(InvalidInputError, match="Received: split="):
            train(recipe(data=changes), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_early_stopping_saves_the_whole_penalty(tmp_path, recipe):
    plan = recipe(
        data={"validation": "train[400:500]"}, early_stopping=1, objective={"ramp": 1.0},
        optimizer={"epochs": 20, "learning_rate": 0.5, "global_clipnorm": None},
    )  # fmt: skip
    network, _ = train(plan, tmp_path / "run")
    assert all(float(block.penalty_factor) == 1.0 for block in network.blocks)


def test_resuming_on_other_devices_is_the_same_run(recipe, trained):
    changed = {"devices": 1, "strategy": "cpu", "checkpoint_every": 7, "keep_checkpoints": 1}
    train(recipe(optimizer={"epochs": 1}, **changed), trained(recipe(optimizer={"epochs": 1})), resume=True)
