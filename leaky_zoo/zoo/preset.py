"""A preset: a folder that is opened once, its files read and verified, and turned into objects when asked for."""

import hashlib
import io
import os
import tempfile
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.reading import decoded, one_line, parse_json, parse_yaml, read_bytes, read_json
from leaky_zoo.zoo.index import FILES, MissingFileError, checked_metadata, preset_folder
from leaky_zoo.zoo.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

    from leaky_zoo.analysis import Audit
    from leaky_zoo.networks import LeakyNetwork

HASHED = tuple(file for file in FILES if file not in ("metadata.json", "README.md"))


class WrongClassError(InvalidInputError):
    """A preset is of another class than the one that was asked to load it."""


class ChangedFileError(CheckFailedError):
    """A file of a preset is not the one its metadata names."""


class Preset:
    """One pretrained network with all that is known of it; made by `Preset.open`.

    Every file has been read once when it is open; what is made of it later is made of those bytes, which are the ones
    whose hashes were compared. Neither Keras nor TensorFlow starts before `network` or `audit` is asked for.

    Args:
        folder: where it was read from.
        metadata: what its `metadata.json` says.
        contents: the bytes of its verified files, by file name.

    Attributes:
        folder: as given.
        metadata: as given.
        name: its name.
    """

    def __init__(self, folder: Path, metadata: dict[str, Any], contents: dict[str, bytes]) -> None:
        self.folder, self.metadata, self._contents = folder, metadata, contents
        self.name: str = metadata["name"]

    @classmethod
    def open(cls, name: "str | os.PathLike[str] | Preset", verify: Collection[str] = HASHED) -> "Preset":
        """Read and verify a preset.

        Args:
            name: a preset's name or alias; the path of a preset folder, which holds a separator, starts with a dot, or
                is a `Path`; or an open preset, which is given back.
            verify: the files to read, each compared with the hash that the metadata name. Default: all there are.

        Raises:
            UnknownPresetError: no such name; the message gives the nearest ones.
            MissingFileError: no preset folder, or one that lacks a file which its metadata name.
            ChangedFileError: a file is not what the metadata's hash names, or has none.
            InvalidInputError: metadata that cannot be used.

        Example:
        >>> preset = Preset.open("leaky_mlp_optical_digits_l7_equidistant")
        >>> preset.metadata["effective_depth"], preset.recipe.network.width, preset.golden[0].shape
        (7.0, 128, (16, 8, 8, 1))
        """
        if isinstance(name, Preset):
            return name
        folder = preset_folder(name)
        source = str(folder / "metadata.json")
        metadata = checked_metadata(read_json(source), source)
        contents = {}
        for file in verify:
            stated = metadata["sha256"].get(file)
            if (folder / file).is_file():
                contents[file] = read_bytes(folder / file, psutil.virtual_memory().available)
                if hashlib.sha256(contents[file]).hexdigest() != stated:
                    raise ChangedFileError(
                        f"{folder / file} has changed: its sha256 is not {stated}, which metadata.json names."
                    )
            elif stated is not None:
                raise MissingFileError(f"The preset {folder} lacks {file}.")
        return cls(folder, metadata, contents)

    @property
    def files(self) -> dict[str, int]:
        """Sizes in bytes of the files that are in the folder."""
        return {file: (self.folder / file).stat().st_size for file in FILES if (self.folder / file).is_file()}

    def content(self, file: str) -> bytes:
        """The verified bytes of a file.

        Raises:
            MissingFileError: the preset has no such file, or it was not to be verified.
        """
        if file not in self._contents:
            raise MissingFileError(f"The preset {self.folder} lacks {file}.")
        return self._contents[file]

    def has(self, file: str) -> bool:
        """Whether the preset has a verified file of this name."""
        return file in self._contents

    @cached_property
    def recipe(self) -> Recipe | None:
        """How it was trained; None where it has no `recipe.yaml`."""
        if not self.has("recipe.yaml"):
            return None
        source = str(self.folder / "recipe.yaml")
        return Recipe.from_dict(parse_yaml(decoded(self.content("recipe.yaml"), source), source), source)

    @cached_property
    def audit(self) -> "Audit | None":
        """Its analysis; None where it has no `audit.json`."""
        from leaky_zoo.analysis import Audit

        if not self.has("audit.json"):
            return None
        source = str(self.folder / "audit.json")
        try:
            return Audit.from_dict(self._json("audit.json"))
        except InvalidInputError as error:
            raise InvalidInputError(f"{source}: {error}") from error

    @cached_property
    def golden(self) -> "tuple[np.ndarray, np.ndarray] | None":
        """Raw inputs and the outputs they must give; None where it has no `golden.npz`."""
        if not self.has("golden.npz"):
            return None
        return parse_golden(self.content("golden.npz"), self.folder / "golden.npz")

    @cached_property
    def network(self) -> "LeakyNetwork":
        """The network with its weights, not compiled; the same object at each access.

        Raises:
            MissingFileError: the preset has no config or no weights.
            WrongClassError: it is of no family of ours.
            InvalidInputError: config or weights that cannot be used.
        """
        from leaky_zoo.io.keras_config import check_config
        from leaky_zoo.io.weights_file import check_weights
        from leaky_zoo.networks.families import all_families

        config, weights = self._json("config.json"), self.content("model.weights.h5")
        source, weights_source = str(self.folder / "config.json"), str(self.folder / "model.weights.h5")
        if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
            raise InvalidInputError(f"{source} must hold `class_name` and `config`.")
        classes = {cls.__name__: cls for cls in all_families().values()}
        found = classes.get(config["class_name"])
        if found is None:
            raise WrongClassError(
                f"{self.folder} holds a {config['class_name']!r}; presets are one of {', '.join(classes)}."
            )
        check_config(config, source, len(weights))
        check_weights(io.BytesIO(weights), weights_source)
        try:
            network = found.from_config(config["config"])
            with tempfile.TemporaryDirectory() as place:  # Keras takes weights from a path only
                copy = Path(place) / "model.weights.h5"
                copy.write_bytes(weights)
                network.load_weights(copy)
        except Exception as error:  # whatever Keras says of a configuration and weights that do not fit each other
            raise InvalidInputError(
                f"{self.folder} cannot be loaded as a {found.__name__}: {one_line(error)}."
            ) from error
        return network

    def _json(self, file: str) -> Any:
        source = str(self.folder / file)
        return parse_json(decoded(self.content(file), source), source)


def parse_golden(content: bytes, source: str | os.PathLike[str]) -> "tuple[np.ndarray, np.ndarray]":
    """Inputs and outputs of a `golden.npz`.

    Args:
        content: its bytes.
        source: what errors call it, as its path.

    Raises:
        InvalidInputError: it is no `.npz`, lacks one of the two, or they hold anything but finite numbers.
    """
    import numpy as np

    from leaky_zoo.io.archives import read_npz

    pairs = read_npz(source, ("inputs", "outputs"), content)
    if len(pairs) < 2:
        raise InvalidInputError(
            f"{source} needs the golden pairs `inputs` and `outputs`. Received: {', '.join(pairs) or '-'}"
        )
    for name, array in pairs.items():
        if array.dtype.kind not in "buif" or not array.ndim or not np.isfinite(array).all():
            raise InvalidInputError(f"{source}: `{name}` must hold finite numbers. Received: dtype={array.dtype}")
    return pairs["inputs"], pairs["outputs"]


def from_preset(name: str | os.PathLike[str] | Preset, expected: "type[LeakyNetwork] | None" = None) -> "LeakyNetwork":
    """Load a pretrained network.

    Args:
        name: preset name or alias, the path of a preset folder, or an open `Preset`.
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


def load_model(
    name: str | os.PathLike[str] | Preset,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = False,
) -> "keras.Model":
    """Load a network from a preset or a `.keras` file, with our classes registered, in safe mode.

    A bare `keras.models.load_model` knows our classes only once something of `leaky_zoo.networks` was used.

    Args:
        name: preset name, preset folder, open `Preset`, or the path of a file that ends in `.keras`.
        custom_objects: classes and functions of your own that a `.keras` file names, as `{"MyLayer": MyLayer}`.
            Default None: those registered with Keras.
        compile: whether a `.keras` file's model is compiled as it was; where something in that may not be loaded it
            stays uncompiled, with a warning. Default False.

    Raises:
        InvalidInputError: as `load_keras_file` or `from_preset`; for `.h5` files and SavedModels, what to do.
    """
    from leaky_zoo.io.keras_file import load_keras_file, refuse_other_formats
    from leaky_zoo.networks.families import all_families

    if not isinstance(name, Preset):
        refuse_other_formats(name)
    if isinstance(name, Preset) or not os.fspath(name).endswith(".keras"):
        if compile or custom_objects:
            raise InvalidInputError(
                f"`compile` and `custom_objects` are for `.keras` files; a preset is of our classes, not compiled. "
                f"Received: compile={compile}, custom_objects={custom_objects}"
            )
        return from_preset(name)
    all_families()  # Keras then knows our classes
    return load_keras_file(os.fspath(name), custom_objects=custom_objects, compile=compile)


def load_network(name: str | os.PathLike[str] | Preset) -> "LeakyNetwork":
    """As `load_model`, for what takes networks of our families only.

    Raises:
        InvalidInputError: as `load_model`, or a `.keras` file holds another model.
    """
    from leaky_zoo.networks import LeakyNetwork
    from leaky_zoo.networks.families import FAMILIES

    model = load_model(name)
    if not isinstance(model, LeakyNetwork):
        ours = " or a ".join(family.__name__ for family in FAMILIES.values())
        raise InvalidInputError(f"{name} holds a {type(model).__name__}; a {ours} is needed here.")
    return model
