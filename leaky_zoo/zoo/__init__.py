"""Presets: the index, opening, saving, cards; recipes; the data a network was trained on (`zoo.training_data`).

The names below are loaded when first used: listing and opening presets needs neither Keras nor TensorFlow.
"""

from importlib import import_module
from typing import Any

from leaky_zoo.errors import naming_extras

_HOMES = {
    "index": ("MissingFileError", "UnknownPresetError", "list_presets", "models_dir", "preset_folder"),
    "preset": ("ChangedFileError", "Preset", "WrongClassError", "from_preset", "load_model", "load_network"),
    "recipe": ("Recipe",),
    "saving": ("save_to_preset",),
}
_HOME = {name: f"leaky_zoo.zoo.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "ChangedFileError",
    "MissingFileError",
    "Preset",
    "Recipe",
    "UnknownPresetError",
    "WrongClassError",
    "from_preset",
    "list_presets",
    "load_model",
    "load_network",
    "models_dir",
    "preset_folder",
    "save_to_preset",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        with naming_extras():
            return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'leaky_zoo.zoo' has no attribute {name!r}")
