"""The training step as a TensorFlow graph, the same for every strategy.

A call runs several optimiser steps. Every replica takes its part of a step's rows; sums over samples (of the loss, the
metrics, the gradient) are added over micro-batches and replicas and divided once, by the number of samples of the
global batch. So the number of replicas, workers and micro-batches changes the order of additions and nothing else.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from leaky_zoo.data.augmentation import Augmentation, mix
from leaky_zoo.data.pipeline import BatchOrder
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.averaging import WeightAverage
from leaky_zoo.training.optimizer import LossScale
from leaky_zoo.training.replica_sums import Measures, multiple_of, padded_rows, total
from leaky_zoo.training.strategy import Strategy
from leaky_zoo.training.streamed_samples import samples_of

SUM = tf.distribute.ReduceOp.SUM
HEAD = 100  # the stream of the head's dropout, beside those of the augmentation
# Only `_run` has loops and conditions on tensors: rewriting all that it calls would slow each start.
as_it_is = tf.autograph.experimental.do_not_convert


@dataclass(frozen=True)
class StepValues:
    """What a call of `TrainingGraph.run` measured.

    Attributes:
        taken: steps taken; fewer than asked for when a step was not finite.
        losses: the whole objective of each step, penalty included, shape `(taken,)`.
        sums: sums over the samples of each step, float64, shape `(taken, metrics)`.
        samples: samples of each step.
        skipped: steps that float16 overflow left out.
        failed: whether the step after those taken has a loss or a gradient that is not finite; its weights are those
            from before it.
        stop: whether a process asked for the end of training.
    """

    taken: int
    losses: np.ndarray
    sums: np.ndarray
    samples: np.ndarray
    skipped: int
    failed: bool
    stop: bool


class TrainingGraph:
    """Optimiser steps of a compiled network on data in memory.

    Args:
        network: compiled, its optimiser built, both inside the strategy's scope.
        strategy: where it runs.
        x: raw inputs.
        y: labels or targets.
        order: which rows each step sees.
        micro_batches: parts that each step's batch is computed in, one after the other, to save memory. Default 1.
        augmentation: what the inputs of each step go through. Default None: nothing.
        loss_scale: `"dynamic"`, a fixed factor, or None. Default None.
        label_smoothing: how much of each label is spread evenly over all classes. Default 0.
        average: means of the weights, to be moved at each step. Default None.
    """

    def __init__(
        self,
        network: LeakyNetwork,
        strategy: Strategy,
        x: np.ndarray,
        y: np.ndarray,
        order: BatchOrder,
        *,
        micro_batches: int = 1,
        augmentation: Augmentation | None = None,
        loss_scale: float | str | None = None,
        label_smoothing: float = 0.0,
        average: WeightAverage | None = None,
    ) -> None:
        self.network, self.strategy, self.order = network, strategy, order
        self.measures, self.average = Measures(network, label_smoothing), average
        self.loss_scale = LossScale.start(loss_scale)
        self.dynamic_scale, self._scaled = loss_scale == "dynamic", loss_scale is not None
        self._micro, self._augmentation = micro_batches, augmentation or Augmentation(order.seed)
        dtype = network.inputs[0].dtype
        self._samples = samples_of(x, y, dtype, strategy.replicas, order)
        self._sample_shape = x.shape[1:]
        self._multiple = micro_batches * strategy.replicas
        self._width = multiple_of(order.batch_size, self._multiple)
        self._variables = network.trainable_variables
        self._dropout = network.dropout
        signature = [
            tf.TensorSpec((None, self._width), tf.int32), tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.int64), tf.TensorSpec((), tf.float64),
            tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32),
        ]  # fmt: skip
        self._graph = tf.function(self._run, signature, jit_compile=False)  # XLA halves the speed on a CPU

    def run(self, step: int, count: int, stop: bool = False) -> StepValues:
        """Take up to `count` steps from `step`.

        Args:
            step: optimiser steps done so far.
            count: at least 1.
            stop: whether this process wants training to end; all processes learn of it.

        Returns:
            What was measured; the weights are those after the last step taken.
        """
        count = min(count, self._samples.most_steps)
        rows, counts = padded_rows([self.order.rows(number) for number in range(step, step + count)], self._width)
        rows = self._samples.place(step, rows, counts)
        numbers = np.arange(step, step + count, dtype=np.int64)
        scale, good = self.loss_scale
        with self.strategy.scope():  # a cluster needs it at the call, too
            values, taken, skipped, failed, scale, good = self._graph(
                tf.constant(rows), tf.constant(counts), tf.constant(numbers), tf.constant(float(stop), tf.float64),
                tf.constant(scale, tf.float32), tf.constant(good, tf.int32),
            )  # fmt: skip
        taken = int(taken)
        self.loss_scale = LossScale(float(scale), int(good))
        measured = values.numpy()
        sums = measured[:taken, :-2]
        samples = counts[:taken].astype(np.float64)
        losses = sums[:, 0] / samples + measured[:taken, -2]
        return StepValues(taken, losses, sums, samples, int(skipped), bool(failed), bool(measured[:, -1].any()))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs (as the network sees them), targets and rows of a whole step, to look at."""
        rows = self.order.rows(step)
        inputs, targets = self._samples.whole(rows)
        draws = {name: values[: len(rows)] for name, values in self._draws(tf.constant(step)).items()}
        return self._augmentation.apply(inputs, draws).numpy(), targets.numpy(), rows

    @as_it_is
    def _draws(self, number: tf.Tensor) -> dict[str, tf.Tensor]:
        draws = self._augmentation.draw(number, self.order.batch_size, self._sample_shape)
        if self._dropout is not None:
            seeds = tf.stack([tf.constant(self.order.seed, tf.int64), tf.cast(number, tf.int64)])
            own = tf.random.experimental.stateless_fold_in(seeds, HEAD)
            shape = (self.order.batch_size, *self._dropout.input.shape[1:])
            draws["head"] = tf.random.stateless_uniform(shape, own) >= self._dropout.rate
        return draws

    def _run(
        self, rows: tf.Tensor, counts: tf.Tensor, numbers: tf.Tensor, stop: tf.Tensor, scale: tf.Tensor, good: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        count = tf.shape(counts)[0]
        columns = len(self.measures.names) + 2
        values = tf.TensorArray(tf.float64, count, element_shape=(columns,))
        row, taken, skipped, failed = tf.constant(0), tf.constant(0), tf.constant(0), tf.constant(False)
        while row < count and not failed:
            gradients, sums = self.strategy.run(self._gradients, rows[row], counts[row], numbers[row], stop, scale)
            totals = self.strategy.first(sums)
            values = values.write(row, totals[:-1])
            loss_finite = tf.reduce_all(tf.math.is_finite(totals[:-1]))
            finite = loss_finite and tf.math.is_finite(totals[-1])
            if finite:
                self.strategy.run(self._apply, gradients)
                if self.average is not None:
                    self.average.update(numbers[row])
                taken += 1
            elif loss_finite and self.dynamic_scale and scale > 1.0:
                taken += 1
                skipped += 1
            else:
                failed = tf.constant(True)
            if self.dynamic_scale:
                scale, good = LossScale(scale, good).after(finite)
            row += 1
        return values.stack(), taken, skipped, failed, scale, good

    @as_it_is
    def _gradients(
        self, rows: tf.Tensor, count: tf.Tensor, number: tf.Tensor, stop: tf.Tensor, scale: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradient of a step and sums of its measures, over all replicas; called on each of them.

        The sums are those of `measures`, then the penalty, the requests to stop, and the squared norm of the gradient,
        which is not finite when an entry of it is not.
        """
        context = tf.distribute.get_replica_context()
        places = self._samples.positions(self._width, self._micro, context.replica_id_in_sync_group)
        draws = self._draws(number)
        parts = [tf.zeros(variable.shape, variable.dtype) for variable in self._variables]
        sums = tf.zeros(len(self.measures.names) + 1, tf.float64)
        if self._micro == 1:
            parts, sums = self._part(places[0], rows, count, draws, scale)
        else:

            def add(micro: tf.Tensor, parts: list[tf.Tensor], sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
                more, added = self._part(places[micro], rows, count, draws, scale)
                return micro + 1, [part + each for part, each in zip(parts, more, strict=True)], sums + added

            # A loop of the graph, one after the other: or no memory is saved.
            start = (tf.constant(0), parts, sums)
            _, parts, sums = tf.while_loop(lambda micro, *_: micro < self._micro, add, start, parallel_iterations=1)
        # Once over all replicas, and nothing after that: Keras would clip before it sums.
        parts = context.all_reduce(SUM, parts)
        sums = context.all_reduce(SUM, tf.concat([sums, [stop]], axis=0))
        if self._scaled:
            parts = [part / tf.cast(scale, part.dtype) for part in parts]
        norm = tf.add_n([tf.cast(tf.nn.l2_loss(part), tf.float64) for part in parts])
        return parts, tf.concat([sums, [norm]], axis=0)

    def _part(
        self, places: tf.Tensor, rows: tf.Tensor, count: tf.Tensor, draws: dict[str, tf.Tensor], scale: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """One replica's part of one micro-batch: its share of the gradient and of the sums."""
        inputs, targets, mine = self._changed(places, rows, draws)
        if self._augmentation.mixup:
            partners = self._augmentation.partners(places, count, mine)
            others, other_targets, _ = self._changed(partners, rows, draws)
            inputs = mix(inputs, others, mine["share"])
        with tf.GradientTape() as tape:
            outputs = self._outputs(inputs, mine)
            values = self.measures(targets, outputs)
            if self._augmentation.mixup:  # each target has its share in the loss
                pairs = zip(values, self.measures(other_targets, outputs), strict=True)
                values = [mix(own, other, mine["share"]) for own, other in pairs]
            weights = tf.cast(places < count, values[0].dtype)
            samples = tf.cast(count, values[0].dtype)
            penalty = total(self.network.losses, values[0].dtype) / self._multiple
            objective = tf.reduce_sum(weights * values[0]) / samples + penalty
            if self._scaled:
                objective *= tf.cast(scale, objective.dtype)
        gradients = tape.gradient(
            objective, [variable.value for variable in self._variables], unconnected_gradients="zero"
        )
        exact = [tf.reduce_sum(tf.cast(weights * value, tf.float64)) for value in values]
        return gradients, tf.stack([*exact, tf.cast(penalty, tf.float64)])

    def _changed(
        self, places: tf.Tensor, rows: tf.Tensor, draws: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """The samples at these places of a batch as the network sees them, their targets and their draws."""
        inputs, targets = self._samples.take(tf.gather(rows, places))
        # Places that only fill up lie behind the last row of the draws; their weight is zero.
        within = tf.minimum(places, self.order.batch_size - 1)
        mine = {name: tf.gather(values, within) for name, values in draws.items()}
        return self._augmentation.apply(inputs, mine), targets, mine

    def _outputs(self, inputs: tf.Tensor, draws: dict[str, tf.Tensor]) -> tf.Tensor:
        """The network's outputs in training, the head's dropout as it was drawn for these rows."""
        if self._dropout is None:
            return self.network(inputs, training=True)
        self._dropout.kept = draws["head"]
        try:
            return self.network(inputs, training=True)
        finally:
            self._dropout.kept = None

    @as_it_is
    def _apply(self, gradients: list[tf.Tensor]) -> None:
        self.network.optimizer.apply(gradients, self._variables)
