"""What builds a network and travels in its configuration: typed fields with their ranges. No Keras."""

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    WrapValidator,
    create_model,
)

from leaky_zoo.arguments import check_names
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.keras_config import largest
from leaky_zoo.io.reading import shown
from leaky_zoo.networks.tasks import Task, get_task
from leaky_zoo.runtime.input_range import checked_span


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not (isinstance(value, Integral | Real) and float(value).is_integer()):
        raise ValueError("must be a whole number")
    return int(value) if isinstance(value, Integral) else int(float(value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("must be a number")
    return float(value)


def _plain(value: Any) -> Any:
    """Numbers and nested lists of numbers, which JSON can hold."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError("must be a finite number, or one for each feature")
    return array.astype(np.float64).tolist()


def _or_none(value: Any, inner: Any) -> Any:
    return None if value is None else inner(value)


Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Numbers = Annotated[Any, BeforeValidator(_plain)]
Span = Annotated[Any, BeforeValidator(checked_span)]


class NetworkConfig(BaseModel):
    """The fields that every family has. A family's own subclass adds its fields; `read` makes one.

    Attributes:
        input_shape: shape of one raw sample, without the batch.
        output_size: classes, or outputs of a regression. None for autoencoding. Default None.
        task: `"classification"` (outputs logits), `"regression"` or `"autoencoding"` (outputs in raw units).
            Default `"classification"`.
        width: width of the path (channels, for a convolution), at least 1. Default 64.
        depth: number of blocks `L`, at least 1. Default 15.
        effective_depth: `L~ >= 0`. Default 3.0.
        schedule: step-size schedule: a name, a dict or a `Schedule`; in a network's configuration its complete dict.
            Default `"equidistant"`.
        weight_decay: `mu >= 0`. Default 0.
        io_weight_decay: `mu_io >= 0` on stem and head, biases included. Default None: equal to `mu`.
        use_bias: whether the blocks have biases. Default True.
        head_dropout: fraction of the head's last features dropped while training, in [0, 1). Default 0.
        input_mean: subtracted from raw inputs; a number, or one for each feature of the last axis. Default 0.0.
        input_variance: raw inputs are divided by its square root. Default 1.0.
        output_mean: added to outputs (regression). Default 0.0.
        output_variance: outputs are multiplied by its square root, the loss divided by it. Default 1.0.
        class_names: names of the classes, in order. Default None.
        input_range: `[least, most]` of the raw training inputs, two numbers or, of a table, two lists with one number
            for each feature; inputs far outside are warned of. Default None: not known.
        feature_names: names of a table's features, in order. Default None.
        dataset: what the net was trained on, as `{"name", "split"}`, and the split's `sha256` (`data.content_sha256`).
            Default None.
        step_size_trace: how training moved the step sizes: one dict for each update, with `step`, `step_sizes`,
            `output_change` and `accepted`, as `leaky_zoo.training.StepSizeUpdate` records it. Default None: nothing.

    Example:
    >>> NetworkConfig.read({"input_shape": (4,), "output_size": 3, "weight_decay": 1e-3}).io_weight_decay
    0.001
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input_shape: Annotated[tuple[Annotated[Whole, Field(ge=1)], ...], Field(min_length=1)]
    output_size: Annotated[Whole, Field(ge=1)] | None = None
    task: str = "classification"
    width: Annotated[Whole, Field(ge=1)] = 64
    depth: Annotated[Whole, Field(ge=1)] = 15
    effective_depth: Annotated[Number, Field(ge=0)] = 3.0
    schedule: Any = "equidistant"
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    io_weight_decay: Annotated[float, BeforeValidator(_number), Field(ge=0), WrapValidator(_or_none)] = None  # type: ignore[assignment]
    use_bias: StrictBool = True
    head_dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    input_mean: Numbers = 0.0
    input_variance: Numbers = 1.0
    output_mean: Numbers = 0.0
    output_variance: Numbers = 1.0
    class_names: list[str] | None = None
    input_range: Span = None
    feature_names: list[str] | None = None
    dataset: dict[str, Any] | None = None
    step_size_trace: list[dict[str, Any]] | None = None

    @classmethod
    def read(cls, arguments: Mapping[str, Any], owner: str = "The configuration") -> Self:
        """A complete configuration from a constructor's arguments.

        Args:
            arguments: fields by name.
            owner: who is said to take them. Default "The configuration".

        Raises:
            TypeError: an argument that is no field; the message names the nearest one.
            InvalidInputError: a field out of its range; the message says what is accepted.
        """
        check_names(arguments, cls.model_fields, owner)
        try:
            config = cls.model_validate(dict(arguments))
        except ValidationError as error:
            raise InvalidInputError(_words(error)) from error
        task = get_task(config.task)
        config = config.model_copy(update=config.completion(task))
        config.check(task)
        return config

    def completion(self, task: Task) -> dict[str, Any]:
        """Fields whose value follows from others where it was left out; a family with more of them extends it."""
        changes = task.output_fields(dict(self))
        return changes if self.io_weight_decay is not None else changes | {"io_weight_decay": self.weight_decay}

    def check(self, task: Task) -> None:
        """What no field can say alone; a family with more to say extends it.

        Raises:
            InvalidInputError: fields that do not go together.
        """
        names, size = self.class_names, self.output_size
        if names is not None and (not task.labels or len(names) != size):
            raise InvalidInputError(
                f"`class_names` are one for each of a classifier's {size} outputs. Received: "
                f"class_names={shown(names)}, task={self.task!r}"
            )
        ends = {"input": self.input_shape[-1], "output": self.output_size or self.input_shape[-1]}
        for end, size in ends.items():
            for key in (f"{end}_mean", f"{end}_variance"):
                if np.shape(getattr(self, key)) not in ((), (size,)):
                    raise InvalidInputError(
                        f"`{key}` is a number, or {size}, one for each feature of the last axis. "
                        f"Received: {key}={shown(getattr(self, key))}"
                    )
        if self.input_range is not None and np.shape(self.input_range[0]) not in ((), self.input_shape[-1:]):
            raise InvalidInputError(
                f"`input_range` has two numbers, or two lists of {self.input_shape[-1]}, one for each feature of the "
                f"last axis. Received: input_range={shown(self.input_range)}"
            )
        if self.feature_names is not None and (len(self.feature_names),) != self.input_shape:
            raise InvalidInputError(
                f"`feature_names` are one for each feature of a table; samples have the shape {self.input_shape}. "
                f"Received: feature_names={shown(self.feature_names)}"
            )
        if self.step_size_trace is not None and not is_trace(self.step_size_trace, self.total_depth):
            raise InvalidInputError(
                f"`step_size_trace` is a list of dicts with `step`, {self.total_depth} `step_sizes` and `accepted`, as "
                f"StepSizeUpdate records it. Received: step_size_trace={shown(self.step_size_trace)}"
            )

    @property
    def total_depth(self) -> int:
        """Steps of all paths together."""
        return self.depth

    def rediscretized(self, depths: Sequence[int], schedules: Sequence[Any]) -> dict[str, Any]:
        """The fields that change where each path gets another number of steps and a schedule for them."""
        return {"depth": depths[0], "schedule": schedules[0], "step_size_trace": None}

    @property
    def width_axis(self) -> int | None:
        """The axis of a batch from left to right where samples are images; None where they are not."""
        return 2 if len(self.input_shape) == 3 else None

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a net that is no classifier."""
        return (self.output_size or 0) if get_task(self.task).labels else 0

    @classmethod
    def signature(cls) -> inspect.Signature:
        """The signature of a constructor that takes these fields, `dtype` and `name`."""
        by_place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        by_name = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(
                key,
                by_place if key in ("input_shape", "output_size") else by_name,
                default=inspect.Parameter.empty if field.is_required() else field.default,
            )
            for key, field in cls.model_fields.items()
        ]
        more = [inspect.Parameter(key, by_name, default=None) for key in ("dtype", "name")]
        return inspect.Signature([*parameters, *more])

    @classmethod
    def family_fields(cls) -> type[BaseModel]:
        """A model of the fields that this family adds, to check a recipe's with."""
        own = {key: field for key, field in cls.model_fields.items() if key not in NetworkConfig.model_fields}
        # Rebuilt from annotation and default: pydantic keeps the constraints of a field in its metadata.
        fields: Any = {
            key: (Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation, field.default)
            for key, field in own.items()
        }
        return create_model("FamilyFields", __config__=cls.model_config, **fields)

    @classmethod
    def least_weights(cls, plain: Mapping[str, Any]) -> int:
        """Numbers that a network of this family has at least; from plain data that may be anything, unchecked.

        A file that holds fewer is refused before memory is asked for.
        """
        return largest(plain.get("depth", 1)) * largest(plain.get("width", 1)) ** 2


def is_trace(value: Any, depth: int) -> bool:
    """Whether plain data are a trace of step sizes: updates with `step`, `step_sizes` of every layer, `accepted`.

    Example:
    >>> is_trace([{"step": 200, "step_sizes": [0.5, 0.5], "output_change": None, "accepted": True}], depth=2)
    True
    """
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("step"), int)
        and isinstance(entry.get("accepted"), bool)
        and isinstance(sizes := entry.get("step_sizes"), list)
        and len(sizes) == depth
        and all(isinstance(size, int | float) for size in sizes)
        for entry in value
    )


def _words(error: ValidationError, most: int = 5) -> str:
    """What pydantic found wrong, as our messages say it."""
    words = []
    for problem in error.errors(include_url=False)[:most]:
        name = str(problem["loc"][0])
        what = problem["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
        words.append(f"`{name}` {what}. Received: {name}={shown(problem['input'])}")
    return " ".join(words)
