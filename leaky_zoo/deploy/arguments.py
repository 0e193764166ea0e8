"""Refusing what cannot be exported before any work is done, with a sentence on what is accepted."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.deploy.build import can_build
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import TASKS, LeakyNetwork
from leaky_zoo.runtime.metadata import to_json
from leaky_zoo.runtime.model import as_float32


def checked_path(path: Any) -> Path:
    """Give the path, if it can name an ONNX file."""
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != ".onnx" or Path(path).is_dir():
        raise InvalidInputError(f"`path` must name a file that ends in .onnx. Received: path={path!r}")
    return Path(path)


def checked_model(model: Any, representations: bool) -> keras.Model:
    """Give the model, if it is one that this room can export."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InvalidInputError(
            f"`model` must be a built functional or sequential Keras model. Received: model={type(model).__name__}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InvalidInputError(
            f"`model` must have one input and one output. Received: {len(model.inputs)} inputs, "
            f"{len(model.outputs)} outputs"
        )
    if None in model.inputs[0].shape[1:] or None in model.outputs[0].shape[1:]:
        raise InvalidInputError(
            f"`model` must have samples of known shape. Received: {model.inputs[0].shape} to {model.outputs[0].shape}"
        )
    kinds = (str(model.inputs[0].dtype), str(model.outputs[0].dtype))
    if not isinstance(model, LeakyNetwork) and kinds != ("float32", "float32"):
        raise InvalidInputError(
            f"A model that is not ours must have float32 input and output. Received: {kinds[0]} to {kinds[1]}"
        )
    if representations and not can_build(model):
        raise InvalidInputError(
            f"`representations` needs a family with a builder, and no subclass of it. "
            f"Received: model={type(model).__name__}"
        )
    return model


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


def check_class_names(model: keras.Model, metadata: Mapping[str, Any]) -> None:
    """Refuse names that are not one for each class."""
    own = model.config.class_names if isinstance(model, LeakyNetwork) else None
    names = own or metadata.get("class_names")
    if names is None:
        return
    whole = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not whole or len(names) != model.outputs[0].shape[-1]:
        raise InvalidInputError(
            f"`class_names` must be {model.outputs[0].shape[-1]} texts, one for each class. "
            f"Received: class_names={names!r}"
        )


def checked_golden(golden: Any, model: keras.Model) -> tuple[np.ndarray, np.ndarray] | None:
    """Give golden pairs as float32, if their shapes fit the model."""
    if golden is None:
        return None
    if not isinstance(golden, tuple | list) or len(golden) != 2:
        raise InvalidInputError(f"`golden` must be (inputs, outputs). Received: golden={type(golden).__name__}")
    inputs = as_float32(golden[0], model.inputs[0].shape[1:], "golden[0]")
    outputs = as_float32(golden[1], model.outputs[0].shape[1:], "golden[1]")
    if len(inputs) != len(outputs) or not (np.isfinite(inputs).all() and np.isfinite(outputs).all()):
        raise InvalidInputError(
            f"`golden` must be equally many inputs and outputs, all finite. Received: {inputs.shape}, {outputs.shape}"
        )
    return inputs, outputs


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
