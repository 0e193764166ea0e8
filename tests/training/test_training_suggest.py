"""Suggested recipes fit their data: they can be built, and the small ones trained."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.data import Dataset, load_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import get_schedule
from leaky_zoo.training import Recipe, build, suggest, train

pytestmark = pytest.mark.tensorflow_only


def made(samples, shape=(5,), task="regression", splits=("train", "test")):
    random = np.random.default_rng(0)
    x = random.normal(size=(samples, *shape)).astype("float32")
    y = random.integers(0, 3, samples) if task == "classification" else x.reshape(samples, -1)[:, :2]
    return Dataset("made", None, task, dict.fromkeys(splits, (x, y)), normalize_features=True)


@given(
    samples=st.sampled_from([2, 63, 1000, 1001, 5001, 12_000]),
    effective_depth=st.floats(0, 60),
    task=st.sampled_from(["regression", "classification"]),
    shape=st.sampled_from([(5,), (4, 4, 1)]),
)
def test_every_suggestion_is_a_recipe_within_the_cap(samples, effective_depth, task, shape):
    data = made(samples, shape, task)
    recipe = suggest(data, effective_depth).recipe
    assert Recipe.from_dict(recipe.model_dump()) == recipe
    steps = get_schedule(recipe.network.schedule).start(recipe.network.depth, effective_depth)
    assert steps.max() * effective_depth <= 0.9
    assert recipe.data.batch_size == "full" or recipe.data.batch_size <= samples


@pytest.mark.parametrize("family", ["mlp", "conv"])
def test_a_suggestion_can_be_built(family):
    data = load_data("optical_digits/fold_0")
    suggestion = suggest(data, 3.0, family)
    assert build(suggestion.recipe, data).effective_depth == 3.0
    assert all(why for _, _, why in suggestion.reasons)
    assert ("network.depth", "10", "rho L~ = 0.30 for equal steps; the cap is 0.9") in suggestion.reasons


def test_a_suggestion_for_a_users_file_trains(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    np.savez(tmp_path / "My data.npz", x=x, y=x[:, :1])
    recipe = suggest(load_data(str(tmp_path / "My data.npz")), 1.0).recipe
    assert recipe.name == "leaky_mlp_my_data_l1_irregular"
    short = recipe.model_dump() | {"lbfgs": {"iterations": 40, "round": 20, "criticality": 1e-9}}
    short["optimizer"] |= {"steps": 20}
    short["network"] |= {"width": 8}
    _, result = train(Recipe.from_dict(short), tmp_path / "run")
    assert math.isfinite(result.metrics["train"]["loss"])
    assert result.lbfgs["iterations"] == 40 and result.lbfgs["converged"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1.0,), "effective_depth=-1"), ((7.0, "conv"), "family='conv'"), ((7.0, "rnn"), "family='rnn'")],
)
def test_what_it_refuses(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        suggest(made(10), *arguments)
    with pytest.raises(InvalidInputError, match="splits test"):
        suggest(made(10, splits=("test",)))
