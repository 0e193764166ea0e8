"""Modules of the user's: a command imports them first, and so do the processes that it starts."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from leaky_zoo.errors import InvalidInputError, LeakyZooError
from leaky_zoo.io.keras_config import USER_MODULES
from leaky_zoo.io.reading import one_line, shown

# Names with spaces between them; processes inherit it.
VARIABLE = "LEAKY_ZOO_IMPORT"


def import_modules(names: Sequence[str] | None = None) -> None:
    """Import modules, which runs their code, and hand their names on to every process started from here.

    Args:
        names: as `import` takes them; the current folder is searched too. Default None: those in `LEAKY_ZOO_IMPORT`,
            where the process that started this one has left them.

    Raises:
        InvalidInputError: there is no such module, or it fails.
    """
    names = os.environ.get(VARIABLE, "").split() if names is None else list(names)
    if not names:
        return
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    for name in names:
        try:
            importlib.import_module(name)
        except LeakyZooError:
            raise
        except Exception as error:  # whatever a user's own code raises
            why = f"{type(error).__name__}: {one_line(error)}"
            raise InvalidInputError(
                f"The module cannot be imported: {why}. Received: --import {shown(name)}"
            ) from error
    USER_MODULES.update(names)  # saved models may name the classes they define
    os.environ[VARIABLE] = " ".join(names)
