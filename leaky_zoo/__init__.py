"""Leaky ResNets for Keras 3: layers, pretrained networks, bottleneck analysis, ONNX.

The names below are loaded when first used: `import leaky_zoo` starts neither Keras nor TensorFlow. Because of that a
bare `keras.models.load_model` does not know our classes until something of ours is used; `leaky_zoo.load_model` does.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from leaky_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from leaky_zoo.analysis import Audit, analyze
    from leaky_zoo.data import load_data
    from leaky_zoo.deploy import export_onnx
    from leaky_zoo.figures import plot_audit
    from leaky_zoo.flow import evaluate_network
    from leaky_zoo.layers import LeakyConv1D, LeakyConv2D, LeakyDense, StepSizes
    from leaky_zoo.networks import LeakyConvNet, LeakyMLP, LeakyResNet
    from leaky_zoo.runtime import OnnxModel, inspect_onnx, verify_onnx
    from leaky_zoo.training import train
    from leaky_zoo.zoo import Preset, Recipe, from_preset, list_presets, load_model, save_to_preset

__version__ = "0.1.0"

_HOMES = {
    "analysis": ("Audit", "analyze"),
    "data": ("load_data",),
    "deploy": ("export_onnx",),
    "figures": ("plot_audit",),
    "flow": ("evaluate_network",),
    "layers": ("LeakyConv1D", "LeakyConv2D", "LeakyDense", "StepSizes"),
    "networks": ("LeakyConvNet", "LeakyMLP", "LeakyResNet"),
    "runtime": ("OnnxModel", "inspect_onnx", "verify_onnx"),
    "training": ("train",),
    "zoo": ("Preset", "Recipe", "from_preset", "list_presets", "load_model", "save_to_preset"),
}

__all__ = [
    "Audit",
    "LeakyConv1D",
    "LeakyConv2D",
    "LeakyConvNet",
    "LeakyDense",
    "LeakyMLP",
    "LeakyResNet",
    "OnnxModel",
    "Preset",
    "Recipe",
    "StepSizes",
    "__version__",
    "analyze",
    "evaluate_network",
    "export_onnx",
    "from_preset",
    "inspect_onnx",
    "list_presets",
    "load_data",
    "load_model",
    "plot_audit",
    "save_to_preset",
    "train",
    "verify_onnx",
]

if "keras" in sys.modules:  # Keras is there already: let it know our classes
    import_module("leaky_zoo.networks")
elif "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow leaves oneDNN out on processors without AVX-512, where it makes convolutions faster too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
