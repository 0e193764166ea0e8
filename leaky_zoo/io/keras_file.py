"""`.keras` files from strangers: an archive of one configuration and plain weights, checked before Keras sees it."""

import io
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import ZIP_ERRORS, open_archive
from leaky_zoo.io.keras_config import check_config
from leaky_zoo.io.reading import MAX_JSON_BYTES, one_line, parse_json, shown
from leaky_zoo.io.weights_file import check_weights

MEMBERS = ("config.json", "metadata.json", "model.weights.h5")


def load_keras_file(path: str | os.PathLike[str]) -> keras.Model:
    """Load a `.keras` file in safe mode, not compiled, after `check_keras_file`.

    Raises:
        InvalidInputError: as `check_keras_file`, or Keras cannot make a model of it.
    """
    check_keras_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns before it raises
            model = keras.models.load_model(os.fspath(path), compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras says of a configuration or weights that fit nothing
        raise InvalidInputError(f"{path} cannot be loaded: {one_line(error)}.") from error
    if not isinstance(model, keras.Model):
        raise InvalidInputError(f"{path} holds a {type(model).__name__}, not a model.")
    return model


def check_keras_file(path: str | os.PathLike[str]) -> None:
    """Refuse an archive that holds more than a model: other members, foreign classes, links, bombs, damage.

    Every member is read whole, so that its CRC is checked, before HDF5 sees a byte of it.

    Raises:
        InvalidInputError: the message names file and member.
    """
    with open_archive(path, "model file") as archive:
        names = [member.filename for member in archive.infolist() if not member.is_dir()]
        missing, more = sorted(set(MEMBERS) - set(names)), sorted(set(names) - set(MEMBERS))
        if missing or more:
            raise InvalidInputError(
                f"{path} must hold {', '.join(MEMBERS)} and nothing else. "
                f"Received: {shown(', '.join(sorted(names)), 200)}"
            )
        for name in ("metadata.json", "config.json"):
            value = _read_json(archive, Path(path), name)
            if not isinstance(value, dict):
                raise InvalidInputError(f"{path}: {name} must hold a JSON object. Received: {shown(value)}")
            if name == "config.json":
                check_config(value, f"{path}: {name}", archive.getinfo("model.weights.h5").file_size)
        try:
            weights = io.BytesIO(archive.read("model.weights.h5"))
        except ZIP_ERRORS as error:
            raise InvalidInputError(f"{path}: model.weights.h5 is damaged: {one_line(error)}.") from error
    check_weights(weights, f"{path}: model.weights.h5")


def _read_json(archive: zipfile.ZipFile, path: Path, name: str) -> Any:
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
    return parse_json(text, f"{path}: {name}")
