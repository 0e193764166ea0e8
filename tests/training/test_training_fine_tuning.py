"""Recipes that go on from a preset: what is kept, what is new, what is refused, and that they resume exactly."""

import numpy as np
import pytest

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.training import Recipe, StepCallback, StepSizeUpdate, train
from leaky_zoo.zoo import from_preset, load_model

pytestmark = pytest.mark.tensorflow_only
SOURCE = "leaky_mlp_optical_digits_l1_irregular"
BASE = {
    "name": "tuned",
    "data": {"name": "optical_digits/fold_1", "train": "train[:200]", "batch_size": 90},
    "objective": {"weight_decay": 2e-3},
    "optimizer": {"epochs": 2, "learning_rate": 0.01},
}


class Cut(StepCallback):
    """Ends the training after step 3, between two epochs."""

    def next_stop(self, step):
        return 3 if step < 3 else None

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.step == 3:
            raise SystemExit


def tuning(**network):
    return Recipe.from_dict({**BASE, "network": {"from": SOURCE, **network}})


def path_weights(network):
    return [weight.numpy() for layer in network.representations.layers for weight in layer.weights]


def test_the_path_goes_on_and_the_head_is_new(trained):
    source, network = from_preset(SOURCE), load_model(trained(tuning()) / "model.keras")
    assert network.config.weight_decay == network.config.io_weight_decay == 2e-3
    assert network.config.dataset["name"] == "optical_digits/fold_1"
    assert network.config.input_mean == source.config.input_mean
    before, after = path_weights(source), path_weights(network)
    moved = [float(np.abs(a - b).max()) for a, b in zip(after, before, strict=True)]
    # Moved, but still near where they were: another start would be as far off as the weights are large.
    assert max(moved) > 0
    assert all(
        move <= 0.5 * np.abs(weight).max() for move, weight in zip(moved, before, strict=True) if weight.ndim == 2
    )
    assert np.abs(network.get_layer("head").kernel.numpy() - source.get_layer("head").kernel.numpy()).max() > 0.01


def test_a_frozen_path_stays_to_the_bit_and_is_frozen_when_loaded_again(trained):
    network = load_model(trained(tuning(freeze=True)) / "model.keras")
    for kept, given in zip(path_weights(network), path_weights(from_preset(SOURCE)), strict=True):
        np.testing.assert_array_equal(kept, given)
    assert [weight.name for weight in network.trainable_weights] == [
        weight.name for weight in network.get_layer("head").weights
    ]


@pytest.mark.parametrize(
    "schedule",
    [
        *({"name": name} for name in ("adaptive", "hamiltonian", "equidistributing", "local_error")),
        {"name": "hamiltonian", "keeps_function": True, "tolerance": 10.0},
    ],
    ids=lambda schedule: "-".join(map(str, schedule.values())),
)
def test_a_frozen_path_keeps_its_steps_whatever_its_schedule(schedule):
    moving = {**schedule, "interval": 1, "damping": 1.0}
    net = LeakyMLP((5,), 3, width=6, depth=5, effective_depth=1.0, schedule=moving)
    x = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
    for freeze in (True, False):
        tuned, updates = net.with_new_head(2, freeze_path=freeze), StepSizeUpdate(x, total_steps=10)
        before = path_weights(tuned)
        updates.set_model(tuned)
        updates.on_train_begin()
        assert updates.next_stop(0) == (None if freeze else 1)
        updates.on_train_batch_end(0)
        updates.update()
        same = all(np.array_equal(a, b) for a, b in zip(before, path_weights(tuned), strict=True))
        assert same == freeze


def test_a_net_that_was_frozen_moves_again_where_the_recipe_does_not_freeze_it(trained):
    frozen = trained(tuning(freeze=True))
    thawed = Recipe.from_dict({**BASE, "network": {"from": str(frozen / "model.keras")}})
    network = load_model(trained(thawed) / "model.keras")
    moved = [
        float(np.abs(a - b).max())
        for a, b in zip(path_weights(network), path_weights(load_model(frozen / "model.keras")), strict=True)
    ]
    assert max(moved) > 0 and len(network.trainable_weights) == len(from_preset(SOURCE).trainable_weights)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, freeze, trained, assert_same_run):
    plan = tuning(freeze=freeze).model_copy(update={"checkpoint_every": 1})
    with pytest.raises(SystemExit):
        train(plan, tmp_path / "cut", callbacks=[Cut()])
    train(plan, tmp_path / "cut", resume=True)
    assert_same_run(tmp_path / "cut", trained(plan))


def test_another_task_takes_the_same_path(tmp_path):
    network, result = train(tuning(task="autoencoding", freeze=True), tmp_path / "run")
    assert network.output_shape == (None, 8, 8, 1) and network.task.name == "autoencoding"
    assert set(result.metrics["test"]) == {"loss"}


def test_the_recipe_says_on_disk_what_it_said(tmp_path):
    plan = tuning(freeze=True, head_dropout=0.1)
    plan.write(tmp_path / "recipe.yaml")
    text = (tmp_path / "recipe.yaml").read_text()
    assert f"from: {SOURCE}" in text and "freeze: true" in text
    assert Recipe.read(tmp_path / "recipe.yaml") == plan
    assert Recipe.from_dict(plan.model_dump()) == plan


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"from": SOURCE, "width": 8}}, "leave out width"),
        ({"network": {"from": SOURCE, "family": "conv", "kernel_size": 3}}, "leave out family, kernel_size"),
        ({"network": {"freeze": True}}, "freeze: is for a net that goes on"),
        ({"network": {"source": SOURCE}}, "source"),
        ({"network": {"from": SOURCE, "freeze": True}, "converge": True}, "critical point"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, words):
    with pytest.raises(InvalidInputError, match=words):
        Recipe.from_dict({**BASE, **changes})


@pytest.mark.parametrize(
    ("source", "data", "words"),
    [
        ("leaky_mlp_optical_digit_l1_irregular", "optical_digits/fold_0", SOURCE),
        ("./nowhere", "optical_digits/fold_0", "No such file or folder"),
        (SOURCE, "wine/fold_0", r"takes samples of shape \(8, 8, 1\)"),
    ],
)
def test_a_source_that_does_not_fit_is_refused_before_any_training(tmp_path, source, data, words):
    plan = Recipe.from_dict({**BASE, "data": {"name": data, "batch_size": 20}, "network": {"from": source}})
    with pytest.raises(InvalidInputError, match=words):
        train(plan, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()
