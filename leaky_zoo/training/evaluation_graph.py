"""The evaluation of a split as a TensorFlow graph, the same for every strategy."""

import numpy as np
import tensorflow as tf

from leaky_zoo.data.pipeline import InOrder
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.replica_sums import Measures, multiple_of, padded_rows, total
from leaky_zoo.training.strategy import Strategy
from leaky_zoo.training.streamed_samples import samples_of

SUM = tf.distribute.ReduceOp.SUM


class EvaluationGraph:
    """Means of the watched values over a split, each sample once, summed in float64 on every strategy.

    Args:
        network: the network.
        strategy: where it runs.
        x: raw inputs.
        y: labels or targets.
        batch_size: samples at a time. Default 1000.
    """

    def __init__(
        self, network: LeakyNetwork, strategy: Strategy, x: np.ndarray, y: np.ndarray,
        batch_size: int = 1000,
    ) -> None:  # fmt: skip
        self.network, self.strategy, self.count = network, strategy, len(x)
        self.measures = Measures(network)
        order = InOrder(len(x), min(batch_size, len(x)))
        self._samples = samples_of(x, y, network.inputs[0].dtype, strategy.replicas, order)
        starts = range(0, len(x), batch_size)
        batches = [np.arange(start, min(start + batch_size, len(x))) for start in starts]
        self._rows, self._counts = padded_rows(batches, multiple_of(min(batch_size, len(x)), strategy.replicas))
        self._graph = tf.function(self._run, jit_compile=False)

    def __call__(self) -> dict[str, float]:
        """`{"loss": ..., "data_loss": ..., ...}`, `loss` with the present penalty."""
        totals = tf.zeros(len(self.measures.names), tf.float64)
        with self.strategy.scope():
            for start in range(0, len(self._counts), self._samples.most_steps):
                part = slice(start, start + self._samples.most_steps)
                rows = self._samples.place(start, self._rows[part], self._counts[part])
                totals, penalty = self._graph(tf.constant(rows), tf.constant(self._counts[part]), totals)
        means = {name: float(total) / self.count for name, total in zip(self.measures.names, totals, strict=True)}
        return {"loss": means["data_loss"] + float(penalty), **means}

    def _run(self, rows: tf.Tensor, counts: tf.Tensor, totals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        penalty = tf.zeros((), tf.float64)
        for row in tf.range(tf.shape(counts)[0]):
            summed = self.strategy.first(self.strategy.run(self._sums, rows[row], counts[row]))
            totals += summed[:-1]
            penalty = summed[-1]
        return totals, penalty

    @tf.autograph.experimental.do_not_convert
    def _sums(self, rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        places = self._samples.positions(self._rows.shape[1], 1, context.replica_id_in_sync_group)[0]
        inputs, targets = self._samples.take(tf.gather(rows, places))
        values = self.measures(targets, self.network(inputs, training=False))
        weights = tf.cast(places < count, values[0].dtype)
        exact = [tf.reduce_sum(tf.cast(weights * value, tf.float64)) for value in values]
        penalty = total(self.network.losses, tf.float64) / self._samples.replicas
        return context.all_reduce(SUM, tf.stack([*exact, penalty]))
