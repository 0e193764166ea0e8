"""A Keras model as a function of named arrays: which go in, which come out, under the names that the graph has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from leaky_zoo.deploy.graph import INPUT_NAME
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line
from leaky_zoo.networks import LeakyNetwork


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: in the graph.
        shape: of one sample.
    """

    name: str
    shape: tuple[int, ...]


class Reference:
    """A Keras model that takes float32 arrays by name and gives arrays by name, one row for each sample.

    Args:
        model: the model.
        output_name: what a single output is called.
        samples: some raw samples, one array for each input, to run it on once. Default None: random ones, normal or,
            where the model does not take such (tokens), zeros and ones.

    Attributes:
        model: as given.
        inputs: what goes in; a single one is called `inputs`, several have the names of Keras's input layers.
        whole_numbers: whether random samples are zeros and ones.
        outputs: what comes out; several have the keys of a dict, or the names of the layers, or `output_1`..

    Raises:
        InvalidInputError: shapes that are not known, a fixed batch, a state, text, or samples that it cannot take.

    Example:
    >>> a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    >>> model = keras.Model([a, b], {"sum": keras.layers.Dense(4)(keras.layers.Concatenate()([a, b]))})
    >>> reference = Reference(model, "predictions")
    >>> [port.name for port in reference.inputs], reference.outputs
    (['a', 'b'], (Port(name='predictions', shape=(4,)),))
    """

    def __init__(self, model: keras.Model, output_name: str, samples: Sequence[np.ndarray] | None = None) -> None:
        self.model, self.whole_numbers = model, False
        shapes, self._dtypes, labels = _declared_inputs(model, samples)
        self._keys = labels if not getattr(model, "inputs", None) and isinstance(_built_shapes(model), dict) else None
        names = [INPUT_NAME] if len(shapes) == 1 else _unique(labels)
        self.inputs = tuple(Port(name, shape) for name, shape in zip(names, shapes, strict=True))
        if isinstance(model, LeakyNetwork):
            self.outputs: tuple[Port, ...] = (Port(output_name, tuple(model.outputs[0].shape[1:])),)
        else:
            fits = samples is not None and len(samples) == len(names)  # else refused with the arguments
            given = dict(zip(names, (rows[:2] for rows in samples), strict=True)) if fits and samples else None
            self.outputs = self._find_outputs(given, output_name)

    def random_samples(self, rows: int) -> dict[str, np.ndarray]:
        """Standard normal samples; zeros and ones for integers, and where the model takes nothing else."""
        random = np.random.default_rng(0)
        found = {}
        for port, dtype in zip(self.inputs, self._dtypes, strict=True):
            whole = self.whole_numbers or "float" not in dtype
            values = random.integers(0, 2, (rows, *port.shape)) if whole else random.normal(size=(rows, *port.shape))
            found[port.name] = values.astype(np.float32)
        return found

    def call(self, tensors: Sequence[Any], weights: Sequence[Any] | None = None) -> list[Any]:
        """The model's outputs, flat, for one tensor or array for each input, cast to what it takes.

        With `weights` these stand for the model's variables: trainable ones, then the others.
        """
        cast = [keras.ops.cast(each, dtype) for each, dtype in zip(tensors, self._dtypes, strict=True)]
        structure = getattr(self.model, "input", None) if getattr(self.model, "inputs", None) else None
        packed = cast[0] if len(cast) == 1 and not isinstance(structure, dict | list | tuple) else cast
        if isinstance(structure, dict | list | tuple):
            packed = keras.tree.pack_sequence_as(structure, cast)
        elif self._keys is not None:
            packed = dict(zip(self._keys, cast, strict=True))
        if weights is None:
            return keras.tree.flatten(self.model(packed, training=False))
        count = len(self.model.trainable_variables)
        outputs, _ = self.model.stateless_call(weights[:count], weights[count:], packed, training=False)
        return keras.tree.flatten(outputs)

    def __call__(self, samples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if isinstance(self.model, LeakyNetwork):
            rows = samples[self.inputs[0].name].astype(self.model.inputs[0].dtype)
            return {self.outputs[0].name: np.asarray(self.model.predict_on_batch(rows))}
        outputs = self.call([samples[port.name] for port in self.inputs])
        arrays = [keras.ops.convert_to_numpy(output) for output in outputs]
        return {port.name: array for port, array in zip(self.outputs, arrays, strict=True)}

    def _find_outputs(self, given: Mapping[str, np.ndarray] | None, output_name: str) -> tuple[Port, ...]:
        if given is not None:
            return self._found_outputs(given, output_name)
        try:
            return self._found_outputs(self.random_samples(2), output_name)
        except InvalidInputError:
            self.whole_numbers = True
            return self._found_outputs(self.random_samples(2), output_name)

    def _found_outputs(self, rows: Mapping[str, np.ndarray], output_name: str) -> tuple[Port, ...]:
        count = len(next(iter(rows.values())))
        try:
            outputs = self.call([rows[port.name] for port in self.inputs])
            arrays = [keras.ops.convert_to_numpy(output) for output in outputs]
        except Exception as error:  # whatever a foreign model says of samples it cannot take
            raise InvalidInputError(
                f"{self.model.name} does not take these samples: {type(error).__name__}: {one_line(error, 200)}. Give "
                f"real ones (check_inputs; --data). Received: {', '.join(str(port) for port in self.inputs)}"
            ) from error
        for array in arrays:
            if array.ndim == 0 or len(array) != count or array.dtype.kind not in "buifV":
                raise InvalidInputError(
                    f"Each output of {self.model.name} must have a row of real numbers for each sample. "
                    f"Received: shape={array.shape}, dtype={array.dtype} for {count} samples"
                )
        names = [output_name] if len(arrays) == 1 else _unique(_output_labels(self.model, len(arrays)))
        taken = {port.name for port in self.inputs}
        names = [f"{name}_out" if name in taken else name for name in names]
        return tuple(Port(name, array.shape[1:]) for name, array in zip(names, arrays, strict=True))


def given_arrays(model: keras.Model, given: Any) -> list[np.ndarray]:
    """Raw samples, one array for each input in the model's order; of a dict by the names of the inputs.

    What was never built says nothing of its inputs: a list or a tuple of arrays is then one for each.
    """
    declared, built = [each.name for each in getattr(model, "inputs", None) or []], _built_shapes(model)
    names = _unique(declared or (list(built) if isinstance(built, dict) else _numbered(built or [])))
    if isinstance(given, Mapping):
        ordered = [given[name] for name in names] if set(given) == set(names) else list(given.values())
        return [np.asarray(each, np.float32) for each in ordered]
    unknown = not declared and built is None
    if isinstance(given, list | tuple) and (len(names) > 1 or (unknown and all(map(_is_batch, given)))):
        return [np.asarray(each, np.float32) for each in given]
    return [np.asarray(given, np.float32)]


def _is_batch(value: Any) -> bool:
    return getattr(value, "ndim", 0) >= 2


def _numbered(shapes: Sequence[Any]) -> list[str]:
    return [f"input_{place + 1}" for place in range(len(shapes))]


def _built_shapes(model: keras.Model) -> list[tuple[Any, ...]] | dict[str, tuple[Any, ...]] | None:
    """Shapes of the inputs that a subclassed model was built on, in a dict where it was called with one."""
    built = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if getattr(model, "inputs", None) or not isinstance(built, list | tuple | dict) or not built:
        return None
    if isinstance(built, dict):
        return {str(name): tuple(shape) for name, shape in sorted(built.items())}
    if all(side is None or isinstance(side, int) for side in built):
        return [tuple(built)]
    return [tuple(shape) for shape in built] if all(isinstance(shape, list | tuple) for shape in built) else None


def _declared_inputs(
    model: keras.Model, samples: Sequence[np.ndarray] | None
) -> tuple[list[tuple[int, ...]], list[str], list[str]]:
    """Shapes without the batch, dtypes and labels of what a model takes."""
    declared = getattr(model, "inputs", None) or []
    if declared:
        shapes = [tuple(each.shape) for each in declared]
        dtypes, labels = [str(each.dtype) for each in declared], [each.name for each in declared]
    else:
        built = _built_shapes(model)
        known = list(built.values()) if isinstance(built, dict) else built or []
        shapes = [(None, *sides[1:]) for sides in known]
        if samples is not None:
            shapes = [(None, *each.shape[1:]) for each in samples]
        if not shapes:
            raise InvalidInputError(
                f"What {type(model).__name__} {model.name!r} takes is not known: call it on samples before it is "
                "exported, or give samples (check_inputs; --data)."
            )
        if isinstance(built, dict) and len(built) != len(shapes):
            raise InvalidInputError(f"{model.name} takes {', '.join(built)}. Received: {len(shapes)} arrays")
        dtypes, labels = ["float32"] * len(shapes), list(built) if isinstance(built, dict) else _numbered(shapes)
    if any(shape[0] is not None for shape in shapes):
        raise InvalidInputError(
            f"{model.name} has a fixed batch: a graph takes any number of samples. Give its Input a shape without one. "
            f"Received: batch_shape={', '.join(map(str, shapes))}"
        )
    if any(None in shape[1:] for shape in shapes):
        raise InvalidInputError(
            f"`model` must have samples of known shape. Received: {', '.join(map(str, shapes))} to "
            f"{', '.join(str(tuple(each.shape)) for each in getattr(model, 'outputs', None) or [])}"
        )
    if "string" in dtypes:
        raise InvalidInputError(f"{model.name} takes text, which is not exported: vectorise it before the model.")
    stateful = [layer.name for layer in model._flatten_layers() if getattr(layer, "stateful", False)]
    if stateful:
        raise InvalidInputError(
            f"{model.name} keeps a state between calls in {', '.join(stateful)}, as no graph can: make it again "
            "with stateful=False and set_weights."
        )
    return [shape[1:] for shape in shapes], dtypes, labels


def _output_labels(model: keras.Model, count: int) -> list[str]:
    outputs = getattr(model, "_outputs_struct", None)
    if isinstance(outputs, dict):
        return sorted(map(str, outputs))  # as keras.tree flattens it
    names = list(getattr(model, "output_names", None) or [])
    return names if len(names) == count else [f"output_{place + 1}" for place in range(count)]


def _unique(labels: Sequence[str]) -> list[str]:
    """Labels as names of tensors: plain characters, each once."""
    found: list[str] = []
    for label in labels:
        name = plain = re.sub(r"[^A-Za-z0-9_.-]", "_", label) or "tensor"
        copy = 2
        while name in found:
            name, copy = f"{plain}_{copy}", copy + 1
        found.append(name)
    return found
