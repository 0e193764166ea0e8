"""Samples and targets of Python as a network takes them: labels by its classes, whatever form they come in."""

from typing import Any

import numpy as np

from leaky_zoo.data.dataset import Dataset
from leaky_zoo.data.labels import understand
from leaky_zoo.data.python_objects import arrays
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyNetwork


def samples_for(network: LeakyNetwork, x: Any, y: Any = None) -> tuple[Any, np.ndarray | None]:
    """Raw samples and targets for a network. This project.

    Args:
        network: whose inputs, classes and outputs they are to be.
        x: samples, as `load_data` takes objects of Python; or samples and targets in one, where `y` is None. What is
            streamed from the disk stays there.
        y: targets. Default None: those that `x` brings, if any.

    Returns:
        `x`, and `y` as int64 labels `(n,)` or as numbers, as `labels_for` says; None where there are none.

    Raises:
        InvalidInputError: nothing of that kind, samples of another shape than the network's, other numbers of samples
            and targets, or targets that it has no outputs for.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((2,), 2, width=4, depth=4, class_names=["cat", "dog"])
    >>> samples_for(net, [[0.0, 1.0], [2.0, 3.0]], ["dog", "cat"])[1]
    array([1, 0])
    """
    if isinstance(x, Dataset):
        raise InvalidInputError(
            f"A data set has splits; give one of them, as *data.select('test'). Received: {x.identifier}, with the "
            f"splits {', '.join(x.splits)}"
        )
    expected = network.config.input_shape
    x, y = arrays(x, y, 1 + len(expected))
    if not hasattr(x, "view_rows"):
        if np.asarray(x).dtype.kind not in "buif":
            raise InvalidInputError(f"`x` must be an array of numbers. Received: dtype={np.asarray(x).dtype}")
        if x.ndim == 0 or tuple(x.shape[1:]) != expected:
            raise InvalidInputError(f"The network takes samples of shape {expected}. Received: x.shape={x.shape}")
    if y is None:
        return x, None
    if len(x) != len(y):
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {len(x)} and {len(y)}")
    return x, labels_for(network, y)


def labels_for(network: LeakyNetwork, y: Any) -> Any:
    """Targets as a network's loss takes them.

    Integers from 0 to one less than the classes are labels as they are, whatever the classes are called. Everything
    else is read as `load_data` reads it for this network: names, bools, one-hot rows, whole floats, an axis of length
    one. Targets of a regression are numbers, a row for each sample.

    Args:
        network: a classifier, or any other of our networks.
        y: its targets, an array.

    Raises:
        InvalidInputError: what is no class of the network, or another number of outputs.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((2,), 3, width=4, depth=4)
    >>> labels_for(net, np.array([[1.0], [2.0]])), labels_for(net, np.array([[0, 0, 1], [1, 0, 0]]))
    (array([1, 2]), array([2, 0]))
    """
    if network.task.from_inputs or hasattr(y, "view_rows"):
        return y
    if network.task.labels:
        classes = network.config.classes
        places = y.ndim == 1 and y.dtype.kind in "iu"
        if not places or (len(y) and not 0 <= y.min() <= y.max() < classes):
            names = network.config.class_names or classes
            y = understand({"y": y}, task="classification", classes=names).values["y"]
    elif y.dtype.kind not in "buif":
        raise InvalidInputError(f"`y` must be an array of numbers. Received: dtype={y.dtype}")
    network.check_targets(y)
    return y
