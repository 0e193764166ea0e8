"""`.keras` files from strangers: an archive of one configuration and plain weights, checked before Keras sees it."""

import copy
import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import ZIP_ERRORS, open_archive
from leaky_zoo.io.keras_config import check_config, check_objects, user_objects
from leaky_zoo.io.other_formats import refuse_other_formats
from leaky_zoo.io.reading import MAX_JSON_BYTES, one_line, parse_json, shown
from leaky_zoo.io.weights_file import check_weights

MEMBERS = ("config.json", "metadata.json", "model.weights.h5")


def load_keras_file(
    path: str | os.PathLike[str], *, custom_objects: Mapping[str, Any] | None = None, compile: bool = False
) -> keras.Model:
    """Load a `.keras` file in safe mode, from the very bytes that were checked (`read_keras_file`).

    Args:
        path: the file.
        custom_objects: classes and functions of the caller's own that the file may name. Default None: none.
        compile: whether to compile the model as it was when saved. A loss, metric or optimiser that may not be loaded
            leaves it uncompiled, with a warning. Default False: how it was compiled is not even read.

    Raises:
        InvalidInputError: as `read_keras_file`, Keras cannot make a model of it, or its weights were never made.
    """
    custom = {**user_objects(), **(custom_objects or {})}
    config, metadata, weights = read_keras_file(path, custom)
    compiled = config.pop("compile_config")
    config["compile_config"] = _allowed_compilation(compiled, path, custom) if compile else None
    try:
        with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns before it raises
            checked = Path(place) / "model.keras"
            with zipfile.ZipFile(checked, "w") as archive:
                archive.writestr("metadata.json", json.dumps(metadata))
                archive.writestr("config.json", json.dumps(config))
                archive.writestr("model.weights.h5", weights)
            model = keras.models.load_model(checked, custom_objects=custom, compile=compile, safe_mode=True)
    except Exception as error:  # whatever Keras says of a configuration or weights that fit nothing
        raise InvalidInputError(f"{path} cannot be loaded: {load_words(error)}.") from error
    if not isinstance(model, keras.Model):
        raise InvalidInputError(f"{path} holds a {type(model).__name__}, not a model.")
    if not model.built:
        raise InvalidInputError(
            f"{path} holds {model.name} without weights: it was saved before they were made, and each load would draw "
            "others. Call the model on samples (or give it an Input), then save it."
        )
    return model


def read_keras_file(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Read an archive, and refuse one that holds more than a model: other members, foreign classes, links, bombs.

    Every member is read whole, so that its CRC is checked, before HDF5 sees a byte of it.

    Args:
        path: the file.
        custom_objects: as `load_keras_file`.

    Returns:
        Configuration (nested models without their `compile_config`, which Keras would follow whatever it is told),
        metadata and the bytes of the weights.

    Raises:
        InvalidInputError: the message names file and member, or says what to do with a file of another kind.
    """
    refuse_other_formats(path)
    with open_archive(path, "model file") as archive:
        names = [member.filename for member in archive.infolist() if not member.is_dir()]
        missing, more = sorted(set(MEMBERS) - set(names)), sorted(set(names) - set(MEMBERS))
        if missing or more:
            raise InvalidInputError(
                f"{path} must hold {', '.join(MEMBERS)} and nothing else. "
                f"Received: {shown(', '.join(sorted(names)), 200)}"
            )
        metadata, config = (_read_json(archive, Path(path), name) for name in ("metadata.json", "config.json"))
        version = str(metadata.get("keras_version"))
        if version.startswith(("0.", "1.", "2.")):
            raise InvalidInputError(
                f"{path} was written by Keras {shown(version, 20)}, whose layers differ: load it there (tf_keras), "
                "save_weights to a .weights.h5 file, and load_weights into the same model made with Keras 3."
            )
        compiled = config.get("compile_config")
        config = _without_compilation(config)
        check_config(config, f"{path}: config.json", archive.getinfo("model.weights.h5").file_size, custom_objects)
        try:
            weights = archive.read("model.weights.h5")
        except ZIP_ERRORS as error:
            raise InvalidInputError(f"{path}: model.weights.h5 is damaged: {one_line(error)}.") from error
    check_weights(io.BytesIO(weights), f"{path}: model.weights.h5")
    return {**config, "compile_config": compiled}, metadata, weights


def load_words(error: BaseException) -> str:
    """What Keras says in the end, after the whole configuration of every layer around it, in one line."""
    return one_line(ValueError(str(error).rpartition("Exception encountered: ")[2] or str(error)))


def _allowed_compilation(compiled: Any, path: Any, custom: Mapping[str, Any]) -> Any:
    """How a model was compiled, where everything it names may be loaded; else None, with a warning."""
    if compiled is None:
        return None
    try:
        check_objects(compiled, f"{path}: config.json: compile_config", custom_objects=custom)
        keras.saving.deserialize_keras_object(copy.deepcopy(compiled), custom_objects=custom, safe_mode=True)
    except Exception as error:  # whatever its classes say of their arguments
        warnings.warn(f"The model is loaded, not compiled: {one_line(error)}.", stacklevel=4)
        return None
    return compiled


def _without_compilation(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_compilation(item) for key, item in value.items() if key != "compile_config"}
    return [_without_compilation(item) for item in value] if isinstance(value, list) else value


def _read_json(archive: zipfile.ZipFile, path: Path, name: str) -> dict[str, Any]:
    if archive.getinfo(name).file_size > MAX_JSON_BYTES:
        raise InvalidInputError(f"{path}: {name} is too long: more than {MAX_JSON_BYTES:,} bytes.")
    try:
        content = archive.read(name)
    except ZIP_ERRORS as error:
        raise InvalidInputError(f"{path}: {name} is damaged: {one_line(error)}.") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: {name} is not UTF-8 text, from byte {error.start} on.") from error
    value = parse_json(text, f"{path}: {name}")
    if not isinstance(value, dict):
        raise InvalidInputError(f"{path}: {name} must hold a JSON object. Received: {shown(value)}")
    return value
