"""An ONNX file without TensorFlow or Keras: load, predict, monitor, inspect, verify; the keys of its metadata.

The names below are loaded when first used: `load`, `OnnxModel` and `DriftMonitor` need numpy and onnxruntime alone, the
others also `onnx`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOME = {name: f"leaky_zoo.runtime.{module}" for module, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'leaky_zoo.runtime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
