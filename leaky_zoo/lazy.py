"""Names of a package that are loaded when first used."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from leaky_zoo.errors import naming_extras


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names are imported when they are first asked for (PEP 562).

    Beyond what PyPI's lazy_loader does, the error of a library that is not installed names the extra that brings it.

    Args:
        package: `__name__` of the package.
        homes: the names, by the module that defines them, relative to the package; `".zoo.recipe"` starts one level up.

    Returns:
        The two functions. The first raises `AttributeError` for a name that is not in `homes`, and `MissingExtraError`
        where its module needs a library that is not installed.

    Example:
    >>> __getattr__, __dir__ = lazy_names("leaky_zoo.networks", {"tasks": ["TASKS"]})
    >>> "regression" in __getattr__("TASKS"), "TASKS" in __dir__()
    (True, True)
    """
    home = {name: f".{module}" for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with naming_extras():
            value = getattr(import_module(home[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *home})
