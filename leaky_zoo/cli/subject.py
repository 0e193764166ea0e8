"""The network a command works on, and the data it was trained on."""

from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyNetwork


def our_network(model: keras.Model, name: str) -> LeakyNetwork:
    """The model, if it is one of our families."""
    if not isinstance(model, LeakyNetwork):
        raise InvalidInputError(
            f"{name} holds a {type(model).__name__}; this command takes a LeakyMLP or a LeakyConvNet."
        )
    return model


def trained_on(network: LeakyNetwork, name: str) -> dict[str, Any]:
    """`{"name", "split"}` of the data a network was trained on."""
    dataset = network.settings["dataset"]
    if not dataset:
        raise InvalidInputError(f"{name} does not say what it was trained on: give --data.")
    return dataset
