"""The staged family: ResNets as people know them, each stage a leaky path."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import keras
import numpy as np
from pydantic import Field

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.keras_config import largest
from leaky_zoo.layers import LeakyBlock, Schedule, get_schedule
from leaky_zoo.networks.config import Number, Whole
from leaky_zoo.networks.images import ImageConfig, ImageNetwork
from leaky_zoo.networks.network import LayerArguments
from leaky_zoo.networks.parts import head_dropout
from leaky_zoo.networks.paths import PathPlan
from leaky_zoo.networks.tasks import Task

STAGES = 3
MOST_STAGES = 16
PER_STAGE = {"widths": "width", "depths": "depth", "effective_depths": "effective_depth", "schedules": "schedule"}


class ResNetConfig(ImageConfig):
    """The fields of a `LeakyResNet`: those of `ImageConfig`, some with other defaults, and these.

    The stages are as many as the lists have entries, 3 where there is no list; lists are of one length. Where a list
    is given, the single field is that of the first stage.

    Attributes:
        width: channels of the first stage. Default 32.
        depth: blocks of a stage where `depths` does not say. Default 5.
        widths: channels of each stage. Default None: `width`, doubled from stage to stage.
        depths: blocks of each stage. Default None: `depth` each.
        effective_depths: `L~` of each stage. Default None: `effective_depth` each.
        schedules: step-size schedule of each stage. Default None: `schedule` each.
        stem_size: Default 3.
        stem_stride: Default 1.
    """

    width: Annotated[Whole, Field(ge=1)] = 32
    depth: Annotated[Whole, Field(ge=1)] = 5
    widths: Annotated[tuple[Annotated[Whole, Field(ge=1, le=65_536)], ...], Field(min_length=1)] | None = None
    depths: Annotated[tuple[Annotated[Whole, Field(ge=1, le=10_000)], ...], Field(min_length=1)] | None = None
    effective_depths: Annotated[tuple[Annotated[Number, Field(ge=0)], ...], Field(min_length=1)] | None = None
    schedules: Annotated[list[Any], Field(min_length=1)] | None = None
    stem_size: Annotated[Whole, Field(ge=1, le=1024)] = 3
    stem_stride: Annotated[Whole, Field(ge=1, le=1024)] = 1

    def completion(self, task: Task) -> dict[str, Any]:
        lengths = {len(given) for key in PER_STAGE if (given := getattr(self, key)) is not None}
        stages = lengths.pop() if lengths else STAGES
        if lengths or stages > MOST_STAGES:
            given = ", ".join(f"{key}={list(value)}" for key in PER_STAGE if (value := getattr(self, key)) is not None)
            raise InvalidInputError(
                f"The lists have one entry for each stage, at most {MOST_STAGES}. Received: {given}"
            )
        complete: dict[str, Any] = {
            "widths": self.widths or tuple(self.width * 2**stage for stage in range(stages)),
            "depths": self.depths or (self.depth,) * stages,
            "effective_depths": self.effective_depths or (self.effective_depth,) * stages,
            "schedules": [_plain(get_schedule(each)) for each in self.schedules or [self.schedule] * stages],
        }
        for many, one in PER_STAGE.items():
            first = complete[many][0]
            given = _plain(get_schedule(self.schedule)) if one == "schedule" else getattr(self, one)
            if one in self.model_fields_set and given != first:
                raise InvalidInputError(
                    f"`{one}` is that of the first stage where `{many}` says more. "
                    f"Received: {one}={given}, {many}={list(complete[many])}"
                )
            complete[one] = first
        return super().completion(task) | complete

    @property
    def total_depth(self) -> int:
        return sum(self.depths or (self.depth,) * STAGES)

    @property
    def total_stride(self) -> int:
        return self.stem_stride * 2 ** (len(self.widths or ()) - 1)

    def rediscretized(self, depths: Sequence[int], schedules: Sequence[Schedule]) -> dict[str, Any]:
        changed = {"depths": tuple(depths), "schedules": [_plain(schedule) for schedule in schedules]}
        return super().rediscretized(depths, schedules) | changed

    @classmethod
    def least_weights(cls, plain: Mapping[str, Any]) -> int:
        widths, depths = plain.get("widths"), plain.get("depths")
        pairs = zip(widths, depths, strict=False) if isinstance(widths, list) and isinstance(depths, list) else ()
        kernel = largest(plain.get("kernel_size", 3))
        return sum(largest(depth) * largest(width) ** 2 * kernel for width, depth in pairs)


class LeakyResNet(ImageNetwork):
    """A staged Leaky ResNet on images or signals: stem, stages joined by strided transitions, global average, head.

    Each stage is a leaky path with its own width, depth, effective depth and step sizes. A transition is a ReLU and a
    convolution of size 3 and stride 2; the head a ReLU, the global average and a dense layer (of an autoencoder: a
    ReLU and one transposed convolution back to the sample). There are no normalisation layers: blocks are initialised
    by `LeakyVariance`, the other layers so that the variance stays as it is, what a stage lets it grow undone (He et
    al. 2015 behind a ReLU, LeCun et al. 1998 elsewhere). This project.

    Args:
        input_shape: `(height, width, channels)` of an image, or `(length, channels)` of a signal; the channels first
            with `"channels_first"`.
        output_size: as `LeakyNetwork`.
        **fields: as `LeakyNetwork`, and `widths`, `depths`, `effective_depths`, `schedules`, `kernel_size`,
            `stem_size`, `stem_stride`, `data_format` of `ResNetConfig`.

    Raises:
        TypeError, InvalidInputError: as `LeakyNetwork`, lists of several lengths, or a shape that is no image and no
            signal.

    Example:
    >>> import numpy as np
    >>> net = LeakyResNet((8, 8, 3), 10, widths=(4, 8), depths=(2, 3), effective_depth=1.0, data_format="channels_last")
    >>> net.predict(np.zeros((2, 8, 8, 3)), verbose=0).shape
    (2, 10)
    >>> [(path.name, path.depth, path.width) for path in net.paths]
    [('stage_1_path', 2, 4), ('stage_2_path', 3, 8)]
    """

    family = "resnet"
    config_class = ResNetConfig
    config: ResNetConfig

    @classmethod
    def suggestions(cls, samples: int) -> dict[str, tuple[object, str]]:
        return super().suggestions(samples) | {
            "width": (32 if samples > 10_000 else 16, f"of the first stage, for {samples:,} samples")
        }

    def _plans(self, schedule: Schedule) -> list[PathPlan]:
        config = self.config
        fields = zip(config.depths or (), config.effective_depths or (), config.schedules or (), strict=True)
        return [
            PathPlan(depth, effective_depth, get_schedule(own), f"stage_{number}_")
            for number, (depth, effective_depth, own) in enumerate(fields, start=1)
        ]

    def _stem(self, inputs: Any, arguments: LayerArguments) -> Any:
        size, stride = self.config.stem_size, self.config.stem_stride
        return self._convolution(0, size, stride, "stem", 1.0, arguments)(inputs)

    def _transition(self, inputs: Any, place: int, arguments: LayerArguments) -> Any:
        name = f"transition_{place}"
        outputs = keras.layers.ReLU(dtype=arguments.dtype, name=f"{name}_relu")(inputs)
        return self._convolution(place, 3, 2, name, 2.0 / self._growth(place - 1), arguments)(outputs)

    def _block(self, **arguments: Any) -> LeakyBlock:
        return super()._block(count_padding=False, **arguments)

    def _convolution(
        self, stage: int, size: int, stride: int, name: str, gain: float, arguments: LayerArguments
    ) -> keras.layers.Layer:
        return self.layer(
            "Conv",
            (self.config.widths or ())[stage],
            size,
            strides=stride,
            padding="same",
            kernel_initializer=_initializer(gain),
            dtype=arguments.dtype,
            name=name,
            **arguments.penalty,
        )

    def _growth(self, stage: int) -> float:
        """By how much the blocks' initialiser lets the variance of a stage grow: up to e, where it hardly leaks."""
        plan = self._plans(get_schedule(self.config.schedule))[stage]
        steps = plan.schedule.start(plan.depth, plan.effective_depth)
        kept = (1 - steps * plan.effective_depth) ** 2
        return float(np.prod(kept + np.maximum(1 - kept, steps)))

    def _head(self, inputs: Any, arguments: LayerArguments) -> Any:
        outputs = keras.layers.ReLU(dtype=arguments.dtype, name="head_relu")(inputs)
        if self.task.from_inputs:
            return self.image_head(outputs, arguments)
        outputs = self.layer("GlobalAveragePooling", dtype=arguments.dtype, name="head_mean")(outputs)
        outputs = head_dropout(outputs, self.config.head_dropout, arguments.dtype)
        return keras.layers.Dense(
            self.config.output_size,
            kernel_initializer=_initializer(1.0 / self._growth(len(self.config.widths or ()) - 1)),
            dtype=arguments.exact,
            name="head",
            **arguments.penalty,
        )(outputs)


def _initializer(gain: float) -> keras.initializers.Initializer:
    """Variance `gain / fan_in`; behind a ReLU, 2 keeps the second moment as it is."""
    return keras.initializers.VarianceScaling(gain, mode="fan_in", distribution="truncated_normal")


def _plain(schedule: Schedule) -> dict[str, Any]:
    return {"name": schedule.name, **schedule.get_config()}
