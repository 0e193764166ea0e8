"""An ONNX file without TensorFlow or Keras: load, predict, monitor, inspect, verify; the keys of its metadata.

The names below are loaded when first used: `load`, `OnnxModel` and `DriftMonitor` need numpy and onnxruntime alone, the
others also `onnx`.
"""

from typing import TYPE_CHECKING

from leaky_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from leaky_zoo.runtime.attach import attach_metadata
    from leaky_zoo.runtime.inspect import describe_onnx, inspect_onnx, provenance
    from leaky_zoo.runtime.metadata import metadata_schema
    from leaky_zoo.runtime.model import OnnxModel, load
    from leaky_zoo.runtime.monitor import BatchVerdict, DriftMonitor
    from leaky_zoo.runtime.probabilities import fit_temperature, softmax
    from leaky_zoo.runtime.summary import summarise_audit
    from leaky_zoo.runtime.verify import Check, VerifyReport, verify_onnx

_HOMES = {
    "attach": ("attach_metadata",),
    "inspect": ("describe_onnx", "inspect_onnx", "provenance"),
    "metadata": ("metadata_schema",),
    "model": ("OnnxModel", "load"),
    "monitor": ("BatchVerdict", "DriftMonitor"),
    "probabilities": ("fit_temperature", "softmax"),
    "summary": ("summarise_audit",),
    "verify": ("Check", "VerifyReport", "verify_onnx"),
}

__all__ = [
    "BatchVerdict",
    "Check",
    "DriftMonitor",
    "OnnxModel",
    "VerifyReport",
    "attach_metadata",
    "describe_onnx",
    "fit_temperature",
    "inspect_onnx",
    "load",
    "metadata_schema",
    "provenance",
    "softmax",
    "summarise_audit",
    "verify_onnx",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
