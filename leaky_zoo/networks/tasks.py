"""The tasks: what a network is asked for, its loss, targets, metrics and the name of its output; one entry each.

No Keras until a loss or a metric is asked for: recipes and data sets know their task by these entries too.
"""

import math
from typing import Any

import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown

TASKS: dict[str, "Task"] = {}


class Task:
    """A task by its name; what is here holds for targets that are numbers, with a squared error in their units.

    A subclass with a `name` is known everywhere once it is defined.

    Attributes:
        name: the word in recipes, configurations and metadata.
        output_name: of the output in an ONNX file.
        output_words: what the output is.
        labels: whether targets are class labels `0..c - 1` and outputs one logit for each class.
        from_inputs: whether the targets are the inputs themselves, so that none have to be given.
        standardizes: whether targets have a mean and a variance of their own, `output_mean` and `output_variance`.

    Example:
    >>> TASKS["classification"].output_name, TASKS["autoencoding"].from_inputs
    ('logits', True)
    """

    name: str = ""
    output_name: str = "outputs"
    output_words: str = "whatever the Keras model gives"
    labels: bool = False
    from_inputs: bool = False
    standardizes: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            TASKS[cls.name] = cls()

    def loss(self, output_variance: Any = 1.0, dtype: str = "float32") -> Any:
        """The Keras loss, the data term `C` of the objective, computed in `dtype`; one value for each sample."""
        from leaky_zoo.networks.losses import StandardizedMeanSquaredError

        return StandardizedMeanSquaredError(output_variance, dtype=dtype)

    def keras_metrics(self) -> list[Any]:
        """Keras metrics watched beside the loss, named as in `values`. Default: none."""
        return []

    def values(self, targets: Any, outputs: Any) -> dict[str, Any]:
        """Metrics beside the loss, by name, as a tensor with one value for each sample. Default: none."""
        return {}

    def output_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Check and complete a configuration's `output_size`, `output_mean` and `output_variance`.

        Args:
            fields: of a `NetworkConfig`, by name.

        Returns:
            The fields that change.

        Raises:
            InvalidInputError: outputs that this task does not have.
        """
        if fields["output_size"] is None:
            raise InvalidInputError(f"{self.name} needs `output_size` >= 1. Received: output_size=None")
        return {}

    def targets(self, x: np.ndarray, y: np.ndarray | None) -> Any:
        """What the network is asked to output for raw inputs `x` of a data set whose targets are `y`."""
        return y

    def check_targets(self, targets: np.ndarray, size: int | None) -> None:
        """Refuse targets that a network of `size` outputs (None: as many as inputs) cannot take.

        Raises:
            InvalidInputError: labels that are no integers in `0..size - 1`, or targets of another width.
        """
        if targets.size != len(targets) * (size or 0):
            raise InvalidInputError(f"The network has {size} outputs. Received: targets of shape {targets.shape}")

    def size_of(self, targets: np.ndarray) -> int:
        """Outputs that these targets of a data set need."""
        return math.prod(targets.shape[1:])

    def prepared(self, targets: np.ndarray) -> np.ndarray:
        """A user's targets as a data set holds them. Default: a float32 row for each sample."""
        return targets.reshape(len(targets), -1).astype(np.float32)

    def sampled_targets(self, outputs: np.ndarray, output_variance: Any, random: np.random.Generator) -> np.ndarray:
        """Targets drawn from the model. Default: Gaussian with the variance that the squared error implies."""
        size = math.prod(outputs.shape[1:])
        deviation = np.sqrt(size * np.asarray(output_variance) / 2)
        return outputs + deviation * random.standard_normal(outputs.shape)

    def output_curvature(self, outputs: np.ndarray) -> float:
        """Mean second derivative of the loss along one normalised output."""
        return 2 / math.prod(outputs.shape[1:])


class Regression(Task):
    """Numbers in their own units."""

    name = "regression"
    output_name = "predictions"
    output_words = "predictions in the units of the targets"
    standardizes = True


class Autoencoding(Task):
    """The inputs themselves, in their own units."""

    name = "autoencoding"
    output_name = "reconstruction"
    output_words = "reconstruction in the units of the inputs"
    from_inputs = True

    def output_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        size = math.prod(fields["input_shape"])
        if fields["output_size"] not in (None, size):
            raise InvalidInputError(
                f"An autoencoder's output has the size of its input, {size}; leave `output_size` out. "
                f"Received: output_size={fields['output_size']}"
            )
        statistics = {"output_mean": fields["input_mean"], "output_variance": fields["input_variance"]}
        return {"output_size": None, **statistics}

    def targets(self, x: np.ndarray, y: np.ndarray | None) -> Any:
        return x.astype(np.float32)

    def check_targets(self, targets: np.ndarray, size: int | None) -> None:
        """Its targets are its inputs, whose shape is checked with them."""


class Classification(Task):
    """Labels, by logits."""

    name = "classification"
    output_name = "logits"
    output_words = "logits, one for each class"
    labels = True

    def loss(self, output_variance: Any = 1.0, dtype: str = "float32") -> Any:
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)

    def keras_metrics(self) -> list[Any]:
        import keras

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def values(self, targets: Any, outputs: Any) -> dict[str, Any]:
        from keras import ops

        return {"accuracy": ops.equal(ops.cast(targets, "int64"), ops.cast(ops.argmax(outputs, axis=-1), "int64"))}

    def output_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        if np.any(np.asarray(fields["output_mean"]) != 0) or np.any(np.asarray(fields["output_variance"]) != 1):
            raise InvalidInputError(
                f"Logits have no units: leave `output_mean` and `output_variance` out. Received: "
                f"output_mean={shown(fields['output_mean'])}, output_variance={shown(fields['output_variance'])}"
            )
        return super().output_fields(fields)

    def check_targets(self, targets: np.ndarray, size: int | None) -> None:
        size = size or 0
        integers = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)
        if not integers or (len(targets) and (targets.min() < 0 or targets.max() >= size)):
            found = f"{targets.min()} to {targets.max()}, " if integers else ""
            texts = targets.dtype.kind in "USO"
            advice = " Names are read by `load_data((x, y), classes=net.config.class_names)`." if texts else ""
            raise InvalidInputError(
                f"The network has {size} classes; labels must be integers in 0..{size - 1}.{advice} "
                f"Received: {found}shape={targets.shape}, dtype={targets.dtype}"
            )

    def size_of(self, targets: np.ndarray) -> int:
        return 1 + int(targets.max())

    def prepared(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def sampled_targets(self, outputs: np.ndarray, output_variance: Any, random: np.random.Generator) -> np.ndarray:
        return np.argmax(outputs + random.gumbel(size=outputs.shape), axis=-1)

    def output_curvature(self, outputs: np.ndarray) -> float:
        shifted = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        shares = shifted / shifted.sum(axis=-1, keepdims=True)
        return float(np.mean(shares * (1 - shares)))


def get_task(name: Any) -> Task:
    """The task of this name.

    Raises:
        InvalidInputError: there is none.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise InvalidInputError(f"`task` must be one of {', '.join(TASKS)}. Received: task={shown(name)}")
    return TASKS[name]


def task_of_targets(targets: np.ndarray) -> Task:
    """The task that a user's targets set: integers in one dimension are labels, all else are numbers."""
    return TASKS["classification" if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer) else "regression"]
