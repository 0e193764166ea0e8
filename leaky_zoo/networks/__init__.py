"""Network families: functional Keras models from raw inputs to raw outputs."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.networks.convnet import LeakyConvNet
    from leaky_zoo.networks.evaluation import evaluate_network
    from leaky_zoo.networks.losses import TASKS, StandardizedMeanSquaredError, loss_for
    from leaky_zoo.networks.mlp import LeakyMLP
    from leaky_zoo.networks.network import LeakyNetwork
    from leaky_zoo.networks.paths import LeakyPath
    from leaky_zoo.networks.resample import overlaps, resample

FAMILIES = {"mlp": LeakyMLP, "conv": LeakyConvNet}

__all__ = [
    "FAMILIES",
    "TASKS",
    "LeakyConvNet",
    "LeakyMLP",
    "LeakyNetwork",
    "LeakyPath",
    "StandardizedMeanSquaredError",
    "evaluate_network",
    "loss_for",
    "overlaps",
    "resample",
]
