"""Adam whose clipping sees the gradient of the whole batch, whatever the number of replicas."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="leaky_zoo")
class ClippedAdam(keras.optimizers.Adam):
    """Adam that clips after the gradients of all replicas have been summed.

    Keras (3.15) clips on each replica, before it sums: two replicas then train differently from one. Arguments as
    `keras.optimizers.Adam`; one replica behaves exactly like it. This project.

    Example:
    >>> ClippedAdam(1e-3, global_clipnorm=1.0).global_clipnorm
    1.0
    """

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return super()._clip_gradients(grads)
        present = [gradient for gradient in grads if gradient is not None]
        summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
        clipped = super()._clip_gradients([None if gradient is None else next(summed) for gradient in grads])
        # Keras sums over the replicas once more.
        share = 1 / context.num_replicas_in_sync
        return [None if gradient is None else share * gradient for gradient in clipped]
