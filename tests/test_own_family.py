"""A family of a user, in a module of theirs: everything that ours can do, with no file of ours changed."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from processes import run_python

pytestmark = pytest.mark.tensorflow_only
MODULE = '''
"""Nets that squash their inputs between -1 and 1 before the stem."""
from typing import Annotated

import keras
from pydantic import Field

from leaky_zoo.deploy.builders import builds
from leaky_zoo.deploy.builders.mlp import add_block
from leaky_zoo.deploy.weights import affine, float64, layers_by_name, read_steps
from leaky_zoo.layers import LeakyDense
from leaky_zoo.networks import LeakyNetwork, NetworkConfig
from leaky_zoo.networks.config import Number


class SquashedConfig(NetworkConfig):
    squash: Annotated[Number, Field(gt=0)] = 1.0


class SquashedNet(LeakyNetwork):
    family = "squashed"
    config_class = SquashedConfig

    def _stem(self, inputs, arguments):
        scaled = keras.layers.Rescaling(self.config.squash, dtype=arguments.exact, name="gain")(inputs)
        bounded = keras.layers.Activation("tanh", dtype=arguments.exact, name="squash")(scaled)
        return keras.layers.Dense(self.config.width, dtype=arguments.dtype, name="stem", **arguments.penalty)(bounded)

    def _block(self, **arguments):
        return LeakyDense(**arguments)

    def _head(self, inputs, arguments):
        size = self.config.output_size
        return keras.layers.Dense(size, dtype=arguments.exact, name="head", **arguments.penalty)(inputs)


@builds("squashed")
def add_squashed(graph, network, representations):
    layers, normalize = layers_by_name(network), affine(layers_by_name(network)["normalize"])
    factor = network.config.squash / normalize.deviation
    current = graph.input("inputs", network.config.input_shape)
    current = graph.node("Sub", [current, graph.constant("mean", normalize.mean)], "center")
    current = graph.node("Mul", [current, graph.constant("factor", factor)], "gain")
    current = graph.node("Tanh", [current], "squash")
    for name in ("stem", "head"):
        weights = {key: float64(getattr(layers[name], key)) for key in ("kernel", "bias")}
        constants = [graph.constant(f"{name}/{key}", value) for key, value in weights.items()]
        current = graph.node("Gemm", [current, *constants], name)
        for step in read_steps(network) if name == "stem" else ():
            current = add_block(graph, step, current)
    graph.finish(network.task.output_name, network.output_shape[1:])
'''
RECIPE = {
    "name": "leaky_squashed_mine_l1_equidistant",
    "data": {"batch_size": 20},
    "network": {"family": "squashed", "width": 6, "depth": 4, "effective_depth": 1.0, "squash": 0.5},
    "optimizer": {"epochs": 2},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the module, data and a recipe."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "squashed_nets.py").write_text(MODULE)
    random = np.random.default_rng(0)
    np.savez(folder / "mine.npz", x=random.normal(size=(60, 5)).astype("float32"), y=random.integers(0, 3, 60))
    recipe = {**RECIPE, "data": {"name": str(folder / "mine.npz"), **RECIPE["data"]}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    grid = {"name": "mine", "recipe": "recipe.yaml", "grid": {"network.squash": [0.5]}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(grid))
    return folder


def command(place, *arguments, imports=("--import", "squashed_nets"), code=0):
    """A command in a process of its own, in the folder."""
    done = run_python("-m", "leaky_zoo", *imports, *arguments, cwd=place, timeout=240)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_it_is_trained_audited_saved_exported_and_verified_through_the_command_line(place):
    command(place, "sweep", "run", "sweep.yaml", "--out", "runs")  # a trainer of its own, below a sweep
    (model,) = (place / "runs").rglob("model.keras")
    command(place, "analyze", model, "--save", "audit.json", "--json")
    audit = json.loads((place / "audit.json").read_text())
    assert audit["model"]["class"] == "SquashedNet" and audit["layers"][0]["features"] == "units"
    assert audit["layers"][0]["hamiltonian"] is not None
    exported = json.loads(command(place, "export", model, "--out", "net.onnx", "--json").stdout)
    assert exported["checks"]["route"] == "direct" and exported["checks"]["nodes"] == 17
    verified = command(place, "verify", "net.onnx", imports=())
    assert "FAILED" not in verified.stdout
    suggested = json.loads(command(place, "suggest", "--data", "mine.npz", "--family", "squashed", "--json").stdout)
    assert suggested["recipe"]["network"]["family"] == "squashed"


def test_without_its_module_it_is_named_and_with_a_wrong_field_too(place):
    refused = command(place, "train", "recipe.yaml", "--out", "run", imports=(), code=2)
    assert "network.family" in refused.stderr and "--import MODULE" in refused.stderr
    recipe = yaml.safe_load((place / "recipe.yaml").read_text())
    recipe["network"]["squash"] = -1
    (place / "wrong.yaml").write_text(yaml.safe_dump(recipe))
    assert "network.squash" in command(place, "train", "wrong.yaml", "--out", "run", code=2).stderr
    assert "--import 'nothing'" in command(place, "list", imports=("--import", "nothing"), code=2).stderr


def test_a_preset_of_it_comes_back(place, monkeypatch):
    monkeypatch.syspath_prepend(str(place))
    import squashed_nets

    from leaky_zoo.networks.families import FAMILIES
    from leaky_zoo.zoo import from_preset, save_to_preset

    network = squashed_nets.SquashedNet((5,), 3, width=6, depth=4, effective_depth=1.0, squash=0.25)
    folder = save_to_preset(network, Path(place) / "leaky_squashed_mine_l1")
    loaded = from_preset(folder)
    assert type(loaded) is squashed_nets.SquashedNet and loaded.config == network.config
    del FAMILIES["squashed"]
