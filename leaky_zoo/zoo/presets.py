"""Presets on disk: load, save, verify by hash."""

import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis import Audit
from leaky_zoo.errors import CheckFailedError, InvalidInputError
from leaky_zoo.io.files import sha256, write_json, write_text
from leaky_zoo.io.keras_config import check_config
from leaky_zoo.io.keras_file import load_keras_file
from leaky_zoo.io.reading import one_line, read_json
from leaky_zoo.io.weights_file import check_weights
from leaky_zoo.networks import FAMILIES, LeakyNetwork
from leaky_zoo.zoo.card import write_card
from leaky_zoo.zoo.names import FILES, NAME, MissingFileError, preset_folder, read_metadata
from leaky_zoo.zoo.recipe import Recipe

GOLDEN_SAMPLES = 16
CITATION = (
    "Arthur Jacot and Alexandre Kaiser. Hamiltonian Mechanics of Feature Learning: Bottleneck Structure in Leaky "
    "ResNets. arXiv:2405.17573, 2024."
)


class WrongClassError(InvalidInputError):
    """A preset is of another class than the one that was asked to load it."""


class ChangedFileError(CheckFailedError):
    """A file of a preset is not the one its metadata names."""


def from_preset(name: str | os.PathLike[str], expected: type[LeakyNetwork] | None = None) -> LeakyNetwork:
    """Load a pretrained network.

    Args:
        name: preset name, or the path of a preset folder.
        expected: class it must have. Default None: any of ours.

    Returns:
        The network, not compiled.

    Raises:
        UnknownPresetError: no such name; the message gives the nearest ones.
        MissingFileError: the folder lacks a file.
        ChangedFileError: config or weights are not what the metadata's hashes name.
        WrongClassError: the preset is of another class than `expected`.

    Example:
    >>> net = from_preset("leaky_mlp_optical_digits_l7_equidistant")  # doctest: +SKIP
    """
    folder = preset_folder(name)
    metadata = read_metadata(folder)
    for file in ("config.json", "model.weights.h5"):
        if not (folder / file).is_file():
            raise MissingFileError(f"The preset {folder} lacks {file}.")
        stated = metadata.get("sha256", {}).get(file)
        if sha256(folder / file) != stated:
            raise ChangedFileError(
                f"{folder / file} has changed: its sha256 is not {stated}, which metadata.json names."
            )
    config, weights = read_json(folder / "config.json"), folder / "model.weights.h5"
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise InvalidInputError(f"{folder / 'config.json'} must hold `class_name` and `config`.")
    classes = {cls.__name__: cls for cls in FAMILIES.values()}
    if config["class_name"] not in classes:
        raise WrongClassError(
            f"{folder} holds a {config.get('class_name')!r}; presets are one of {', '.join(classes)}."
        )
    found = classes[config["class_name"]]
    if expected is not None and not issubclass(found, expected):
        raise WrongClassError(f"The preset {folder.name} is a {found.__name__}, not a {expected.__name__}.")
    check_config(config, str(folder / "config.json"), weights.stat().st_size)
    check_weights(str(weights), str(weights))
    try:
        network = found.from_config(config["config"])
        network.load_weights(weights)
    except Exception as error:  # whatever Keras says of a configuration and weights that do not fit each other
        raise InvalidInputError(f"{folder} cannot be loaded as a {found.__name__}: {one_line(error)}.") from error
    return network


def load_model(name: str | os.PathLike[str]) -> keras.Model:
    """Load a network from a preset name, a preset folder or a `.keras` file, with our classes registered, in safe mode.

    A bare `keras.models.load_model` knows our classes only after `import leaky_zoo.networks`.

    Raises:
        InvalidInputError: as `load_keras_file`, or as `from_preset`.
    """
    text = os.fspath(name)
    if not text.endswith(".keras"):
        return from_preset(name)
    return load_keras_file(text)


def save_to_preset(
    network: LeakyNetwork,
    folder: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    metrics: dict[str, Any] | None = None,
    audit: Audit | None = None,
    golden_inputs: np.ndarray | None = None,
    extra: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a network as a preset folder: all files or none.

    Args:
        network: the network.
        folder: where to; its last part is the preset's name.
        recipe: how it was trained. Default None: no `recipe.yaml`.
        metrics: measured metrics by split. Default None.
        audit: its analysis. Default None: no `audit.json`.
        golden_inputs: raw inputs whose outputs are kept beside the weights; the first 16 are used. Default None.
        extra: more metadata, as `device`, `training_seconds` or `cross_validation`. Default None.
        overwrite: replace an existing preset. Default False.

    Returns:
        The folder.

    Raises:
        InvalidInputError: the folder exists and `overwrite` is False, or its name is no preset name.
    """
    folder = Path(folder)
    if not NAME.match(folder.name):
        raise InvalidInputError(
            f"A preset's name has small letters, digits, '.', '_' and '-'. Received: {folder.name!r}"
        )
    if folder.exists() and not (folder / "metadata.json").is_file():
        raise InvalidInputError(f"{folder} exists and is no preset: it is left alone.")
    if folder.exists() and not overwrite:
        raise InvalidInputError(f"{folder} exists; pass overwrite=True to replace it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".aside-"))
    try:
        _write_files(network, aside, folder.name, recipe, metrics, audit, golden_inputs, extra)
        old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
        if folder.exists():
            folder.rename(old / "preset")
        aside.chmod(0o755)
        aside.rename(folder)
        shutil.rmtree(old)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _write_files(
    network: LeakyNetwork,
    folder: Path,
    name: str,
    recipe: Recipe | None,
    metrics: dict[str, Any] | None,
    audit: Audit | None,
    golden_inputs: np.ndarray | None,
    extra: dict[str, Any] | None,
) -> None:
    config = {**network.get_config(), "name": name}
    write_json(folder / "config.json", {"class_name": type(network).__name__, "config": config})
    network.save_weights(folder / "model.weights.h5")
    if recipe is not None:
        recipe.write(folder / "recipe.yaml")
    if audit is not None:
        audit.save(folder / "audit.json")
    if golden_inputs is not None:
        inputs = np.asarray(golden_inputs[:GOLDEN_SAMPLES])
        outputs = network.predict_on_batch(inputs.astype(network.inputs[0].dtype))
        np.savez_compressed(folder / "golden.npz", inputs=inputs, outputs=outputs)
    settings = network.settings
    metadata = {
        "name": name,
        "class": type(network).__name__,
        "task": network.task,
        "dataset": (settings["dataset"] or {}).get("name"),
        "effective_depth": network.effective_depth,
        "schedule": settings["schedule"]["name"],
        "depth": settings["depth"],
        "width": settings["width"],
        "parameters": sum(int(np.prod(weight.shape)) for weight in network.trainable_weights),
        "weight_decay": settings["weight_decay"],
        "io_weight_decay": settings["io_weight_decay"],
        "seed": recipe.seed if recipe else None,
        "metrics": metrics or {},
        **(extra or {}),
        "licence": "Apache-2.0",
        "citation": CITATION,
        "versions": {package: version(package) for package in ("leaky-zoo", "keras", "tensorflow", "numpy")},
        "sha256": {file: sha256(folder / file) for file in FILES if (folder / file).is_file()},
    }
    write_json(folder / "metadata.json", metadata)
    write_text(folder / "README.md", write_card(metadata, audit))
