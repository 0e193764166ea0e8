"""Keras's own calls on a network: `compile` with its own loss, `fit`, `evaluate` and `predict` that look at inputs."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.input_range import RangeWatch

if TYPE_CHECKING:
    from leaky_zoo.layers import Schedule
    from leaky_zoo.networks.config import NetworkConfig
    from leaky_zoo.networks.paths import LeakyPath
    from leaky_zoo.networks.tasks import Task

_CALLBACKS = 3  # place of `callbacks` among the arguments of `fit` after `x` and `y`


class KerasCalls(keras.Model):
    """What `LeakyNetwork` changes of `keras.Model`'s own methods."""

    config: "NetworkConfig"
    _watch: tuple[Any, RangeWatch] | None = None
    _said_of_schedule = False

    if TYPE_CHECKING:

        @property
        def task(self) -> Task: ...

        @property
        def paths(self) -> list[LeakyPath]: ...

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        *,
        loss_weights: Any = None,
        metrics: Any = None,
        **arguments: Any,
    ) -> None:
        """Set optimiser, loss and metrics, as Keras's `compile`; what is left out is the network's own.

        Args:
            optimizer: as Keras takes it. Default "adam".
            loss: as Keras takes it. Default None: the loss of the network's task: cross-entropy of logits against
                integer labels, or the squared error over the variance of the targets; the penalties of `mu` are added
                in any case.
            loss_weights: as Keras takes it. Default None.
            metrics: as Keras takes it. Default None: with the network's own loss those of its task, as `accuracy`.
            **arguments: the others of Keras's `compile`.

        Raises:
            TypeError: more than optimiser and loss without a name: the third would be `loss_weights` for Keras.

        Example:
        >>> from leaky_zoo.networks import LeakyMLP
        >>> net = LeakyMLP((4,), 2, width=8, depth=5).with_new_head(3)
        >>> net.compile()
        >>> sorted(net.fit(np.zeros((6, 4)), np.array([0, 1, 2] * 2), verbose=0).history)
        ['accuracy', 'loss']
        """
        if loss is None:
            loss = self.loss_function()
            metrics = self.task.keras_metrics() if metrics is None else metrics
        super().compile(optimizer, loss, loss_weights=loss_weights, metrics=metrics, **arguments)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was."""
        # Keras's own refuses where `compile` is not its own.
        arguments = keras.saving.deserialize_keras_object(config)
        self.compile(**arguments)
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def loss_function(self) -> keras.losses.Loss:
        """The data term of the objective this net is trained with."""
        return self.task.loss(self.config.output_variance, self.dtype_policy.variable_dtype)

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuse labels or targets that this network's loss cannot take.

        Raises:
            InvalidInputError: labels that are no integers in `0..classes - 1`, or targets of another width.
        """
        self.task.check_targets(targets, self.config.output_size)

    def check_inputs(self, x: Any, stacklevel: int = 3) -> None:
        """Warn, once for each network, where raw inputs are far outside `config.input_range`.

        Args:
            x: raw samples; of batches (a `tf.data.Dataset`, a `PyDataset`) the first one is looked at. What is no
                array or tensor of numbers is passed over.
            stacklevel: of the warning. Default 3: the caller of whoever calls this.
        """
        span = self.config.input_range
        if span is None:
            return
        if self._watch is None or self._watch[0] != span:
            self._watch = span, RangeWatch(span, self.config.feature_names)
        self._watch[1](x if self._watch[1].said else _first_batch(x), stacklevel + 1)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **arguments: Any) -> Any:
        """As Keras's `fit`; an autoencoder needs no `y`.

        Raises:
            InvalidInputError: labels or targets in an array that the network's own loss cannot take.
        """
        self.check_inputs(x)
        if y is None and self.task.from_inputs and hasattr(x, "shape"):
            y = x
        self._check_own_targets(y)
        callbacks = arguments.get("callbacks", args[_CALLBACKS] if len(args) > _CALLBACKS else None)
        self._say_if_steps_stay(callbacks)
        return super().fit(x, y, *args, **arguments)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **arguments: Any) -> Any:
        """As Keras's `evaluate`; an autoencoder needs no `y`."""
        self.check_inputs(x)
        if y is None and self.task.from_inputs and hasattr(x, "shape"):
            y = x
        self._check_own_targets(y)
        return super().evaluate(x, y, *args, **arguments)

    def predict(self, x: Any, *args: Any, **arguments: Any) -> Any:
        """As Keras's `predict`: logits, predictions or reconstructions."""
        self.check_inputs(x)
        return super().predict(x, *args, **arguments)

    def predict_on_batch(self, x: Any) -> Any:
        """As Keras's `predict_on_batch`."""
        self.check_inputs(x)
        return super().predict_on_batch(x)

    def _check_own_targets(self, y: Any) -> None:
        if not isinstance(y, np.ndarray) or type(getattr(self, "loss", None)) is not type(self.loss_function()):
            return
        targets = y
        if self.task.labels:
            if y.ndim > 1 and y.shape[-1] == 1:
                targets = y[..., 0]
            if targets.ndim == 2 and targets.shape[1] == self.config.output_size:
                raise InvalidInputError(
                    f"The network's own loss takes integer labels, one for each sample: y.argmax(-1) of one-hot rows. "
                    f"Received: y of shape {y.shape}"
                )
            if targets.dtype.kind == "f" and bool((targets == np.floor(targets)).all()):
                targets = targets.astype(np.int64)
        self.check_targets(targets)

    def _say_if_steps_stay(self, callbacks: Any) -> None:
        """Warn once where a schedule is to move steps that have never been moved, and nobody will move them."""
        if self._said_of_schedule or self.config.step_size_trace is not None:
            return
        waiting = [schedule for schedule in self._schedules() if schedule.interval is not None]
        if waiting and not any(getattr(each, "moves_step_sizes", False) for each in _listed(callbacks)):
            self._said_of_schedule = True
            warnings.warn(
                f"The schedule {waiting[0].name!r} moves its steps by a callback, without which they stay as they are: "
                "fit(..., callbacks=[leaky_zoo.training.StepSizeUpdate(x[:512], total_steps)]).",
                stacklevel=3,
            )

    def _schedules(self) -> "list[Schedule]":
        return [path.step_size_layer.schedule for path in self.paths]


def _listed(callbacks: Any) -> Iterable[Any]:
    inner = getattr(callbacks, "callbacks", callbacks)
    return inner if isinstance(inner, list | tuple) else [] if inner is None else [inner]


def _first_batch(x: Any) -> Any:
    """The inputs of the first batch; what is no source of batches as it is."""
    if isinstance(x, keras.utils.PyDataset):
        batch = x[0] if x.num_batches != 0 else None
    elif hasattr(x, "element_spec") and hasattr(x, "take"):
        batch = next(iter(x.take(1)), None)
    else:
        return x
    return batch[0] if isinstance(batch, tuple | list) else batch
