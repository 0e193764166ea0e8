"""Configurations of networks from strangers: which classes they may name, and how large a network they may ask for."""

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown, shown_text

# Keras's safe mode refuses lambdas. It has let configurations import other modules, read files and fetch addresses
# before, so what may be named is listed here, beside what the caller's own program has registered with Keras.
MODULES = (
    "keras",
    "keras.activations",
    "keras.constraints",
    "keras.distillation",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.losses",
    "keras.metrics",
    "keras.models",
    "keras.ops",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.quantizers",
    "keras.random",
    "keras.regularizers",
    "keras.src.models.functional",
    "keras.src.ops.core",
    "keras.src.ops.einops",
    "keras.src.ops.image",
    "keras.src.ops.linalg",
    "keras.src.ops.math",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
    "builtins",
)
# Modules of Keras that hold more than layers: these classes of them, and no other name.
CLASSES_OF_MODULES = {
    "keras.src.activations.activations": ("Mish", "ReLU"),
    "keras.src.applications.convnext": ("LayerScale", "StochasticDepth"),
    "keras.src.applications.inception_resnet_v2": ("CustomScaleLayer",),
    "keras.src.layers.rnn.conv_lstm": ("ConvLSTMCell",),
    "keras.src.quantizers.quantizers": ("FakeQuantWithMinMaxVars",),
}
# Modules that the user asked to import (`leaky-zoo --import`): what they define is trusted, what they import is not.
USER_MODULES: set[str] = set()
OUR_PACKAGE = "leaky_zoo"
# Layers that run code, or read a file whose name the configuration gives.
REFUSED_CLASSES = (
    "Hashing",
    "IntegerLookup",
    "JaxLayer",
    "FlaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
    "__lambda__",
    "__typespec__",
)
SCOPE = re.compile(r"^[A-Za-z0-9_.][A-Za-z0-9_.\\/>-]*$")  # what TensorFlow takes as the name of a layer
# Each of these is also the length of an axis of some weight.
LENGTHS = ("width", "depth", "output_size", "units", "filters", "kernel_size", "stem_size")
MAX_INPUTS = 2**31
# By class name: how many weights such a network has at least, from its unchecked configuration. Families register here.
LEAST_WEIGHTS: dict[str, Callable[[Mapping[str, Any]], int]] = {}


def check_config(config: Any, source: str, weights_bytes: int, custom_objects: Mapping[str, Any] | None = None) -> None:
    """Refuse a serialised model that names what is not a layer, or asks for more weights than its file can hold.

    Args:
        config: plain data of a `config.json`.
        source: what the error calls it.
        weights_bytes: size of the file of weights, uncompressed.
        custom_objects: classes and functions of the caller's own, by name. Default None: none.

    Raises:
        InvalidInputError: it does, or is no mapping with `class_name` and `config`; the message names the field.
    """
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise InvalidInputError(f"{source} must hold `class_name` and `config`. Received: {shown(config)}")
    if not isinstance(config.get("class_name"), str):
        raise InvalidInputError(f"{source}: class_name must be text. Received: {shown(config.get('class_name'))}")
    check_objects(config, source, weights_bytes, custom_objects)


def check_objects(
    value: Any, source: str, most: int = MAX_INPUTS, custom_objects: Mapping[str, Any] | None = None
) -> None:
    """Refuse plain data that names a class or function which is not loaded; as `check_config`, for a part of one.

    Args:
        value: plain data.
        source: what the error calls it.
        most: bytes of weights that there are. Default: no limit that anyone meets.
        custom_objects: as `check_config`.

    Raises:
        InvalidInputError: as `check_config`.
    """
    _check(value, source, "", most, {**user_objects(), **(custom_objects or {})})


def _check(value: Any, source: str, place: str, most: int, custom: Mapping[str, Any]) -> None:
    where = f"{source}: {shown_text(place)}" if place else source
    if isinstance(value, dict):
        if "class_name" in value:
            _check_class(value, where, custom)
        for key, item in value.items():
            if key in LENGTHS and largest(item) > most:
                raise InvalidInputError(f"{where}: {key} is more than the weights hold. Received: {shown(item)}")
            if key in ("batch_shape", "input_shape", "shape") and product(item) > MAX_INPUTS:
                raise InvalidInputError(
                    f"{where}: {key} must be at most {MAX_INPUTS:,} numbers. Received: {shown(item)}"
                )
            _check(item, source, f"{place}.{key}" if place else str(key), most, custom)
        if "class_name" in value:
            _check_size(value, where, most)
    elif isinstance(value, list):
        for row, item in enumerate(value):
            _check(item, source, f"{place}[{row}]", most, custom)


def _check_size(value: dict[str, Any], where: str, most: int) -> None:
    """The weights that a network of ours would have, at a byte each, against the bytes that there are."""
    least, config = LEAST_WEIGHTS.get(str(value["class_name"])), value.get("config")
    if least is not None and isinstance(config, dict) and least(config) > most:
        named = ", ".join(f"{key}={shown(config.get(key))}" for key in ("input_shape", "width", "depth"))
        raise InvalidInputError(
            f"{where}: a network of this input_shape, width and depth has more weights than the file holds. "
            f"Received: {named}"
        )


def largest(value: Any) -> int:
    """The largest size among plain data that may be anything: a number, or nested lists of them; 0 for all else."""
    if isinstance(value, list):
        return max((largest(item) for item in value), default=0)
    return int(abs(value)) if isinstance(value, int | float) else 0


def product(value: Any) -> int:
    """The product of the sizes in plain data that may be anything; zeros and what is no number count as one."""
    found = 1
    for item in value if isinstance(value, list) else [value]:
        found *= int(abs(item)) if isinstance(item, int | float) and item else 1
    return found


def _check_class(value: dict[str, Any], where: str, custom: Mapping[str, Any]) -> None:
    import keras  # here: configurations are described without it

    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    for field, item in (("class_name", name), ("module", module), ("registered_name", registered)):
        if item is not None and not isinstance(item, str):
            raise InvalidInputError(f"{where}: {field} must be text. Received: {shown(item)}")
    inner = value.get("config")
    label = inner.get("name") if isinstance(inner, dict) else None
    if label is not None and not (isinstance(label, str) and SCOPE.match(label)):
        raise InvalidInputError(f"{where}: name must have letters, digits and `_ . / -` only. Received: {shown(label)}")
    if name in REFUSED_CLASSES or registered in REFUSED_CLASSES:
        raise InvalidInputError(f"{where}: {name} is not loaded: it runs code or reads other files.")
    ours = module is not None and (module == OUR_PACKAGE or module.startswith(f"{OUR_PACKAGE}."))
    # The name that Keras looks up before it imports anything.
    key = value.get("config") if name == "function" else registered or name
    known = isinstance(key, str) and (key in custom or keras.saving.get_registered_object(key) is not None)
    if module is not None and not (ours or known or module in MODULES or name in CLASSES_OF_MODULES.get(module, ())):
        raise InvalidInputError(
            f"{where}: module must be one of Keras's or ours. A class of your own is known once its module is imported "
            f"(leaky-zoo --import MODULE, which runs its code) or given in custom_objects. "
            f"Received: module={shown(module)}, class_name={shown(name)}"
        )
    if module == "builtins" and name == "function" and not isinstance(value.get("config"), str):
        raise InvalidInputError(f"{where}: a function must be named. Received: {shown(value.get('config'))}")


def user_objects() -> dict[str, Any]:
    """Classes and functions by name that the modules in `USER_MODULES` define; not what these import themselves."""
    return {
        name: found
        for module in sorted(USER_MODULES & sys.modules.keys())
        for name, found in vars(sys.modules[module]).items()
        if callable(found) and getattr(found, "__module__", None) == module
    }
