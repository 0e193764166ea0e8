"""Where a loss or a gradient that is not finite comes from: the layer, and the samples."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.replica_sums import Measures

SHOWN = 10


def explain(network: LeakyNetwork, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> str:
    """One sentence on the first layer and on the samples of a batch that are not finite.

    Args:
        network: with the weights from before the step; on one device.
        x: raw inputs of the batch.
        y: labels or targets of the batch.
        rows: where in the training split the samples are.

    Returns:
        `"first not finite in the output of layer 'block_3', for samples 17, 40 of the training split"` and the like.
    """
    for layer in network.layers:
        for variable in layer.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                return f"the weights of layer {layer.name!r} ({variable.name}) are not finite themselves"
    inputs = tf.cast(tf.constant(x), network.inputs[0].dtype)
    for layer in network.layers:
        outputs = [tensor for tensor in keras.tree.flatten(layer.output) if len(tensor.shape)]
        values = keras.tree.flatten(keras.Model(network.inputs, outputs)(inputs, training=True)) if outputs else []
        for value in values:
            bad = ~_finite_rows(value, len(x))
            if bad.any():
                return f"first not finite in the output of layer {layer.name!r}, for {_samples(rows[bad])}"
    measures = Measures(network)
    bad = ~_finite_rows(measures(tf.constant(y), network(inputs, training=True))[0], len(x))
    if bad.any():
        return f"first not finite in the loss, after layer {network.layers[-1].name!r}, for {_samples(rows[bad])}"
    penalty = network.losses
    if penalty and not np.isfinite(float(tf.add_n(penalty))):
        return "first not finite in the penalty on the weights, whatever the samples"
    return _gradient(network, measures, inputs, tf.constant(y), rows)


def _gradient(network: LeakyNetwork, measures: Measures, inputs: Any, targets: Any, rows: np.ndarray) -> str:
    variables = [variable.value for variable in network.trainable_variables]

    def gradients(part: slice) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(measures(targets[part], network(inputs[part], training=True))[0])
        return tape.gradient(loss, variables, unconnected_gradients="zero")

    whole = gradients(slice(None))
    bad = [not bool(tf.reduce_all(tf.math.is_finite(tf.nn.l2_loss(each)))) for each in whole]
    if not any(bad):
        return "the gradient is finite on one device in this precision: it overflowed in the sum or in the loss scale"
    # Backpropagation runs from the last layer to the first: the last one of them is where it began.
    variable = network.trainable_variables[len(bad) - 1 - bad[::-1].index(True)]
    single = [row for row in range(len(rows)) if not _finite(gradients(slice(row, row + 1)))]
    where = _samples(rows[single]) if single else "the batch as a whole"
    return f"first not finite in the gradient of {variable.path!r}, for {where}"


def _finite(arrays: list[tf.Tensor]) -> bool:
    return all(bool(tf.reduce_all(tf.math.is_finite(tf.nn.l2_loss(array)))) for array in arrays)


def _finite_rows(value: tf.Tensor, count: int) -> np.ndarray:
    array = np.asarray(tf.cast(value, tf.float64))
    return np.isfinite(array.reshape(count, -1)).all(axis=1)


def _samples(rows: np.ndarray) -> str:
    shown = ", ".join(str(int(row)) for row in sorted(rows)[:SHOWN])
    rest = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"{'sample' if len(rows) == 1 else 'samples'} {shown}{rest} of the training split"
