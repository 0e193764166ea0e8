"""Gradients through the parts of a network that run in Keras: the one place where a stream depends on the backend."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError

HeadGradient = Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]
EntryGradient = Callable[[Any, Any], np.ndarray]


def head_gradient(head: keras.Model, loss: keras.losses.Loss) -> HeadGradient:
    """A function `(A_L, y) -> (loss of each sample, gradient of their sum with respect to A_L)`.

    Args:
        head: the model from the last path's `A_L` to the outputs.
        loss: a Keras loss with one value for each sample.

    Returns:
        The function; both of its arrays are float64, the gradient has the shape of `A_L`.

    Raises:
        InvalidInputError: Keras runs on a backend other than TensorFlow or JAX.
    """
    differentiate = _differentiation()

    def gradient(representation: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
        def losses(inputs: Any) -> Any:
            return loss.call(targets, head(inputs, training=False))

        values, slope = differentiate(losses, _tensor(head, representation), None)
        return values, slope

    return gradient


def entry_gradient(entry: keras.Model) -> EntryGradient:
    """A function `(A_L of the path before, G) -> gradient of <G, A_0> with respect to that A_L`.

    Args:
        entry: the model from `A_L` of one path to `A_0` of the next, `LeakyPath.entry`.

    Returns:
        The function; its array is float64 and has the shape of its first argument.

    Raises:
        InvalidInputError: Keras runs on a backend other than TensorFlow or JAX.
    """
    differentiate = _differentiation()

    def gradient(representation: Any, by_output: Any) -> np.ndarray:
        def outputs(inputs: Any) -> Any:
            return entry(inputs, training=False)

        return differentiate(outputs, _tensor(entry, representation), by_output)[1]

    return gradient


def _tensor(model: keras.Model, array: Any) -> Any:
    return keras.ops.convert_to_tensor(array, model.inputs[0].dtype)


def _differentiation() -> Callable[[Callable[[Any], Any], Any, Any], tuple[np.ndarray, np.ndarray]]:
    """A function `(f, a, g) -> (f(a), gradient of <g, f(a)> by a)`, both float64; `g` None: of ones."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow
    if backend == "jax":
        return _jax
    raise InvalidInputError(f"Momenta need Keras on TensorFlow or JAX. Received: backend={backend!r}")


def _tensorflow(function: Callable[[Any], Any], inputs: Any, by_output: Any) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values = function(inputs)
    weights = None if by_output is None else tf.cast(by_output, values.dtype)
    return _float64(values), _float64(tape.gradient(values, inputs, weights))


def _jax(function: Callable[[Any], Any], inputs: Any, by_output: Any) -> tuple[np.ndarray, np.ndarray]:
    import jax

    values, pull_back = jax.vjp(function, inputs)
    weights = jax.numpy.ones_like(values) if by_output is None else jax.numpy.asarray(by_output, values.dtype)
    return _float64(values), _float64(pull_back(weights)[0])


def _float64(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor).astype(np.float64)
