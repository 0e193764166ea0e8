"""Running a foreign model while its layers are watched."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import keras

from leaky_zoo.analysis.axes import Axes, AxesFinder
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, shown

CALLS = ("call", "quantized_call")  # Keras calls the second of a quantised layer


def call_model(model: keras.Model, samples: Any) -> Any:
    """The model's outputs for samples in the structure it takes.

    Raises:
        InvalidInputError: whatever the model raises, as one sentence that keeps it.
    """
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, samples)
    try:
        with warnings.catch_warnings():
            # Of a subclassed model with a layer that is never called: that layer has its own row, which says so.
            warnings.filterwarnings("ignore", message=r"`build\(\)` was called on layer")
            return model(tensors, training=False)
    except _SeenError as error:
        raise error.args[0] from error
    except Exception as error:  # a model can raise anything
        shapes = keras.tree.flatten(keras.tree.map_structure(lambda x: f"{x.shape} {x.dtype}", samples))
        raise InvalidInputError(
            f"The model {model.name} does not take these samples: {type(error).__name__}: {one_line(error)}. "
            f"Received: {shown(', '.join(shapes), 200)}"
        ) from error


class _SeenError(BaseException):
    """What an observer raised, on its way out of a model that may catch exceptions."""


@contextmanager
def watching(layers: Mapping[str, Any], see: Callable[..., None]) -> Iterator[None]:
    """While this lasts, each call of these layers hands `(name, output, mask)` to `see`; nothing is kept of it."""

    def observer(name: str, layer: Any, args: Any, kwargs: Any, output: Any) -> None:
        see(name, output, _mask(layer, args, output))

    with _patched(layers, observer):
        yield


def find_axes(model: keras.Model, layers: Mapping[str, Any], samples: Any) -> dict[str, list[Axes]]:
    """What the axes of each call's output mean, from one run on a few samples.

    Args:
        model: the model.
        layers: by name, those that are asked for; all others are looked at too.
        samples: as `call_model`.
    """
    if (
        not model.built
    ):  # Keras first calls it with tensors that hold nothing, and warns of layers that are never called
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"(?s).*unbuilt state", UserWarning)
            call_model(model, samples)
    finder = AxesFinder()
    names = {id(layer): name for name, layer in layers.items()}
    watched: dict[str, Any] = {}
    for owner in model._flatten_layers(include_self=True):
        finder.see_children(owner)
        # Sums and other operations of functional models are no layers.
        for operation in getattr(owner, "operations", None) or []:
            watched.setdefault(str(id(operation)), operation)
        if owner is not model:
            watched.setdefault(str(id(owner)), owner)

    def observer(_: str, operation: Any, args: Any, kwargs: Any, output: Any) -> None:
        inputs = [each for each in keras.tree.flatten((args, kwargs)) if hasattr(each, "shape")]
        finder.see(names.get(id(operation), ""), operation, inputs, output)

    with _patched(watched, observer):
        call_model(model, samples)
    return finder.found()


@contextmanager
def _patched(operations: Mapping[str, Any], observer: Callable[..., None]) -> Iterator[None]:
    def watched(name: str, operation: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            try:
                observer(name, operation, args, kwargs, output)
            except Exception as error:
                raise _SeenError(error) from error
            return output

        return wrapper

    # On the instance, around Keras's tracking of attributes: nothing of this is saved or left behind.
    patched = [(operation, kind) for operation in operations.values() for kind in CALLS if hasattr(operation, kind)]
    names = {id(operation): name for name, operation in operations.items()}
    for operation, kind in patched:
        object.__setattr__(operation, kind, watched(names[id(operation)], operation, getattr(operation, kind)))
    try:
        yield
    finally:
        for operation, kind in patched:
            object.__delattr__(operation, kind)


def _mask(layer: Any, args: Any, output: Any) -> Any:
    """The mask of a layer's output over the positions of a sequence; None where there is none."""
    if not (args and getattr(output, "ndim", len(getattr(output, "shape", ()))) == 3):
        return None
    masks = keras.tree.map_structure(lambda each: getattr(each, "_keras_mask", None), args[0])
    given = any(mask is not None for mask in keras.tree.flatten(masks))
    makes = getattr(layer, "mask_zero", False) or isinstance(layer, keras.layers.Masking)
    if not (given or makes) or not getattr(layer, "supports_masking", False):
        return None
    try:
        return layer.compute_mask(args[0], masks)
    except Exception:  # a layer of anyone's; without a mask every position counts
        return None
