"""What every Leaky ResNet shares: preprocessing, a stem, a path of blocks with one step-size vector, a head."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown
from leaky_zoo.layers import LeakyBlock, StepSizes, get_schedule
from leaky_zoo.layers.step_sizes import is_trace
from leaky_zoo.networks.losses import TASKS, loss_for
from leaky_zoo.networks.paths import LeakyPath


class LeakyNetwork(keras.Model):
    """Base of `LeakyMLP` and `LeakyConvNet`: functional models from raw inputs to raw outputs.

    A family gives three methods: `_stem`, `_block` and `_head`. The config carries the task, `mu`, `mu_io` and the
    training data, so that a saved model can be audited.

    Args:
        input_shape: shape of one raw sample, without the batch.
        output_size: classes, or outputs of a regression. None for autoencoding. Default None.
        task: `"classification"` (outputs logits), `"regression"` or `"autoencoding"` (outputs in raw units).
            Default `"classification"`.
        width: width of the path (channels, for a convolution), at least 1. Default 64.
        depth: number of blocks `L`, at least 1. Default 15.
        effective_depth: `L~ >= 0`. Default 3.0.
        schedule: step-size schedule: a name, a dict or a `Schedule`. Default `"equidistant"`.
        weight_decay: `mu >= 0`. Default 0.
        io_weight_decay: `mu_io >= 0` on stem and head, biases included. Default None: equal to `mu`.
        use_bias: whether the blocks have biases. Default True.
        input_mean: subtracted from raw inputs; a number, or one for each feature of the last axis. Default 0.0.
        input_variance: raw inputs are divided by its square root. Default 1.0.
        output_mean: added to outputs (regression). Default 0.0.
        output_variance: outputs are multiplied by its square root, the loss divided by it. Default 1.0.
        class_names: names of the classes, in order. Default None.
        dataset: what the net was trained on, as `{"name", "split"}`. Default None.
        step_size_trace: see the attribute. Default None: nothing was recorded.
        dtype: Keras dtype policy: `"float32"`, `"mixed_bfloat16"`, `"float64"`, ... Default None: the global one.
        name: model name. Default None.

    Attributes:
        step_size_trace: how its training moved the step sizes: one dict for each update, with `step`, `step_sizes`,
            `output_change` and `accepted`, as `leaky_zoo.training.StepSizeUpdate` records it; it goes into every audit.

    Raises:
        InvalidInputError: an argument is out of its range; the message says what is accepted.
    """

    def __init__(
        self,
        input_shape: Any,
        output_size: int | None = None,
        *,
        task: str = "classification",
        width: int = 64,
        depth: int = 15,
        effective_depth: float = 3.0,
        schedule: Any = "equidistant",
        weight_decay: float = 0.0,
        io_weight_decay: float | None = None,
        use_bias: bool = True,
        input_mean: Any = 0.0,
        input_variance: Any = 1.0,
        output_mean: Any = 0.0,
        output_variance: Any = 1.0,
        class_names: list[str] | None = None,
        dataset: dict[str, Any] | None = None,
        step_size_trace: list[dict[str, Any]] | None = None,
        dtype: Any = None,
        name: str | None = None,
        **family: Any,
    ) -> None:
        input_shape = tuple(int(side) for side in input_shape)
        if task not in TASKS:
            raise InvalidInputError(f"`task` is one of {', '.join(TASKS)}. Received: task={task!r}")
        if width < 1:
            raise InvalidInputError(f"`width` must be at least 1. Received: width={width}")
        if weight_decay < 0 or (io_weight_decay or 0) < 0:
            raise InvalidInputError(
                f"Weight decays must be >= 0. Received: weight_decay={weight_decay}, io_weight_decay={io_weight_decay}"
            )
        if task == "autoencoding":
            if output_size not in (None, math.prod(input_shape)):
                raise InvalidInputError(
                    f"An autoencoder's output has the size of its input, {math.prod(input_shape)}; leave "
                    f"`output_size` out. Received: output_size={output_size}"
                )
            output_size, output_mean, output_variance = None, input_mean, input_variance
        elif output_size is None or output_size < 1:
            raise InvalidInputError(f"{task} needs `output_size` >= 1. Received: output_size={output_size}")
        if class_names is not None and (task != "classification" or len(class_names) != output_size):
            raise InvalidInputError(
                f"`class_names` are one for each of a classifier's {output_size} outputs. Received: "
                f"class_names={class_names}, task={task!r}"
            )
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        schedule = get_schedule(schedule)
        starts = schedule.start(depth, effective_depth)
        decay = weight_decay if io_weight_decay is None else io_weight_decay
        self._settings = {
            "input_shape": list(input_shape),
            "output_size": output_size,
            "task": task,
            "width": int(width),
            "depth": int(depth),
            "effective_depth": float(effective_depth),
            "schedule": {"name": schedule.name, **schedule.get_config()},
            "weight_decay": float(weight_decay),
            "io_weight_decay": float(decay),
            "use_bias": bool(use_bias),
            "input_mean": _plain(input_mean),
            "input_variance": _plain(input_variance),
            "output_mean": _plain(output_mean),
            "output_variance": _plain(output_variance),
            "class_names": class_names,
            "dataset": dataset,
            "step_size_trace": _checked_trace(step_size_trace, depth),
            **family,
        }
        common = {
            "settings": self._settings,
            "dtype": policy,
            # Preprocessing and logits stay in the variable dtype: raw pixels in bfloat16 would have three digits.
            "exact": policy.variable_dtype,
            "penalty": {
                "kernel_regularizer": keras.regularizers.L2(decay / 2) if decay else None,
                "bias_regularizer": keras.regularizers.L2(decay / 2) if decay else None,
            },
        }
        inputs = keras.Input(input_shape, dtype=policy.variable_dtype, name="inputs")
        normalized = _normalization(input_mean, input_variance, common["exact"], "normalize")(inputs)
        representations = [self._stem(normalized, **common)]
        step_size_layer = StepSizes(depth, effective_depth, schedule, dtype=policy)
        blocks = []
        for row, step in enumerate(step_size_layer(inputs)):
            block = self._block(
                effective_depth=effective_depth,
                step_size=float(starts[row]),
                weight_decay=weight_decay,
                use_bias=use_bias,
                dtype=policy,
                name=f"block_{row + 1}",
            )
            blocks.append(block)
            representations.append(block(representations[-1], step_size=step))
        outputs = self._head(representations[-1], **common)
        if task != "classification" and (
            np.any(np.asarray(output_mean) != 0) or np.any(np.asarray(output_variance) != 1)
        ):
            outputs = _normalization(output_mean, output_variance, common["exact"], "denormalize", invert=True)(outputs)
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.dtype_policy = policy
        self._representations = representations
        self._paths = (LeakyPath("path", inputs, representations, blocks, step_size_layer),)

    def _stem(self, inputs: Any, *, settings: dict[str, Any], dtype: Any, exact: str, penalty: dict[str, Any]) -> Any:
        """`A_0` from normalised inputs."""
        raise NotImplementedError(f"{type(self).__name__} must define _stem.")

    def _block(self, **arguments: Any) -> LeakyBlock:
        """One block of the path."""
        raise NotImplementedError(f"{type(self).__name__} must define _block.")

    def _head(self, inputs: Any, *, settings: dict[str, Any], dtype: Any, exact: str, penalty: dict[str, Any]) -> Any:
        """Outputs (normalised units) from `A_L`."""
        raise NotImplementedError(f"{type(self).__name__} must define _head.")

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return dict(self._settings)

    @property
    def task(self) -> str:
        """`"classification"`, `"regression"` or `"autoencoding"`."""
        return self._settings["task"]

    @property
    def effective_depth(self) -> float:
        """`L~` of the path."""
        return self._settings["effective_depth"]

    @property
    def paths(self) -> list[LeakyPath]:
        """The leaky paths, from the inputs to the outputs; one in a `LeakyMLP` or `LeakyConvNet`."""
        return list(self._paths)

    @property
    def step_size_trace(self) -> list[dict[str, Any]] | None:
        """How training moved the step sizes; None where nothing was recorded."""
        trace = self._settings["step_size_trace"]
        return None if trace is None else [dict(entry) for entry in trace]  # plain data, not Keras's tracked lists

    @step_size_trace.setter
    def step_size_trace(self, trace: list[dict[str, Any]] | None) -> None:
        self._settings["step_size_trace"] = _checked_trace(trace, self._settings["depth"])

    @property
    def blocks(self) -> list[LeakyBlock]:
        """The blocks of all paths, in order."""
        return [block for path in self._paths for block in path.blocks]

    @property
    def representations(self) -> keras.Model:
        """A Keras model that shares this one's weights and returns the list `A_0..A_L`, of all paths in order."""
        return keras.Model(self.input, list(self._representations), name=f"{self.name}_representations")

    @property
    def head(self) -> keras.Model:
        """A Keras model that shares this one's weights and maps the last path's `A_L` to the outputs."""
        last = self._representations[-1]
        # An input with a name of its own: Keras walks properties when it saves, and would write a running number.
        inputs = outputs = keras.Input(last.shape[1:], dtype=last.dtype, name="representation")
        for layer in self.layers[self.layers.index(self.blocks[-1]) + 1 :]:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs, name=f"{self.name}_head")

    def loss_function(self) -> keras.losses.Loss:
        """The data term of the objective this net is trained with."""
        return loss_for(self.task, self._settings["output_variance"], self.dtype_policy.variable_dtype)

    def check_targets(self, targets: np.ndarray) -> None:
        """Refuse labels or targets that this network's loss cannot take.

        Raises:
            InvalidInputError: labels that are no integers in `0..classes - 1`, or targets of another width.
        """
        size = self._settings["output_size"]
        if self.task == "classification":
            integers = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)
            if not integers or (len(targets) and (targets.min() < 0 or targets.max() >= size)):
                raise InvalidInputError(
                    f"The network has {size} classes; labels must be integers in 0..{size - 1}. "
                    f"Received: shape={targets.shape}, dtype={targets.dtype}"
                )
        elif self.task == "regression" and targets.size != len(targets) * size:
            raise InvalidInputError(f"The network has {size} outputs. Received: targets of shape {targets.shape}")

    def penalty(self) -> Any:
        """`(mu / 2) sum_l rho_l ||W_l||^2 + (mu_io / 2) (||W_in||^2 + ||W_out||^2)` at full `mu`, as a tensor.

        Summed over the paths, with their schedules' own penalties, if they have any.
        """
        total: Any = 0.0
        for path in self._paths:
            layer = path.step_size_layer
            rho = layer.schedule.step_sizes(ops.convert_to_tensor(layer.values), path.effective_depth)
            own = layer.schedule.penalty(rho)
            total = total if own is None else total + own
            for row, block in enumerate(path.blocks):
                total = total + 0.5 * self._settings["weight_decay"] * rho[row] * block.squared_norm()
        for layer in self.layers:
            for regularizer, weight in (
                (getattr(layer, "kernel_regularizer", None), getattr(layer, "kernel", None)),
                (getattr(layer, "bias_regularizer", None), getattr(layer, "bias", None)),
            ):
                if regularizer is not None and weight is not None:
                    total = total + regularizer(weight)
        return total

    def _aggregate_additional_loss(self, loss: Any) -> Any:
        # Keras sums the compiled loss, which it keeps in floatx, with the penalties, which have the layers' dtype.
        return ops.cast(super()._aggregate_additional_loss(loss), keras.config.floatx())

    def astype(self, dtype: str) -> "LeakyNetwork":
        """The same net with the same weights under another dtype policy.

        Example:
        >>> from leaky_zoo.networks import LeakyMLP
        >>> LeakyMLP((4,), 2, width=3, depth=5).astype("float64").blocks[0].kernel.dtype
        'float64'
        """
        twin = type(self).from_config({**self.get_config(), "dtype": dtype})
        twin.set_weights(self.get_weights())
        return twin

    def with_new_head(
        self, output_size: int | None = None, task: str = "classification", *, freeze_path: bool = False, **changes: Any
    ) -> "LeakyNetwork":
        """A net for a new task: this one's preprocessing, stem, steps and path with a fresh head, for fine-tuning.

        Args:
            output_size: classes or outputs of the new head; None for autoencoding. Default None.
            task: the new task. Default `"classification"`.
            freeze_path: whether stem and blocks stay as they are (`trainable = False`). Default False.
            **changes: other constructor arguments to change, as `class_names`, `weight_decay` or `output_variance`.

        Returns:
            A new network of the same family; this one is left alone.

        Raises:
            InvalidInputError: an argument that the constructor refuses.

        Example:
        >>> from leaky_zoo.networks import LeakyMLP
        >>> net = LeakyMLP((4,), 2, width=8, depth=5)
        >>> tuned = net.with_new_head(3, freeze_path=True)
        >>> tuned.output_shape, len(tuned.trainable_weights)
        ((None, 3), 2)
        """
        config = self.get_config()
        defaults = {"output_mean": 0.0, "output_variance": 1.0, "class_names": None, "dataset": None, "name": None}
        twin = type(self).from_config({**config, **defaults, "output_size": output_size, "task": task, **changes})
        source = {layer.name: layer for layer in self.representations.layers}
        for layer in twin.representations.layers:
            layer.set_weights(source[layer.name].get_weights())
            if freeze_path:
                layer.trainable = False
        return twin

    def get_config(self) -> dict[str, Any]:
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        return {**self._settings, "dtype": policy, "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "LeakyNetwork":
        config = dict(config)
        trainable = config.pop("trainable", True)
        network = cls(**config)
        if not trainable:
            network.trainable = False
        return network


def _normalization(mean: Any, variance: Any, dtype: str, name: str, invert: bool = False) -> keras.layers.Layer:
    axis = None if np.ndim(mean) == 0 and np.ndim(variance) == 0 else -1
    return keras.layers.Normalization(
        axis=axis, mean=_plain(mean), variance=_plain(variance), invert=invert, dtype=dtype, name=name
    )


def _checked_trace(trace: Any, depth: int) -> list[dict[str, Any]] | None:
    if trace is not None and not is_trace(trace, depth):
        raise InvalidInputError(
            f"`step_size_trace` is a list of dicts with `step`, {depth} `step_sizes` and `accepted`, as StepSizeUpdate "
            f"records it. Received: step_size_trace={shown(trace)}"
        )
    return trace or None


def _plain(value: Any) -> Any:
    """Numbers and nested lists of numbers, for a config that JSON can hold."""
    return np.asarray(value, dtype=np.float64).tolist()
