"""The gradient of the loss with respect to `A_L`: the one place where analysis depends on the backend."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError

HeadGradient = Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]


def head_gradient(head: keras.Model, loss: keras.losses.Loss) -> HeadGradient:
    """A function `(A_L, y) -> (loss of each sample, gradient of their sum with respect to A_L)`.

    Args:
        head: the model from `A_L` to the outputs.
        loss: a Keras loss with one value for each sample.

    Returns:
        The function; both of its arrays are float64, the gradient has the shape of `A_L`.

    Raises:
        InvalidInputError: Keras runs on a backend other than TensorFlow or JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow(head, loss)
    if backend == "jax":
        return _jax(head, loss)
    raise InvalidInputError(f"Momenta need Keras on TensorFlow or JAX. Received: backend={backend!r}")


def _tensorflow(head: keras.Model, loss: keras.losses.Loss) -> HeadGradient:
    import tensorflow as tf

    def gradient(representation: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
        inputs = tf.convert_to_tensor(representation, head.inputs[0].dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            values = loss.call(targets, head(inputs, training=False))
        slope = tape.gradient(values, inputs)
        return values.numpy().astype(np.float64), slope.numpy().astype(np.float64)

    return gradient


def _jax(head: keras.Model, loss: keras.losses.Loss) -> HeadGradient:
    import jax

    def gradient(representation: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
        inputs = keras.ops.convert_to_tensor(representation, head.inputs[0].dtype)

        def summed(a: Any) -> tuple[Any, Any]:
            values = loss.call(targets, head(a, training=False))
            return values.sum(), values

        slope, values = jax.grad(summed, has_aux=True)(inputs)
        return np.asarray(values).astype(np.float64), np.asarray(slope).astype(np.float64)

    return gradient
