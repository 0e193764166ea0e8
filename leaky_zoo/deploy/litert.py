"""LiteRT (formerly TensorFlow Lite), by Keras's own exporter: one `.tflite` file for phones and small devices."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.deploy.compare import Run
from leaky_zoo.deploy.keras_targets import KerasTarget, refuse_path
from leaky_zoo.deploy.saved_model import require_tensorflow
from leaky_zoo.errors import CheckFailedError, naming_extras
from leaky_zoo.io.files import replacing
from leaky_zoo.io.reading import one_line


def _checked_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != ".tflite" or Path(path).is_dir():
        raise refuse_path(path, "a file that ends in .tflite")
    return Path(path)


def _require() -> None:
    require_tensorflow("A LiteRT file")
    with naming_extras():
        import ai_edge_litert.interpreter  # noqa: F401


def _placing(path: Path) -> AbstractContextManager[Path]:
    return replacing(path)


def _open(file: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    try:
        # One thread: the sums, and so the errors in the report, do not depend on the number of cores.
        runner = Interpreter(str(file), num_threads=1).get_signature_runner("serving_default")
    except (ValueError, RuntimeError) as error:
        raise CheckFailedError(f"LiteRT cannot load the file: {one_line(error, 300)}") from error

    def run(rows: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            found = runner(**rows)
        except (ValueError, RuntimeError) as error:
            raise CheckFailedError(f"LiteRT cannot run the file: {one_line(error, 300)}") from error
        return {name: np.array(found[name]) for name in outputs}

    return run


LITERT = KerasTarget(
    name="litert",
    keras_format="litert",
    checked_path=_checked_path,
    require=_require,
    placing=_placing,
    open=_open,
    versions=lambda: {"litert": version("ai-edge-litert")},
)
