"""ONNX: one file that carries its own analysis and checks itself, and a runtime without TensorFlow.

The names below are loaded when first used: `OnnxModel`, `inspect_onnx`, `describe_onnx` and `verify_onnx` start neither
Keras nor TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaky_zoo.deploy.build import build_onnx
    from leaky_zoo.deploy.export import ExportReport, export_onnx
    from leaky_zoo.deploy.inspect import describe_onnx, inspect_onnx
    from leaky_zoo.deploy.runtime import OnnxModel
    from leaky_zoo.deploy.saved_model import export_model
    from leaky_zoo.deploy.verify import Check, VerifyReport, verify_onnx

_HOMES = {
    "build": ("build_onnx",),
    "export": ("ExportReport", "export_onnx"),
    "inspect": ("describe_onnx", "inspect_onnx"),
    "runtime": ("OnnxModel",),
    "saved_model": ("export_model",),
    "verify": ("Check", "VerifyReport", "verify_onnx"),
}
_HOME = {name: f"leaky_zoo.deploy.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "Check",
    "ExportReport",
    "OnnxModel",
    "VerifyReport",
    "build_onnx",
    "describe_onnx",
    "export_model",
    "export_onnx",
    "inspect_onnx",
    "verify_onnx",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'leaky_zoo.deploy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
