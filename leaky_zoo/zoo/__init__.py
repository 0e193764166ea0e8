"""Presets: names, loading, saving, cards."""

from typing import Any

from leaky_zoo.zoo.names import MissingFileError, UnknownPresetError, list_presets, models_dir, preset_folder

__all__ = [
    "ChangedFileError",
    "MissingFileError",
    "UnknownPresetError",
    "WrongClassError",
    "from_preset",
    "list_presets",
    "load_model",
    "models_dir",
    "preset_folder",
    "save_to_preset",
]


def __getattr__(name: str) -> Any:
    # Loading needs Keras; listing must start without it.
    if name in __all__:
        from leaky_zoo.zoo import presets

        return getattr(presets, name)
    raise AttributeError(f"module 'leaky_zoo.zoo' has no attribute {name!r}")
