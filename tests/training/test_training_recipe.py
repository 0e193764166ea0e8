"""Recipes: what they hold, and what is said of one that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.training import Recipe

pytestmark = pytest.mark.tensorflow_only
MINIMAL = {"name": "toy", "data": {"name": "optical_digits"}, "optimizer": {"epochs": 2}}


def changed(path, value):
    recipe = {key: dict(part) if isinstance(part, dict) else part for key, part in MINIMAL.items()}
    *parts, last = path.split(".")
    target = recipe
    for part in parts:
        target = target.setdefault(part, {})
    target[last] = value
    return recipe


def test_yaml_round_trip_holds_only_what_differs(tmp_path):
    recipe = Recipe.from_dict(changed("network.schedule", {"name": "irregular", "amplitude": 1.0}))
    recipe.write(tmp_path / "recipe.yaml")
    assert Recipe.read(tmp_path / "recipe.yaml") == recipe
    assert "weight_decay" not in recipe.to_yaml()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("network.widht", 3, "network.widht"),
        ("network.depth", 0, "network.depth"),
        ("network.family", "transformer", "network.family"),
        ("network.kernel_size", 3, "kernel_size"),
        ("optimizer.steps", 5, "`steps` or `epochs`"),
        ("optimizer.learning_rate", -1, "optimizer.learning_rate"),
        ("objective.ramp", 2, "objective.ramp"),
        ("objective.peak", 0.5, "objective.peak"),
        ("objective", {"peak": 2, "release_at": 0.1}, r"release_at must be at least ramp \(0.3\)"),
        ("data.batch_size", "half", "data.batch_size"),
        ("data.input_dropout", 1.0, "data.input_dropout"),
        ("data.translation", -1, "data.translation"),
        ("early_stopping", 3, "data.validation"),
        ("name", "../up", "name"),
        ("strategy", "tpu", "strategy"),
        ("lbfgs.iterations", 0, "lbfgs.iterations"),
        ("seed", -1, "seed"),
    ],
)
def test_wrong_fields_are_named(path, value, message):
    with pytest.raises(InvalidInputError, match=message):
        Recipe.from_dict(changed(path, value))


@pytest.mark.parametrize("text", ["", "- a", "a: [", "!!python/object/apply:os.system ['true']", "name: 1"])
def test_what_is_no_recipe_is_refused(tmp_path, text):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(InvalidInputError, match=r"recipe\.yaml"):
        Recipe.read(tmp_path / "recipe.yaml")


@given(st.binary(max_size=200))
def test_any_bytes_give_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError):
        Recipe.read(path)


def test_an_autoencoder_has_no_translation():
    wrong = {**MINIMAL, "data": {**MINIMAL["data"], "translation": 1}, "network": {"task": "autoencoding"}}
    with pytest.raises(InvalidInputError, match=r"data\.translation"):
        Recipe.from_dict(wrong)


def test_a_critical_point_needs_a_penalty():
    wrong = {**MINIMAL, "lbfgs": {}, "objective": {"weight_decay": 0.0}}
    with pytest.raises(InvalidInputError, match="weight_decay > 0"):
        Recipe.from_dict(wrong)


def test_converge_is_an_lbfgs_phase_that_ends_by_its_residual():
    assert Recipe.from_dict(MINIMAL).lbfgs_phase is None
    plain = Recipe.from_dict(changed("converge", True)).lbfgs_phase
    assert (plain.iterations, plain.criticality, plain.average) == (20_000, 0.05, 10)
    own = Recipe.from_dict({**MINIMAL, "converge": True, "lbfgs": {"iterations": 7, "criticality": 0.1, "average": 1}})
    assert (own.lbfgs_phase.iterations, own.lbfgs_phase.criticality, own.lbfgs_phase.average) == (7, 0.1, 1)
    short = Recipe.from_dict({**MINIMAL, "converge": True, "lbfgs": {"round": 4}})
    assert short.lbfgs_phase.average == 4
    loose = Recipe.from_dict({**MINIMAL, "lbfgs": {"iterations": 7}})
    assert loose.lbfgs_phase == loose.lbfgs and loose.lbfgs.criticality is None
    with pytest.raises(InvalidInputError, match=r"average must be at most round \(4\). Received: 5"):
        Recipe.from_dict({**MINIMAL, "converge": True, "lbfgs": {"round": 4, "average": 5}})
    with pytest.raises(InvalidInputError, match=r"lbfgs\.average: needs lbfgs\.criticality"):
        Recipe.from_dict({**MINIMAL, "lbfgs": {"average": 5}})
    with pytest.raises(InvalidInputError, match=r"converge: needs objective\.weight_decay"):
        Recipe.from_dict({**MINIMAL, "converge": True, "objective": {"weight_decay": 0.0}})
