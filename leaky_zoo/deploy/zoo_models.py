"""A preset or a saved model to an ONNX file, with all that is known of it."""

import os
from pathlib import Path
from typing import Any

from leaky_zoo.analysis import analyze
from leaky_zoo.deploy.export import export_onnx
from leaky_zoo.deploy.graph import OPSET
from leaky_zoo.runtime.samples import read_samples
from leaky_zoo.zoo import Preset, keras_file_of, load_model
from leaky_zoo.zoo.training_data import trained_on, training_data


def export_model(
    model: str | os.PathLike[str] | Preset,
    path: str | os.PathLike[str],
    *,
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    representations: bool = False,
    monitor_data: str | os.PathLike[str] | None = None,
    opset: int = OPSET,
    keep_samples: bool = True,
) -> dict[str, Any]:
    """Export a preset or a `.keras` file, with its audit and on its own data.

    A preset brings its audit, metadata and golden pairs and needs no data at all; it is compared on its golden inputs
    unless `data` names a set. A `.keras` file is analysed on `data`, or on what it was trained on, where that can be
    had; any Keras model gets the audit that it can have.

    Args:
        model: preset name, preset folder, open `Preset`, `.keras` file, or the folder of a training run.
        path: the `.onnx` file to write.
        data: data set or `.npz` to analyse a `.keras` file on, and to compare on. Default None.
        data_dir: TFDS folder. Default None.
        representations: also output `A_0..A_L`. Default False.
        monitor_data: an `.npz` file with raw samples (`inputs` or `x`) that the network was not trained on, to watch
            for drift with. Default None: the file will not.
        opset: as `export_onnx`. Default 17.
        keep_samples: as `export_onnx`. Default True.

    Returns:
        `{"path", "bytes", "checks"}`.

    Raises:
        InvalidInputError: as `load_model` and `training_data`.
        CheckFailedError: the graph does not agree with Keras; nothing is written.

    Example:
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "digits.onnx"
    >>> export_model("leaky_mlp_optical_digits_l7_equidistant", file)["checks"]["inputs_from"]
    '16 given samples'
    """
    preset = Preset.open(model) if keras_file_of(model) is None else None
    network = preset.network if preset else load_model(model)
    audit, golden = (preset.audit, preset.golden) if preset else (None, None)
    inputs = golden[0] if golden else None
    if data or (audit is None and trained_on(network)):
        samples = training_data(network, data, data_dir=data_dir)
        inputs = samples.dataset.select("test")[0]
        if audit is None:
            audit = analyze(network, *samples.arrays, data=samples.about)
    report = export_onnx(
        network,
        path,
        audit=audit,
        metadata=preset.metadata if preset else None,
        check_inputs=inputs,
        golden=golden,
        representations=representations,
        monitor_data=None if monitor_data is None else read_samples(monitor_data),
        opset=opset,
        keep_samples=keep_samples,
    )
    return {"path": str(path), "bytes": Path(path).stat().st_size, "checks": report.to_dict()}
