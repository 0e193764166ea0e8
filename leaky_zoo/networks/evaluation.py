"""Metrics of a network: watched during training, and measured afterwards as they are published."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks.network import LeakyNetwork


def watched_metrics(network: LeakyNetwork) -> list[keras.metrics.Metric]:
    """`data_loss` (the objective without its penalty) and, for a classifier, `accuracy`."""
    loss = network.loss_function()
    metrics: list[keras.metrics.Metric] = [keras.metrics.MeanMetricWrapper(DataLoss(loss), name="data_loss")]
    if network.task == "classification":
        metrics.append(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
    return metrics


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


def targets_for(network: LeakyNetwork, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What the network is asked to output: the inputs, for an autoencoder."""
    return x.astype(np.float32) if network.task == "autoencoding" else y


def evaluate_network(network: LeakyNetwork, x: np.ndarray, y: np.ndarray, batch_size: int = 1000) -> dict[str, float]:
    """Metrics on raw samples, averaged in float64 over all of them.

    Args:
        network: the network.
        x: raw inputs.
        y: labels or targets of the data set (an autoencoder's targets are its inputs).
        batch_size: samples at a time. Default 1000.

    Returns:
        `{"loss": ...}`, the data term of the objective without penalty (cross-entropy in nats, or the standardised
        mean squared error), and `"accuracy"` in [0, 1] for a classifier.

    Raises:
        InvalidInputError: samples of another shape, or labels the network has no output for.
    """
    expected = tuple(network.settings["input_shape"])
    if tuple(x.shape[1:]) != expected:
        raise InvalidInputError(f"The network takes samples of shape {expected}. Received: {tuple(x.shape[1:])}")
    if network.task != "autoencoding":
        network.check_targets(y)
    y = targets_for(network, x, y)
    loss = network.loss_function()
    total, correct = 0.0, 0
    for part in _batches(len(x), batch_size):
        outputs = network.predict_on_batch(x[part].astype(network.inputs[0].dtype))
        total += float(loss(y[part], outputs)) * len(y[part])
        if network.task == "classification":
            correct += int((np.argmax(outputs, axis=-1) == y[part]).sum())
    metrics = {"loss": total / len(x)}
    if network.task == "classification":
        metrics["accuracy"] = correct / len(x)
    return metrics


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
