"""The same training on one replica, several, and several processes; micro-batches; 16 bits."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.training import Recipe, make_strategy, train
from leaky_zoo.training.checkpoint import Checkpoints
from leaky_zoo.training.optimizer import GROWTH_INTERVAL, LossScale
from leaky_zoo.zoo import load_model

pytestmark = pytest.mark.tensorflow_only

ROOT = Path(__file__).parent.parent.parent


def measured(folder, replicas):
    out = folder / f"{replicas}.json"
    done = run_python("-m", "benchmarks.speed.replicas", "--devices", replicas, "--out", out, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


def last_line(code, *arguments):
    done = run_python("-c", code, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def one_replica(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("one"), 1)


@pytest.mark.parametrize("replicas", [1, 4])
def test_replicas_see_every_sample_once_and_train_as_one(tmp_path, one_replica, replicas):
    each = one_replica if replicas == 1 else measured(tmp_path, replicas)
    # Batches of 7, 7, 7 and 2 in two micro-batches, on up to 4 replicas: each sample once in each of two passes.
    assert each["seen"] == np.ones((2, 23)).tolist()
    losses = np.array(each["losses"])
    assert losses.shape == (200,) and losses[-1] < 0.7 * losses[0]
    np.testing.assert_allclose(losses, one_replica["losses"], rtol=1e-4)
    assert each["held"]["data_loss"] == pytest.approx(each["exact"], rel=1e-6)
    assert each["held"] == pytest.approx(one_replica["held"], rel=1e-4)


def test_micro_batches_are_the_whole_batch(tmp_path, recipe):
    """Adam steps on batches of 90 and 40 that 7 parts cannot share evenly, dropout included; to float64 rounding."""
    weights = []
    for count in (1, 7):
        plan = recipe(
            optimizer={"micro_batches": count, "epochs": 3, "average": 0.9},
            objective={"label_smoothing": 0.1},
            network={"dtype": "float64", "head_dropout": 0.25},
        )
        weights.append(train(plan, tmp_path / str(count))[0].get_weights())
    for one, many in zip(*weights, strict=True):
        np.testing.assert_allclose(many, one, rtol=0, atol=1e-12)


def sharing(recipe, name, **changes):
    return recipe(
        data={"crop_padding": 1, "flip": 0.5, "zoom": 0.1, "mixup": 0.3},
        optimizer={"name": name, "average": 0.9, "epochs": 2, "schedule": "one_cycle", "learning_rate": 0.01},
        network={"dtype": "float64", "head_dropout": 0.25},
        objective={"label_smoothing": 0.1},
        **changes,
    )


OPTIMIZERS = ("adam", "adamw", "sgd")


@pytest.fixture(scope="module")
def on_two_replicas(tmp_path_factory):
    """The folder of runs by optimiser, on two replicas: all trained by one process."""
    return tmp_path_factory.mktemp("two")


@pytest.fixture
def two_replicas(on_two_replicas, recipe):
    """A function that gives the weights of a run on two replicas."""
    if not any(on_two_replicas.iterdir()):
        for name in OPTIMIZERS:
            sharing(recipe, name, strategy="mirrored", devices=2).write(on_two_replicas / f"{name}.yaml")
        last_line(TRAIN, on_two_replicas)
    return lambda name: load_model(on_two_replicas / name / "model.keras").get_weights()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replicas_share_changes_of_images_dropout_and_means_of_weights(tmp_path, recipe, two_replicas, name):
    """Two replicas in a process of their own against one: the same draws for each row, the same means."""
    one = train(sharing(recipe, name), tmp_path / "one")[0].get_weights()
    for ours, theirs in zip(one, two_replicas(name), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-10)


TRAIN = """
import sys
from pathlib import Path
from leaky_zoo.training import Recipe, train
for file in Path(sys.argv[1]).glob("*.yaml"):
    train(Recipe.read(file), file.with_suffix(""))
print("done")
"""


def test_sixteen_bits_train_nearly_as_well(tmp_path, recipe, trained):
    exact = json.loads((trained(recipe()) / "result.json").read_text())
    losses = {"float32": exact["metrics"]["train"]["loss"]}
    for dtype in ("mixed_bfloat16", "mixed_float16"):
        network, result = train(recipe(network={"dtype": dtype}), tmp_path / dtype)
        assert {variable.dtype for variable in network.weights} == {"float32"}
        assert network.blocks[0].compute_dtype == dtype.removeprefix("mixed_")
        losses[dtype] = result.metrics["train"]["loss"]
    assert list(losses.values()) == pytest.approx([losses["float32"]] * 3, rel=0.02)


def test_the_loss_scale_halves_and_doubles():
    import tensorflow as tf

    scale = LossScale(tf.constant(8.0), tf.constant(GROWTH_INTERVAL - 2))
    scale = scale.after(tf.constant(True))
    assert float(scale.scale) == 8.0
    scale = scale.after(tf.constant(True))
    assert (float(scale.scale), int(scale.good_steps)) == (16.0, 0)
    scale = scale.after(tf.constant(False)).after(tf.constant(False))
    assert float(scale.scale) == 4.0
    assert float(LossScale(tf.constant(1.0), tf.constant(0)).after(tf.constant(False)).scale) == 1.0
    assert LossScale.start(None).scale == 1.0 and LossScale.start(4).scale == 4.0


def test_a_step_that_overflows_is_skipped_and_the_scale_halved(tmp_path, recipe, monkeypatch):
    monkeypatch.setattr("leaky_zoo.training.optimizer.INITIAL_SCALE", 2.0**24)
    train(recipe(network={"dtype": "mixed_float16"}, data={"input_dropout": 0.0}), tmp_path / "run")
    state = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert state.state["skipped"] >= 1
    assert state.state["loss_scale"][0] == 2.0 ** (24 - state.state["skipped"])
    assert state.step == 25 and int(state.arrays["optimizer/0000"]) == 25 - state.state["skipped"]
    header = (tmp_path / "run" / "log.csv").read_text().splitlines()[0]
    assert "loss_scale" in header and "skipped_steps" in header


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "TF_CONFIG"),
        ("{", "TF_CONFIG"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "TF_CONFIG"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "TF_CONFIG"),
    ],
)
def test_a_cluster_needs_its_description(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InvalidInputError, match=message):
        make_strategy("multi_worker")
    with pytest.raises(InvalidInputError, match="devices"):
        make_strategy("multi_worker", 2)


# A worker that writes the weights it trained itself, before the chief's file is read back.
WORKER = """
import json, os, sys
import keras, numpy as np
from leaky_zoo.processes.parent import end_with_parent
from leaky_zoo.training import Recipe, train

end_with_parent()
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]

class Dump(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        with open(f"{sys.argv[1]}/pids-{index}", "a") as file:
            print(os.getpid(), file=file)
    def on_train_end(self, logs=None):
        arrays = [keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(w)) for w in self.model.weights]
        np.savez(f"{sys.argv[1]}/weights-{index}.npz", *arrays)

plan = Recipe.read(sys.argv[1] + "/recipe.yaml").model_copy(update={"strategy": "multi_worker"})
train(plan, sys.argv[1] + "/run", resume="--resume" in sys.argv, callbacks=[Dump()])
"""
LAUNCHER = """
import sys
from pathlib import Path
from leaky_zoo.processes.cluster import launch
folder = Path(sys.argv[1])
command = [sys.executable, str(folder / "worker.py"), str(folder)]
launch(command, 2, restarts=2, out=folder / "run", resume=False)
print("done")
"""


def test_two_workers_one_killed_train_as_one_process(tmp_path, recipe):
    """Equal on both to the bit; equal to one process to float64 rounding: the same additions in another order.

    In float64, because there 1e-12 leaves no room for a sample counted twice, a penalty halved or a gradient averaged;
    in float32 Adam turns the rounding of a gradient near zero into a step of another size.
    """
    plan = recipe(
        network={"dtype": "float64", "schedule": {"name": "hamiltonian", "interval": 10}}, checkpoint_every=10,
        optimizer={"epochs": 24},
    )  # fmt: skip
    one, _ = train(plan, tmp_path / "one")
    plan.write(tmp_path / "recipe.yaml")
    (tmp_path / "worker.py").write_text(WORKER)
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    deadline = time.monotonic() + 600
    while not checkpoints.names() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(int((tmp_path / "pids-1").read_text().split()[-1]), signal.SIGKILL)
    said, complaints = process.communicate(timeout=600)
    assert process.returncode == 0, complaints[-3000:]
    assert said.strip().endswith("done") and "restart 1 of 2" in complaints
    assert len((tmp_path / "pids-0").read_text().split()) == 2
    with np.load(tmp_path / "weights-0.npz") as first, np.load(tmp_path / "weights-1.npz") as second:
        for name in first.files:
            assert first[name].tobytes() == second[name].tobytes()
    for single, shared in zip(
        one.get_weights(), load_model(tmp_path / "run" / "model.keras").get_weights(), strict=True
    ):
        np.testing.assert_allclose(shared, single, rtol=0, atol=1e-12)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["device"] == "CPU, 2 workers"


def test_replicas_of_a_recipe_train_as_one(tmp_path, recipe):
    """Same global batch and seed, penalties, dropped inputs, step-size updates and clipping included; in float64."""
    script = (
        "import sys, json; from leaky_zoo.training import Recipe, train; "
        "print(train(Recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2])[1].device)"
    )
    plan = recipe(
        devices=3, objective={"weight_decay": 0.01}, data={"validation": "train[400:501]"}, network={"dtype": "float64"}
    )
    assert last_line(script, plan.model_dump_json(), tmp_path / "three") == "CPU, 3 logical replicas"
    one, _ = train(Recipe.from_dict({**plan.model_dump(), "devices": None}), tmp_path / "one")
    for a, b in zip(one.get_weights(), load_model(tmp_path / "three" / "model.keras").get_weights(), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-12)
