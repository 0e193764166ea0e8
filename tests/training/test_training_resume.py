"""A run that was cut anywhere ends in the bits of the uninterrupted one; finished runs and shared folders."""

import json
import os
import shutil
import signal
import time
from dataclasses import asdict

import keras
import pytest
from processes import Started, run_python

from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.training import Recipe, StepCallback, train
from leaky_zoo.training.checkpoint import Checkpoints
from leaky_zoo.training.loop import TrainingLoop

pytestmark = pytest.mark.tensorflow_only
LBFGS = {"lbfgs": {"iterations": 12, "round": 4}, "objective": {"weight_decay": 0.01}}
KEPT = {"name": "hamiltonian", "interval": 3, "keeps_function": True, "damping": 1.0}
# Changes of the recipe, and steps to be cut at: before the first checkpoint, in the middle of an epoch, late.
SETTINGS = {
    "every part": ({"data": {"validation": "train[400:500]"}, "early_stopping": 3}, (2, 11, 19)),
    "learnable steps": ({"network": {"schedule": "learnable"}, "log_every": None}, (18,)),
    "function kept, float16 in parts": (
        {"network": {"dtype": "mixed_float16", "schedule": KEPT}, "optimizer": {"micro_batches": 3}}, (14,)
    ),
    "critical point": (LBFGS, ()),
    "means of the weights, Nesterov, one cycle, dropout": (
        {
            "data": {"validation": "train[400:500]"},
            "early_stopping": 2,
            "network": {"head_dropout": 0.3},
            "objective": {"label_smoothing": 0.1},
            "optimizer": {"name": "sgd", "schedule": "one_cycle", "average": 0.9},
        },
        (3, 12, 24),
    ),
    "stages, AdamW": (
        {
            "data": {"crop_padding": 1, "flip": True, "rotation": 10.0, "cutout": 2, "zoom": 0.1, "mixup": 0.3},
            "network": {"family": "resnet", "width": 3, "depth": 3, "widths": [3, 4], "head_dropout": 0.1,
                        "schedule": {"name": "hamiltonian", "interval": 4}},
            "optimizer": {"name": "adamw", "average": 0.99},
        },
        (13,),
    ),
}  # fmt: skip


class Cut(StepCallback):
    """Ends the process, as far as a test in one process can: no handler of ours is asked."""

    def __init__(self, step):
        super().__init__()
        self.at = step

    def next_stop(self, step):
        return self.at if step < self.at else None

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step == self.at:
            raise SystemExit


@pytest.mark.parametrize(("changes", "cuts"), SETTINGS.values(), ids=SETTINGS)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, recipe, trained, assert_same_run, changes, cuts):
    plan = recipe(**changes, checkpoint_every=4)
    for step in cuts:
        with pytest.raises(SystemExit):
            train(plan, tmp_path / "cut", resume=True, callbacks=[Cut(step)])
    if plan.lbfgs:
        for iteration in (3, 9):

            def stop(count, objective, residual, last=iteration):
                if count == last:
                    raise SystemExit

            with pytest.raises(SystemExit):
                train(plan, tmp_path / "cut", resume=True, on_lbfgs_iteration=stop)
    train(plan, tmp_path / "cut", resume=True)
    assert_same_run(trained(plan), tmp_path / "cut")


def test_the_result_does_not_depend_on_when_it_is_saved(tmp_path, recipe, trained, assert_same_run):
    """Nor on how many steps one call takes: a callback of every step makes it one."""

    class EveryStep(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_end(self, batch, logs=None):
            self.seen += 1
            assert logs.keys() == {"loss", "data_loss", "accuracy"}

    watcher = EveryStep()
    train(recipe(checkpoint_every=1), tmp_path / "two", callbacks=[watcher])
    assert watcher.seen == 25
    assert_same_run(trained(recipe()), tmp_path / "two")


STOPPED_EARLY = {
    "data": {"validation": "train[400:500]"},
    "early_stopping": 1,
    "optimizer": {"epochs": 30, "learning_rate": 0.5},
}


def test_another_recipe_is_refused_by_the_field_that_differs(recipe, trained):
    folder = trained(recipe())
    with pytest.raises(InvalidInputError, match=r"optimizer.epochs is \d+ there and 77 here. .* another folder"):
        train(recipe(optimizer={"epochs": 77}), folder, resume=True)


def test_a_finished_run_is_read_by_a_process_that_has_built_no_network(recipe, trained):
    """Keras knows a family only once its module is there, and such a process has imported none of them."""
    program = (
        "import sys; from leaky_zoo.training import Recipe, train; "
        "network, _ = train(Recipe.read(sys.argv[1] + '/recipe.yaml'), sys.argv[1], resume=True); print(network.name)"
    )
    folder = trained(recipe())
    done = run_python("-c", program, folder)
    assert done.returncode == 0 and done.stdout.strip() == "toy", done.stderr


def test_a_finished_run_is_returned_and_nothing_is_written(recipe, trained):
    plan = recipe(**STOPPED_EARLY)
    folder = trained(plan)
    first = json.loads((folder / "result.json").read_text())
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    class Never(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("trains again")

    _, again = train(plan, folder, resume=True, callbacks=[Never()])
    assert asdict(again) == first
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_process_that_has_built_no_network_reads_a_finished_run(recipe, trained):
    folder = trained(recipe(**STOPPED_EARLY))
    script = (
        "import sys; from leaky_zoo.training import Recipe, train\n"
        f"train(Recipe.read({str(folder / 'recipe.yaml')!r}), {str(folder)!r}, resume=True)\n"
    )
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr[-500:]


def test_a_run_killed_before_its_result_only_writes_that(tmp_path, recipe, trained, assert_same_run, monkeypatch):
    plan = recipe(**STOPPED_EARLY)
    shutil.copytree(trained(plan), tmp_path / "cut")
    (tmp_path / "cut" / "result.json").unlink()
    monkeypatch.setattr(TrainingLoop, "run", None)  # no step is taken
    train(plan, tmp_path / "cut", resume=True)
    assert_same_run(trained(plan), tmp_path / "cut")


def test_a_torn_checkpoint_costs_time_and_nothing_else(tmp_path, recipe, trained, assert_same_run):
    plan = recipe(checkpoint_every=6)
    with pytest.raises(SystemExit):
        train(plan, tmp_path / "cut", callbacks=[Cut(23)])
    # Rows for epochs 1 to 4 are there; with the newest checkpoint torn, the one before counts two.
    assert len((tmp_path / "cut" / "log.csv").read_text().splitlines()) == 5
    newest = sorted((tmp_path / "cut" / "checkpoints").iterdir())[-1]
    os.truncate(newest / "arrays.npz", 1000)
    shutil.copytree(tmp_path / "cut", tmp_path / "lost")
    train(plan, tmp_path / "cut", resume=True)
    assert_same_run(trained(plan), tmp_path / "cut")
    (tmp_path / "lost" / "log.csv").write_text("")
    with pytest.raises(CheckFailedError, match="lost rows"):
        train(plan, tmp_path / "lost", resume=True)


def test_checkpoints_without_a_recipe_belong_to_nobody(tmp_path, recipe, trained):
    shutil.copytree(trained(recipe(optimizer={"epochs": 1})), tmp_path / "run")
    (tmp_path / "run" / "recipe.yaml").unlink()
    with pytest.raises(InvalidInputError, match="unknown recipe"):
        train(recipe(optimizer={"epochs": 1}, seed=1), tmp_path / "run")


LONG = """
name: toy
data: {name: optical_digits/fold_0, train: "train[:400]", batch_size: 90}
network: {width: 8, depth: 5, effective_depth: 2.0}
optimizer: {epochs: 200000}
checkpoint_every: 20
"""


@pytest.fixture
def trainer(tmp_path):
    """A real `leaky-zoo train` process that has written a checkpoint; killed at the end."""
    (tmp_path / "recipe.yaml").write_text(LONG)
    process = Started(["-m", "leaky_zoo", "train", tmp_path / "recipe.yaml", "--out", tmp_path / "run"])
    deadline = time.monotonic() + 300
    while not list((tmp_path / "run").glob("checkpoints/step-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.output()
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "Terminated"), (signal.SIGINT, 130, "Inter")]
)
def test_signals_save_and_a_second_trainer_is_refused(tmp_path, trainer, number, code, word):
    plan = Recipe.read(tmp_path / "recipe.yaml")
    with pytest.raises(InvalidInputError, match=f"process {trainer.pid} on"):
        train(plan, tmp_path / "run", resume=True)
    trainer.send_signal(number)
    _, said = trainer.communicate(timeout=60)
    assert trainer.returncode == code, said
    assert word in said and "checkpoint" in said and "Traceback" not in said
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() and not list((tmp_path / "run").rglob(".aside-*"))


def test_a_lock_does_not_outlive_a_killed_trainer(tmp_path, trainer):
    trainer.kill()
    trainer.wait()
    assert json.loads((tmp_path / "run" / ".lock-owner.json").read_text())["pid"] == trainer.pid
    step = Checkpoints(tmp_path / "run" / "checkpoints").latest().step
    with pytest.raises(SystemExit):
        train(Recipe.read(tmp_path / "recipe.yaml"), tmp_path / "run", resume=True, callbacks=[Cut(step + 3)])
