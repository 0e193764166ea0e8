"""Refusing what cannot be exported before any work is done, with a sentence on what is accepted."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.deploy.build import can_build
from leaky_zoo.deploy.graph import IR_VERSIONS, OPSET
from leaky_zoo.deploy.ports import Port
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import TASKS, LeakyNetwork
from leaky_zoo.runtime.inputs import as_float32
from leaky_zoo.runtime.metadata import to_json


def checked_path(path: Any) -> Path:
    """Give the path, if it can name an ONNX file."""
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != ".onnx" or Path(path).is_dir():
        raise InvalidInputError(f"`path` must name a file that ends in .onnx. Received: path={path!r}")
    return Path(path)


def checked_model(model: Any, representations: bool, opset: Any) -> keras.Model:
    """Give the model, if it is one that this room can export."""
    if not isinstance(model, keras.Model):
        raise InvalidInputError(f"`model` must be a Keras model. Received: model={type(model).__name__}")
    if representations and not can_build(model):
        raise InvalidInputError(
            f"`representations` needs a family with a builder, and no subclass of it. "
            f"Received: model={type(model).__name__}"
        )
    highest = max(IR_VERSIONS) if can_build(model) else 18
    if isinstance(opset, bool) or not isinstance(opset, int) or not OPSET <= opset <= highest:
        raise InvalidInputError(
            f"`opset` must be {OPSET} to {max(IR_VERSIONS)} for a family with a builder, {OPSET} or 18 (tf2onnx) for "
            f"other models. Received: opset={opset!r}"
        )
    quantized = [layer.name for layer in model._flatten_layers() if getattr(layer, "quantization_mode", None)]
    if quantized:
        raise InvalidInputError(
            f"{model.name} has quantised layers, whose integer arithmetic ONNX lacks: export the model "
            f"as it was before. Received: quantised {', '.join(quantized)}"
        )
    return model


def checked_inputs(given: Any, shapes: Mapping[str, tuple[int, ...]], what: str) -> dict[str, np.ndarray]:
    """Give samples by the name of the input: one array, a list in the model's order, or a dict by name."""
    if isinstance(given, Mapping):
        if set(given) != set(shapes):
            raise InvalidInputError(f"`{what}` must have {', '.join(shapes)}. Received: {', '.join(map(str, given))}")
        named = dict(given)
    elif len(shapes) == 1:
        named = {next(iter(shapes)): given}
    elif isinstance(given, list | tuple) and len(given) == len(shapes):
        named = dict(zip(shapes, given, strict=True))
    else:
        raise InvalidInputError(
            f"`{what}` must be {len(shapes)} arrays, in the order {', '.join(shapes)}, or a dict by name. "
            f"Received: {type(given).__name__}"
        )
    arrays = {name: as_float32(named[name], shape, what) for name, shape in shapes.items()}
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name}: {len(array)}" for name, array in arrays.items())
        raise InvalidInputError(f"`{what}` must have equally many samples for each input. Received: {lengths}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InvalidInputError(f"`{what}` must be finite in float32. Received: {what} with NaN or infinity")
    return arrays


def checked_tolerance(tolerance: Any) -> float:
    """Give the tolerance, if it is in (0, 1)."""
    if not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise InvalidInputError(f"`tolerance` must be in (0, 1). Received: tolerance={tolerance!r}")
    return float(tolerance)


def checked_metadata(metadata: Any) -> dict[str, Any]:
    """Give a preset's metadata, if it is an object that JSON can hold; `{}` for None."""
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidInputError(f"`metadata` must be a dict, or None. Received: metadata={metadata!r}")
    metadata = dict(metadata or {})
    to_json(metadata, "metadata")
    if metadata.get("task") not in (None, *TASKS):
        raise InvalidInputError(
            f"The metadata's task must be one of {', '.join(TASKS)}. Received: task={metadata['task']!r}"
        )
    temperature = metadata.get("temperature", 1.0)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 1e-6 <= temperature <= 1e6:
        raise InvalidInputError(
            f"The metadata's temperature must be a number in [1e-6, 1e6]. Received: temperature={temperature!r}"
        )
    if not isinstance(metadata.get("sha256") or {}, Mapping):
        raise InvalidInputError(f"The metadata's sha256 must be a dict. Received: sha256={metadata['sha256']!r}")
    return metadata


def check_class_names(model: keras.Model, metadata: Mapping[str, Any], outputs: Sequence[Port]) -> None:
    """Refuse names that are not one for each class."""
    own = model.config.class_names if isinstance(model, LeakyNetwork) else None
    names = own or metadata.get("class_names")
    if names is None:
        return
    whole = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    classes = outputs[0].shape[-1] if outputs[0].shape else 1
    if not whole or len(names) != classes:
        raise InvalidInputError(
            f"`class_names` must be {classes} texts, one for each class. Received: class_names={names!r}"
        )


def checked_golden(golden: Any, inputs: Sequence[Port], outputs: Sequence[Port]) -> Any:
    """Give golden pairs `(inputs, outputs)` as float32, if their shapes fit; None for None."""
    if golden is None:
        return None
    if len(inputs) > 1 or len(outputs) > 1:
        raise InvalidInputError("`golden` is for a model of one input and one output: give check_inputs.")
    if not isinstance(golden, tuple | list) or len(golden) != 2:
        raise InvalidInputError(f"`golden` must be (inputs, outputs). Received: golden={type(golden).__name__}")
    x = as_float32(golden[0], inputs[0].shape, "golden[0]")
    y = as_float32(golden[1], outputs[0].shape, "golden[1]")
    if len(x) != len(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidInputError(
            f"`golden` must be equally many inputs and outputs, all finite. Received: {x.shape}, {y.shape}"
        )
    return x, y


def checked_audit(audit: Any, weights_sha256: str, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give an audit as a dict, if it and the metadata speak of these weights."""
    stated = metadata.get("weights_sha256")
    if stated not in (None, weights_sha256):
        raise InvalidInputError(
            f"The metadata is of other weights than the model's {weights_sha256}. Received: weights_sha256={stated!r}"
        )
    if audit is None:
        return None
    value = audit.to_dict() if hasattr(audit, "to_dict") else audit
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"`audit` must be a dict or have `to_dict()`. Received: audit={type(audit).__name__}")
    to_json(value, "audit")
    about = value.get("model")
    audited = about.get("weights_sha256") if isinstance(about, Mapping) else None
    if audited not in (None, weights_sha256):
        raise InvalidInputError(
            f"The audit is of other weights than the model's {weights_sha256}: analyse this model. "
            f"Received: weights_sha256={audited!r}"
        )
    # A hundred drawn paths are for pages; in a file that is deployed they would be a tenth of its bytes.
    return {**value, "projection": None} if "projection" in value else dict(value)
