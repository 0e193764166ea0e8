"""What a user changed of a network's layers after it was built: frozen, renamed, quantised, other dtypes, LoRA.

Keras writes a functional model's layers one by one. Ours are made by their family from a short configuration, so what
differs from that stands beside it, by the name that the layer was given at first.
"""

import contextlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.keras_config import SCOPE
from leaky_zoo.io.reading import shown

# What `quantize` can be asked to do again before the weights are read; "gptq" and "awq" need their data for it.
QUANTIZATION_MODES = ("int8", "int4", "float8")
FIELDS = ("name", "trainable", "dtype", "quantization", "lora_rank", "lora_alpha")

AsBuilt = tuple[tuple[str, str], ...]


def as_built(layers: Iterable[keras.layers.Layer]) -> AsBuilt:
    """Name and source dtype policy of each layer, to compare with later."""
    return tuple((layer.name, layer.dtype_policy.name) for layer in layers)


def changes_of(network: Any, layers: Iterable[keras.layers.Layer]) -> dict[str, dict[str, Any]]:
    """What differs in these layers of a network from how they were built, by their first names; plain data.

    Args:
        network: a `LeakyNetwork`, whose own `trainable` is applied before these.
        layers: of the network.

    Raises:
        InvalidInputError: a layer is quantised in a way that could not be brought back.
    """
    chosen = {id(layer) for layer in layers}
    found = {}
    for layer, (name, policy) in zip(network.layers, network.as_built, strict=True):
        change: dict[str, Any] = {}
        if id(layer) not in chosen:
            continue
        if layer.name != name:
            change["name"] = layer.name
        if layer.trainable != network.trainable:
            change["trainable"] = layer.trainable
        mode = getattr(layer, "quantization_mode", None)
        source = getattr(layer.dtype_policy, "_source_name", None) if mode else layer.dtype_policy.name
        if source != policy:
            change["dtype"] = source
        if mode:
            change["quantization"] = _quantization(layer, mode)
        if getattr(layer, "lora_enabled", False):
            change |= {"lora_rank": layer.lora_rank, "lora_alpha": layer.lora_alpha}
        if change:
            found[name] = change
    return found


def changes_entry(network: Any) -> dict[str, Any]:
    """What a network's configuration says of its layers: nothing where nothing was changed."""
    changes = changes_of(network, network.layers)
    return {"layers": changes} if changes else {}


def check_mode(mode: Any) -> None:
    """Refuse a quantisation that a saved network could not be given again.

    Raises:
        InvalidInputError: the mode is not one of "int8", "int4" and "float8".
    """
    if mode not in QUANTIZATION_MODES:
        raise InvalidInputError(
            f"A leaky network is quantised in {', '.join(QUANTIZATION_MODES)}: what another mode does could not be "
            f"loaded again. Received: mode={shown(mode)}"
        )


@contextlib.contextmanager
def quantizing(mode: Any) -> Iterator[None]:
    """Around Keras's `quantize` of a network: the mode is checked, and blocks may have no such method.

    Raises:
        InvalidInputError: as `check_mode`.
    """
    check_mode(mode)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Layer .* does not have a `quantize` method")
        yield


def _quantization(layer: keras.layers.Layer, mode: str) -> dict[str, Any]:
    check_mode(mode)
    config = getattr(layer, "quantization_config", None)
    plain = json.dumps(keras.saving.serialize_keras_object(config))  # tuples would come back as lists
    return {"mode": mode, "config": json.loads(plain)}


def apply_layer_changes(layers: Iterable[keras.layers.Layer], changes: Any) -> None:
    """Bring freshly built layers to the state that `changes_of` wrote.

    Args:
        layers: the network's, freshly built.
        changes: plain data that may be anything.

    Raises:
        InvalidInputError: a name or a value that no layer can have.
    """
    known = {layer.name: layer for layer in layers}
    if not isinstance(changes, Mapping):
        raise InvalidInputError(f"`layers` must be changes by the name of a layer. Received: layers={shown(changes)}")
    for name, change in changes.items():
        if name not in known or not isinstance(change, Mapping) or not set(change) <= set(FIELDS):
            raise InvalidInputError(
                f"`layers` must hold {', '.join(FIELDS)} of layers that exist. Received: layers={shown({name: change})}"
            )
        _apply(known[name], name, change)


def _apply(layer: keras.layers.Layer, name: str, change: Mapping[str, Any]) -> None:
    label = change.get("name", layer.name)
    if not isinstance(label, str) or not SCOPE.match(label):
        raise InvalidInputError(f"The layer {name} cannot have this name. Received: name={shown(label)}")
    layer.name = label
    if "dtype" in change:
        layer.dtype_policy = keras.dtype_policies.get(change["dtype"])
    if "quantization" in change:
        asked = change["quantization"]
        mode = asked.get("mode") if isinstance(asked, Mapping) else asked
        check_mode(mode)
        config = keras.saving.deserialize_keras_object(asked.get("config"))
        layer.quantize(mode, config=config) if config else layer.quantize(mode)
    if "lora_rank" in change:
        layer.enable_lora(change["lora_rank"], lora_alpha=change.get("lora_alpha"))
    if "trainable" in change:
        layer.trainable = bool(change["trainable"])
