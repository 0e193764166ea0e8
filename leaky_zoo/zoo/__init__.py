"""Presets: the index, opening, saving, cards; recipes; the data a network was trained on (`zoo.training_data`).

The names below are loaded when first used: listing and opening presets needs neither Keras nor TensorFlow.
"""

from typing import TYPE_CHECKING

from leaky_zoo.lazy import lazy_names

if TYPE_CHECKING:
    from leaky_zoo.zoo.hashed_index import HashedIndex, write_index
    from leaky_zoo.zoo.index import (
        MissingFileError,
        UnknownPresetError,
        list_presets,
        models_dir,
        preset_folder,
        read_aliases,
    )
    from leaky_zoo.zoo.loading import from_preset, keras_file_of, load_model, load_network
    from leaky_zoo.zoo.preset import ChangedFileError, Preset, WrongClassError
    from leaky_zoo.zoo.recipe import Recipe
    from leaky_zoo.zoo.recipe_source import recipe_of
    from leaky_zoo.zoo.saving import save_to_preset

_HOMES = {
    "index": ("MissingFileError", "UnknownPresetError", "list_presets", "models_dir", "preset_folder", "read_aliases"),
    "hashed_index": ("HashedIndex", "write_index"),
    "loading": ("from_preset", "keras_file_of", "load_model", "load_network"),
    "preset": ("ChangedFileError", "Preset", "WrongClassError"),
    "recipe": ("Recipe",),
    "recipe_source": ("recipe_of",),
    "saving": ("save_to_preset",),
}

__all__ = [
    "ChangedFileError",
    "HashedIndex",
    "MissingFileError",
    "Preset",
    "Recipe",
    "UnknownPresetError",
    "WrongClassError",
    "from_preset",
    "keras_file_of",
    "list_presets",
    "load_model",
    "load_network",
    "models_dir",
    "preset_folder",
    "read_aliases",
    "recipe_of",
    "save_to_preset",
    "write_index",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
