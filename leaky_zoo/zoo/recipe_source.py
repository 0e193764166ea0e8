"""A recipe from whatever names one: a file, a dict, the folder of a run or a preset, a preset's name."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.zoo.index import is_path
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
    if not isinstance(source, Preset):
        path = Path(source)
        if path.suffix.lower() in (".yaml", ".yml") or path.is_file():
            return Recipe.read(path)
        if is_path(source) and (path / "recipe.yaml").is_file():
            return Recipe.read(path / "recipe.yaml")
    preset = Preset.open(source, ("recipe.yaml",))
    if preset.recipe is None:
        raise InvalidInputError(f"The preset {preset.name} has no recipe.yaml: it does not say how it was trained.")
    return preset.recipe
