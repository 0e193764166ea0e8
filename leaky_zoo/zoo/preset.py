"""A preset: a folder that is opened once, its files read and verified, and turned into objects when asked for."""

import hashlib
import io
import os
import tempfile
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import decoded, one_line, parse_json, parse_yaml, read_bytes, read_json
from leaky_zoo.zoo.hashed_index import ChangedFileError
from leaky_zoo.zoo.index import FILES, MissingFileError, checked_metadata, preset_folder
from leaky_zoo.zoo.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np

    from leaky_zoo.analysis import Audit
    from leaky_zoo.networks import LeakyNetwork

HASHED = tuple(file for file in FILES if file not in ("metadata.json", "README.md"))


class WrongClassError(InvalidInputError):
    """A preset is of another class than the one that was asked to load it."""


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
                is a `Path`; an address, `hf://USER/NAME[@REVISION]` or `INDEX#NAME`; or an open preset, which is given
                back.
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
        folder = preset_folder(name, ("metadata.json", *verify))
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
        known = self._known_of_input(network)
        if known:  # presets that were written before their configuration said so
            network.config = network.config.read({**dict(network.config), **known}, source)
        return network

    def _known_of_input(self, network: "LeakyNetwork") -> dict[str, Any]:
        """What the metadata say of the inputs and the configuration does not."""
        given = self.metadata.get("input")
        stated = given if isinstance(given, dict) else {}
        known = {"input_range": stated.get("range"), "feature_names": stated.get("feature_names")}
        return {
            key: value for key, value in known.items() if value is not None and getattr(network.config, key) is None
        }

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
