"""Write the API pages: `python docs/api.py MODULE ...`, to build/docs/api."""

import importlib
import sys
from pathlib import Path

import pdoc


def main(names: list[str]) -> None:
    """Document the modules."""
    for name in names:
        module = importlib.import_module(name)
        for lazy in getattr(module, "__all__", ()):  # pdoc sees only what has been loaded
            getattr(module, lazy)
    pdoc.render.configure(docformat="google")
    pdoc.pdoc(*names, output_directory=Path(__file__).parents[1] / "build" / "docs" / "api")


if __name__ == "__main__":
    main(sys.argv[1:])
