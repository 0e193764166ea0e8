"""Metrics of a network that are watched during training."""

from typing import Any

import keras

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
