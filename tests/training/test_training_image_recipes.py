"""The image recipes: those for a GPU take a few steps on made-up samples, those of the zoo say what they should."""

from pathlib import Path

import pytest
from mock_tfds import write_mock

from leaky_zoo import evaluate_network, from_preset, load_data
from leaky_zoo.networks.families import get_family
from leaky_zoo.training import Recipe, train
from leaky_zoo.zoo.network_part import NetworkPart
from leaky_zoo.zoo.optimizer_part import OptimizerPart

pytestmark = pytest.mark.tensorflow_only
ROOT = Path(__file__).parents[2]
OF_THE_ZOO = sorted(
    [
        *(path for kind in ("conv", "resnet") for path in (ROOT / "models").glob(f"leaky_{kind}_*/recipe.yaml")),
        *(ROOT / "examples" / "recipes").glob("*.yaml"),
    ]
)
FOR_A_GPU = sorted((ROOT / "examples" / "gpu").glob("*.yaml"))
SHAPES = {"mnist": (28, 28, 1), "cifar10_jpeg": (32, 32, 3), "mnist1d": (40, 1), "optical_digits": (8, 8, 1)}


@pytest.mark.parametrize("path", FOR_A_GPU, ids=lambda path: path.stem)
def test_a_recipe_for_a_gpu_says_so_and_takes_steps(path, tmp_path):
    assert path.read_text().startswith("# Meant for a GPU; no weights in the zoo are from it.")
    recipe = Recipe.read(path)
    name, _, config = recipe.data.name.partition("/")
    assert name == path.stem
    write_mock(name, config, tmp_path / "tfds")
    few = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"batch_size": 4}),
            "optimizer": recipe.optimizer.model_copy(update={"epochs": None, "steps": 2}),
            "log_every": 1,
        }
    )
    network, result = train(few, tmp_path / "run", data_dir=tmp_path / "tfds")
    assert len(network.paths) == len(recipe.network.family_fields["widths"]) and "accuracy" in result.metrics["test"]


def test_a_net_of_the_jpeg_copy_is_evaluated_on_the_original(tmp_path):
    """The same classes in the same order, on made-up samples."""
    network = from_preset("cifar10")
    # As TFDS has them: https://www.tensorflow.org/datasets/catalog/cifar10
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    write_mock("cifar10", "", tmp_path, names=names)
    original = load_data("cifar10", data_dir=tmp_path)
    assert list(original.class_names) == names == list(network.config.class_names)
    assert 0 <= evaluate_network(network, *original.select("test"))["accuracy"] <= 1


@pytest.mark.parametrize("path", OF_THE_ZOO, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_image_net_of_the_zoo_is_small_and_keeps_one_effective_depth(path):
    recipe = Recipe.read(path)
    data = recipe.data.name.partition("/")[0]
    task, outputs = ({"task": "autoencoding"}, None) if recipe.network.task == "autoencoding" else ({}, 10)
    network = get_family(recipe.network.family)(SHAPES[data], outputs, **task, **recipe.network.given)
    assert network.count_params() < (1_000_000 if data == "cifar10_jpeg" else 200_000)
    assert {path.effective_depth for path in network.paths} == {recipe.network.effective_depth}
    assert recipe.name in (path.parent.name, path.stem)
    assert recipe.network.family != "resnet" or recipe.data.validation


def test_a_recipe_gives_a_family_what_it_says_and_no_more():
    assert NetworkPart().given == {}
    part = NetworkPart(family="resnet", widths=[4, 8], depth=5)
    assert part.given == {"depth": 5, "widths": [4, 8]}
    written = Recipe.from_dict({"name": "a", "data": {"name": "mnist"}, "network": {"family": "resnet", "width": 64},
                                "optimizer": {"epochs": 1}})  # fmt: skip
    assert "width: 64" in written.to_yaml()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"momentum": 0.9}, "momentum: is for sgd"),
        ({"name": "sgd", "decoupled_decay": 0.1}, "decoupled_decay: is for adamw"),
        ({"name": "lion"}, "name"),
        ({"schedule": "step"}, "schedule"),
        ({"average": 1.0}, "average"),
        ({"warmup": 1.0}, "warmup"),
    ],
)
def test_what_the_optimiser_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        OptimizerPart(**{"epochs": 1, **fields})


def test_the_optimiser_that_a_recipe_asks_for():
    from leaky_zoo.training.optimizer import make_optimizer

    sgd = make_optimizer(OptimizerPart(name="sgd", epochs=1), 100)
    assert (sgd.momentum, sgd.nesterov) == (0.9, True)
    adamw = make_optimizer(OptimizerPart(name="adamw", epochs=1, decoupled_decay=0.1, schedule="one_cycle"), 100)
    assert adamw.weight_decay == 0.1 and float(adamw._learning_rate(30)) == pytest.approx(1e-3)
    assert OptimizerPart(epochs=1).rising == 0.02 and OptimizerPart(epochs=1, schedule="one_cycle").rising == 0.3
