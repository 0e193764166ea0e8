"""What Keras has saved in other formats than `.keras`: told from its first bytes, without Keras."""

import os
from pathlib import Path

from leaky_zoo.errors import InvalidInputError

HDF5 = b"\x89HDF\r\n\x1a\n"


def refuse_other_formats(path: str | os.PathLike[str]) -> None:
    """Refuse what Keras calls a saved model and this project does not read, saying what to do with it.

    Raises:
        InvalidInputError: a SavedModel folder, or an HDF5 file whatever its name.
    """
    path = Path(path)
    try:
        is_folder = path.is_dir() and any((path / name).exists() for name in ("saved_model.pb", "keras_metadata.pb"))
        start = b""
        if path.is_file():
            with path.open("rb") as file:
                start = file.read(len(HDF5))
    except (OSError, ValueError):  # what is not there, or no path at all, is said by whoever reads it
        return
    if is_folder:
        raise InvalidInputError(
            f"{path} is a TensorFlow SavedModel: a graph without Keras's layers. Save the Keras model that it was "
            "exported from as a .keras file."
        )
    if start == HDF5 and path.name.endswith(".weights.h5"):
        raise InvalidInputError(f"{path} holds weights alone: load_weights them into their model, and save that.")
    if start == HDF5:
        raise InvalidInputError(
            f"{path} is an HDF5 file of Keras 2's kind, which can hold code: if you trust it, load it with "
            "keras.models.load_model (tf_keras, if that fails) and save it as a .keras file."
        )
