"""Dropout whose draws can be given from outside, so that they are a function of seed and step."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="leaky_zoo")
class HeadDropout(keras.layers.Dropout):
    """`keras.layers.Dropout` that takes the features to keep from `kept`, where the training step has set it.

    Keras draws from a state of its own, which neither comes back after a restart nor knows which rows a replica has;
    `leaky_zoo.training.train` draws from (seed, step) for the whole batch. Arguments as `keras.layers.Dropout`.

    Attributes:
        kept: booleans of the features' shape for the next call with `training=True`, or None: Keras's own draw.

    Example:
    >>> import numpy as np
    >>> layer = HeadDropout(0.5)
    >>> layer.kept = np.array([[True, False, True]])
    >>> np.asarray(layer(np.ones((1, 3), "float32"), training=True)).tolist()
    [[2.0, 0.0, 2.0]]
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.kept: Any = None

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.kept is None:
            return super().call(inputs, training=training)
        return ops.where(self.kept, inputs / (1 - self.rate), ops.zeros_like(inputs))
