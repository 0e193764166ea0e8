"""ONNX builders by family: each module of this folder is one, found by itself, as is a user's once it is imported."""

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import keras

from leaky_zoo.deploy.graph import GraphBuilder
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.families import FAMILIES

BUILDERS: dict[str, "Builder"] = {}


@dataclass(frozen=True)
class Builder:
    """How a family becomes a graph.

    Attributes:
        add: called with the `GraphBuilder`, the network and whether its `representation_l` are outputs too, and with
            `folded=` where it has a second form of its blocks and one was asked for; adds nodes from raw `inputs` to
            the output, which is called as `network.task.output_name` says.
        accepts: whether it can take this network.
    """

    add: Callable[..., None]
    accepts: Callable[[Any], bool]

    def build(self, graph: GraphBuilder, network: LeakyNetwork, representations: bool, folded: bool | None) -> None:
        """Add the network to the graph.

        Raises:
            InvalidInputError: a folded form is asked for where there is none.
        """
        if folded is None:
            self.add(graph, network, representations)
        elif "folded" in inspect.signature(self.add).parameters:
            self.add(graph, network, representations, folded=folded)
        else:
            raise InvalidInputError(f"The family {network.family!r} has no folded form. Received: folded={folded}")


def builds(family: str, accepts: Callable[[Any], bool] = lambda network: True) -> Callable[..., Any]:
    """A decorator that makes a function the builder of a family.

    Args:
        family: its name.
        accepts: whether the builder can take a network. Default: any of the family.

    Example:
    >>> @builds("my_family")
    ... def add_mine(graph, network, representations):
    ...     graph.node("Relu", [graph.input("inputs", network.config.input_shape)], "rectify")
    ...     graph.finish(network.task.output_name, network.output_shape[1:])
    >>> del BUILDERS["my_family"]
    """

    def register(add: Callable[..., None]) -> Callable[..., None]:
        BUILDERS[family] = Builder(add, accepts)
        return add

    return register


def builder_of(model: keras.Model) -> Builder | None:
    """The builder of exactly this class, since a subclass may have changed any method; None: there is none."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    if not isinstance(model, LeakyNetwork) or FAMILIES.get(model.family) is not type(model):
        return None
    found = BUILDERS.get(model.family)
    return found if found is not None and found.accepts(model) else None
