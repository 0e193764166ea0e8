"""An ONNX file without TensorFlow or Keras: load, predict, inspect, verify; the keys of its metadata.

The names below are loaded when first used: `OnnxModel` needs numpy and onnxruntime alone, the others also `onnx`.
"""

from typing import TYPE_CHECKING

from leaky_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from leaky_zoo.runtime.inspect import describe_onnx, inspect_onnx
    from leaky_zoo.runtime.model import OnnxModel
    from leaky_zoo.runtime.verify import Check, VerifyReport, verify_onnx

_HOMES = {
    "inspect": ("describe_onnx", "inspect_onnx"),
    "model": ("OnnxModel",),
    "verify": ("Check", "VerifyReport", "verify_onnx"),
}

__all__ = ["Check", "OnnxModel", "VerifyReport", "describe_onnx", "inspect_onnx", "verify_onnx"]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
