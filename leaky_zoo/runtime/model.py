"""Running an exported file. Needs numpy and onnxruntime: no TensorFlow, no Keras, no onnx."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from leaky_zoo.arguments import naming_the_nearest, whole
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown
from leaky_zoo.runtime.input_range import RangeWatch
from leaky_zoo.runtime.inputs import inputs_of, named_samples
from leaky_zoo.runtime.metadata import PREFIX, parse_properties
from leaky_zoo.runtime.onnx_file import existing_file, first_line
from leaky_zoo.runtime.probabilities import softmax
from leaky_zoo.runtime.session import RUNTIME_ERRORS, open_session, run_options


def load(
    path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    providers: Sequence[Any] = ("CPUExecutionProvider",),
) -> "OnnxModel":
    """Open an exported file.

    Args:
        path: as `OnnxModel`.
        threads: as `OnnxModel`.
        providers: as `OnnxModel`.

    Returns:
        The model.

    Raises:
        InvalidInputError: as `OnnxModel`.

    Example:
    >>> load("digits.onnx").predict_probabilities(images).shape  # doctest: +SKIP
    (3, 10)
    """
    return OnnxModel(path, threads=threads, providers=providers)


class OnnxModel:
    """An exported network: raw inputs in, outputs and labels out, and what the file says about itself.

    Several threads may use one model at once: nothing changes after it is made. The first inputs that are far outside
    the range of the training data, where the file states one, are warned of (`InputRangeWarning`).

    Args:
        path: an `.onnx` file that `export_onnx` wrote.
        threads: threads of one operator, at least 1. Default None: ONNX Runtime's choice.
        providers: ONNX Runtime's execution providers, in order of preference. Default: the CPU.

    Attributes:
        metadata: as `inspect_onnx`: `{full key: value}`, JSON parsed.
        audit: the bottleneck analysis the file carries, as `Audit.to_dict` gives it; None if it carries none.
        audit_summary: a summary of the audit (`leaky_zoo.runtime.summary`), which small files carry in its place; None
            if it carries none.
        class_names: names of the classes, in order; None if it carries none.
        task: `"classification"`, `"regression"`, `"autoencoding"`, or None for a foreign model.
        temperature: what logits are divided by for probabilities; 1 if the file does not say.
        input_shapes: shape of one raw sample, by the name of the input.
        input_description: `{"name", "shape", "dtype", "words"}` of what goes in, with `range` and `feature_names`
            where the file states them; of several inputs the first.
        output_description: the same of what comes out, with `class_names` where there are any.

    Raises:
        InvalidInputError: no such file, or one that ONNX Runtime cannot load.

    Example:
    >>> model = OnnxModel("digits.onnx")  # doctest: +SKIP
    >>> model.predict_labels(images)  # doctest: +SKIP
    ['7', '2', '1']
    """

    @naming_the_nearest
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        providers: Sequence[Any] = ("CPUExecutionProvider",),
    ) -> None:
        path = self._path = existing_file(path)
        threads = None if threads is None else whole("threads", threads, least=1)
        try:
            self._session = open_session(str(path), threads, providers)
            self._inputs = inputs_of(self._session.get_inputs(), path)
            self._outputs = [(value.name, list(value.shape), value.type) for value in self._session.get_outputs()]
            properties = self._session.get_modelmeta().custom_metadata_map
        except RUNTIME_ERRORS as error:
            raise InvalidInputError(f"{path} cannot be loaded: {first_line(error)}") from error
        self.metadata = parse_properties(properties)
        self.audit: dict[str, Any] | None = self._carried("audit", dict)
        self.audit_summary: dict[str, Any] | None = self._carried("audit_summary", dict)
        self.class_names: list[str] | None = self._carried("class_names", list)
        self.task: str | None = self._carried("task", str)
        reference = self._carried("reference", dict) or {}
        names = [name for name, _, _ in self._outputs]
        self._watched: str | None = reference["output"] if reference.get("output") in names else None
        self.temperature = self._temperature()
        self.input_shapes = {each.name: each.shape for each in self._inputs}
        self.input_description = self._description("input", self._inputs[0].name, ["batch", *self._inputs[0].shape])
        self.output_description = self._description("output", *self._outputs[0][:2])
        if self.class_names is not None:
            self.output_description["class_names"] = self.class_names
        self._watch = RangeWatch.of(self.input_description)

    @property
    def input_shape(self) -> tuple[Any, ...]:
        """Shape of one raw sample of the one input.

        Raises:
            InvalidInputError: the file has several.
        """
        if len(self._inputs) != 1:
            raise InvalidInputError(
                f"{self._path} has {len(self._inputs)} inputs, not one; `input_shapes` has the shapes of "
                f"{', '.join(self.input_shapes)}."
            )
        return self._inputs[0].shape

    @property
    def providers(self) -> list[str]:
        """ONNX Runtime's execution providers in use, in order of preference."""
        return self._session.get_providers()

    def predict(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Compute the outputs for raw inputs.

        Args:
            x: raw samples, shape `(n, *input_shape)`, n at least 1, any real dtype (computed in float32); for several
                inputs a dict by name, or a tuple in their order.
            batch_size: samples per run, at least 1. Default 256.

        Returns:
            float32, shape `(n, *output_shape)`: logits, predictions or reconstructions; of several outputs the first.

        Raises:
            InvalidInputError: names or shapes do not fit, or values are not real numbers, in files of ours finite ones.
        """
        return self._run([self._outputs[0][0]], x, batch_size)[0]

    def predict_by_name(self, x: Any, batch_size: int = 256) -> dict[str, np.ndarray]:
        """Compute all outputs of the file.

        Args:
            x: as `predict`.
            batch_size: as `predict`.

        Returns:
            Each output under its name.

        Raises:
            InvalidInputError: as `predict`.
        """
        names = [name for name, _, _ in self._outputs]
        return dict(zip(names, self._run(names, x, batch_size), strict=True))

    def predict_probabilities(self, x: Any, batch_size: int = 256) -> np.ndarray:
        """Compute the probability of each class: softmax of the logits over the file's temperature.

        Args:
            x: as `predict`.
            batch_size: as `predict`.

        Returns:
            float64, shape `(n, classes)`, rows summing to one.

        Raises:
            InvalidInputError: as `predict`, or the file is no classifier.
        """
        self._require_classifier("probabilities")
        return softmax(self.predict(x, batch_size), self.temperature)

    def predict_with_bottleneck(self, x: Any, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray]:
        """Compute outputs and, in the same run, what a drift monitor looks at.

        Args:
            x: as `predict`.
            batch_size: as `predict`.

        Returns:
            As `predict`, and float32 of shape `(n, k + 1)`: coordinates along the bottleneck's directions, then the
            energy outside them.

        Raises:
            InvalidInputError: as `predict`, or the file has no such output: export it with `monitor_data`.
        """
        if self._watched is None:
            raise InvalidInputError("This file carries no reference for monitoring: export it with monitor_data.")
        outputs, rows = self._run([self._outputs[0][0], self._watched], x, batch_size)
        if rows.shape[:-1] != (len(outputs),) or rows.shape[-1] < 2:
            raise InvalidInputError(
                f"The file's output {self._watched} must have shape (n, k + 1). Received: {rows.shape}"
            )
        return outputs, rows

    def predict_labels(self, x: Any, batch_size: int = 256) -> list[Any]:
        """Give the class of each sample: its name, or its number where the file carries no names.

        Args:
            x: as `predict`.
            batch_size: as `predict`.

        Returns:
            One label for each sample.

        Raises:
            InvalidInputError: as `predict`, or the file is no classifier, or names more or fewer classes than it has.
        """
        self._require_classifier("labels")
        return self.labels_of(self.predict(x, batch_size))

    def labels_of(self, outputs: np.ndarray) -> list[Any]:
        """Give the classes that outputs already computed stand for.

        Args:
            outputs: shape `(n, classes)`, as `predict` gives them.

        Returns:
            As `predict_labels`.

        Raises:
            InvalidInputError: the file names more or fewer classes than it has.
        """
        places = outputs.argmax(axis=-1).tolist()
        if self.class_names is None:
            return places
        if len(self.class_names) != outputs.shape[-1]:
            raise InvalidInputError(
                f"The file must name each of its {outputs.shape[-1]} classes. Received: {len(self.class_names)} names"
            )
        return [self.class_names[place] for place in places]

    def representations(self, x: Any, batch_size: int = 256) -> list[np.ndarray]:
        """Compute `A_0..A_L`, with a file that was exported with `representations=True`.

        Args:
            x: as `predict`.
            batch_size: as `predict`.

        Returns:
            One array for each, in the layout of the Keras network.

        Raises:
            InvalidInputError: as `predict`, or the file does not output them.
        """
        names = [output[0] for output in self._outputs if output[0].startswith("representation_")]
        if not names:
            raise InvalidInputError("This file outputs no representations: export it with representations=True.")
        return self._run(names, x, batch_size)

    def _require_classifier(self, what: str) -> None:
        if self.task != "classification":
            raise InvalidInputError(f"Only a classifier has {what}. Received: a file with task={self.task!r}")

    def _temperature(self) -> float:
        value = self.metadata.get(PREFIX + "temperature", 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-6 <= value <= 1e6:
            raise InvalidInputError(
                f"The file's metadata is damaged: {PREFIX}temperature must be a number in [1e-6, 1e6]. "
                f"Received: {shown(value)}"
            )
        return float(value)

    def _description(self, key: str, name: str, shape: list[Any]) -> dict[str, Any]:
        """What the file says of its input or output; of a foreign file, what its graph says."""
        described = {"name": name, "shape": shape, "dtype": "float32", "words": "", **(self._carried(key, dict) or {})}
        stated = (self._carried("preset", dict) or {}).get(key)  # a preset's own metadata, as they were published
        if not isinstance(stated, dict):
            return described
        return {**{each: stated[each] for each in ("range", "feature_names") if each in stated}, **described}

    def _carried(self, key: str, kind: type) -> Any:
        value = self.metadata.get(PREFIX + key)
        if value is not None and not isinstance(value, kind):
            raise InvalidInputError(
                f"The file's metadata is damaged: {PREFIX}{key} must be a {kind.__name__}. Received: {shown(value)}"
            )
        return value

    def _run(self, names: list[str], x: Any, batch_size: int) -> list[np.ndarray]:
        batch_size = whole("batch_size", batch_size, least=1)
        ours = PREFIX + "schema_version" in self.metadata  # others may take NaN for what is missing
        named = named_samples(self._inputs, x, finite=ours)
        self._watch(named[self._inputs[0].name], 4)
        count, options = len(next(iter(named.values()))), run_options()
        try:
            parts = [
                self._session.run(names, {name: each[at : at + batch_size] for name, each in named.items()}, options)
                for at in range(0, count, batch_size)
            ]
            return parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]
        except (*RUNTIME_ERRORS, ValueError) as error:
            raise InvalidInputError(f"{self._path} cannot be run on these samples: {first_line(error)}") from error
