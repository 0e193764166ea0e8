"""A preset or a saved model to a file of some format, with all that is known of it."""

import os
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis import analyze
from leaky_zoo.deploy.build import can_build
from leaky_zoo.deploy.export import ExportReport, export_onnx
from leaky_zoo.deploy.graph import OPSET
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.samples import read_samples
from leaky_zoo.zoo import Preset, keras_file_of, load_model
from leaky_zoo.zoo.training_data import TrainingData, held_out, trained_on, training_data

FORMATS = ("onnx", "saved_model", "litert")
_OF_ONNX = ("representations", "monitor", "monitor_data", "opset")  # arguments


def export_model(
    model: str | os.PathLike[str] | Preset,
    path: str | os.PathLike[str],
    *,
    format: str = "onnx",
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    representations: bool = False,
    monitor: bool | None = None,
    monitor_data: str | os.PathLike[str] | None = None,
    opset: int | None = None,
    keep_samples: bool = True,
) -> dict[str, Any]:
    """Export a preset or a `.keras` file, with its audit and on its own data.

    A preset brings its audit, metadata and golden pairs and needs no data at all; it is compared on its golden inputs
    unless `data` names a set. A `.keras` file is analysed on `data`, or on what it was trained on, where that can be
    had; any Keras model gets the audit that it can have.

    An ONNX file of a network of ours watches for drift (`leaky_zoo.reference`) where its data are at hand anyway: it is
    then measured on samples that the network was not trained on (`leaky_zoo.zoo.training_data.held_out`).

    Args:
        model: preset name, preset folder, open `Preset`, `.keras` file, or the folder of a training run.
        path: what to write: a `.onnx` file, for "saved_model" a folder, for "litert" a `.tflite` file.
        format: "onnx", "saved_model" or "litert" (`leaky_zoo.deploy.keras_targets`). Default "onnx".
        data: data set or `.npz` to analyse a `.keras` file on, and to compare on. Default None.
        data_dir: TFDS folder. Default None.
        representations: also output `A_0..A_L`. Default False.
        monitor: whether the file watches for drift; True loads the network's data for it. Default None: where data are
            loaded anyway and some of them are held out.
        monitor_data: an `.npz` file with raw samples (`inputs` or `x`) that the network was not trained on, to watch
            for drift with. Default None: as `monitor` says.
        opset: as `export_onnx`. Default None: 17.
        keep_samples: as `export_onnx`. Default True.

    Returns:
        `{"path", "bytes", "checks", "monitor"}`; `monitor` says what the reference was measured on, or None.

    Raises:
        InvalidInputError: as `load_model` and `training_data`; an argument that another format does not have; or
            `monitor` where no samples are held out.
        CheckFailedError: the file does not agree with Keras; nothing is written.

    Example:
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "digits.onnx"
    >>> export_model("leaky_mlp_optical_digits_l7_equidistant", file)["checks"]["inputs_from"]
    '16 given samples'
    """
    given = dict(zip(_OF_ONNX, (representations or None, monitor, monitor_data, opset), strict=True))
    _check_format(format, given)
    preset = Preset.open(model) if keras_file_of(model) is None else None
    network = preset.network if preset else load_model(model)
    audit, golden = (preset.audit, preset.golden) if preset else (None, None)
    inputs, samples = golden[0] if golden else None, None
    if data or monitor or (audit is None and trained_on(network)):
        samples = training_data(network, data, data_dir=data_dir)
    if samples is not None and (data or audit is None):
        inputs = samples.dataset.select("test")[0]
        if audit is None:
            audit = analyze(network, *samples.arrays, data=samples.about)
    common: dict[str, Any] = {
        "audit": audit,
        "metadata": preset.metadata if preset else None,
        "check_inputs": inputs,
        "golden": golden,
        "keep_samples": keep_samples,
    }
    watched, words = None, None
    if format == "onnx":
        if monitor_data is not None:
            watched, words = read_samples(monitor_data), str(monitor_data)
        elif monitor is not False and not representations:
            watched, words = _watched(network, samples, monitor)
        report = export_onnx(
            network, path, **common, representations=representations, monitor_data=watched, opset=opset or OPSET
        )
    else:
        report = _through_keras(network, path, format, common)
    return {"path": str(path), "bytes": report.file_bytes, "checks": report.to_dict(), "monitor": words}


def _check_format(format: str, given: dict[str, Any]) -> None:
    if format not in FORMATS:
        raise InvalidInputError(f"`format` must be one of {', '.join(FORMATS)}. Received: format={format!r}")
    if given["monitor"] is False and given["monitor_data"] is not None:
        raise InvalidInputError("`monitor_data` needs `monitor`. Received: monitor=False and monitor_data")
    if given["representations"] and given["monitor"]:
        raise InvalidInputError("A file of representations is for analysis: leave `monitor` out.")
    named = [name for name, value in given.items() if value not in (None, False)]
    if format != "onnx" and named:
        raise InvalidInputError(f"Only an ONNX file has {', '.join(named)}. Received: format={format!r}")


def can_watch(network: keras.Model, samples: TrainingData) -> bool:
    """Whether an ONNX file of this network can watch for drift with held-out samples of these data."""
    return can_build(network) and held_out(network, samples) is not None


def _watched(
    network: keras.Model, samples: TrainingData | None, monitor: bool | None
) -> tuple[np.ndarray | None, str | None]:
    """Samples to watch with and what they are; nothing where there are none and nobody has asked."""
    found = held_out(network, samples) if samples is not None and can_watch(network, samples) else None
    if found is None and monitor:
        raise InvalidInputError(
            f"There are no samples to watch {network.name} with: a data set with at least 360 that it was not trained "
            "on is needed, and a family with a builder. Give them (`monitor_data`, --monitor-data)."
        )
    return (None, None) if found is None or samples is None else (found[0], f"{samples.dataset.identifier}, {found[1]}")


def _through_keras(
    network: keras.Model, path: str | os.PathLike[str], format: str, common: dict[str, Any]
) -> ExportReport:
    # TensorFlow, and LiteRT where it is asked for, are imported for these formats only.
    from leaky_zoo.deploy.keras_targets import export_keras_target
    from leaky_zoo.deploy.litert import LITERT
    from leaky_zoo.deploy.saved_model import SAVED_MODEL

    target = SAVED_MODEL if format == "saved_model" else LITERT
    return export_keras_target(network, path, target, **common)
