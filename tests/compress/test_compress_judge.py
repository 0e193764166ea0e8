"""What candidates are judged by, and what a budget is measured on."""

import keras
import numpy as np
import pytest

from leaky_zoo.compress import CompressionData, compress, plan_compression
from leaky_zoo.compress.data import Metric
from leaky_zoo.compress.distill import copies
from leaky_zoo.compress.search import Judge, run_model
from leaky_zoo.compress.smaller import WORSE, epoch_score, measured_cost
from leaky_zoo.data.augmentation import Augmentation
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP
from tests.compress.conftest import parts

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture(scope="module")
def data():
    return parts((6, 6, 1))


def test_ranks_are_not_chosen_by_the_few_labels(mlp, data):
    # A budget of all points: nothing stops the search, so that labels could change its order alone.
    x, y = data.choose
    shuffled = CompressionData(data.fit, (x, np.roll(y, 7)), data.validation)
    one, other = (plan_compression(mlp, each, max_drop=100.0, distill=False) for each in (data, shuffled))
    assert [each.ranks for each in one.trail] == [each.ranks for each in other.trail]
    assert one.trail[0].value != other.trail[0].value
    assert len(one.trail) > 15 and min(each.numbers for each in one.trail) < one.numbers / 4


def test_what_counts_is_the_larger_of_the_drop_and_the_classes_that_change(mlp, data):
    x, y = data.fit[0][:200], data.choose
    metric = Metric.of(mlp)
    judge = Judge(mlp, x, (y[0][:20], mlp.predict(y[0][:20], verbose=0).argmax(-1)), metric)
    assert judge.cost(mlp) == (1.0, 0.0)
    blind = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    blind.layers[-1].set_weights([np.zeros((36, 3)), np.array([1.0, 0.0, 0.0])])
    value, cost = judge.cost(blind)
    changed = 100 * np.mean(run_model(mlp, x).argmax(-1) != 0)
    assert cost == pytest.approx(max(changed, 100 * (1 - value))) and cost >= changed
    assert judge.divergence(blind) > 100 * abs(judge.divergence(mlp))


def test_a_budget_is_measured_on_augmented_copies_too(mlp, data):
    moved = Augmentation(3, translation=1)
    plan = plan_compression(mlp, data, max_drop=3.0, augmentation=moved)
    cost = compress(mlp, plan, data, augmentation=moved).record["cost"]
    assert cost["validation_augmented"]["samples"] == 8 * cost["validation"]["samples"] == 8 * 1200
    assert cost["validation_augmented"]["before"] != cost["validation"]["before"]
    assert set(compress(mlp, plan, data).record["cost"]) == {"validation"}
    rows, which = copies(data.fit[0], np.arange(1200), moved, 2)
    assert np.bincount(which).tolist() == [2] * 1200
    # Each copy holds the pixels of its own sample, shifted: no other sample has so many of its values.
    assert all(np.isin(row, data.fit[0][place]).mean() > 0.6 for row, place in zip(rows[:50], which, strict=False))


def test_copies_of_a_sample_count_as_one_for_the_standard_error(mlp, data):
    x, y = data.validation
    other = keras.models.clone_model(mlp)
    other.set_weights([weight * 0.9 for weight in mlp.get_weights()])
    metric, models = Metric.of(mlp, "loss"), (mlp, other, other)
    once = measured_cost(metric, models, (x, y))
    four = measured_cost(metric, models, (np.repeat(x, 4, 0), np.repeat(y, 4)), np.repeat(np.arange(len(x)), 4))
    assert once["drop"] == pytest.approx(four["drop"], rel=1e-4)
    assert once["standard_error"] == pytest.approx(four["standard_error"], rel=1e-2) and once["standard_error"] > 0


@pytest.mark.parametrize("moved", [None, Augmentation(3, translation=1)], ids=["as they are", "copies too"])
def test_an_epoch_counts_by_its_distance_and_not_if_its_metric_is_worse(mlp, data, moved):
    def changed(factor):
        other = keras.models.clone_model(mlp)
        other.set_weights([weight * factor for weight in mlp.get_weights()])
        return other

    def blind():
        other = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        other.layers[-1].set_weights([np.zeros((36, 3)), np.array([1.0, 0.0, 0.0])])
        return other

    labels = run_model(mlp, data.choose[0]).argmax(-1)  # the whole net has every one right
    own = CompressionData(data.fit, (data.choose[0], labels), data.validation)
    metric = Metric.of(mlp)
    from_blind = epoch_score(mlp, metric, own, blind(), moved)
    assert from_blind(mlp) > from_blind(changed(0.8)) > from_blind(blind()) > -WORSE
    # From the whole net on, one sample fewer right is worse.
    from_whole = epoch_score(mlp, metric, own, mlp, moved)
    assert from_whole(mlp) > -1e-9 > -WORSE >= from_whole(blind())


def test_fewer_steps_are_a_plan_of_their_own(data):
    keras.utils.set_random_seed(0)
    net = LeakyMLP((6, 6, 1), 3, width=16, depth=8, effective_depth=3.0)
    own = CompressionData(
        *((x, net.predict(x, verbose=0).argmax(-1)) for x, _ in (data.fit, data.choose, data.validation))
    )
    plan = plan_compression(net, own, max_drop=10.0, steps=4)
    near = plan_compression(net, own, max_drop=10.0, steps=4, reach=1)
    assert all(each in plan.trail for each in near.trail) and len(near.choices) == 1
    within = [each for each in near.trail if each.drop <= 10]
    assert near.choices[0].candidate == min(within, key=lambda each: each.numbers)
    # A search that goes on past the budget can come back into it, with fewer numbers.
    assert near.choices[0].candidate.numbers >= plan.choices[-1].candidate.numbers
    assert plan.choices[0].candidate.numbers < near.choices[0].candidate.numbers
    made = compress(net, plan, own)
    assert [layer["name"] for layer in made.record["layers"]] == ["stem", *(f"block_{n}" for n in range(1, 5)), "head"]
    assert made.record["settings"]["steps"] == 4 and made.record["parameters"] < 0.7 * net.count_params()
    assert made.record["cost"]["validation"]["drop"] <= 20.0
    with pytest.raises(InvalidInputError, match="Use depth >= 4"):
        plan_compression(net, own, max_drop=10.0, steps=3)
