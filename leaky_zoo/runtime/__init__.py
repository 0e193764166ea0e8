"""An ONNX file without TensorFlow or Keras: load, predict, inspect, verify; the keys of its metadata.

The names below are loaded when first used: `OnnxModel` needs numpy and onnxruntime alone, the others also `onnx`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaky_zoo.runtime.inspect import describe_onnx, inspect_onnx
    from leaky_zoo.runtime.model import OnnxModel
    from leaky_zoo.runtime.verify import Check, VerifyReport, verify_onnx

_HOMES = {
    "inspect": ("describe_onnx", "inspect_onnx"),
    "model": ("OnnxModel",),
    "verify": ("Check", "VerifyReport", "verify_onnx"),
}
_HOME = {name: f"leaky_zoo.runtime.{module}" for module, names in _HOMES.items() for name in names}

__all__ = ["Check", "OnnxModel", "VerifyReport", "describe_onnx", "inspect_onnx", "verify_onnx"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'leaky_zoo.runtime' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
