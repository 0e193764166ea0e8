"""A preset or a saved model, by name, to an ONNX file: gathers what the file should carry."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.analysis import Audit, analyze
from leaky_zoo.data import load_data
from leaky_zoo.deploy.export import export_onnx
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.archives import read_npz
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.zoo.names import preset_folder, read_metadata
from leaky_zoo.zoo.presets import load_model


def export_model(
    model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    representations: bool = False,
) -> dict[str, Any]:
    """Export a preset or a `.keras` file, with its audit and on its own data.

    A preset brings its audit, metadata and golden pairs and needs no data at all; it is compared on its golden inputs
    unless `data` names a set. A `.keras` file is analysed on the data it was trained on, where they can be had.

    Args:
        model: preset name, preset folder or `.keras` file.
        path: the `.onnx` file to write.
        data: data set or `.npz` to compare on. Default None.
        data_dir: TFDS folder. Default None.
        representations: also output `A_0..A_L`. Default False.

    Returns:
        `{"path", "bytes", "checks"}`.

    Raises:
        InvalidInputError: as `load_model` and `load_data`.
        CheckFailedError: the graph does not agree with Keras; nothing is written.
    """
    network = load_model(model)
    metadata: dict[str, Any] = {}
    audit: Audit | None = None
    golden = inputs = None
    if not os.fspath(model).endswith(".keras"):
        folder = preset_folder(model)
        metadata = read_metadata(folder)
        if (folder / "audit.json").is_file():
            audit = Audit.load(folder / "audit.json")
        if (folder / "golden.npz").is_file():
            golden = _golden_pairs(folder / "golden.npz")
            inputs = golden[0]
    trained = network.settings["dataset"] if isinstance(network, LeakyNetwork) else None
    source = data or (trained["name"] if trained and audit is None else None)
    if source:
        dataset = load_data(source, data_dir)
        inputs = dataset.select("test")[0]
        if audit is None and isinstance(network, LeakyNetwork):
            split = trained["split"] if trained and trained["name"] == dataset.identifier else "train"
            about = {"name": dataset.identifier, "split": split}
            audit = analyze(network, *dataset.select(split), data=about)
    report = export_onnx(
        network,
        path,
        audit=audit,
        metadata=metadata,
        check_inputs=inputs,
        golden=golden,
        representations=representations,
    )
    return {"path": str(path), "bytes": Path(path).stat().st_size, "checks": report.to_dict()}


def _golden_pairs(path: Path) -> tuple[np.ndarray, np.ndarray]:
    pairs = read_npz(path, ("inputs", "outputs"))
    if len(pairs) < 2:
        raise InvalidInputError(
            f"{path} needs the golden pairs `inputs` and `outputs`. Received: {', '.join(pairs) or '-'}"
        )
    for name, array in pairs.items():
        if array.dtype.kind not in "buif" or not array.ndim or not np.isfinite(array).all():
            raise InvalidInputError(f"{path}: `{name}` must hold finite numbers. Received: dtype={array.dtype}")
    return pairs["inputs"], pairs["outputs"]
