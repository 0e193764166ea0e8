"""The gradient of the loss with respect to `A_L`: the one place where analysis depends on the backend."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError


def head_gradient(head: keras.Model, loss: keras.losses.Loss) -> Callable[[Any, Any], tuple[float, np.ndarray]]:
    """A function `(A_L, y) -> (loss summed over the batch, its gradient with respect to A_L)`.

    Args:
        head: the model from `A_L` to the outputs.
        loss: a Keras loss that averages over the batch.

    Returns:
        The function; its gradient has the shape of `A_L` and is float64.

    Raises:
        InvalidInputError: Keras runs on a backend other than TensorFlow or JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow(head, loss)
    if backend == "jax":
        return _jax(head, loss)
    raise InvalidInputError(f"Momenta need Keras on TensorFlow or JAX. Received: backend={backend!r}")


def _tensorflow(head: keras.Model, loss: keras.losses.Loss) -> Callable[[Any, Any], tuple[float, np.ndarray]]:
    import tensorflow as tf

    def gradient(representation: Any, targets: Any) -> tuple[float, np.ndarray]:
        inputs = tf.convert_to_tensor(representation, head.inputs[0].dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = loss(targets, head(inputs, training=False)) * len(targets)
        return float(value), tape.gradient(value, inputs).numpy().astype(np.float64)

    return gradient


def _jax(head: keras.Model, loss: keras.losses.Loss) -> Callable[[Any, Any], tuple[float, np.ndarray]]:
    import jax

    def gradient(representation: Any, targets: Any) -> tuple[float, np.ndarray]:
        inputs = keras.ops.convert_to_tensor(representation, head.inputs[0].dtype)
        value, slope = jax.value_and_grad(lambda a: loss(targets, head(a, training=False)) * len(targets))(inputs)
        return float(value), np.asarray(slope).astype(np.float64)

    return gradient
