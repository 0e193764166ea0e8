"""A small recipe that exercises most of a run, and what two runs are compared by."""

import json

import numpy as np
import pytest

TOY = {
    "name": "toy",
    "data": {
        "name": "optical_digits/fold_0",
        "train": "train[:400]",
        "batch_size": 90,
        "input_dropout": 0.2,
        "translation": 1,
    },
    "network": {"width": 8, "depth": 4, "effective_depth": 2.0, "schedule": {"name": "hamiltonian", "interval": 4}},
    "optimizer": {"epochs": 5, "learning_rate": 0.01},
    "log_every": 5,
}


@pytest.fixture(scope="module", autouse=True)
def data_sets(data_read_once):
    """Read once for each file."""


@pytest.fixture
def recipe():
    """A function that gives the recipe with changes; mappings are merged."""
    from leaky_zoo.training import Recipe

    def changed(**changes):
        merged = {
            key: {**TOY.get(key, {}), **value} if isinstance(value, dict) else value for key, value in changes.items()
        }
        return Recipe.from_dict({**TOY, **merged})

    return changed


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A function that gives the folder of a recipe's whole run: trained once for all tests, so not to be changed."""
    from leaky_zoo.training import train
    from leaky_zoo.training.run_folder import same_training

    done = {}

    def folder_of(plan):
        key = same_training(plan).model_dump_json()
        if key not in done:
            done[key] = tmp_path_factory.mktemp("trained") / "run"
            train(plan, done[key])
        return done[key]

    return folder_of


@pytest.fixture
def assert_same_run():
    """A function that compares two run folders bit for bit: last checkpoint, log, step sizes, result, weights."""
    from leaky_zoo.training.checkpoint import Checkpoints
    from leaky_zoo.zoo import load_model

    def compare(one, two):
        first, second = (Checkpoints(folder / "checkpoints").latest() for folder in (one, two))
        assert (first.step, first.iteration) == (second.step, second.iteration)
        assert first.arrays.keys() == second.arrays.keys()
        for name in first.arrays:
            assert first.arrays[name].tobytes() == second.arrays[name].tobytes(), name
        assert {**first.state, "seconds": 0} == {**second.state, "seconds": 0}
        assert (one / "log.csv").read_bytes() == (two / "log.csv").read_bytes()
        results = [json.loads((folder / "result.json").read_text()) for folder in (one, two)]
        assert {**results[0], "seconds": 0} == {**results[1], "seconds": 0}
        networks = [load_model(folder / "model.keras") for folder in (one, two)]
        assert networks[0].step_size_trace == networks[1].step_size_trace
        for a, b in zip(*(network.get_weights() for network in networks), strict=True):
            np.testing.assert_array_equal(a, b)

    return compare
