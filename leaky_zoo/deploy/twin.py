"""The float32 twin of a Keras model that computes in other dtypes: the same configuration and weights."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line

SHORT = ("float16", "bfloat16")
OTHERS = (*SHORT, "mixed_float16", "mixed_bfloat16", "float64")


def compute_dtypes(model: keras.Model) -> list[str]:
    """The floating dtypes that a model's layers compute in, sorted.

    Example:
    >>> compute_dtypes(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, dtype="mixed_float16")]))
    ['float16', 'float32']
    """
    found = {str(each.dtype) for each in getattr(model, "inputs", None) or []}
    found |= {layer.compute_dtype for layer in leaf_layers(model)}
    return sorted(dtype for dtype in found if dtype and "float" in dtype)


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Every layer inside a model, those of composite layers and nested models too."""
    for layer in model._flatten_layers(include_self=False):  # Keras has no public walk through composite layers
        if not isinstance(layer, keras.layers.InputLayer | keras.Model):
            yield layer


def float32_twin(model: keras.Model) -> keras.Model:
    """A model of the same configuration whose layers all compute in float32, with the same weights.

    Raises:
        InvalidInputError: a class of the user's own cannot be made again from its configuration.

    Example:
    >>> inputs = keras.Input((2,))
    >>> twin = float32_twin(keras.Model(inputs, keras.layers.Dense(3, dtype="mixed_bfloat16")(inputs)))
    >>> compute_dtypes(twin), twin.layers[-1].kernel.dtype
    (['float32'], 'float32')
    """
    classes = {type(each).__name__: type(each) for each in [model, *model._flatten_layers(include_self=False)]}
    own = {name: cls for name, cls in classes.items() if not cls.__module__.startswith("keras.")}
    try:
        config = _in_float32(keras.saving.serialize_keras_object(model))
        config.pop("compile_config", None)
        twin = keras.saving.deserialize_keras_object(config, custom_objects=own, safe_mode=True)
        twin.set_weights([_as_float32(weight) for weight in model.get_weights()])
    except Exception as error:  # whatever a user's own class says of its configuration
        raise InvalidInputError(
            f"{model.name} computes in {', '.join(compute_dtypes(model))}, and no float32 twin can be made of it: "
            f"{one_line(error, 200)}."
        ) from error
    left = [dtype for dtype in compute_dtypes(twin) if dtype != "float32"]
    if left:
        raise InvalidInputError(f"{model.name} computes in {', '.join(left)} whatever its configuration says.")
    return twin


def _in_float32(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_float32(item) for item in value)
    return "float32" if isinstance(value, str) and value in OTHERS else value


def _as_float32(weight: np.ndarray) -> np.ndarray:
    short = weight.dtype.kind == "f" or weight.dtype.name in SHORT
    return weight.astype(np.float32) if short else weight
