"""Writing a preset's folder: all of its files or none."""

import os
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis import Audit
from leaky_zoo.arguments import naming_the_nearest, number
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.files import making_folder, sha256, write_json, write_text
from leaky_zoo.io.reading import shown
from leaky_zoo.layers import LeakyBlock, StepSizes
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.ends import known_of_input
from leaky_zoo.networks.ours import require_ours
from leaky_zoo.runtime.input_range import refuse_not_finite
from leaky_zoo.zoo.addresses import PICTURE, HubAddress, IndexAddress, address_of
from leaky_zoo.zoo.card import write_card
from leaky_zoo.zoo.index import FILES, NAME
from leaky_zoo.zoo.preset import HASHED
from leaky_zoo.zoo.recipe import Recipe

GOLDEN_SAMPLES = 16
# What the network and its files say themselves.
OWN_FACTS = frozenset(
    {
        "name", "class", "task", "dataset", "effective_depth", "schedule", "depth", "width", "depths", "widths",
        "parameters", "weight_decay", "io_weight_decay", "output", "class_names", "sha256",
    }
)  # fmt: skip
LICENCE = "Apache-2.0"
CITATION = (
    "Arthur Jacot and Alexandre Kaiser. Hamiltonian Mechanics of Feature Learning: Bottleneck Structure in Leaky "
    "ResNets. arXiv:2405.17573, 2024."
)
PACKAGES = ("leaky-zoo", "keras", "tensorflow", "numpy")


@naming_the_nearest
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
) -> Path | str:
    """Write a network as a preset folder, or onto a hub: all files or none.

    Args:
        network: the network.
        folder: where to; its last part is the preset's name. `hf://USER/NAME[@BRANCH]` is a repository on a hub
            (`HF_ENDPOINT`, else huggingface.co; `HF_TOKEN` is the right to write there).
        recipe: how it was trained. Default None: no `recipe.yaml`.
        metrics: measured metrics by split, finite numbers. Default None.
        audit: its analysis. Default None: no `audit.json`.
        golden_inputs: raw inputs whose outputs are kept beside the weights; the first 16 are used. Default None.
        extra: more metadata, as `device`, `training_seconds`, `cross_validation`, or a `licence` of your own; the card
            says what it can with them. Default None.
        overwrite: replace an existing preset, whole. Default False.

    Returns:
        The folder; of a hub the address with the commit's hash, `hf://USER/NAME@COMMIT`, which names these bytes for
        good.

    Raises:
        InvalidInputError: not a network of ours, the folder exists and `overwrite` is False, its name cannot be a
            preset's, golden inputs of another shape or not finite, or `metrics` or `extra` of another form.
        WriteFailedError: disk full or read-only; an existing preset is as it was.

    Example:
    >>> import tempfile, pathlib
    >>> from leaky_zoo.networks import LeakyMLP
    >>> folder = save_to_preset(LeakyMLP((4,), 3, width=5, depth=4), pathlib.Path(tempfile.mkdtemp()) / "mine")
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'config.json', 'metadata.json', 'model.weights.h5']
    """
    parts: dict[str, Any] = {
        "recipe": recipe,
        "metrics": metrics,
        "audit": audit,
        "golden_inputs": golden_inputs,
        "extra": extra,
    }
    require_ours(network, "save_to_preset")
    parts["metrics"] = _check_facts(metrics, extra)
    address = None if isinstance(folder, Path) else address_of(folder)
    if address is not None:
        return _save_to_hub(network, address, overwrite, parts)
    folder = Path(folder)
    if not NAME.match(folder.name):
        raise InvalidInputError(
            f"A preset's name has small letters, digits, '.', '_' and '-'. Received: {folder.name!r}"
        )
    if folder.exists() and not (folder / "metadata.json").is_file():
        raise InvalidInputError(f"{folder} exists and is not a preset: it is left alone.")
    if folder.exists() and not overwrite:
        raise InvalidInputError(f"{folder} exists; pass overwrite=True to replace it.")
    with making_folder(folder, replace=True) as aside:
        write_preset(network, aside, folder.name, **parts)
    return folder


def _check_facts(metrics: Any, extra: Any) -> dict[str, dict[str, float]] | None:
    """Refuse metrics and metadata of another form than they are written in; the metrics as plain numbers."""
    if metrics is not None and not (
        isinstance(metrics, Mapping) and all(isinstance(values, Mapping) for values in metrics.values())
    ):
        raise InvalidInputError(
            f'`metrics` must be given by split, as {{"test": {{"accuracy": 0.97}}}}. Received: metrics={shown(metrics)}'
        )
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidInputError(f"`extra` must be a dict of metadata. Received: extra={shown(extra)}")
    taken = sorted({*(extra or {})} & OWN_FACTS)
    if taken:
        raise InvalidInputError(f"`extra` cannot change what the network says itself. Received: {', '.join(taken)}")
    if metrics is None:
        return None
    checked: dict[str, dict[str, float]] = {}
    for split, each in metrics.items():
        for name, value in each.items():
            plain = number(f"metrics[{split!r}][{name!r}]", value)
            if not np.isfinite(plain):
                raise InvalidInputError(f"A metric must be finite. Received: metrics[{split!r}][{name!r}]={value}")
            checked.setdefault(str(split), {})[str(name)] = plain
    return checked


def _save_to_hub(
    network: LeakyNetwork, address: HubAddress | IndexAddress, overwrite: bool, parts: dict[str, Any]
) -> str:
    """Write the preset's files aside and upload them as one commit."""
    from leaky_zoo.zoo.hub import refuse_existing, upload_to_hub

    if isinstance(address, IndexAddress):
        raise InvalidInputError(f"A preset is saved to a folder or to hf://USER/NAME. Received: {address.index}")
    name = address.repository.partition("/")[2]
    if not NAME.match(name):
        raise InvalidInputError(f"A preset's name has small letters, digits, '.', '_' and '-'. Received: {name!r}")
    if not overwrite:
        refuse_existing(address)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        write_preset(network, folder, name, **parts)
        return upload_to_hub(folder, address, [file for file in FILES if not (folder / file).is_file()])


def write_preset(
    network: LeakyNetwork,
    folder: Path,
    name: str,
    *,
    kept: Mapping[str, bytes] | None = None,
    recipe: Recipe | None = None,
    metrics: dict[str, Any] | None = None,
    audit: Audit | None = None,
    golden_inputs: np.ndarray | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the files of a preset into an empty folder, one by one.

    Args:
        network, recipe, metrics, audit, golden_inputs, extra: as `save_to_preset`.
        folder: an empty folder, which becomes a preset's once it is full.
        name: the preset's name.
        kept: content of files, by name, that are written as they are and not made anew. Default None: none.

    Returns:
        The metadata that was written.
    """
    for file, content in (kept or {}).items():
        (folder / file).write_bytes(content)
    config = {**network.get_config(), "name": name}
    makers = {
        "config.json": lambda path: write_json(path, {"class_name": type(network).__name__, "config": config}),
        "model.weights.h5": network.save_weights,
        "recipe.yaml": recipe and recipe.write,
        "audit.json": audit and audit.save,
        PICTURE: audit and (lambda path: draw_audit(audit, path)),
        "golden.npz": None if golden_inputs is None else lambda path: _write_golden(path, network, golden_inputs),
    }
    for file, make in makers.items():
        if make and not (folder / file).exists():
            make(folder / file)
    metadata = {
        "name": name,
        "class": type(network).__name__,
        "task": config["task"],
        "dataset": (config["dataset"] or {}).get("name"),
        "effective_depth": config["effective_depth"],
        "schedule": config["schedule"]["name"],
        **{key: config[key] for key in ("depth", "width")},
        **{key: list(config[key]) for key in ("depths", "widths") if config.get(key)},
        "parameters": _parameters(network),
        **{key: config[key] for key in ("weight_decay", "io_weight_decay")},
        "seed": recipe.seed if recipe else None,
        "metrics": metrics or {},
        **_ends(network, config),
        "licence": LICENCE,
        "citation": CITATION,
        "versions": {package: version(package) for package in PACKAGES},
        **(extra or {}),
        "sha256": {file: sha256(folder / file) for file in HASHED if (folder / file).is_file()},
    }
    write_json(folder / "metadata.json", metadata)
    write_text(folder / "README.md", write_card(metadata, audit, recipe))
    return metadata


def _parameters(network: LeakyNetwork) -> int:
    """Numbers that training moves, those that are frozen now included."""
    weights: list[Any] = []
    for layer in network.layers:
        if isinstance(layer, LeakyBlock):
            weights += [layer.kernel, *([] if layer.bias is None else [layer.bias])]
        elif isinstance(layer, StepSizes):
            weights += layer.weights if layer.schedule.trainable else []
        elif not isinstance(layer, keras.layers.Normalization | keras.layers.Dropout):
            weights += layer.weights
    return sum(int(np.prod(weight.shape)) for weight in weights)


def draw_audit(audit: Audit, path: Path) -> None:
    """The picture of the card."""
    from leaky_zoo.figures import save_plot  # takes a second to import

    save_plot(audit, path)


def _ends(network: LeakyNetwork, config: dict[str, Any]) -> dict[str, Any]:
    """What goes in and what comes out, as the card says it."""
    ends: dict[str, Any] = {
        "input": {"shape": list(network.input_shape[1:]), **known_of_input(network.config)},
        "output": {"shape": list(network.output_shape[1:])},
    }
    return ends | ({"class_names": list(config["class_names"])} if config["class_names"] else {})


def _write_golden(path: Path, network: LeakyNetwork, inputs: np.ndarray) -> None:
    inputs = np.asarray(inputs[:GOLDEN_SAMPLES])
    if inputs.shape[1:] != network.config.input_shape:
        raise InvalidInputError(
            f"`golden_inputs` must have samples of shape {network.config.input_shape}. Received: {inputs.shape}"
        )
    refuse_not_finite(inputs, "golden_inputs")
    np.savez_compressed(path, inputs=inputs, outputs=network.predict_on_batch(inputs.astype(network.inputs[0].dtype)))
