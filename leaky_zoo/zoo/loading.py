"""Loading by name: presets, the models of training runs, and `.keras` files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaky_zoo.arguments import naming_the_nearest
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.other_formats import refuse_other_formats
from leaky_zoo.io.reading import existing_file, path_text
from leaky_zoo.zoo.index import is_path, preset_folder
from leaky_zoo.zoo.preset import Preset, WrongClassError

if TYPE_CHECKING:
    import keras

    from leaky_zoo.networks import LeakyNetwork

RUN_MODEL = "model.keras"
_OF_A_RUN = ("checkpoints", "log.csv", "result.json", ".lock")


def keras_file_of(name: str | os.PathLike[str] | Preset) -> Path | None:
    """The `.keras` file that a name stands for, or None where it stands for a preset.

    Args:
        name: the path of a file that ends in `.keras`, or of the folder of a training run; anything else is a preset's.

    Raises:
        InvalidInputError: a run that has not ended.
    """
    if isinstance(name, Preset):
        return None
    if path_text(name, "name").endswith(".keras"):
        return Path(name)
    folder = Path(name)
    if not is_path(name) or (folder / "metadata.json").exists():
        return None
    if (folder / RUN_MODEL).is_file():
        return folder / RUN_MODEL
    if (folder / "recipe.yaml").is_file() and any((folder / file).exists() for file in _OF_A_RUN):
        raise InvalidInputError(
            f"{folder} is a training run that has not ended: it has no {RUN_MODEL} yet. The command that started it "
            "goes on with it where --resume is added."
        )
    return None


def require_model(name: str | os.PathLike[str]) -> None:
    """Refuse a name that `load_model` finds nothing by, before Keras and TensorFlow start, which takes seconds.

    Args:
        name: as `load_model`, but no open `Preset`.

    Raises:
        InvalidInputError: as `load_model`, where there is no file and no preset, or a file of another format.
    """
    refuse_other_formats(name)
    file = keras_file_of(name)
    if file is None:
        preset_folder(name, ("metadata.json",))
    else:
        existing_file(file, "model file")


@naming_the_nearest
def from_preset(name: str | os.PathLike[str] | Preset, expected: "type[LeakyNetwork] | None" = None) -> "LeakyNetwork":
    """Load a pretrained network.

    Args:
        name: preset name or alias, the path of a preset folder, an address as `hf://USER/NAME@REVISION` or
            `INDEX#NAME`, or an open `Preset`.
        expected: class it must have. Default None: any of ours.

    Returns:
        The network, not compiled.

    Raises:
        UnknownPresetError: no such name; the message gives the nearest ones.
        MissingFileError: the folder lacks a file.
        ChangedFileError: a file is not what the metadata's hash names.
        WrongClassError: the preset is of another class than `expected`.

    Example:
    >>> from_preset("leaky_mlp_optical_digits_l7_equidistant").effective_depth
    7.0
    """
    preset = Preset.open(name)
    found = type(preset.network)
    if expected is not None and not issubclass(found, expected):
        raise WrongClassError(f"The preset {preset.name} is a {found.__name__}, not a {expected.__name__}.")
    return preset.network


@naming_the_nearest
def load_model(
    name: str | os.PathLike[str] | Preset,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = False,
) -> "keras.Model":
    """Load a network from a preset, a training run or a `.keras` file, with our classes registered, in safe mode.

    A bare `keras.models.load_model` knows our classes only once something of `leaky_zoo.networks` was used.

    Args:
        name: as `from_preset`, or the path of a training run's folder, or of a file that ends in
            `.keras`.
        custom_objects: classes and functions of your own that a `.keras` file names, as `{"MyLayer": MyLayer}`.
            Default None: those registered with Keras.
        compile: whether a `.keras` file's model is compiled as it was; where something in that may not be loaded it
            stays uncompiled, with a warning. Default False.

    Raises:
        InvalidInputError: as `load_keras_file` or `from_preset`; for `.h5` files and SavedModels, what to do.
    """
    from leaky_zoo.io.keras_file import load_keras_file
    from leaky_zoo.networks.families import all_families

    if not isinstance(name, Preset):
        refuse_other_formats(name)
    file = keras_file_of(name)
    if file is None:
        if compile or custom_objects:
            raise InvalidInputError(
                f"`compile` and `custom_objects` are for `.keras` files; a preset is of our classes, not compiled. "
                f"Received: compile={compile}, custom_objects={custom_objects}"
            )
        return from_preset(name)
    all_families()  # Keras then knows our classes
    return load_keras_file(os.fspath(file), custom_objects=custom_objects, compile=compile)


def load_network(name: str | os.PathLike[str] | Preset) -> "LeakyNetwork":
    """As `load_model`, for what takes networks of our families only.

    Raises:
        InvalidInputError: as `load_model`, or a `.keras` file holds another model.
    """
    from leaky_zoo.networks import LeakyNetwork
    from leaky_zoo.networks.families import all_families

    model = load_model(name)
    if not isinstance(model, LeakyNetwork):
        ours = " or a ".join(family.__name__ for family in all_families().values())
        raise InvalidInputError(f"{name} holds a {type(model).__name__}; a {ours} is needed here.")
    return model
