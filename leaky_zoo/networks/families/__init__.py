"""The families of networks: each module of this folder is one, found by itself, as is a user's once it is imported.

No Keras until a family is asked for: recipes know the names without it.
"""

import difflib
import pkgutil
from importlib import import_module
from typing import Any

from leaky_zoo.errors import InvalidInputError, naming_extras
from leaky_zoo.io.reading import shown

FAMILIES: dict[str, type[Any]] = {}
BUILT_IN = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def all_families() -> dict[str, type[Any]]:
    """Every family's class by its name, in the names' order: ours, and those whose modules were imported."""
    with naming_extras():
        for name in BUILT_IN:
            import_module(f"{__name__}.{name}")
    return dict(sorted(FAMILIES.items()))


def get_family(name: str) -> type[Any]:
    """The class of a family, a subclass of `LeakyNetwork`.

    Raises:
        InvalidInputError: no family has this name.

    Example:
    >>> get_family("mlp").__name__
    'LeakyMLP'
    """
    known = all_families()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise InvalidInputError(
            f"`family` must be one of {', '.join(known)}{f'; did you mean {near[0]!r}?' if near else '.'} Your own is "
            f"known once its module is imported (leaky-zoo --import MODULE). Received: family={shown(name)}"
        )
    return known[name]


def register_family(cls: type[Any]) -> None:
    """Make a class known by its `family`.

    Raises:
        InvalidInputError: another class has this name already.
    """
    known = FAMILIES.get(cls.family)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise InvalidInputError(f"{known.__qualname__} is already the family {cls.family!r}: choose another name.")
    FAMILIES[cls.family] = cls
