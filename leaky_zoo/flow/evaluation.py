"""Metrics of a network on samples, as they are published."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from leaky_zoo.arguments import naming_the_nearest, whole
from leaky_zoo.data.for_network import samples_for
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.ours import require_ours
from leaky_zoo.runtime.input_range import refuse_not_finite


@naming_the_nearest
def evaluate_network(
    network: LeakyNetwork, x: Any, y: Any = None, batch_size: int = 1000, *, flips: bool = False
) -> dict[str, float]:
    """Metrics on raw samples, averaged in float64 over all of them.

    Args:
        network: the network.
        x: raw inputs, as `samples_for` takes them: an array, a list, a tensor; or samples and targets in one, as a
            `tf.data.Dataset` or a `PyDataset`.
        y: labels (numbers, or names of the network's classes) or targets, likewise. Default None: they come with `x`,
            or it is an autoencoder, whose targets are its inputs.
        batch_size: samples at a time. Default 1000.
        flips: take the mean of the outputs for each image and for its mirror image, left and right exchanged (an
            autoencoder's being mirrored back). Default False.

    Returns:
        `{"loss": ...}`, the data term of the objective without penalty (cross-entropy in nats, or the standardised
        mean squared error), and `"accuracy"` in [0, 1] for a classifier.

    Raises:
        InvalidInputError: not a network of ours, no sample, samples of another shape or with NaN or infinity, other
            numbers of samples and targets, labels the network has no output for, or `flips` of what are not images.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((2,), 2, width=4, depth=4, class_names=["cat", "dog"])
    >>> sorted(evaluate_network(net, [[0.0, 1.0], [1.0, 0.0]], ["dog", "cat"]))
    ['accuracy', 'loss']
    """
    require_ours(network, "evaluate_network")
    expected = network.config.input_shape
    x, y = samples_for(network, x, y)
    network.check_inputs(x, stacklevel=4)  # past the wrapper that names the nearest argument
    if not len(x):
        raise InvalidInputError("There is no sample to evaluate on. Received: x of length 0")
    if y is None and not network.task.from_inputs:
        raise InvalidInputError(f"A {network.task.name} network is evaluated on targets too. Received: inputs alone")
    across = network.config.width_axis
    if flips and across is None:
        raise InvalidInputError(f"`flips` is for images. Received: samples of shape {expected}")
    y = network.task.targets(x, x if y is None else y)
    loss = network.loss_function()
    totals = {"loss": 0.0}
    for part in _batches(len(x), whole("batch_size", batch_size, least=1)):
        inputs = x[part].astype(network.inputs[0].dtype)
        refuse_not_finite(inputs, "x", part.start)
        outputs = network.predict_on_batch(inputs)
        if flips:
            mirrored = network.predict_on_batch(np.flip(inputs, across))
            outputs = (outputs + (np.flip(mirrored, across) if network.task.from_inputs else mirrored)) / 2
        totals["loss"] += float(loss(y[part], outputs)) * len(y[part])
        for name, values in network.task.values(y[part], outputs).items():
            totals[name] = totals.get(name, 0.0) + float(np.sum(keras.ops.convert_to_numpy(values), dtype=np.float64))
    return {name: total / len(x) for name, total in totals.items()}


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
