"""The compressed files beside a preset's ONNX export, as its metadata and its card name them."""

import os
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import weights_sha256
from leaky_zoo.io.files import making_folder, sha256, write_json, write_text
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.runtime import inspect_onnx
from leaky_zoo.zoo import Preset
from leaky_zoo.zoo.addresses import FILES, PICTURE
from leaky_zoo.zoo.card import write_card
from leaky_zoo.zoo.preset import HASHED
from leaky_zoo.zoo.saving import draw_audit

KEY = "compressed"  # of the metadata


def export_folder(preset_folder: str | os.PathLike[str], export: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a preset's ONNX files: `<name>` in `export`, by default in `export/` beside the zoo's folder."""
    folder = Path(preset_folder).resolve()
    return (folder.parent.parent / "export" if export is None else Path(export)) / folder.name


def compressed_files(folder: str | os.PathLike[str], network: LeakyNetwork) -> list[dict[str, Any]]:
    """What `leaky-zoo compress` made of a network, among the ONNX files of a folder.

    Files of other weights are left out: their figures are not about this network.

    Args:
        folder: where the ONNX files are, `export/<name>`; it need not be there.
        network: with the weights that were compressed.

    Returns:
        For each file, by name: `file`, `bytes`, `numbers`, `storage` ("float32", "float16" or "int8"), `split`
        ("test", or "validation" where the data have none), `metric`, `before` and `after` on that split. This project.

    Raises:
        InvalidInputError: a file that is not a whole ONNX model, or has damaged metadata.

    Example:
    >>> preset = Preset.open("leaky_conv_mnist_l3_equidistant")
    >>> [found["file"] for found in compressed_files("export/leaky_conv_mnist_l3_equidistant", preset.network)]
    ['compressed_int8.onnx']
    """
    found, weights = [], weights_sha256(network)
    for path in sorted(Path(folder).glob("*.onnx")):
        record = inspect_onnx(path).get("leaky_zoo.compression")
        if record is None:
            continue
        try:
            if record["source"]["weights_sha256"] == weights:
                found.append({"file": path.name, "bytes": path.stat().st_size} | _facts(record))
        except (KeyError, TypeError) as error:
            raise InvalidInputError(
                f"{path}: its leaky_zoo.compression is not what `leaky-zoo compress` writes: {error!r}"
            ) from error
    return found


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    split = "test" if "test" in record["cost"] else "validation"
    cost = {key: record["cost"][split][key] for key in ("metric", "before", "after")}
    return {"numbers": record["parameters"], "storage": record["settings"]["storage"], "split": split} | cost


def renew_card(folder: str | os.PathLike[str], export: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Write a preset's card again, with the compressed files that are there now; nothing is measured.

    The picture of the audit is drawn where there is none.

    Args:
        folder: of the preset, which is complete or as it was.
        export: folder of the ONNX files, `<name>/*.onnx`. Default None: `export/` beside the zoo's folder.

    Returns:
        What `compressed_files` found.

    Raises:
        ChangedFileError: files of the preset are not those that its metadata name.
        InvalidInputError: no preset, or an ONNX file that cannot be read.
    """
    preset = Preset.open(folder)
    found = compressed_files(export_folder(folder, export), preset.network)
    metadata = {key: value for key, value in preset.metadata.items() if key not in (KEY, "sha256")}
    with making_folder(folder, replace=True) as aside:
        for name in FILES:
            if preset.has(name):
                (aside / name).write_bytes(preset.content(name))
        if preset.audit and not preset.has(PICTURE):
            draw_audit(preset.audit, aside / PICTURE)
        hashes = {name: sha256(aside / name) for name in HASHED if (aside / name).is_file()}
        metadata |= ({KEY: found} if found else {}) | {"sha256": hashes}
        write_json(aside / "metadata.json", metadata)
        write_text(aside / "README.md", write_card(metadata, preset.audit, preset.recipe))
    return found
