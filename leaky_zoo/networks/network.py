"""What every Leaky ResNet shares: preprocessing, a stem, leaky paths with a step-size vector each, a head."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.arguments import check_names, switch
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.keras_config import LEAST_WEIGHTS
from leaky_zoo.layers import HeadDropout, LeakyBlock, Schedule, get_schedule
from leaky_zoo.networks.config import NetworkConfig
from leaky_zoo.networks.ends import describe_input, describe_output
from leaky_zoo.networks.families import register_family
from leaky_zoo.networks.keras_calls import KerasCalls
from leaky_zoo.networks.layer_changes import apply_layer_changes, as_built, changes_entry, changes_of, quantizing
from leaky_zoo.networks.losses import layer_penalty
from leaky_zoo.networks.parts import normalization
from leaky_zoo.networks.paths import LeakyPath, PathPlan, make_path
from leaky_zoo.networks.tasks import Task, get_task


@dataclass(frozen=True)
class LayerArguments:
    """What a family's stem and head give the layers they make.

    Attributes:
        dtype: the network's dtype policy.
        exact: dtype of preprocessing and outputs, the variable dtype: raw pixels in bfloat16 would have three digits.
        penalty: `kernel_regularizer` and `bias_regularizer`, for `mu_io`.
    """

    dtype: Any
    exact: str
    penalty: dict[str, Any]


class LeakyNetwork(KerasCalls):
    """Base of `LeakyMLP` and `LeakyConvNet`: functional models from raw inputs to raw outputs.

    A family is a subclass with a name, `family`, its fields, `config_class`, and three methods: `_stem`, `_block` and
    `_head`; defining it makes it known to recipes and saved models. One with several paths gives `_plans` and
    `_transition` too. The config carries the task, `mu`, `mu_io` and the training data, so that a saved model can be
    audited.

    Args:
        input_shape: shape of one raw sample, without the batch.
        output_size: classes, or outputs of a regression. None for autoencoding. Default None.
        dtype: Keras dtype policy: `"float32"`, `"mixed_bfloat16"`, `"float64"`, ... Default None: the global one.
        name: model name. Default None.
        **fields: the others of `NetworkConfig` (and of the family's own config): `task`, `width`, `depth`,
            `effective_depth`, `schedule`, `weight_decay`, ...

    Attributes:
        config: the fields, complete and checked; a `NetworkConfig`.
        as_built: name and dtype policy that each layer had at first.

    Raises:
        TypeError: an argument that does not exist; the message names the nearest one.
        InvalidInputError: an argument is out of its range; the message says what is accepted.
    """

    family: str = ""
    config_class: type[NetworkConfig] = NetworkConfig
    config: NetworkConfig

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__signature__ = cls.config_class.signature()  # type: ignore[attr-defined]
        LEAST_WEIGHTS[cls.__name__] = cls.config_class.least_weights
        if "family" in cls.__dict__:
            register_family(cls)
            keras.saving.register_keras_serializable(package=cls.__module__.partition(".")[0])(cls)

    def __init__(
        self,
        input_shape: Any,
        output_size: int | None = None,
        *,
        dtype: Any = None,
        name: str | None = None,
        **fields: Any,
    ) -> None:
        fields |= {"input_shape": input_shape, "output_size": output_size}
        config = self.config_class.read(fields, type(self).__name__)
        schedule = get_schedule(config.schedule)
        whole = {"name": schedule.name, **schedule.get_config()}
        self.config = config = config.model_copy(update={"schedule": whole})
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        decay = config.io_weight_decay
        regularizers = (f"{kind}_regularizer" for kind in ("kernel", "bias"))
        penalty = {kind: keras.regularizers.L2(decay / 2) if decay else None for kind in regularizers}
        arguments = LayerArguments(policy, policy.variable_dtype, penalty)
        inputs = keras.Input(config.input_shape, dtype=arguments.exact, name="inputs")
        before = current = inputs
        normalized = normalization(config.input_mean, config.input_variance, arguments.exact, "normalize")(inputs)
        common = {"weight_decay": config.weight_decay, "use_bias": config.use_bias, "dtype": policy}
        paths, representations = [], []
        for place, plan in enumerate(self._plans(schedule)):
            first = self._transition(current, place, arguments) if place else self._stem(normalized, arguments)
            path = make_path(plan, before, first, inputs, self._block, common)
            paths.append(path)
            representations += path.representations
            before = current = representations[-1]
        outputs = self._head(current, arguments)
        shifted = np.any(np.asarray(config.output_mean) != 0) or np.any(np.asarray(config.output_variance) != 1)
        if shifted:
            statistics = config.output_mean, config.output_variance, arguments.exact
            outputs = normalization(*statistics, "denormalize", invert=True)(outputs)
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.dtype_policy = policy
        self._representations, self._paths = representations, tuple(paths)
        self.as_built = as_built(self.layers)

    def _plans(self, schedule: Schedule) -> list[PathPlan]:
        """The paths, first to last. Default: one, as the configuration has it."""
        return [PathPlan(self.config.depth, self.config.effective_depth, schedule)]

    def _stem(self, inputs: Any, arguments: LayerArguments) -> Any:
        """`A_0` of the first path from normalised inputs."""
        raise NotImplementedError(f"{type(self).__name__} must define _stem.")

    def _transition(self, inputs: Any, place: int, arguments: LayerArguments) -> Any:
        """`A_0` of the path at `place` (1, 2, ..) from the `A_L` of the one before it."""
        raise NotImplementedError(f"{type(self).__name__} has several paths and must define _transition.")

    def _block(self, **arguments: Any) -> LeakyBlock:
        """One block of a path, with these arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define _block.")

    def _head(self, inputs: Any, arguments: LayerArguments) -> Any:
        """Outputs (normalised units) from the last path's `A_L`."""
        raise NotImplementedError(f"{type(self).__name__} must define _head.")

    @classmethod
    def takes(cls, input_shape: tuple[int, ...]) -> bool:
        """Whether the family is for samples of this shape. Default: any."""
        return True

    @classmethod
    def suggestions(cls, samples: int) -> dict[str, tuple[object, str]]:
        """Fields of a recipe's network to start from for so many samples, each as `(value, why)`."""
        return {
            "width": (64, "a place to start from"),
            "schedule": ("equidistant", "schedules were not compared on this family"),
        }

    @property
    def task(self) -> Task:
        """What the network is asked for."""
        return get_task(self.config.task)

    @property
    def input_description(self) -> dict[str, Any]:
        """What goes in: `name`, `shape`, `dtype`, `words`, and `range` and `feature_names` where they are known."""
        return describe_input(self.config, self.inputs[0].dtype)

    @property
    def output_description(self) -> dict[str, Any]:
        """What comes out: `name`, `shape`, `dtype`, `words`, and `class_names` where there are any."""
        return describe_output(self.config, self.outputs[0].dtype)

    @property
    def effective_depth(self) -> float:
        """`L~` as the configuration has it."""
        return self.config.effective_depth

    @property
    def paths(self) -> list[LeakyPath]:
        """The leaky paths, from the inputs to the outputs; one in a `LeakyMLP` or `LeakyConvNet`."""
        return list(self._paths)

    @property
    def step_size_trace(self) -> list[dict[str, Any]] | None:
        """How training moved the step sizes, as `config.step_size_trace`; None where nothing was recorded."""
        return self.config.step_size_trace

    @step_size_trace.setter
    def step_size_trace(self, trace: list[dict[str, Any]] | None) -> None:
        config = self.config.model_copy(update={"step_size_trace": trace or None})
        config.check(self.task)
        self.config = config

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

    @property
    def dropout(self) -> HeadDropout | None:
        """The head's dropout, if there is one."""
        return next((layer for layer in self.layers if isinstance(layer, HeadDropout)), None)

    def penalty(self) -> Any:
        """`(mu / 2) sum_l rho_l ||W_l||^2 + (mu_io / 2) (||W_in||^2 + ||W_out||^2)` at full `mu`, as a tensor.

        Summed over the paths, with their schedules' own penalties, if they have any.
        """
        return sum((path.penalty(self.config.weight_decay) for path in self._paths), layer_penalty(self.layers))

    def _aggregate_additional_loss(self, loss: Any) -> Any:
        # Keras sums the compiled loss, which it keeps in floatx, with the penalties, which have the layers' dtype.
        return ops.cast(super()._aggregate_additional_loss(loss), keras.config.floatx())

    def astype(self, dtype: str) -> "LeakyNetwork":
        """The same net with the same weights under another dtype policy; layers stay frozen, renamed or quantised.

        Example:
        >>> from leaky_zoo.networks import LeakyMLP
        >>> LeakyMLP((4,), 2, width=3, depth=5).astype("float64").blocks[0].kernel.dtype
        'float64'
        """
        config = {**self.get_config(), "dtype": dtype}
        for change in config.get("layers", {}).values():
            change.pop("dtype", None)
        twin = type(self).from_config(config)
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
            TypeError: an argument that does not exist; the message names the nearest one.
            InvalidInputError: an argument that the constructor refuses.

        Example:
        >>> from leaky_zoo.networks import LeakyMLP
        >>> net = LeakyMLP((4,), 2, width=8, depth=5)
        >>> tuned = net.with_new_head(3, freeze_path=True)
        >>> tuned.output_shape, len(tuned.trainable_weights)
        ((None, 3), 2)
        """
        freeze_path = switch("freeze_path", freeze_path)
        check_names(changes, ["freeze_path", "dtype", "name", *self.config_class.model_fields], "with_new_head")
        config = self.get_config()
        config["layers"] = changes_of(self, self.representations.layers)
        defaults = {"output_mean": 0.0, "output_variance": 1.0, "class_names": None, "dataset": None, "name": None}
        twin = type(self).from_config({**config, **defaults, "output_size": output_size, "task": task, **changes})
        source = {layer.name: layer for layer in self.representations.layers}
        for layer in twin.representations.layers:
            layer.set_weights(source[layer.name].get_weights())
            if freeze_path:
                layer.trainable = False
        return twin

    def quantize(self, mode: Any = None, config: Any = None, **kwargs: Any) -> None:
        """Quantise stem and head, not the blocks, as Keras does; by "int8", "int4" or "float8" only."""
        chosen = mode or getattr(config, "mode", None)
        if chosen == "float8" and (lora := [each.name for each in self.layers if getattr(each, "lora_enabled", False)]):
            raise InvalidInputError(
                f"Keras cannot save a float8 layer with LoRA: take int8 or int4. Received: {lora[0]}, mode=float8"
            )
        with quantizing(chosen):
            super().quantize(mode, config=config, **kwargs)

    def get_config(self) -> dict[str, Any]:
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        config = {**self.config.model_dump(mode="json"), "dtype": policy, "name": self.name}
        return {**config, "trainable": self.trainable, **changes_entry(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "LeakyNetwork":
        config = dict(config)
        trainable, changes = config.pop("trainable", True), config.pop("layers", {})
        network = cls(**config)
        if not trainable:
            network.trainable = False
        apply_layer_changes(network.layers, changes)
        return network
