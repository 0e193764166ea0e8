"""A recipe from whatever names one: a file, a dict, the folder of a run or a preset, a preset's name."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import existing_file
from leaky_zoo.zoo.index import is_path, preset_folder
from leaky_zoo.zoo.preset import Preset
from leaky_zoo.zoo.recipe import Recipe


def recipe_of(source: Recipe | Mapping[str, Any] | str | os.PathLike[str] | Preset) -> Recipe:
    """The recipe that something stands for.

    Args:
        source: a `Recipe`; a dict of its fields; the path of a YAML file, or of a folder with a `recipe.yaml`, as a run
            or a preset has one; a preset's name, or an open `Preset`.

    Raises:
        InvalidInputError: nothing of this kind, a recipe that cannot be used, or a preset without one.

    Example:
    >>> recipe_of({"name": "trial", "data": {"name": "wine"}, "optimizer": {"epochs": 3}}).data.name
    'wine'
    >>> recipe_of("leaky_mlp_optical_digits_l7_equidistant").network.width
    128
    """
    if isinstance(source, Recipe):
        return source
    if isinstance(source, Mapping):
        return Recipe.from_dict(dict(source), source="the recipe")
    if not isinstance(source, str | os.PathLike | Preset):
        raise InvalidInputError(
            f"A recipe is a Recipe, a dict, a path or a preset's name. Received: {type(source).__name__}"
        )
    if not isinstance(source, Preset) and (file := _file_of(source)):
        return Recipe.read(file)
    preset = Preset.open(source, ("recipe.yaml",))
    if preset.recipe is None:
        raise InvalidInputError(f"The preset {preset.name} has no recipe.yaml: it does not say how it was trained.")
    return preset.recipe


def require_recipe(source: str | os.PathLike[str]) -> None:
    """Refuse a text or path that `recipe_of` finds nothing by; what the recipe says is not read.

    Raises:
        InvalidInputError: there is neither such a file nor such a preset.
    """
    if file := _file_of(source):
        existing_file(file, "recipe")
    else:
        preset_folder(source, ("metadata.json",))


def _file_of(source: str | os.PathLike[str]) -> Path | None:
    """The YAML file that a text or path stands for, or None where it stands for a preset."""
    path = Path(source)
    if path.suffix.lower() in (".yaml", ".yml") or path.is_file():
        return path
    inside = path / "recipe.yaml"
    return inside if is_path(source) and inside.is_file() else None
