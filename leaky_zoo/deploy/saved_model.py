"""TensorFlow's SavedModel, by Keras's own exporter: a folder that TensorFlow Serving and `tf.saved_model.load` read."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from leaky_zoo.deploy.compare import Run
from leaky_zoo.deploy.keras_targets import KerasTarget, refuse_path
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import making_folder
from leaky_zoo.io.reading import one_line

PARTS = {"assets", "assets.extra", "fingerprint.pb", "saved_model.pb", "variables"}


def _checked_path(path: Any) -> Path:
    """A folder that is not there yet, is empty, or holds a SavedModel and nothing else."""
    if not isinstance(path, str | os.PathLike) or not Path(path).name or Path(path).is_file():
        raise refuse_path(path, "a folder")
    inside = {each.name for each in Path(path).iterdir()} if Path(path).exists() else set()
    if inside and not (inside <= PARTS and "saved_model.pb" in inside):
        others = ", ".join(sorted(inside - PARTS)[:3]) or "no saved_model.pb"
        raise InvalidInputError(
            f"{path} is a folder that is not just a SavedModel ({others}): it is not replaced. Give another path."
        )
    return Path(path)


def require_tensorflow(name: str) -> None:
    """Refuse another backend: Keras writes this format from TensorFlow.

    Raises:
        InvalidInputError: another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise InvalidInputError(
            f"{name} is written from TensorFlow: save the model as a .keras file and export that with "
            f"KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND={keras.backend.backend()}"
        )


def _placing(path: Path) -> AbstractContextManager[Path]:
    return making_folder(path, replace=True)


def _open(folder: Path) -> Run:
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise CheckFailedError(f"TensorFlow cannot load the SavedModel: {one_line(error, 300)}") from error

    def run(rows: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        # `loaded` is used here, and so stays alive: a signature alone does not keep its variables.
        given = {name: tf.constant(values) for name, values in rows.items()}
        found = loaded.signatures["serving_default"](**given)
        return {name: found[name].numpy() for name in outputs}

    return run


SAVED_MODEL = KerasTarget(
    name="saved_model",
    keras_format="tf_saved_model",
    checked_path=_checked_path,
    require=lambda: require_tensorflow("A SavedModel"),
    placing=_placing,
    open=_open,
    versions=lambda: {"tensorflow": tf.__version__},
)
