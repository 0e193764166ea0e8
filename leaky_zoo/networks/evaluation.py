"""Metrics of a network: watched during training, and measured afterwards as they are published."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line
from leaky_zoo.networks.network import LeakyNetwork


def watched_metrics(network: LeakyNetwork) -> list[keras.metrics.Metric]:
    """`data_loss` (the objective without its penalty) and the task's own, as a classifier's `accuracy`."""
    loss = network.loss_function()
    metrics: list[keras.metrics.Metric] = [keras.metrics.MeanMetricWrapper(DataLoss(loss), name="data_loss")]
    return metrics + network.task.keras_metrics()


@keras.saving.register_keras_serializable(package="leaky_zoo")
class DataLoss:
    """A Keras loss as a metric function: one value for each sample.

    Args:
        loss: the loss, or its serialised form.
    """

    def __init__(self, loss: Any) -> None:
        self.loss = keras.losses.get(loss)
        self.__name__ = "data_loss"

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return self.loss.call(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"loss": keras.losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DataLoss":
        return cls(**config)


def evaluate_network(
    network: LeakyNetwork, x: Any, y: Any = None, batch_size: int = 1000, *, flips: bool = False
) -> dict[str, float]:
    """Metrics on raw samples, averaged in float64 over all of them.

    Args:
        network: the network.
        x: raw inputs: an array, a list of numbers or a tensor.
        y: labels or targets of the data set, likewise. Default None: for an autoencoder, whose targets are its inputs.
        batch_size: samples at a time. Default 1000.
        flips: take the mean of the outputs for each image and for its mirror image, left and right exchanged (an
            autoencoder's being mirrored back). Default False.

    Returns:
        `{"loss": ...}`, the data term of the objective without penalty (cross-entropy in nats, or the standardised
        mean squared error), and `"accuracy"` in [0, 1] for a classifier.

    Raises:
        InvalidInputError: no sample, samples of another shape, other numbers of samples and targets, labels the network
            has no output for, or `flips` of what are no images.
    """
    expected = network.config.input_shape
    x, y = _numbers(x, "x"), x if y is None and network.task.from_inputs else y
    if tuple(x.shape[1:]) != expected:
        raise InvalidInputError(f"The network takes samples of shape {expected}. Received: {tuple(x.shape[1:])}")
    network.check_inputs(x)
    if not len(x):
        raise InvalidInputError("There is no sample to evaluate on. Received: x of length 0")
    y = _numbers(y, "y")
    if len(x) != len(y):
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {len(x)} and {len(y)}")
    if not network.task.from_inputs:
        network.check_targets(y)
    across = network.config.width_axis
    if flips and across is None:
        raise InvalidInputError(f"`flips` is for images. Received: samples of shape {expected}")
    y = network.task.targets(x, y)
    loss = network.loss_function()
    totals = {"loss": 0.0}
    for part in _batches(len(x), batch_size):
        inputs = x[part].astype(network.inputs[0].dtype)
        outputs = network.predict_on_batch(inputs)
        if flips:
            mirrored = network.predict_on_batch(np.flip(inputs, across))
            outputs = (outputs + (np.flip(mirrored, across) if network.task.from_inputs else mirrored)) / 2
        totals["loss"] += float(loss(y[part], outputs)) * len(y[part])
        for name, values in network.task.values(y[part], outputs).items():
            totals[name] = totals.get(name, 0.0) + float(np.sum(keras.ops.convert_to_numpy(values), dtype=np.float64))
    return {name: total / len(x) for name, total in totals.items()}


def _numbers(values: Any, what: str) -> Any:
    if hasattr(values, "view_rows"):
        return values  # streamed from the disk, a part at a time
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"`{what}` must be an array of numbers: {one_line(error)}.") from error
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise InvalidInputError(
            f"`{what}` must be an array of numbers, one row for each sample. Received: {type(values).__name__}"
        )
    return array


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
